/* SPDX-License-Identifier: Apache-2.0 */
#include "run/declared_config.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/bind.h"
#include "core/nearest.h"
#include "run/mistake.h"

static const char *const config_keys[] = { "env",  "flag",     "position",
					   "help", "required", "secret",
					   "type", "choices",  NULL };
static const char *const config_types[] = { "string",  "integer", "number",
					    "boolean", "list",	  "port",
					    NULL };

enum { CONFIG_KEYS_MAX = 1000 };

/* Is the table on top a list of texts and numbers, without holes? */
static bool is_list(lua_State *L)
{
	lua_Integer n = 0;
	bool good = true;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		n++;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		good &= lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0 &&
			lua_tointeger(L, -2) <= n && lua_isstring(L, -1);
	return good;
}

static bool is_shown(lua_State *L, const char *field)
{
	if (strcmp(field, "choices") == 0)
		return lua_istable(L, -1) && is_list(L);
	if (strcmp(field, "position") == 0)
		return lua_isinteger(L, -1) || !lua_toboolean(L, -1);
	if (strcmp(field, "flag") == 0)
		return flag_name_valid(L, -1) || !lua_toboolean(L, -1);
	return lua_isstring(L, -1);
}

/* What the command line shows of an entry, so that no script's mistake is met
 * there, in the middle of everybody's. */
static void check_shown(lua_State *L, const struct declaration *d, int entry,
			const char *key)
{
	static const struct {
		const char *name, *expected;
	} fields[] = {
		{ "help", "a string" },
		{ "env", "a string" },
		{ "flag", "the name of a flag, such as \"endpoint\"" },
		{ "position", "an integer" },
		{ "choices", "a list of strings" },
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (lua_getfield(L, entry, fields[i].name) != LUA_TNIL &&
		    !is_shown(L, fields[i].name))
			luaL_error(L, "%s'config.%s': '%s' is not %s",
				   push_place(L, d, "config", key), key,
				   fields[i].name, fields[i].expected);
		lua_pop(L, 1);
	}
	if (lua_rawgeti(L, entry, 1) == LUA_TTABLE && !is_list(L))
		luaL_error(L,
			   "%s'config.%s': the default is not a list of "
			   "strings",
			   push_place(L, d, "config", key), key);
	lua_pop(L, 1);
}

/* One entry of `config` is at the top, its key below. */
static void check_config_entry(lua_State *L, const struct declaration *d,
			       const char *key)
{
	int entry = lua_gettop(L);
	const char *type;
	bool known = false;

	if (!lua_istable(L, entry))
		mistake_type(L, d, "config", key,
			     "a table such as { default, help = \"...\" }");
	lua_pushnil(L);
	while (lua_next(L, entry)) {
		if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != 1)
			check_declared_key(L, d, key, config_keys);
		lua_pop(L, 1);
	}
	if (lua_getfield(L, entry, "type") != LUA_TNIL) {
		type = lua_tostring(L, -1);
		for (int i = 0; type && config_types[i]; i++)
			known |= strcmp(config_types[i], type) == 0;
		if (!known)
			luaL_error(L,
				   "%s'config.%s': type is one of string, "
				   "integer, number, boolean, list, port",
				   push_place(L, d, "config", key), key);
	}
	lua_pop(L, 1);
	check_shown(L, d, entry, key);
}

void check_declared_config(lua_State *L, const struct declaration *d, int table)
{
	unsigned n = 0;

	if (lua_getfield(L, table, "config") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			if (++n > CONFIG_KEYS_MAX)
				luaL_error(L, "%s'config': more than %d keys",
					   push_place(L, d, NULL, "config"),
					   CONFIG_KEYS_MAX);
			check_config_entry(
				L, d, check_declared_key(L, d, "config", NULL));
			lua_pop(L, 1);
		}
	}
	lua_pop(L, 1);
}

/* ---- values ---- */

/* __index of the configuration: a nil value is fine, an unknown key is not.
 * Upvalue: the script's `config`. */
static int l_config_index(lua_State *L)
{
	const char *names[128] = { NULL }, *key, *near;
	int n = 0;

	lua_settop(L, 2);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushnil(L);
	while (n < 127 && lua_next(L, lua_upvalueindex(1))) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TSTRING)
			names[n++] = lua_tostring(L, -1);
	}
	key = luaL_tolstring(L, 2, NULL);
	near = nearest(key, names);
	return luaL_error(L, "no configuration key '%s'%s%s%s", key,
			  near ? "; did you mean '" : "", near ? near : "",
			  near ? "'?" : "");
}

static int l_config_newindex(lua_State *L)
{
	return luaL_error(L, "the configuration cannot be changed");
}

static void refuse_missing(lua_State *L, const struct declaration *d,
			   const char *key,
			   const struct exporter_profile *profile, bool probing)
{
	if (profile)
		luaL_error(L, "%s: '%s' must be given by the profile '%s'",
			   d->name, key, profile->name);
	luaL_error(L, "%s: '%s' must be given%s", d->name, key,
		   probing ? " by a profile, to a probe" : "");
}

/* Is there an entry and its key on top? The script may have changed its table
 * since it was checked. */
static bool is_entry(lua_State *L)
{
	return lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1);
}

static bool raw_flag(lua_State *L, int table, const char *key)
{
	bool flag;

	table = lua_absindex(L, table);
	lua_pushstring(L, key);
	lua_rawget(L, table);
	flag = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return flag;
}

/* Puts the default of the entry at -1, whose key is at -2, into VALUES, where
 * there is no value yet. */
static void add_default(lua_State *L, const struct declaration *d,
			const struct exporter_profile *profile, bool probing,
			int values)
{
	const char *key = lua_tostring(L, -2);
	bool required = raw_flag(L, -1, "required");

	lua_rawgeti(L, -1, 1); /* key entry default */
	if (lua_getfield(L, values, key) == LUA_TNIL) {
		if (required && lua_isnil(L, -2))
			refuse_missing(L, d, key, profile, probing);
		lua_pushvalue(L, -2);
		lua_setfield(L, values, key);
	}
	lua_pop(L, 2);
}

/* Puts the default of each entry of the script's config at ENTRIES into
 * VALUES, where there is no value yet. PROFILE and PROBING are for the sentence
 * about one that is missing. */
static void add_defaults(lua_State *L, const struct declaration *d,
			 const struct exporter_profile *profile, bool probing,
			 int entries, int values)
{
	lua_pushnil(L);
	while (lua_next(L, entries)) { /* key entry */
		if (is_entry(L))
			add_default(L, d, profile, probing, values);
		lua_pop(L, 1);
	}
}

static void check_given(lua_State *L, const struct declaration *d,
			const struct exporter_profile *profile, int entries,
			int values)
{
	lua_pushnil(L);
	while (lua_next(L, values)) {
		lua_pushvalue(L, -2);
		if (lua_rawget(L, entries) == LUA_TNIL)
			luaL_error(L, "%s%s%s%s: no configuration key '%s'",
				   d->name, profile ? ", profile '" : "",
				   profile ? profile->name : "",
				   profile ? "'" : "", lua_tostring(L, -3));
		lua_pop(L, 2);
	}
}

/* Puts what OVERLAY has over VALUES. */
static void overlay_values(lua_State *L, const struct config *overlay,
			   int values)
{
	push_config(L, overlay);
	lua_pushnil(L);
	while (lua_next(L, -2)) { /* overlay key value */
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, values);
	}
	lua_pop(L, 1);
}

/* Leaves the script's `config`, and the values of CONFIG above. */
static void push_entries_and_values(lua_State *L, const struct declaration *d,
				    const struct config *config)
{
	declaration_push(L, d);
	if (lua_getfield(L, -1, "config") == LUA_TNIL) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	lua_remove(L, -2);
	if (config)
		push_config(L, config);
	else
		lua_newtable(L);
}

/* From those two one strict table. */
static void make_strict(lua_State *L, const struct declaration *d,
			const struct exporter_profile *profile, bool probing)
{
	int values = lua_gettop(L), entries = values - 1;

	check_given(L, d, profile, entries, values);
	add_defaults(L, d, profile, probing, entries, values);
	lua_pushvalue(L, entries);
	lua_pushcclosure(L, l_config_index, 1);
	lua_pushcfunction(L, l_config_newindex);
	push_strict(L, values); /* entries values strict */
	lua_replace(L, entries);
	lua_settop(L, entries);
}

void push_declared_config(lua_State *L, const struct declaration *d,
			  const struct config *config)
{
	push_entries_and_values(L, d, config);
	make_strict(L, d, NULL, false);
}

/* Takes what ENTRIES declare as secret out of VALUES. */
static void drop_secrets(lua_State *L, int entries, int values)
{
	lua_pushnil(L);
	while (lua_next(L, entries)) { /* key entry */
		if (is_entry(L) && raw_flag(L, -1, "secret")) {
			lua_pushvalue(L, -2);
			lua_pushnil(L);
			lua_rawset(L, values);
		}
		lua_pop(L, 1);
	}
}

void push_probe_config(lua_State *L, const struct declaration *d,
		       const struct config *config,
		       const struct exporter_profile *profile)
{
	int values;

	push_entries_and_values(L, d, config);
	values = lua_gettop(L);
	drop_secrets(L, values - 1, values);
	if (profile)
		overlay_values(L, profile->config, values);
	make_strict(L, d, profile, true);
}

/* The value on top of the stack: a text, a number or a list of texts. */
static void add_secret(lua_State *L, struct secrets *secrets)
{
	lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;

	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		if (lua_type(L, -1) == LUA_TSTRING)
			secrets_add(secrets, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	if (lua_isstring(L, -1)) {
		lua_pushvalue(L, -1); /* a number stays one in the table */
		secrets_add(secrets, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
}

/* The table of values is strict, which shows what it has. */
void read_declared_secrets(lua_State *L, const struct declaration *d,
			   int values, struct secrets *secrets)
{
	int top = lua_gettop(L);

	declaration_push(L, d);
	if (lua_getfield(L, -1, "config") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, -2)) { /* key entry */
			if (is_entry(L) && raw_flag(L, -1, "secret")) {
				lua_getfield(L, values, lua_tostring(L, -2));
				add_secret(L, secrets);
				lua_pop(L, 1);
			}
			lua_pop(L, 1);
		}
	}
	lua_settop(L, top);
}
