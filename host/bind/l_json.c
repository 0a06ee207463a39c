/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: lua-cjson, found through package.cpath at the first require, with a
 * configuration of its own. What differs from cjson: decode fails with nil and
 * a message, since JSON comes from the world; nesting is limited to 100; NaN
 * and infinities are refused both ways; a sparse list is encoded as an object
 * instead of failing or growing.
 */
#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "vm/state.h"

enum { DEPTH_MAX = 100 };

int luaopen_json(lua_State *L);

/* Both functions have cjson.safe's as their first upvalue, which fails with nil
 * and a message; and raises one of its own where Lua's memory is at its limit.
 * The second is pcall. */
static void call_safe(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_rotate(L, 1, 2);
	lua_call(L, 2, 3); /* true value|nil message, or false message nil */
	if (lua_toboolean(L, 1)) {
		lua_remove(L, 1);
		return;
	}
	if (lua_type(L, 2) == LUA_TSTRING &&
	    strstr(lua_tostring(L, 2), "Memory allocation error"))
		lua_pushliteral(L, "not enough memory");
	else
		lua_pushvalue(L, 2);
	lua_error(L);
}

/* json.decode(text) -> value | nil, message */
static int l_decode(lua_State *L)
{
	struct err err;

	check_str(L, 1);
	lua_settop(L, 1);
	call_safe(L);
	if (!lua_isnil(L, 1)) {
		lua_settop(L, 1);
		return 1;
	}
	err_set(&err, ERR_INPUT, "JSON: %s", lua_tostring(L, 2));
	return push_failure(L, &err);
}

/*
 * The least that the text of the value on top of L has, or something above MOST
 * as soon as that is sure. cjson writes it outside of Lua's memory, and a small
 * table that holds one string a thousand times is a large text.
 */
static size_t least_size(lua_State *L, unsigned depth, size_t most)
{
	size_t size = 1;

	if (lua_type(L, -1) == LUA_TSTRING)
		return (size_t)lua_rawlen(L, -1) + 2;
	if (!lua_istable(L, -1) || depth > DEPTH_MAX)
		return size;
	luaL_checkstack(L, 3, "to encode");
	lua_pushnil(L);
	while (size <= most && lua_next(L, -2)) {
		size += 1 + least_size(L, depth + 1, most - size);
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			size += (size_t)lua_rawlen(L, -1) + 2;
	}
	if (size > most)
		lua_pop(L, 1);
	return size;
}

/* Raises as an allocation of Lua would where the text cannot have room. */
static void check_room(lua_State *L)
{
	size_t most = vm_limits(vm_of(L))->memory;

	lua_newuserdatauv(L, least_size(L, 0, most), 0);
	lua_pop(L, 1);
}

/* json.encode(value) -> text; raises for what JSON cannot say */
static int l_encode(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	check_room(L);
	call_safe(L);
	if (lua_isnil(L, 1))
		return luaL_error(L, "JSON: %s", lua_tostring(L, 2));
	lua_settop(L, 1);
	return 1;
}

/* Settings of cjson are functions; the module is on top of L. */
static void set_depth(lua_State *L, const char *name)
{
	lua_getfield(L, -1, name);
	lua_pushinteger(L, DEPTH_MAX);
	lua_call(L, 1, 0);
}

static void set_flag(lua_State *L, const char *name, bool value)
{
	lua_getfield(L, -1, name);
	lua_pushboolean(L, value);
	lua_call(L, 1, 0);
}

/* Leaves a cjson with a configuration of its own on the stack. */
static void push_cjson(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "cjson.safe");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "new");
	lua_remove(L, -2);
	lua_call(L, 0, 1);
	set_depth(L, "decode_max_depth");
	set_depth(L, "encode_max_depth");
	set_flag(L, "decode_invalid_numbers", false);
	set_flag(L, "encode_invalid_numbers", false);
	set_flag(L, "encode_sparse_array", true);
}

int luaopen_json(lua_State *L)
{
	push_cjson(L);
	lua_createtable(L, 0, 3); /* cjson json */
	lua_getfield(L, -2, "encode");
	lua_getglobal(L, "pcall");
	lua_pushcclosure(L, l_encode, 2);
	lua_setfield(L, -2, "encode");
	lua_getfield(L, -2, "decode");
	lua_getglobal(L, "pcall");
	lua_pushcclosure(L, l_decode, 2);
	lua_setfield(L, -2, "decode");
	lua_getfield(L, -2, "null");
	lua_setfield(L, -2, "null");
	return 1;
}
