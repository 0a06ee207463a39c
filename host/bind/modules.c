/* SPDX-License-Identifier: Apache-2.0 */
/* The list of modules, nothing else. Modules written in Lua are embedded files
 * and need no entry. */
#include "bind/modules.h"

#include <lauxlib.h>

int luaopen_clock(lua_State *L);
int luaopen_json(lua_State *L);
int luaopen_log(lua_State *L);
int luaopen_metric(lua_State *L);
int luaopen_protobuf(lua_State *L);
int luaopen_task(lua_State *L);
int luaopen_udp(lua_State *L);

static const luaL_Reg modules[] = {
	{ "clock", luaopen_clock },	  { "json", luaopen_json },
	{ "log", luaopen_log },		  { "metric", luaopen_metric },
	{ "protobuf", luaopen_protobuf }, { "task", luaopen_task },
	{ "udp", luaopen_udp },		  { NULL, NULL },
};

void modules_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	luaL_setfuncs(L, modules, 0);
	lua_pop(L, 1);
}
