/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua runs a finalizer with hooks off, so an endless loop in it would never
 * end. In a coroutine of its own hooks are on. A metatable keeps its finalizer
 * from the moment it is set, as Lua decides then, too, whether it has one; but
 * the function that a script exchanges later, behind our back, runs as Lua has
 * it, and can stall its exporter as a long call into C can.
 */
#include "vm/finalizer.h"

#include <lauxlib.h>

#include "vm/state.h"
#include "vm/task.h"

/* An error lies on top of CO. */
static int raise_from(lua_State *L, lua_State *co)
{
	const char *why;

	lua_pushvalue(co, -1); /* closing wants the original */
	lua_xmove(co, L, 1);
	task_close_thread(co, &why);
	return lua_error(L);
}

/* Upvalue: the script's function. */
static int l_finalize(lua_State *L)
{
	lua_State *co;
	const char *why;
	int status, results;

	lua_settop(L, 1);
	co = lua_newthread(L);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 2);
	status = task_resume(L, co, 1, &results);
	if (status == LUA_OK)
		return 0;
	if (status != LUA_YIELD)
		return raise_from(L, co);
	task_close_thread(co, &why);
	return luaL_error(L, "attempt to yield from a finalizer");
}

/* META is what a table is about to have. */
static void guard_finalizer(lua_State *L, int meta)
{
	lua_pushliteral(L, "__gc");
	lua_pushvalue(L, -1);
	if (lua_rawget(L, meta) == LUA_TFUNCTION &&
	    lua_tocfunction(L, -1) != l_finalize) {
		lua_pushcclosure(L, l_finalize, 1);
		lua_rawset(L, meta);
	} else {
		lua_pop(L, 2);
	}
}

int l_setmetatable(lua_State *L)
{
	int type = lua_type(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2,
			 "nil or table");
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	lua_settop(L, 2);
	if (type == LUA_TTABLE)
		guard_finalizer(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}
