/* SPDX-License-Identifier: Apache-2.0 */
/* The list of modules. Those written in Lua are embedded files. */
#include "bind/modules.h"

#include <lauxlib.h>

#include "core/nearest.h"

int luaopen_clock(lua_State *L);
int luaopen_files(lua_State *L);
int luaopen_http_client(lua_State *L);
int luaopen_icmp(lua_State *L);
int luaopen_json(lua_State *L);
int luaopen_log(lua_State *L);
int luaopen_metric(lua_State *L);
int luaopen_process(lua_State *L);
int luaopen_protobuf(lua_State *L);
int luaopen_resolve(lua_State *L);
int luaopen_task(lua_State *L);
int luaopen_turn(lua_State *L);
int luaopen_udp(lua_State *L);
int luaopen_xml(lua_State *L);

static const luaL_Reg modules[] = {
	{ "clock", luaopen_clock },
	{ "files", luaopen_files },
	{ "http_client", luaopen_http_client },
	{ "icmp", luaopen_icmp },
	{ "json", luaopen_json },
	{ "log", luaopen_log },
	{ "metric", luaopen_metric },
	{ "process", luaopen_process },
	{ "protobuf", luaopen_protobuf },
	{ "resolve", luaopen_resolve },
	{ "task", luaopen_task },
	{ "turn", luaopen_turn },
	{ "udp", luaopen_udp },
	{ "xml", luaopen_xml },
	{ NULL, NULL },
};

/* __index of a module: (module, key), upvalue: its name. A mistyped function is
 * told as such, not as a call of nil. */
static int l_missing(lua_State *L)
{
	const char *names[64] = { NULL }, *key, *near;
	int n = 0;

	lua_settop(L, 2);
	key = luaL_tolstring(L, 2, NULL);
	lua_pushnil(L);
	while (n < 63 && lua_next(L, 1)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			names[n++] = lua_tostring(L, -1);
	}
	near = nearest(key, names);
	return luaL_error(L, "%s has no '%s'%s%s%s",
			  lua_tostring(L, lua_upvalueindex(1)), key,
			  near ? "; did you mean '" : "", near ? near : "",
			  near ? "'?" : "");
}

/* (name), upvalue: the opener */
static int l_open(lua_State *L)
{
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, 1);
	lua_call(L, 1, 1);
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_pushcclosure(L, l_missing, 1);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	return 1;
}

/* Those that the virtual machine has preloaded, for scripts to require. */
static const char *const in_lua[] = { "http", "push", "session", "value",
				      NULL };

void modules_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	for (const luaL_Reg *module = modules; module->name; module++) {
		lua_pushcfunction(L, module->func);
		lua_pushcclosure(L, l_open, 1);
		lua_setfield(L, -2, module->name);
	}
	for (const char *const *name = in_lua; *name; name++) {
		lua_getfield(L, -1, *name);
		lua_pushcclosure(L, l_open, 1);
		lua_setfield(L, -2, *name);
	}
	lua_pop(L, 1);
}
