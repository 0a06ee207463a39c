/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/sandbox.h"

#include <limits.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

const char *const sandbox_os_names[] = { "clock", "date", "difftime", "time",
					 NULL };
const char *const sandbox_debug_names[] = { "getinfo", "traceback", NULL };

/* Globals without which a script cannot reach a file. */
static const char *const taken[] = { "dofile", "io", "loadfile", NULL };

/*
 * What can be required: modules that touch nothing outside, or only the
 * network, for which they ask net/allow.h. A new module is not here until
 * somebody has looked at what it can do.
 *
 * Not here: files, process; argparse, cli and pusher, which are the host's own.
 */
static const char *const modules[] = {
	"clock",	 "http",	"http.answer",	"http.call",
	"http.client",	 "http.common", "http.gate",	"http.options",
	"http.url",	 "http_client", "icmp",		"json",
	"log",		 "metric",	"protobuf",	"push",
	"push.families", "push.labels", "push.options", "push.path",
	"resolve",	 "session",	"task",		"turn",
	"udp",		 "value",	"xml",		NULL,
};

/* Those of them that stand on a C module of the system: loaded now, when there
 * still is a way to it. */
static const char *const early[] = { "json", NULL };

/* Standard libraries that stay in package.loaded. */
static const char *const libraries[] = {
	LUA_GNAME,	 LUA_COLIBNAME, LUA_DBLIBNAME,	LUA_LOADLIBNAME,
	LUA_MATHLIBNAME, LUA_OSLIBNAME, LUA_STRLIBNAME, LUA_TABLIBNAME,
	LUA_UTF8LIBNAME, NULL,
};

static bool is_in(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names;
}

bool sandbox_lacks(const char *name)
{
	return is_in(taken, name);
}

/* ---- what is not there says so ---- */

/* __index of a library; upvalue: its name */
static int l_absent(lua_State *L)
{
	const char *library = lua_tostring(L, lua_upvalueindex(1));

	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	return luaL_error(L, "%s.%s is not available in a sandbox", library,
			  lua_tostring(L, 2));
}

/* Gives the table on top a metatable that says what is missing. */
static void set_absent(lua_State *L, const char *name)
{
	lua_createtable(L, 0, 2);
	lua_pushstring(L, name);
	lua_pushcclosure(L, l_absent, 1);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
}

/* The level at INDEX, if it is one of this coroutine, without ourselves. */
static void skip_this(lua_State *L, int index)
{
	bool here = index == 1 || lua_tothread(L, 1) == L;
	int is;
	lua_Integer level = lua_tointegerx(L, index, &is);

	if (!here || !is || level < 1 || level > INT_MAX)
		return;
	lua_pushinteger(L, level + 1);
	lua_replace(L, index);
}

/* debug.getinfo([thread,] what [, fields]): not the functions themselves, which
 * may be the host's. Upvalue: Lua's own. */
static int l_getinfo(lua_State *L)
{
	int fields = lua_isthread(L, 1) ? 3 : 2;
	const char *text = luaL_optstring(L, fields, "Slntur");

	luaL_argcheck(L, !strpbrk(text, "fL>"), fields,
		      "'f' and 'L' are not available in a sandbox");
	lua_settop(L, fields);
	lua_pushstring(L, text);
	lua_replace(L, fields);
	skip_this(L, fields - 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, fields, 1);
	return 1;
}

static void close_libraries(lua_State *L)
{
	for (const char *const *name = taken; *name; name++) {
		lua_pushnil(L);
		lua_setglobal(L, *name);
	}
	lua_getglobal(L, LUA_OSLIBNAME);
	set_absent(L, LUA_OSLIBNAME);
	lua_getglobal(L, LUA_DBLIBNAME);
	lua_getfield(L, -1, "getinfo");
	lua_pushcclosure(L, l_getinfo, 1);
	lua_setfield(L, -2, "getinfo");
	set_absent(L, LUA_DBLIBNAME);
	lua_pop(L, 2);
}

/* ---- require ---- */

/* The last searcher: (name). */
static int l_refuse(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	luaL_where(L, 2); /* of who called require */
	lua_pushfstring(L,
			"module '%s' is not available in a sandbox, nor are "
			"files and C modules",
			name);
	lua_concat(L, 2);
	return lua_error(L);
}

/* Takes what is neither in KEEP nor in MORE out of the table on top. */
static void retain(lua_State *L, const char *const *keep,
		   const char *const *more)
{
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING
					   ? lua_tostring(L, -2)
					   : "";

		if (is_in(keep, name) || is_in(more, name))
			continue;
		lua_pushvalue(L, -2);
		lua_pushnil(L);
		lua_rawset(L, -5);
	}
}

/* What cannot be loaded now will say so when it is required. */
static void load_early(lua_State *L)
{
	for (const char *const *name = early; *name; name++) {
		lua_getglobal(L, "require");
		lua_pushstring(L, *name);
		if (lua_pcall(L, 1, 0, 0) == LUA_ERRMEM)
			lua_error(L);
		lua_settop(L, 0);
	}
}

/* L: package. The searcher of preloaded modules stays. */
static void close_searchers(lua_State *L)
{
	lua_createtable(L, 2, 0);
	lua_getfield(L, -2, "searchers");
	lua_rawgeti(L, -1, 1);
	lua_rawseti(L, -3, 1);
	lua_pop(L, 1);
	lua_pushcfunction(L, l_refuse);
	lua_rawseti(L, -2, 2);
	lua_setfield(L, -2, "searchers");
}

/* L: package. Gives the script a table of its own instead. */
static void hide_package(lua_State *L)
{
	lua_createtable(L, 0, 2);
	lua_getfield(L, -2, "loaded");
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, LUA_LOADLIBNAME);
	lua_setfield(L, -2, "loaded");
	lua_getfield(L, -2, "preload");
	lua_setfield(L, -2, "preload");
	set_absent(L, LUA_LOADLIBNAME);
	lua_setglobal(L, LUA_LOADLIBNAME);
}

static void close_package(lua_State *L)
{
	static const char *const none[] = { NULL };

	lua_getglobal(L, LUA_LOADLIBNAME);
	lua_getfield(L, -1, "loaded");
	retain(L, libraries, modules);
	lua_getfield(L, -2, "preload");
	retain(L, modules, none);
	lua_pop(L, 2);
	close_searchers(L);
	hide_package(L);
	lua_pop(L, 1);
}

void sandbox_close(lua_State *L)
{
	load_early(L);
	close_libraries(L);
	close_package(L);
}
