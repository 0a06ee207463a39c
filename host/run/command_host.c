/* SPDX-License-Identifier: Apache-2.0 */
#include "run/command_host.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/metric_registry.h"
#include "core/escape.h"
#include "core/nearest.h"
#include "net/allow.h"
#include "net/files.h"
#include "net/seen.h"
#include "run/advice.h"
#include "run/declaration.h"
#include "run/isolated.h"
#include "run/plain.h"
#include "run/plan.h"
#include "run/source.h"
#include "vm/state.h"

#define HOLDER "lunex.command"

/* Owns what a function has in C while it talks to Lua, which may raise. */
struct holder {
	char *text;
	char **names;
	struct declaration *declaration;
	struct advice advice;
	struct isolated isolated;
};

static void release(struct holder *holder)
{
	free(holder->text);
	files_list_free(holder->names);
	advice_release(&holder->advice);
	declaration_free(holder->declaration);
	isolated_release(&holder->isolated);
	memset(holder, 0, sizeof *holder);
}

static struct holder *push_holder(lua_State *L)
{
	return push_object(L, sizeof(struct holder), HOLDER, 0);
}

/* Tells whoever waits for the plan what it waits for. */
static void tell(lua_State *L, const char *path)
{
	const struct plan_teller *teller = vm_owner(vm_of(L));

	if (teller)
		teller->doing(teller->arg, path, vm_seen(vm_of(L)));
}

/* getenv(name) -> text | nil */
static int l_getenv(lua_State *L)
{
	lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
	return 1;
}

/* exists(path) -> boolean; folders do not count */
static int l_exists(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct stat info;
	bool found;

	tell(L, path);
	found = stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
	if (!found) /* otherwise it is read, and noted then */
		seen_add_file(vm_seen(vm_of(L)), path, NULL, 0);
	lua_pushboolean(L, found);
	return 1;
}

/* read(path) -> text | nil, message */
static int l_read(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct holder *holder = push_holder(L);
	struct err err;
	size_t len;

	tell(L, path);
	holder->text = source_read(path, &len, &err);
	seen_add_file(vm_seen(vm_of(L)), path, holder->text, len);
	if (!holder->text)
		return push_failure(L, &err);
	lua_pushlstring(L, holder->text, len);
	release(holder);
	return 1;
}

/* list(folder) -> names | nil, message */
static int l_list(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct holder *holder = push_holder(L);
	struct err err;

	tell(L, path);
	holder->names = files_list(path, &err);
	seen_add_folder(vm_seen(vm_of(L)), path, ".lua", holder->names);
	if (!holder->names)
		return push_failure(L, &err);
	push_strings(L, holder->names);
	release(holder);
	return 1;
}

/* absolute(path) -> path; links are followed, and it stays as it is when it
 * leads nowhere */
static int l_absolute(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	char full[PATH_MAX];

	lua_pushstring(L, realpath(path, full) ? full : path);
	return 1;
}

/* check_allow(text) -> true | nil, message; an entry of `allow` */
static int l_check_allow(lua_State *L)
{
	const char *texts[] = { luaL_checkstring(L, 1), NULL };
	struct allow *allow;
	struct err err;

	allow = allow_new(texts, &err);
	allow_free(allow);
	if (!allow)
		return push_failure(L, &err);
	lua_pushboolean(L, 1);
	return 1;
}

/* nearest(name, names) -> name | nil */
static int l_nearest(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	lua_Integer n = luaL_len(L, 2);
	const char **names;

	names = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *names, 0);
	for (lua_Integer i = 0; i < n; i++) {
		lua_geti(L, 2, i + 1); /* stays in the table */
		names[i] = luaL_checkstring(L, -1);
		lua_pop(L, 1);
	}
	names[n] = NULL;
	lua_pushstring(L, nearest(name, names));
	return 1;
}

/* shown(text) -> text, as one line for a terminal */
static int l_shown(lua_State *L)
{
	struct str text;
	struct holder *holder;
	struct buf out;

	text.data = luaL_checklstring(L, 1, &text.len);
	holder = push_holder(L);
	buf_init(&out, SIZE_MAX / 2);
	text_show(&out, text);
	holder->text = buf_take(&out, &text.len);
	lua_pushlstring(L, holder->text, text.len);
	release(holder);
	return 1;
}

/* ---- scripts ---- */

/* package.FIELD becomes field lua_FIELD of the table at 2, in which ";;" stands
 * for the DEFAULTS. */
static void set_path(lua_State *L, const char *name, const char *field,
		     int defaults)
{
	if (lua_getfield(L, 2, name) != LUA_TSTRING) {
		lua_pop(L, 1);
		return;
	}
	lua_getglobal(L, "package");
	lua_pushfstring(L, ";%s", lua_tostring(L, defaults));
	luaL_gsub(L, lua_tostring(L, -3), ";;", lua_tostring(L, -1));
	lua_setfield(L, -3, field); /* path package defaults */
	lua_pop(L, 3);
}

static int push_isolated(lua_State *L, const char *path, bool check)
{
	struct holder *holder = push_holder(L);
	struct isolated *isolated = &holder->isolated;
	struct err err;

	if (!isolated_load(isolated, path, check, &err))
		return push_failure(L, &err);
	push_plain(L, (struct str){ buf_text(&isolated->declared),
				    isolated->declared.len });
	push_plain(L, (struct str){ buf_text(&isolated->advice),
				    isolated->advice.len });
	release(holder);
	return 2;
}

/* Loads the script at 1 into the state of the command line, and leaves a holder
 * with its declaration. */
static struct holder *push_loaded(lua_State *L, bool check, struct err *err)
{
	struct holder *holder = push_holder(L);
	struct vm *vm = vm_of(L);

	metric_registry_forget(L); /* of the script before this one */
	/* One script that computes for too long leaves the next its time. */
	vm_begin_slice(vm);
	holder->declaration = declaration_load(vm, lua_tostring(L, 1), err);
	vm_begin_slice(vm);
	if (!holder->declaration || holder->declaration->sandbox || !check)
		return holder;
	if (advice_take(&holder->advice, holder->declaration, vm, err))
		return holder;
	declaration_free(holder->declaration);
	holder->declaration = NULL;
	return holder;
}

/* declaration(path [, paths [, check [, sandbox]]]) -> table, advice |
 * nil, message
 * Of one in a sandbox, by that word or its own, plain data alone.
 * Upvalues: package.path and package.cpath as they were. */
static int l_declaration(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	bool check = lua_toboolean(L, 3);
	bool sandbox = lua_toboolean(L, 4);
	struct holder *holder;
	struct err err;

	lua_settop(L, 2);
	tell(L, path);
	if (sandbox)
		return push_isolated(L, path, check);
	if (lua_istable(L, 2)) {
		set_path(L, "lua_path", "path", lua_upvalueindex(1));
		set_path(L, "lua_cpath", "cpath", lua_upvalueindex(2));
	}
	holder = push_loaded(L, check, &err);
	if (!holder->declaration)
		return push_failure(L, &err);
	if (holder->declaration->sandbox)
		return push_isolated(L, path, check);
	declaration_push(L, holder->declaration);
	push_advice(L, holder->declaration, &holder->advice);
	release(holder);
	return 2;
}

static void push_declaration_function(lua_State *L)
{
	lua_getglobal(L, "package");
	lua_getfield(L, -1, "path");
	lua_getfield(L, -2, "cpath");
	lua_pushcclosure(L, l_declaration, 2);
	lua_remove(L, -2);
}

/* ---- the table ---- */

/* Where the program was when it started: a package that is upgraded meanwhile
 * takes the file away. The first time is while there is one thread. */
static const char *program_path(lua_State *L)
{
	static char program[PATH_MAX];

	if (!*program && !realpath("/proc/self/exe", program)) {
		*program = '\0';
		luaL_error(L, "cannot read /proc/self/exe: %s",
			   strerror(errno));
	}
	return program;
}

/* share/lunex beside the folder that the program is in: PREFIX/bin/lunex. */
static void push_data_folder(lua_State *L)
{
	const char *program = program_path(L);
	size_t len = (size_t)(strrchr(program, '/') - program);
	char full[PATH_MAX];
	const char *folder;

	lua_pushlstring(L, program, len);
	folder = lua_pushfstring(L, "%s/../share/lunex", lua_tostring(L, -1));
	lua_remove(L, -2);
	if (realpath(folder, full)) {
		lua_pop(L, 1);
		lua_pushstring(L, full);
	}
}

static int l_gc(lua_State *L)
{
	release(luaL_checkudata(L, 1, HOLDER));
	return 0;
}

static const luaL_Reg functions[] = {
	{ "absolute", l_absolute },
	{ "check_allow", l_check_allow },
	{ "exists", l_exists },
	{ "getenv", l_getenv },
	{ "list", l_list },
	{ "nearest", l_nearest },
	{ "read", l_read },
	{ "shown", l_shown },
	{ NULL, NULL },
};

void push_command_host(lua_State *L)
{
	static const luaL_Reg none[] = { { NULL, NULL } };
	static const luaL_Reg metas[] = { { "__gc", l_gc }, { NULL, NULL } };

	bind_class(L, HOLDER, none, metas);
	luaL_newlib(L, functions);
	push_declaration_function(L);
	lua_setfield(L, -2, "declaration");
	push_data_folder(L);
	lua_setfield(L, -2, "data");
	lua_pushliteral(L, "lunex " LUNEX_VERSION " (" LUA_RELEASE ")");
	lua_setfield(L, -2, "version");
}
