/* SPDX-License-Identifier: Apache-2.0 */
#include "run/config.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static void check_list(lua_State *L, int index, const char *key)
{
	lua_Integer n = luaL_len(L, index);

	for (lua_Integer i = 1; i <= n; i++) {
		if (lua_geti(L, index, i) != LUA_TSTRING)
			luaL_error(L,
				   "config.%s: expected a list of strings, "
				   "element %d is a %s",
				   key, (int)i, luaL_typename(L, -1));
		lua_pop(L, 1);
	}
}

/* Raises for what cannot be taken, before anything is allocated. */
static size_t check_table(lua_State *L, int index)
{
	size_t count = 0;

	luaL_checktype(L, index, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "config: a key is a %s, not a string",
				   luaL_typename(L, -2));
		switch (lua_type(L, -1)) {
		case LUA_TSTRING:
		case LUA_TNUMBER:
		case LUA_TBOOLEAN: break;
		case LUA_TTABLE:
			check_list(L, lua_gettop(L), lua_tostring(L, -2));
			break;
		default:
			luaL_error(L, "config.%s: cannot be a %s",
				   lua_tostring(L, -2), luaL_typename(L, -1));
		}
		count++;
	}
	return count;
}

static char *copy_string(lua_State *L, int index)
{
	size_t len;
	const char *s = lua_tolstring(L, index, &len);

	return mem_copy(s, len);
}

/* The list on top of the stack, which holds strings alone. */
static char **copy_list(lua_State *L)
{
	size_t n = (size_t)lua_rawlen(L, -1);
	char **list = mem_array(n + 1, sizeof *list);

	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		list[i] = copy_string(L, -1);
		lua_pop(L, 1);
	}
	return list;
}

/* The value on top of the stack. */
static void copy_value(lua_State *L, struct config_value *value)
{
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		value->type = CONFIG_BOOLEAN;
		value->boolean = lua_toboolean(L, -1);
		break;
	case LUA_TTABLE:
		value->type = CONFIG_LIST;
		value->list = copy_list(L);
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, -1)) {
			value->type = CONFIG_INTEGER;
			value->integer = lua_tointeger(L, -1);
		} else {
			value->type = CONFIG_NUMBER;
			value->number = lua_tonumber(L, -1);
		}
		break;
	default:
		value->type = CONFIG_STRING;
		value->string = copy_string(L, -1);
	}
}

struct config *config_from_lua(lua_State *L, int index)
{
	struct config *config;
	size_t count;

	index = lua_absindex(L, index);
	luaL_checkstack(L, 6, "config");
	count = check_table(L, index);
	/* Nothing raises from here on. */
	config = mem_alloc(sizeof *config);
	config->values = mem_array(count + 1, sizeof *config->values);
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		struct config_value *value = &config->values[config->count++];

		value->key = copy_string(L, -2);
		copy_value(L, value);
	}
	return config;
}

static void push_list(lua_State *L, char *const *list)
{
	lua_newtable(L);
	for (lua_Integer i = 0; list[i]; i++) {
		lua_pushstring(L, list[i]);
		lua_rawseti(L, -2, i + 1);
	}
}

static void push_value(lua_State *L, const struct config_value *value)
{
	switch (value->type) {
	case CONFIG_STRING: lua_pushstring(L, value->string); break;
	case CONFIG_INTEGER: lua_pushinteger(L, value->integer); break;
	case CONFIG_NUMBER: lua_pushnumber(L, value->number); break;
	case CONFIG_BOOLEAN: lua_pushboolean(L, value->boolean); break;
	case CONFIG_LIST: push_list(L, value->list); break;
	}
}

void push_config(lua_State *L, const struct config *config)
{
	luaL_checkstack(L, 4, "config");
	lua_createtable(L, 0, (int)config->count);
	for (size_t i = 0; i < config->count; i++) {
		push_value(L, &config->values[i]);
		lua_setfield(L, -2, config->values[i].key);
	}
}

/* ---- comparing ---- */

static bool same_list(char **a, char **b)
{
	while (*a && *b && strcmp(*a, *b) == 0)
		a++, b++;
	return !*a && !*b;
}

static bool same_value(const struct config_value *a,
		       const struct config_value *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case CONFIG_STRING: return strcmp(a->string, b->string) == 0;
	case CONFIG_INTEGER: return a->integer == b->integer;
	case CONFIG_NUMBER: return a->number == b->number;
	case CONFIG_BOOLEAN: return a->boolean == b->boolean;
	case CONFIG_LIST: return same_list(a->list, b->list);
	}
	return false;
}

/* The order comes from a table of Lua. */
static const struct config_value *find(const struct config *config,
				       const char *key)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->values[i].key, key) == 0)
			return &config->values[i];
	return NULL;
}

bool config_same(const struct config *a, const struct config *b,
		 const char *key)
{
	const struct config_value *va = find(a, key), *vb = find(b, key);

	return va && vb ? same_value(va, vb) : va == vb;
}

bool config_equal(const struct config *a, const struct config *b)
{
	size_t na = a ? a->count : 0, nb = b ? b->count : 0;

	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (!config_same(a, b, a->values[i].key))
			return false;
	return true;
}

const char *config_string(const struct config *config, const char *key)
{
	const struct config_value *value = find(config, key);

	return value && value->type == CONFIG_STRING ? value->string : NULL;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->count; i++) {
		struct config_value *value = &config->values[i];

		for (char **item = value->list; item && *item; item++)
			free(*item);
		free(value->list);
		free(value->string);
		free(value->key);
	}
	free(config->values);
	free(config);
}
