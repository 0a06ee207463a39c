/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_declare.h"

#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/escape.h"
#include "core/nearest.h"

#define CLASS "lunex.declaration"

void metric_declare_class(lua_State *L)
{
	luaL_newmetatable(L, CLASS);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* ---- checks ---- */

static const char *const options_known[] = { "help",	"labels", "unit",
					     "buckets", "states", "keep",
					     "ttl",	NULL };

static void check_option_names(lua_State *L, int table)
{
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *key, *near;
		bool known = false;

		lua_pop(L, 1);
		if (lua_isinteger(L, -1) && lua_tointeger(L, -1) == 1)
			continue;
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "a metric takes one text, its help, and "
				      "named options");
		key = lua_tostring(L, -1);
		for (int i = 0; options_known[i]; i++)
			known |= strcmp(options_known[i], key) == 0;
		near = nearest(key, options_known);
		if (!known)
			luaL_error(L, "unknown option '%s'%s%s%s", key,
				   near ? "; did you mean '" : "",
				   near ? near : "", near ? "'?" : "");
	}
}

/* Field KEY of the declaration must be absent or a list of TYPE. */
static void check_list(lua_State *L, int table, const char *key, int type)
{
	int given = lua_getfield(L, table, key);

	if (given == LUA_TTABLE) {
		lua_Integer n = (lua_Integer)lua_rawlen(L, -1);

		for (lua_Integer i = 1; i <= n; i++) {
			if (lua_rawgeti(L, -1, i) != type)
				luaL_error(L,
					   "option '%s': element %d is a "
					   "%s, not a %s",
					   key, (int)i, luaL_typename(L, -1),
					   lua_typename(L, type));
			if (type == LUA_TSTRING &&
			    strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
				luaL_error(L,
					   "option '%s': element %d has a zero "
					   "byte",
					   key, (int)i);
			lua_pop(L, 1);
		}
	} else if (given != LUA_TNIL) {
		luaL_error(L, "option '%s': expected a list of %ss, got %s",
			   key, lua_typename(L, type), luaL_typename(L, -1));
	}
	lua_pop(L, 1);
}

static void check_field(lua_State *L, int table, const char *key, int type)
{
	int given = lua_getfield(L, table, key);

	if (given != LUA_TNIL && given != type)
		luaL_error(L, "option '%s': expected a %s, got %s", key,
			   lua_typename(L, type), lua_typename(L, given));
	lua_pop(L, 1);
}

static void check_fields(lua_State *L, int table)
{
	check_field(L, table, "help", LUA_TSTRING);
	check_field(L, table, "unit", LUA_TSTRING);
	check_field(L, table, "keep", LUA_TBOOLEAN);
	check_field(L, table, "ttl", LUA_TNUMBER);
	check_list(L, table, "labels", LUA_TSTRING);
	check_list(L, table, "states", LUA_TSTRING);
	check_list(L, table, "buckets", LUA_TNUMBER);
}

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

int metric_declare(lua_State *L, enum metric_type type)
{
	if (lua_type(L, 1) == LUA_TSTRING) {
		lua_settop(L, 1);
		lua_createtable(L, 1, 4);
		lua_insert(L, 1);
		lua_rawseti(L, 1, 1);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	check_option_names(L, 1);
	copy_options(L);
	if (lua_rawgeti(L, 1, 1) == LUA_TSTRING)
		lua_setfield(L, 1, "help");
	else if (!lua_isnil(L, -1))
		luaL_error(L, "the help text is a %s, not a string",
			   luaL_typename(L, -1));
	lua_settop(L, 1);
	check_fields(L, 1);
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

static const char *string_field(lua_State *L, int table, const char *key)
{
	const char *s;

	lua_getfield(L, table, key);
	s = lua_tostring(L, -1);
	lua_pop(L, 1); /* the table keeps it alive */
	return s;
}

/* The strings of list KEY into LIST, which has room for MAX; -1: too many. */
static int string_list(lua_State *L, int table, const char *key,
		       const char **list, int max)
{
	int n = 0;

	if (lua_getfield(L, table, key) == LUA_TTABLE) {
		n = (int)lua_rawlen(L, -1);
		for (int i = 0; i < n && i < max; i++) {
			lua_rawgeti(L, -1, i + 1);
			list[i] = lua_tostring(L, -1);
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
	return n > max ? -1 : n;
}

static const double default_buckets[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
					  0.5,	 1,    2.5,   5,    10 };

static int number_list(lua_State *L, int table, double *list, int max)
{
	int n = (int)(sizeof default_buckets / sizeof *default_buckets);

	if (lua_getfield(L, table, "buckets") == LUA_TTABLE) {
		n = (int)lua_rawlen(L, -1);
		for (int i = 0; i < n && i < max; i++) {
			lua_rawgeti(L, -1, i + 1);
			list[i] = lua_tonumber(L, -1);
			lua_pop(L, 1);
		}
	} else {
		memcpy(list, default_buckets, sizeof default_buckets);
	}
	lua_pop(L, 1);
	return n > max ? -1 : n;
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
	const char *labels[LABELS_MAX], *states[METADATA_STATES_MAX];
	double bounds[METADATA_BUCKETS_MAX];
	struct family_options options = { 0 };
	struct metadata_desc *m = &options.metadata;
	int table = lua_gettop(L), nlabels, nstates, nbounds;

	if (in_sandbox(L) && is_hosts(name)) {
		err_set(err, ERR_USAGE,
			"%s: in a sandbox names that begin with lunex_ or "
			"process_ are the host's",
			name);
		return NULL;
	}
	check_fields(L, table);
	nlabels = string_list(L, table, "labels", labels, LABELS_MAX);
	nstates = string_list(L, table, "states", states, METADATA_STATES_MAX);
	nbounds = number_list(L, table, bounds, METADATA_BUCKETS_MAX);
	if (nlabels < 0 || nstates < 0 || nbounds < 0) {
		err_set(err, ERR_LIMIT,
			"%s: more than %d labels, %d states or %d buckets",
			name, LABELS_MAX, METADATA_STATES_MAX,
			METADATA_BUCKETS_MAX);
		return NULL;
	}
	m->type = type_field(L, table);
	lua_getfield(L, table, "keep");
	options.keep = lua_toboolean(L, -1);
	lua_getfield(L, table, "ttl");
	options.ttl = lua_tonumber(L, -1);
	lua_pop(L, 2);
	m->name = name;
	m->help = string_field(L, table, "help");
	m->unit = string_field(L, table, "unit");
	m->states = states;
	m->nstates = (unsigned)nstates;
	m->bounds = bounds;
	m->nbounds = (unsigned)nbounds;
	options.labels = labels;
	options.nlabels = (unsigned)nlabels;
	return registry_add(registry, &options, err);
}

/* Where the declaration on top of the stack was made; pushed. */
const char *push_metric_place(lua_State *L)
{
	return lua_getfield(L, -1, "where") == LUA_TSTRING ? lua_tostring(L, -1)
							   : "";
}
