/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/metric_set.h"
#include "core/nearest.h"
#include "core/number.h"

static const char *name_of(const struct family *family)
{
	return family_metadata(family)->name;
}

static const char *type_of(const struct family *family)
{
	return metric_type_name(family_metadata(family)->type);
}

/* ---- value and labels ---- */

double check_metric_value(lua_State *L, int arg, const struct family *family)
{
	double value = 0;
	const char *text;
	size_t len;

	if (lua_type(L, arg) == LUA_TNUMBER)
		return lua_tonumber(L, arg);
	if (lua_type(L, arg) == LUA_TSTRING) {
		text = lua_tolstring(L, arg, &len);
		if (!number_parse(text, len, &value))
			luaL_error(L,
				   "%s: expected a number, got the string "
				   "'%s'",
				   name_of(family), text);
		return value;
	}
	luaL_error(L, "%s: expected a number, got %s", name_of(family),
		   luaL_typename(L, arg));
	return value;
}

static int arity_error(lua_State *L, const struct family *family, int got)
{
	const struct label_schema *schema = family_schema(family);
	luaL_Buffer names;

	if (schema->count == 0)
		return luaL_error(L, "%s has no labels, got %d value%s",
				  name_of(family), got, got == 1 ? "" : "s");
	luaL_buffinit(L, &names);
	for (unsigned i = 0; i < schema->count; i++) {
		if (i)
			luaL_addstring(&names, ", ");
		luaL_addstring(&names, schema->names[i]);
	}
	luaL_pushresult(&names);
	return luaL_error(L, "%s: expected labels (%s), got %d value%s",
			  name_of(family), lua_tostring(L, -1), got,
			  got == 1 ? "" : "s");
}

/* Labels that are no strings: numbers are written as in the exposition, so that
 * 5.0 becomes "5". The string takes the argument's place on the stack. */
static void convert_label(lua_State *L, int arg, const struct family *family,
			  unsigned label)
{
	char text[NUMBER_MAX];

	switch (lua_type(L, arg)) {
	case LUA_TNUMBER:
		if (lua_isinteger(L, arg))
			lua_pushfstring(L, "%I", lua_tointeger(L, arg));
		else
			lua_pushlstring(
				L, text,
				number_format(text, lua_tonumber(L, arg)));
		break;
	case LUA_TBOOLEAN:
		lua_pushstring(L, lua_toboolean(L, arg) ? "true" : "false");
		break;
	default:
		luaL_error(L, "%s: label '%s' expected a string, got %s",
			   name_of(family), family_schema(family)->names[label],
			   luaL_typename(L, arg));
	}
	lua_replace(L, arg);
}

void check_metric_labels(lua_State *L, int first, int last,
			 const struct family *family, struct str *values)
{
	int got = last - first + 1;
	unsigned n = family_schema(family)->count;

	if (got != (int)n)
		arity_error(L, family, got < 0 ? 0 : got);
	for (unsigned i = 0; i < n; i++) {
		int arg = first + (int)i;

		if (lua_type(L, arg) != LUA_TSTRING)
			convert_label(L, arg, family, i);
		values[i].data = lua_tolstring(L, arg, &values[i].len);
	}
}

/* ---- times ---- */

/* Field KEY of the table at ARG: seconds since the epoch, 0 when absent. */
static double check_time(lua_State *L, int arg, const struct family *family,
			 const char *key)
{
	double time = 0;

	lua_pushstring(L, key);
	lua_rawget(L, arg);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		return 0;
	}
	if (lua_type(L, -1) == LUA_TNUMBER)
		time = lua_tonumber(L, -1);
	else
		luaL_error(L, "%s: %s is a %s, not seconds since the epoch",
			   name_of(family), key, luaL_typename(L, -1));
	if (!(time >= 0 && time <= METADATA_TIME_MAX))
		luaL_error(L,
			   "%s: %s is seconds since the epoch, and cannot be "
			   "%s",
			   name_of(family), key, push_number(L, time));
	lua_pop(L, 1);
	return time;
}

static void check_time_names(lua_State *L, int arg, const struct family *family)
{
	static const char *const known[] = { "timestamp", "created", NULL };

	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		const char *name = "[1]", *near;

		if (lua_type(L, -2) == LUA_TSTRING)
			name = lua_tostring(L, -2);
		if (strcmp(name, known[0]) == 0 || strcmp(name, known[1]) == 0)
			continue;
		near = nearest(name, known);
		luaL_error(L,
			   "%s: behind the labels of set stand timestamp and "
			   "created, not '%s'%s%s%s",
			   name_of(family), name,
			   near ? "; did you mean '" : "", near ? near : "",
			   near ? "'?" : "");
	}
}

struct metric_times check_metric_times(lua_State *L, int arg,
				       const struct family *family)
{
	const struct metadata *m = family_metadata(family);
	struct metric_times times;

	if (!lua_istable(L, arg))
		luaL_error(L,
			   "%s: expected a table such as { created = 0 } "
			   "behind the labels, got %s",
			   m->name, luaL_typename(L, arg));
	check_time_names(L, arg, family);
	times.time = check_time(L, arg, family, "timestamp");
	times.created = check_time(L, arg, family, "created");
	if (times.time > 0 && !m->time)
		luaL_error(
			L,
			"%s: timestamp is for metrics that are declared with "
			"timestamps = true",
			m->name);
	if (times.created > 0 && !m->created)
		luaL_error(L, "%s: a %s has no 'created'", m->name,
			   type_of(family));
	return times;
}

/* ---- exemplars ---- */

struct pairs {
	struct exemplar_label pairs[EXEMPLAR_PAIRS_MAX];
	unsigned n;
	char numbers[EXEMPLAR_PAIRS_MAX][NUMBER_MAX + 1];
};

/* The key below the top of the stack. */
static const char *check_exemplar_name(lua_State *L,
				       const struct family *family)
{
	const char *name;
	size_t len;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L,
			   "%s: the labels of an exemplar have names, got a %s "
			   "as key",
			   name_of(family), luaL_typename(L, -2));
	name = lua_tolstring(L, -2, &len);
	if (strlen(name) != len)
		luaL_error(L,
			   "%s: the name of a label of the exemplar has a zero "
			   "byte",
			   name_of(family));
	return name;
}

static struct str str_of(const char *text)
{
	return (struct str){ text, strlen(text) };
}

/* The value on top of the stack as text, without a new string of Lua. */
static struct str check_exemplar_value(lua_State *L,
				       const struct family *family,
				       const char *name, char *number)
{
	struct str text = { number, 0 };

	switch (lua_type(L, -1)) {
	case LUA_TSTRING: text.data = lua_tolstring(L, -1, &text.len); break;
	case LUA_TBOOLEAN:
		return str_of(lua_toboolean(L, -1) ? "true" : "false");
	case LUA_TNUMBER:
		if (lua_isinteger(L, -1))
			text.len = (size_t)snprintf(
				number, NUMBER_MAX, "%lld",
				(long long)lua_tointeger(L, -1));
		else
			text.len = number_format(number, lua_tonumber(L, -1));
		break;
	default:
		luaL_error(L,
			   "%s: label '%s' of the exemplar expected a string, "
			   "got %s",
			   name_of(family), name, luaL_typename(L, -1));
	}
	return text;
}

static void check_pairs(lua_State *L, int arg, const struct family *family,
			struct pairs *p)
{
	p->n = 0;
	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		struct exemplar_label *pair = &p->pairs[p->n];

		if (p->n == EXEMPLAR_PAIRS_MAX)
			luaL_error(L, "%s: an exemplar has at most %d labels",
				   name_of(family), EXEMPLAR_PAIRS_MAX);
		pair->name = check_exemplar_name(L, family);
		pair->value = check_exemplar_value(L, family, pair->name,
						   p->numbers[p->n]);
		p->n++;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct exemplar_label *)a)->name,
		      ((const struct exemplar_label *)b)->name);
}

struct exemplar *check_metric_exemplar(lua_State *L, int arg,
				       const struct family *family,
				       double value)
{
	enum metric_type type = family_metadata(family)->type;
	struct exemplar *exemplar;
	struct pairs p;
	struct err err;

	if (!lua_istable(L, arg))
		luaL_error(L,
			   "%s: expected a table such as { trace_id = id } "
			   "behind the labels, got %s",
			   name_of(family), luaL_typename(L, arg));
	if (type != METRIC_COUNTER && type != METRIC_HISTOGRAM)
		luaL_error(L,
			   "%s: a %s has no exemplars, counters and "
			   "histograms have",
			   name_of(family), type_of(family));
	check_pairs(L, arg, family, &p);
	qsort(p.pairs, p.n, sizeof *p.pairs, by_name);
	exemplar = exemplar_new(p.pairs, p.n, value, metric_now(), &err);
	if (!exemplar)
		luaL_error(L, "%s: %s", name_of(family), err.text);
	return exemplar;
}
