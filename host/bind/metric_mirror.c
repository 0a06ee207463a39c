/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_mirror.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/nearest.h"
#include "core/number.h"

static const char *name_of(const struct family *family)
{
	return family_metadata(family)->name;
}

bool metric_is_distribution(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_GAUGEHISTOGRAM ||
	       type == METRIC_SUMMARY;
}

/* ---- numbers ---- */

/* The value at INDEX, also as a string; WHAT and OF say what it is. */
static double check_number(lua_State *L, int index, const struct family *family,
			   const char *what, const char *of)
{
	double value = 0;
	const char *text;
	size_t len;

	if (lua_type(L, index) == LUA_TNUMBER)
		return lua_tonumber(L, index);
	if (lua_type(L, index) == LUA_TSTRING) {
		text = lua_tolstring(L, index, &len);
		if (number_parse(text, len, &value))
			return value;
	}
	luaL_error(L, "%s: %s%s: expected a number, got %s", name_of(family),
		   what, of, luaL_typename(L, index));
	return value;
}

/* Doubles hold counts up to here. */
#define COUNT_MAX 0x1p53

static double check_count(lua_State *L, int index, const struct family *family,
			  const char *what, const char *of)
{
	double count = check_number(L, index, family, what, of);

	if (!(count >= 0 && count <= COUNT_MAX && floor(count) >= count))
		luaL_error(L,
			   "%s: %s%s is a whole number from 0 to 2^53, and "
			   "cannot be %s",
			   name_of(family), what, of, push_number(L, count));
	return count;
}

/* ---- fields ---- */

/* Field KEY of the table at ARG on the stack. */
static int push_field(lua_State *L, int arg, const char *key)
{
	lua_pushstring(L, key);
	return lua_rawget(L, arg);
}

static void check_names(lua_State *L, int arg, const struct family *family,
			const char *parts)
{
	const char *const known[] = { "sum", "count", parts, NULL };

	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		const char *name = "[1]", *near;
		int i = 0;

		if (lua_type(L, -2) == LUA_TSTRING)
			name = lua_tostring(L, -2);
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (known[i])
			continue;
		near = nearest(name, known);
		luaL_error(L,
			   "%s: a %s is set to sum, count and %s, not "
			   "'%s'%s%s%s",
			   name_of(family),
			   metric_type_name(family_metadata(family)->type),
			   parts, name, near ? "; did you mean '" : "",
			   near ? near : "", near ? "'?" : "");
	}
}

static double check_sum(lua_State *L, int arg, const struct family *family)
{
	double sum;

	push_field(L, arg, "sum");
	sum = check_number(L, -1, family, "sum", "");
	lua_pop(L, 1);
	return sum;
}

static double check_total(lua_State *L, int arg, const struct family *family)
{
	double count;

	push_field(L, arg, "count");
	count = check_count(L, -1, family, "count", "");
	lua_pop(L, 1);
	return count;
}

/* ---- buckets and quantiles ---- */

/* What a table is about whose keys are declared numbers. */
struct keys {
	const struct family *family;
	const char *what; /* "bucket " */
	const double *keys;
	char **texts;
	unsigned n;
	bool last; /* +Inf is one more of them */
};

static unsigned find_key(const struct keys *keys, double key)
{
	unsigned i = 0;

	while (i < keys->n && (keys->keys[i] < key || keys->keys[i] > key))
		i++;
	if (i < keys->n && !isnan(key))
		return i;
	return keys->last && key > 0 && isinf(key) ? keys->n : keys->n + 1;
}

/* The place of the key at -2, of which there are N, and N for +Inf. */
static unsigned check_key(lua_State *L, const struct keys *keys)
{
	double key = 0;
	const char *text;
	char shown[NUMBER_MAX + 1];
	unsigned i;
	size_t len;

	if (lua_type(L, -2) == LUA_TNUMBER) {
		key = lua_tonumber(L, -2);
	} else if (lua_type(L, -2) != LUA_TSTRING ||
		   !(text = lua_tolstring(L, -2, &len),
		     number_parse(text, len, &key))) {
		luaL_error(L, "%s: %sis given by a %s that is no number",
			   name_of(keys->family), keys->what,
			   luaL_typename(L, -2));
	}
	i = find_key(keys, key);
	if (i > keys->n) {
		shown[number_format(shown, key)] = '\0';
		luaL_error(L, "%s: %s%s is not declared", name_of(keys->family),
			   keys->what, shown);
	}
	return i;
}

/* The table at the top of the stack, whose keys are KEYS, into VALUES, N and
 * one more for +Inf, which is NaN when that is not there. */
static void check_parts(lua_State *L, const struct keys *keys, double *values,
			double (*check)(lua_State *L, int index,
					const struct family *family,
					const char *what, const char *of))
{
	bool seen[METADATA_BUCKETS_MAX + 1] = { false };
	int table = lua_gettop(L);

	values[keys->n] = NAN;
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		unsigned i = check_key(L, keys);
		const char *text = i < keys->n ? keys->texts[i] : "+Inf";

		if (seen[i])
			luaL_error(L, "%s: %s%s is given twice",
				   name_of(keys->family), keys->what, text);
		seen[i] = true;
		values[i] = check(L, -1, keys->family, keys->what, text);
	}
	for (unsigned i = 0; i < keys->n; i++)
		if (!seen[i])
			luaL_error(L, "%s: %s%s is missing",
				   name_of(keys->family), keys->what,
				   keys->texts[i]);
}

/* Field KEY must be a table, unless there is nothing to stand in it. False:
 * it is not there. Pushed. */
static bool push_parts(lua_State *L, int arg, const struct keys *keys,
		       const char *key)
{
	int given = push_field(L, arg, key);

	if (given == LUA_TTABLE)
		return true;
	if (given != LUA_TNIL || keys->n > 0)
		luaL_error(L, "%s: %s: expected a table, got %s",
			   name_of(keys->family), key, luaL_typename(L, -1));
	return false;
}

/* Counts of N buckets and of all, cumulative, become those of each bucket. */
static void check_rising(lua_State *L, const struct keys *keys, double *counts,
			 double total)
{
	double below = 0;

	if (!isnan(counts[keys->n]) &&
	    (counts[keys->n] < total || counts[keys->n] > total))
		luaL_error(L, "%s: bucket +Inf is %s, and count is %s",
			   name_of(keys->family),
			   push_number(L, counts[keys->n]),
			   push_number(L, total));
	for (unsigned i = 0; i < keys->n; i++) {
		double count = counts[i];

		if (count < below)
			luaL_error(L,
				   "%s: counts of buckets are cumulative, but "
				   "bucket %s is %s, less than the %s before "
				   "it",
				   name_of(keys->family), keys->texts[i],
				   push_number(L, count),
				   push_number(L, below));
		counts[i] = count - below;
		below = count;
	}
	if (total < below)
		luaL_error(L,
			   "%s: count is %s, less than the %s of the last "
			   "bucket",
			   name_of(keys->family), push_number(L, total),
			   push_number(L, below));
	counts[keys->n] = total - below;
}

static void check_histogram(lua_State *L, int arg, const struct family *family,
			    double *numbers)
{
	const struct metadata *m = family_metadata(family);
	struct keys keys = { family, "bucket ",	 m->bounds,
			     m->le,  m->nbounds, true };

	if (m->native)
		luaL_error(L,
			   "%s: a histogram that is set has classic buckets "
			   "alone; declare it without 'native'",
			   m->name);
	check_names(L, arg, family, "buckets");
	numbers[0] = check_sum(L, arg, family);
	numbers[1 + keys.n] = NAN;
	if (push_parts(L, arg, &keys, "buckets"))
		check_parts(L, &keys, numbers + 1, check_count);
	lua_pop(L, 1);
	check_rising(L, &keys, numbers + 1, check_total(L, arg, family));
}

static void check_summary(lua_State *L, int arg, const struct family *family,
			  double *numbers)
{
	const struct metadata *m = family_metadata(family);
	double values[METADATA_QUANTILES_MAX + 1];
	struct keys keys = { family,   "quantile ",   m->quantiles,
			     m->ranks, m->nquantiles, false };

	check_names(L, arg, family, "quantiles");
	numbers[0] = check_sum(L, arg, family);
	numbers[1] = check_total(L, arg, family);
	if (push_parts(L, arg, &keys, "quantiles"))
		check_parts(L, &keys, values, check_number);
	lua_pop(L, 1);
	memcpy(numbers + 2, values, keys.n * sizeof *values);
}

void check_metric_numbers(lua_State *L, int arg, const struct family *family,
			  double *numbers)
{
	const struct metadata *m = family_metadata(family);

	if (!lua_istable(L, arg))
		luaL_error(L,
			   "%s: a %s is set to a table such as { sum = 3.5, "
			   "count = 17 }, got %s",
			   m->name, metric_type_name(m->type),
			   luaL_typename(L, arg));
	if (m->type == METRIC_SUMMARY)
		check_summary(L, arg, family, numbers);
	else
		check_histogram(L, arg, family, numbers);
}
