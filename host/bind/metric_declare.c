/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_declare.h"

#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/metric_options.h"
#include "core/escape.h"

#define CLASS "lunex.declaration"

void metric_declare_class(lua_State *L)
{
	luaL_newmetatable(L, CLASS);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* ---- making ---- */

/* The table at 1 becomes a copy: a script may use its own for several metrics.
 */
static void copy_options(lua_State *L)
{
	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, 1)) { /* options copy key value */
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, 2);
	}
	lua_replace(L, 1);
}

/* The first element of the table at 1 becomes the option. */
static void take_help(lua_State *L)
{
	int type = lua_rawgeti(L, 1, 1);

	if (type != LUA_TNIL && lua_getfield(L, 1, "help") != LUA_TNIL)
		luaL_error(L, "the help text is given twice");
	lua_settop(L, 2);
	if (type == LUA_TSTRING)
		lua_setfield(L, 1, "help");
	else if (type != LUA_TNIL)
		luaL_error(L, "the help text is a %s, not a string",
			   lua_typename(L, type));
	lua_settop(L, 1);
}

int metric_declare(lua_State *L, enum metric_type type)
{
	if (lua_type(L, 1) == LUA_TSTRING) {
		lua_settop(L, 1);
		lua_createtable(L, 1, 4);
		lua_insert(L, 1);
		lua_rawseti(L, 1, 1);
	}
	if (!lua_istable(L, 1))
		luaL_error(L,
			   "expected the help text, or a table such as "
			   "{ \"help\", labels = { \"a\" } }, got %s",
			   luaL_typename(L, 1));
	lua_settop(L, 1);
	copy_options(L);
	take_help(L);
	check_metric_options(L, 1, type);
	lua_pushinteger(L, type);
	lua_setfield(L, 1, "type");
	luaL_where(L, 1);
	lua_setfield(L, 1, "where");
	luaL_setmetatable(L, CLASS);
	return 1;
}

/* ---- from declarations to families ---- */

bool metric_is_declaration(lua_State *L, int index)
{
	bool same = false;

	if (lua_istable(L, index) && lua_getmetatable(L, index)) {
		luaL_getmetatable(L, CLASS);
		same = lua_rawequal(L, -1, -2);
		lua_pop(L, 2);
	}
	return same;
}

static enum metric_type type_field(lua_State *L, int table)
{
	lua_Integer type;

	lua_getfield(L, table, "type");
	type = lua_tointeger(L, -1);
	if (!lua_isinteger(L, -1) || type < 0 || type > METRIC_UNKNOWN)
		luaL_error(L, "the declaration of a metric was changed");
	lua_pop(L, 1);
	return (enum metric_type)type;
}

/* What the host shows of itself and of all exporters: a script that took such a
 * name, or one that readers of legacy names get as such, would hide it. */
static bool is_hosts(const char *name)
{
	struct buf shown;
	bool is;

	buf_init(&shown, SIZE_MAX / 2);
	name_escape(&shown, (struct str){ name, strlen(name) },
		    ESCAPING_UNDERSCORES);
	is = strncmp(buf_text(&shown), "lunex_", 6) == 0 ||
	     strncmp(buf_text(&shown), "process_", 8) == 0;
	buf_release(&shown);
	return is;
}

/* Declares the metric NAME from the declaration on top of the stack, which the
 * script may have changed since it was checked. */
struct family *metric_add_family(lua_State *L, const char *name,
				 struct registry *registry, struct err *err)
{
	struct metric_options options;
	int table = lua_gettop(L);

	if (in_sandbox(L) && is_hosts(name)) {
		err_set(err, ERR_USAGE,
			"%s: in a sandbox names that begin with lunex_ or "
			"process_ are the host's",
			name);
		return NULL;
	}
	if (!check_metric_family_options(L, table, name, type_field(L, table),
					 &options, err))
		return NULL;
	return registry_add(registry, &options.family, err);
}

/* Where the declaration on top of the stack was made; pushed. */
const char *push_metric_place(lua_State *L)
{
	return lua_getfield(L, -1, "where") == LUA_TSTRING ? lua_tostring(L, -1)
							   : "";
}
