/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume and wrap as Lua's own lcorolib does them, with one addition: when the
 * coroutine stopped in a wait of the host, the function itself yields the
 * sentinel further up and resumes the coroutine when it comes back.
 *
 * Invariants. A coroutine that waits keeps the sentinel on top of its stack, so
 * everybody can see that it is not the script's to resume or close. The frame
 * that passes a wait on holds a guard in a to-be-closed slot: if the task is
 * cancelled meanwhile, closing the frame closes the inner coroutine too. A
 * frame that never waits makes no guard and costs what it costs in Lua.
 */
#include "vm/coroutine.h"

#include <string.h>

#include <lauxlib.h>

#include "vm/state.h"
#include "vm/task.h"

/* Frames of resume and wrap have the coroutine at 1 and, after the first wait,
 * the guard at 2. */
enum { CO = 1, GUARD = 2 };

enum mode { RESUME, WRAP };

struct guard {
	lua_State *co; /* NULL while the frame runs */
};

static char guard_meta;

static lua_State *check_co(lua_State *L, int arg)
{
	lua_State *co = lua_tothread(L, arg);

	luaL_argexpected(L, co, arg, "coroutine");
	return co;
}

static int l_guard_close(lua_State *L)
{
	struct guard *guard = lua_touserdata(L, 1);
	lua_State *co = guard->co;
	const char *why;

	guard->co = NULL;
	if (co && task_close_thread(co, &why) > LUA_YIELD)
		lua_settop(co, 0); /* the error: nobody is there to hear it */
	return 0;
}

/* Nothing here may fail: the inner coroutine waits already. The grant covers
 * the one allocation; keys by address need none. */
static struct guard *push_guard(lua_State *L)
{
	struct guard *guard;

	vm_grant(vm_of(L));
	guard = lua_newuserdatauv(L, sizeof *guard, 0);
	guard->co = NULL;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_meta);
	lua_setmetatable(L, -2);
	lua_toclose(L, -1);
	return guard;
}

/* Why CO cannot be resumed from L, or NULL. */
static const char *refusal(lua_State *L, lua_State *co)
{
	lua_Debug ar;

	if (co == L)
		return "cannot resume non-suspended coroutine";
	if (task_owns(co))
		return "cannot resume a coroutine that waits for I/O";
	if (lua_status(co) == LUA_YIELD)
		return NULL;
	if (lua_status(co) != LUA_OK)
		return "cannot resume dead coroutine";
	if (lua_getstack(co, 0, &ar))
		return "cannot resume non-suspended coroutine";
	if (lua_gettop(co) == 0)
		return "cannot resume dead coroutine";
	return NULL;
}

/* As Lua's own does, but once: a recursion would leave nothing else. */
static void add_place(lua_State *L)
{
	const char *message, *place;

	luaL_where(L, 1);
	place = lua_tostring(L, -1);
	message = lua_tostring(L, -2);
	if (strncmp(message, place, strlen(place)) == 0) {
		lua_pop(L, 1);
		return;
	}
	lua_insert(L, -2);
	lua_concat(L, 2);
}

/* wrap: an error ends the caller as well, after the coroutine is closed. */
static int raise_inner(lua_State *L, lua_State *co)
{
	int status = lua_status(co);
	const char *why;

	if (status != LUA_OK && status != LUA_YIELD) {
		status = task_close_thread(co, &why);
		if (status > LUA_YIELD) {
			lua_xmove(co, L, 1);
			lua_remove(L, -2);
		}
	}
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING)
		add_place(L);
	return lua_error(L);
}

/* An error message lies on top of L. */
static int fail(lua_State *L, lua_State *co, enum mode mode)
{
	if (mode == WRAP)
		return raise_inner(L, co);
	lua_pushboolean(L, 0);
	lua_insert(L, -2);
	return 2;
}

static int deliver(lua_State *L, lua_State *co, enum mode mode, int results)
{
	if (!lua_checkstack(L, results + 1)) {
		lua_pop(co, results);
		lua_pushliteral(L, "too many results to resume");
		return fail(L, co, mode);
	}
	if (mode == RESUME)
		lua_pushboolean(L, 1);
	lua_xmove(co, L, results);
	return mode == RESUME ? results + 1 : results;
}

static int k_resume(lua_State *L, int status, lua_KContext ctx);

/* Runs CO, which has NARGS arguments on its stack, until it has something for
 * the script. */
static int run(lua_State *L, lua_State *co, enum mode mode, int nargs)
{
	struct guard *guard;
	int results;
	int status = task_resume(L, co, nargs, &results);

	if (status != LUA_OK && status != LUA_YIELD) {
		lua_pushvalue(co, -1); /* closing wants the original */
		lua_xmove(co, L, 1);
		return fail(L, co, mode);
	}
	if (!task_is_waiting(co))
		return deliver(L, co, mode, results);
	guard = lua_gettop(L) < GUARD ? push_guard(L)
				      : lua_touserdata(L, GUARD);
	guard->co = co;
	return task_pass_on(L, mode, k_resume);
}

static int k_resume(lua_State *L, int status, lua_KContext ctx)
{
	lua_State *co = lua_tothread(L, CO);
	struct guard *guard = lua_touserdata(L, GUARD);

	(void)status;
	guard->co = NULL;
	lua_pop(co, 1); /* the sentinel */
	return run(L, co, (enum mode)ctx, 0);
}

/* L: co args... */
static int begin(lua_State *L, lua_State *co, enum mode mode)
{
	const char *why = refusal(L, co);
	int nargs = lua_gettop(L) - CO;

	if (!why && !lua_checkstack(co, nargs + 1))
		why = "too many arguments to resume";
	if (why) {
		lua_pushstring(L, why);
		return fail(L, co, mode);
	}
	lua_xmove(L, co, nargs);
	return run(L, co, mode, nargs);
}

/* coroutine.resume(co [, value...]) -> true, value... | false, message */
static int l_resume(lua_State *L)
{
	return begin(L, check_co(L, CO), RESUME);
}

static int l_wrapped(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, CO);
	return begin(L, lua_tothread(L, CO), WRAP);
}

/* coroutine.wrap(fn) -> function */
static int l_wrap(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	lua_pushcclosure(L, l_wrapped, 1);
	return 1;
}

/* coroutine.status(co) -> "running" | "suspended" | "normal" | "dead" */
static int l_status(lua_State *L)
{
	lua_State *co = check_co(L, 1);
	lua_Debug ar;

	if (co == L)
		lua_pushliteral(L, "running");
	else if (task_owns(co))
		lua_pushliteral(L, "normal");
	else if (!refusal(L, co))
		lua_pushliteral(L, "suspended");
	else if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar))
		lua_pushliteral(L, "normal");
	else
		lua_pushliteral(L, "dead");
	return 1;
}

/* coroutine.close(co) -> true | false, message */
static int l_close(lua_State *L)
{
	lua_State *co = check_co(L, 1);
	const char *why;
	lua_Debug ar;
	int status;

	if (co == L)
		return luaL_error(L, "cannot close a running coroutine");
	if (task_owns(co))
		return luaL_error(
			L, "cannot close a coroutine that waits for I/O");
	if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar))
		return luaL_error(L, "cannot close a normal coroutine");
	status = task_close_thread(co, &why);
	if (status < 0)
		return luaL_error(L, "%s", why);
	lua_pushboolean(L, status == LUA_OK);
	if (status == LUA_OK)
		return 1;
	lua_xmove(co, L, 1);
	return 2;
}

/* coroutine.yield(value...) -> value... */
static int l_yield(lua_State *L)
{
	struct task *task = task_current(L);

	if (L == vm_main(vm_of(L)) || (task && task_thread(task) == L))
		return luaL_error(L, "coroutine.yield outside of a coroutine");
	return lua_yield(L, lua_gettop(L));
}

static const luaL_Reg functions[] = {
	{ "close", l_close }, { "resume", l_resume }, { "status", l_status },
	{ "wrap", l_wrap },   { "yield", l_yield },   { NULL, NULL },
};

void coroutine_open(lua_State *L)
{
	lua_createtable(L, 0, 2); /* library meta */
	lua_pushcfunction(L, l_guard_close);
	lua_setfield(L, -2, "__close");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_meta);
	luaL_setfuncs(L, functions, 0);
}
