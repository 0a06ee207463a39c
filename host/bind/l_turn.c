/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn: a wait that another task ends, for queues written in Lua (lua/http);
 * not for scripts. Stands on the loop's timers.
 */
#include <stdbool.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "net/loop.h"
#include "vm/state.h"
#include "vm/task.h"

#define TURN "turn"

int luaopen_turn(lua_State *L);

struct turn {
	struct op op;
	struct timer timer;
	bool called;
	bool waited; /* for: by one task */
};

static void on_cancel(struct op *op)
{
	struct turn *turn = (struct turn *)(void *)op;

	turn->waited = false;
	timer_release(&turn->timer);
}

static void on_timeout(struct timer *timer)
{
	struct turn *turn =
		(struct turn *)(void *)((char *)timer -
					offsetof(struct turn, timer));

	task_wake(&turn->op);
}

/* turn.new() -> turn */
static int l_new(lua_State *L)
{
	struct turn *turn = push_object(L, sizeof *turn, TURN, 0);

	turn->op.cancel = on_cancel;
	return 1;
}

static int k_wait(lua_State *L, int status, lua_KContext ctx)
{
	struct turn *turn = lua_touserdata(L, 1);

	(void)status;
	(void)ctx;
	timer_release(&turn->timer);
	turn->called = turn->waited = false;
	return 0;
}

/* turn:wait(seconds): until it is called, at most that long. One at a time. */
static int l_wait(lua_State *L)
{
	struct turn *turn = luaL_checkudata(L, 1, TURN);
	double seconds = check_seconds(L, 2);

	task_check(L);
	if (turn->waited)
		return luaL_error(L, "another task waits for this turn");
	turn->op = (struct op){ .cancel = on_cancel };
	if (turn->called)
		return k_wait(L, LUA_OK, 0);
	timer_init(vm_loop(vm_of(L)), &turn->timer, on_timeout);
	timer_start(&turn->timer, seconds);
	turn->waited = true;
	return task_await(L, &turn->op, 0, k_wait);
}

/* turn:call(): ends the wait that is, or the next one. */
static int l_call(lua_State *L)
{
	struct turn *turn = luaL_checkudata(L, 1, TURN);

	turn->called = true;
	task_wake(&turn->op);
	return 0;
}

static int l_gc(lua_State *L)
{
	struct turn *turn = luaL_checkudata(L, 1, TURN);

	timer_release(&turn->timer);
	return 0;
}

static const luaL_Reg functions[] = {
	{ "new", l_new },
	{ NULL, NULL },
};

static const luaL_Reg methods[] = {
	{ "wait", l_wait },
	{ "call", l_call },
	{ NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__gc", l_gc },
	{ NULL, NULL },
};

int luaopen_turn(lua_State *L)
{
	bind_class(L, TURN, methods, metas);
	luaL_newlib(L, functions);
	return 1;
}
