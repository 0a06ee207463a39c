/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_registry_options.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/metric_declare.h"
#include "bind/metric_family.h"

const char *const registry_methods[] = { "render", "push", "delete", NULL };

static bool is_method(const char *name)
{
	const char *const *method = registry_methods;

	while (*method && strcmp(*method, name) != 0)
		method++;
	return *method;
}

static bool is_option(const char *name)
{
	return strcmp(name, "namespace") == 0 || strcmp(name, "labels") == 0;
}

static void wrong_value(lua_State *L, const char *name)
{
	luaL_error(L,
		   "'%s': expected a declaration such as metric.gauge "
		   "{ \"help\" }, or a metric of another registry, got %s",
		   name, luaL_typename(L, -1));
}

/* The pair on top of the stack must be a name with a declaration or a family;
 * the latter are counted. */
static void check_entry(lua_State *L, unsigned *guests)
{
	bool guest = metric_is_family(L, -1);
	const char *name;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L,
			   "the metrics of a registry have names, got a %s "
			   "as key",
			   luaL_typename(L, -2));
	name = lua_tostring(L, -2);
	if (strlen(name) != lua_rawlen(L, -2))
		luaL_error(L, "the name of a metric contains a NUL");
	if (is_option(name) && (guest || metric_is_declaration(L, -1)))
		luaL_error(L,
			   "'%s' is an option of a registry, and cannot be "
			   "a metric",
			   name);
	if (is_option(name))
		return;
	if (is_method(name))
		luaL_error(L,
			   "'%s' is a method of a registry, and cannot be a "
			   "metric",
			   name);
	if (!guest && !metric_is_declaration(L, -1))
		wrong_value(L, name);
	*guests += guest;
}

static unsigned check_entries(lua_State *L)
{
	unsigned guests = 0;

	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
		check_entry(L, &guests);
	return guests;
}

/* A copy of the table on top of the stack in its place. */
static void copy_table(lua_State *L)
{
	int from = lua_gettop(L);

	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, from)) { /* from copy key value */
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, from + 1);
	}
	lua_replace(L, from);
}

/* The argument becomes a copy, which no finalizer of the script can change
 * between two looks. */
static void copy_options(lua_State *L)
{
	copy_table(L);
	if (lua_getfield(L, 1, "labels") == LUA_TTABLE &&
	    !metric_is_declaration(L, -1)) {
		copy_table(L);
		lua_setfield(L, 1, "labels");
	}
	lua_settop(L, 1);
}

unsigned check_registry_options(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	copy_options(L);
	return check_entries(L);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct label_pair *)a)->name,
		      ((const struct label_pair *)b)->name);
}

/* The pair on top of the stack as a constant label; the table keeps both. */
static struct label_pair check_label(lua_State *L)
{
	struct label_pair pair;

	if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "option 'labels': expected a table of strings");
	pair.name = lua_tostring(L, -2);
	pair.value = lua_tostring(L, -1);
	if (strlen(pair.name) != lua_rawlen(L, -2) ||
	    strlen(pair.value) != lua_rawlen(L, -1))
		luaL_error(L, "option 'labels': a text contains a NUL");
	return pair;
}

unsigned check_registry_labels(lua_State *L, struct label_pair *pairs)
{
	struct label_schema *schema;
	struct err err;
	unsigned n = 0;
	int type = lua_getfield(L, 1, "labels");

	if (type != LUA_TNIL && type != LUA_TTABLE)
		luaL_error(L,
			   "option 'labels': expected a table of strings, "
			   "got %s",
			   luaL_typename(L, -1));
	if (type == LUA_TTABLE) {
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
			if (n == LABELS_MAX)
				luaL_error(L, "option 'labels': more than %d",
					   LABELS_MAX);
			pairs[n++] = check_label(L);
		}
	}
	lua_pop(L, 1);
	qsort(pairs, n, sizeof *pairs, by_name);
	schema = label_schema_new(NULL, 0, pairs, n, &err);
	if (!schema)
		luaL_error(L, "option 'labels': %s", err.text);
	label_schema_unref(schema);
	return n;
}

const char *check_registry_namespace(lua_State *L)
{
	const char *namespace = NULL;
	int type = lua_getfield(L, 1, "namespace");

	if (type != LUA_TNIL && type != LUA_TSTRING)
		luaL_error(L, "option 'namespace': expected a string, got %s",
			   luaL_typename(L, -1));
	if (type == LUA_TSTRING) {
		namespace = lua_tostring(L, -1);
		if (strlen(namespace) != lua_rawlen(L, -1) ||
		    !metric_name_valid(namespace))
			luaL_error(L,
				   "option 'namespace': '%s' cannot begin the "
				   "name of a metric",
				   namespace);
	}
	lua_pop(L, 1);
	return namespace;
}
