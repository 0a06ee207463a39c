/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files: what a script reads on its own machine, whole files and lists of them.
 * Stands on net/files.h; owns what it read until Lua has it.
 */
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "net/files.h"
#include "net/seen.h"
#include "vm/state.h"

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

/* ---- what the script depends on ---- */

/* What the kernel says is never the same twice, and no part of a script. */
static bool is_kernels(const char *path)
{
	struct statfs info;

	if (statfs(path, &info) != 0)
		return false;
	return info.f_type == PROC_SUPER_MAGIC || info.f_type == SYSFS_MAGIC ||
	       info.f_type == CGROUP_SUPER_MAGIC ||
	       info.f_type == CGROUP2_SUPER_MAGIC ||
	       info.f_type == DEBUGFS_MAGIC || info.f_type == TRACEFS_MAGIC;
}

static struct seen_list *seen_of(lua_State *L, const char *path)
{
	struct seen_list *seen = vm_seen(vm_of(L));

	return seen && !is_kernels(path) ? seen : NULL;
}

/* One that is too large for what the script allows may be refused at each look,
 * so that it never seems to be the same. */
static void note_file(lua_State *L, const char *path, const char *text,
		      size_t len, const struct err *err)
{
	struct seen_list *seen = seen_of(L, path);

	if (seen && (text || err->code != ERR_LIMIT))
		seen_add_file(seen, path, text, len);
}

static void note_folder(lua_State *L, const char *path, char *const *names)
{
	struct seen_list *seen = seen_of(L, path);

	if (seen)
		seen_add_folder(seen, path, "", names);
}

/* ---- functions ---- */

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
	note_file(L, path, holder->text, len, &err);
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

	holder->names = files_list(path, &err);
	note_folder(L, path, holder->names);
	if (!holder->names)
		return push_failure(L, &err);
	push_strings(L, holder->names);
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
