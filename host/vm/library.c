/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts find in their state. A library is opened whole and then reduced
 * to the names listed here: a name that a later Lua adds is absent until
 * somebody has thought about it.
 */
#include "vm/library.h"

#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "core/log.h"
#include "core/nearest.h"
#include "vm/chunk.h"
#include "vm/coroutine.h"
#include "vm/embedded.h"
#include "vm/finalizer.h"
#include "vm/sandbox.h"
#include "vm/slice.h"

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#elif defined(__arm__)
#define MULTIARCH "arm-linux-gnueabihf"
#else
#define MULTIARCH "lua-c-modules"
#endif

#define SHARE                                                                  \
	"/usr/local/share/lua/5.4/?.lua;"                                      \
	"/usr/local/share/lua/5.4/?/init.lua;"                                 \
	"/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua"
#define LIB                                                                    \
	"/usr/local/lib/lua/5.4/?.so;"                                         \
	"/usr/lib/" MULTIARCH "/lua/5.4/?.so;/usr/lib/lua/5.4/?.so"

enum { GLOBALS_MAX = 256 };

/* ---- base --------------------------------------------------------------- */

/* load(chunk [, name [, mode [, env]]]): text only, whatever the mode says */
static int l_load(lua_State *L)
{
	luaL_checkany(L, 1);
	if (lua_gettop(L) < 3)
		lua_settop(L, 3);
	lua_pushliteral(L, "t");
	lua_replace(L, 3);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* loadfile(file [, mode [, env]]) -> function | nil, message: text only, and
 * not standard input */
static int l_loadfile(lua_State *L)
{
	const char *file = luaL_checkstring(L, 1);
	bool env = !lua_isnone(L, 3);

	if (chunk_load(L, file) != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (env) {
		lua_pushvalue(L, 3);
		if (!lua_setupvalue(L, -2, 1))
			lua_pop(L, 1);
	}
	return 1;
}

static int k_dofile(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	return lua_gettop(L) - 1;
}

/* dofile(file) -> value...; may wait */
static int l_dofile(lua_State *L)
{
	const char *file = luaL_checkstring(L, 1);

	lua_settop(L, 1);
	if (chunk_load(L, file) != LUA_OK)
		return lua_error(L);
	lua_callk(L, 0, LUA_MULTRET, 0, k_dofile);
	return k_dofile(L, LUA_OK, 0);
}

/* The message handler of xpcall. An error of the slice comes from inside the
 * hook, while hooks are off: the script's handler could run for ever. */
static int l_handler(lua_State *L)
{
	if (vm_slice(vm_of(L))->expired)
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

/* L: fn handler true result... or an error on top */
static int k_xpcall(lua_State *L, int status, lua_KContext ctx)
{
	(void)ctx;
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - 2;
	lua_pushboolean(L, 0);
	lua_insert(L, -2);
	return 2;
}

/* xpcall(fn, handler [, arg...]) -> true, value... | false, value; may wait */
static int l_xpcall(lua_State *L)
{
	int n = lua_gettop(L);

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, l_handler, 1);
	lua_replace(L, 2);
	lua_pushboolean(L, 1);
	lua_pushvalue(L, 1);
	lua_rotate(L, 3, 2); /* fn handler true fn arg... */
	return k_xpcall(L, lua_pcallk(L, n - 2, LUA_MULTRET, 2, 0, k_xpcall),
			0);
}

/* print(value...): one line of the log, since standard output may be a page */
static int l_print(lua_State *L)
{
	int n = lua_gettop(L);
	luaL_Buffer line;

	luaL_buffinit(L, &line);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&line, '\t');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&line);
	}
	luaL_pushresult(&line);
	log_from(vm_log(vm_of(L)), LOG_INFO, vm_name(vm_of(L)),
		 lua_tostring(L, -1), (char *)0);
	return 0;
}

/* collectgarbage([what [, arg...]]): everything but stopping it */
static int l_collectgarbage(lua_State *L)
{
	const char *what = luaL_optstring(L, 1, "collect");

	if (strcmp(what, "stop") == 0 || strcmp(what, "restart") == 0)
		return luaL_argerror(L, 1, "the collector cannot be stopped");
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

/* Puts FN, with the function it replaces as its upvalue, into the globals. */
static void replace_global(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_getglobal(L, name);
	lua_pushcclosure(L, fn, 1);
	lua_setglobal(L, name);
}

static void open_base(lua_State *L)
{
	luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
	lua_pop(L, 1);
	replace_global(L, "load", l_load);
	lua_register(L, "loadfile", l_loadfile);
	replace_global(L, "dofile", l_dofile);
	replace_global(L, "print", l_print);
	replace_global(L, "setmetatable", l_setmetatable);
	replace_global(L, "xpcall", l_xpcall);
	replace_global(L, "collectgarbage", l_collectgarbage);
}

/* ---- the allow-list ----------------------------------------------------- */

static const char *const os_names[] = { "clock",  "date",    "difftime",
					"getenv", "remove",  "rename",
					"time",	  "tmpname", NULL };
static const char *const io_names[] = { "lines", "open",    "stderr",
					"type",	 "tmpfile", NULL };
static const char *const debug_names[] = { "getinfo", "traceback", NULL };
static const char *const package_names[] = { "config",	   "cpath",
					     "loaded",	   "path",
					     "preload",	   "searchers",
					     "searchpath", NULL };
static const char *const string_names[] = {
	"byte",	   "char",  "find",   "format", "gmatch",   "gsub",
	"len",	   "lower", "match",  "pack",	"packsize", "rep",
	"reverse", "sub",   "unpack", "upper",	NULL
};

/*
 * Opens a library and takes away what is not in NAMES (NULL: all of it stays).
 * Leaves its table on the stack.
 */
static void open_library(lua_State *L, const char *name, lua_CFunction open,
			 const char *const *names)
{
	luaL_requiref(L, name, open, 1); /* library */
	if (!names)
		return;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *key = lua_tostring(L, -2);
		const char *const *known = names;

		while (*known && strcmp(*known, key) != 0)
			known++;
		if (*known)
			continue;
		lua_pushvalue(L, -2);
		lua_pushnil(L);
		lua_rawset(L, -5);
	}
}

/* io.lines(file [, format...]) -> iterator; not standard input */
static int l_io_lines(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	return lua_gettop(L);
}

static void open_io(lua_State *L)
{
	open_library(L, LUA_IOLIBNAME, luaopen_io, io_names);
	lua_getfield(L, -1, "lines");
	lua_pushcclosure(L, l_io_lines, 1);
	lua_setfield(L, -2, "lines");
}

static void open_allowed(lua_State *L, bool sandbox)
{
	open_library(L, LUA_COLIBNAME, luaopen_coroutine, NULL);
	coroutine_open(L);
	open_library(L, LUA_TABLIBNAME, luaopen_table, NULL);
	open_library(L, LUA_MATHLIBNAME, luaopen_math, NULL);
	open_library(L, LUA_UTF8LIBNAME, luaopen_utf8, NULL);
	open_library(L, LUA_STRLIBNAME, luaopen_string, string_names);
	open_library(L, LUA_OSLIBNAME, luaopen_os,
		     sandbox ? sandbox_os_names : os_names);
	open_library(L, LUA_DBLIBNAME, luaopen_debug,
		     sandbox ? sandbox_debug_names : debug_names);
	if (!sandbox)
		open_io(L);
	lua_settop(L, 0);
}

/* ---- package ------------------------------------------------------------ */

/* Raises when package.FIELD, which a script may have changed, would load code
 * from the working directory. Leaves the templates on the stack. */
static const char *check_absolute(lua_State *L, const char *field)
{
	const char *path, *end;

	lua_getfield(L, lua_upvalueindex(1), field);
	path = lua_tostring(L, -1);
	if (!path)
		luaL_error(L, "package.%s must be a string", field);
	for (const char *p = path; *p; p = *end ? end + 1 : end) {
		end = p + strcspn(p, ";");
		if (end > p && *p != '/')
			luaL_error(L, "package.%s: '%s' is not absolute", field,
				   lua_pushlstring(L, p, (size_t)(end - p)));
	}
	return path;
}

/* searcher(name) -> loader, file | message; text files along package.path.
 * Upvalues: package, package.searchpath. */
static int l_search_lua(lua_State *L)
{
	const char *file;

	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	check_absolute(L, "path"); /* name path */
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_insert(L, 1);
	lua_call(L, 2, 2); /* file|nil message */
	file = lua_tostring(L, 1);
	if (!file)
		return 1;
	lua_settop(L, 1);
	/* The message has the file, and the line if there is one. */
	if (chunk_load(L, file) != LUA_OK)
		return lua_error(L);
	lua_insert(L, 1); /* loader file */
	return 2;
}

/* The last searcher: nobody has it. Upvalue: package */
static int l_search_nowhere(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	chunk_note_missing(L, name, check_absolute(L, "path"));
	return 0;
}

/* Lua's own searchers for C modules, behind the check.
 * Upvalues: package, the searcher. */
static int l_search_c(lua_State *L)
{
	lua_settop(L, 1);
	check_absolute(L, "cpath");
	lua_settop(L, 1);
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_insert(L, 1);
	lua_call(L, 1, LUA_MULTRET);
	return lua_gettop(L);
}

static void set_path(lua_State *L, const char *field, const char *value,
		     const char *fallback)
{
	if (!value)
		value = fallback;
	lua_pushfstring(L, ";%s;", fallback);
	luaL_gsub(L, value, ";;", lua_tostring(L, -1));
	lua_setfield(L, -3, field);
	lua_pop(L, 1);
}

/* L: package searchers. Replaces searcher INDEX by FN with the upvalues package
 * and what is on top of the stack, which it pops. */
static void set_searcher(lua_State *L, lua_Integer index, lua_CFunction fn)
{
	lua_pushvalue(L, -3);
	lua_insert(L, -2); /* package searchers package upvalue */
	lua_pushcclosure(L, fn, 2);
	lua_rawseti(L, -2, index);
}

static void open_package(lua_State *L, const struct vm_options *options)
{
	luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
	lua_getfield(L, -1, "searchers"); /* package searchers */
	lua_getfield(L, -2, "searchpath");
	set_searcher(L, 2, l_search_lua);
	lua_rawgeti(L, -1, 3);
	set_searcher(L, 3, l_search_c);
	lua_rawgeti(L, -1, 4);
	set_searcher(L, 4, l_search_c);
	lua_pushvalue(L, -2);
	lua_pushcclosure(L, l_search_nowhere, 1);
	lua_rawseti(L, -2, 5);
	lua_settop(L, 0);
	open_library(L, LUA_LOADLIBNAME, luaopen_package, package_names);
	set_path(L, "path", options->lua_path, SHARE);
	set_path(L, "cpath", options->lua_cpath, LIB);
	lua_settop(L, 0);
}

/* ---- modules inside the binary ------------------------------------------ */

/* loader(name, ":preload:") -> module */
static int l_embedded(lua_State *L)
{
	const struct embedded *file = lua_touserdata(L, lua_upvalueindex(1));

	lua_settop(L, 2);
	if (luaL_loadbufferx(L, (const char *)file->data, file->size,
			     file->name, "bt") != LUA_OK)
		return lua_error(L);
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

static void open_embedded(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	for (const struct embedded *f = embedded_files; f->name; f++) {
		lua_pushlightuserdata(L, (void *)f);
		lua_pushcclosure(L, l_embedded, 1);
		lua_setfield(L, -2, f->name);
	}
	lua_pop(L, 1);
}

/* ---- strict globals ----------------------------------------------------- */

/* Installed modules are other people's code, which asks for globals of other
 * versions of Lua to see whether they are there. */
static bool is_foreign(lua_State *L)
{
	lua_Debug ar;

	if (!lua_getstack(L, 1, &ar))
		return false;
	lua_getinfo(L, "S", &ar);
	return strncmp(ar.source, "@/usr/", 6) == 0;
}

static const char *nearest_global(lua_State *L, const char *name)
{
	const char *names[GLOBALS_MAX];
	size_t n = 0;

	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		if (lua_type(L, -2) == LUA_TSTRING && n + 1 < GLOBALS_MAX)
			names[n++] = lua_tostring(L, -2);
	names[n] = NULL;
	return nearest(name, names);
}

static int l_read_undefined(lua_State *L)
{
	const char *near, *name;

	if (lua_type(L, 2) != LUA_TSTRING || is_foreign(L))
		return 0;
	name = lua_tostring(L, 2);
	if (vm_allow(vm_of(L)) && sandbox_lacks(name))
		return luaL_error(L, "%s is not available in a sandbox", name);
	near = nearest_global(L, name);
	if (near)
		return luaL_error(L,
				  "undefined global '%s'; did you mean '%s'?",
				  name, near);
	return luaL_error(L, "undefined global '%s'", name);
}

static int l_write_undefined(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING || is_foreign(L)) {
		lua_rawset(L, 1);
		return 0;
	}
	return luaL_error(L, "assignment to undefined global '%s'; use local",
			  lua_tostring(L, 2));
}

static const luaL_Reg strict[] = {
	{ "__index", l_read_undefined },
	{ "__newindex", l_write_undefined },
	{ NULL, NULL },
};

static void open_strict(lua_State *L)
{
	lua_pushglobaltable(L);
	luaL_newlib(L, strict);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

void library_open(lua_State *L, const struct vm_options *options)
{
	lua_settop(L, 0);
	open_base(L);
	open_package(L, options);
	open_allowed(L, options->sandbox);
	open_embedded(L);
	if (options->open)
		options->open(L);
	lua_settop(L, 0);
	if (options->sandbox)
		sandbox_close(L);
	open_strict(L);
}
