/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: what a script reads on its own machine, whole files and lists of them.
 * Stands on net/files.h; owns what it read until Lua has it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "net/files.h"

#define CLASS "lunex.files"

enum { READ_MAX = 16 * 1024 * 1024 };

int luaopen_files(lua_State *L);

/* Owns what Lua may fail to take: it raises when it is out of memory. */
struct holder {
	char *text;
	char **names;
};

static void release(struct holder *holder)
{
	free(holder->text);
	files_list_free(holder->names);
	*holder = (struct holder){ NULL, NULL };
}

static const char *check_path(lua_State *L)
{
	struct str path = check_str(L, 1);

	luaL_argcheck(L, path.len > 0 && strlen(path.data) == path.len, 1,
		      "expected a path");
	return path.data;
}

/* files.read(path [, max]) -> text | nil, message */
static int l_read(lua_State *L)
{
	const char *path = check_path(L);
	lua_Integer max = luaL_optinteger(L, 2, READ_MAX);
	struct holder *holder;
	struct err err;
	size_t len;

	luaL_argcheck(L, max > 0 && max <= INT_MAX, 2,
		      "expected a number of bytes");
	holder = push_object(L, sizeof *holder, CLASS, 0);
	holder->text = files_read(path, (size_t)max, &len, &err);
	if (!holder->text)
		return push_failure(L, &err);
	lua_pushlstring(L, holder->text, len);
	release(holder);
	return 1;
}

/* files.list(folder) -> names | nil, message */
static int l_list(lua_State *L)
{
	const char *path = check_path(L);
	struct holder *holder = push_object(L, sizeof *holder, CLASS, 0);
	struct err err;
	lua_Integer n = 0;

	holder->names = files_list(path, &err);
	if (!holder->names)
		return push_failure(L, &err);
	lua_newtable(L);
	for (char **name = holder->names; *name; name++) {
		lua_pushstring(L, *name);
		lua_rawseti(L, -2, ++n);
	}
	release(holder);
	return 1;
}

static int l_gc(lua_State *L)
{
	release(luaL_checkudata(L, 1, CLASS));
	return 0;
}

static const luaL_Reg functions[] = {
	{ "list", l_list },
	{ "read", l_read },
	{ NULL, NULL },
};

int luaopen_files(lua_State *L)
{
	static const luaL_Reg none[] = { { NULL, NULL } };
	static const luaL_Reg metas[] = { { "__gc", l_gc }, { NULL, NULL } };

	bind_class(L, CLASS, none, metas);
	luaL_newlib(L, functions);
	return 1;
}
