/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_options.h"

#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/duration.h"
#include "core/nearest.h"

enum {
	ALL = -1,
	BUCKETED = 1 << METRIC_HISTOGRAM | 1 << METRIC_GAUGEHISTOGRAM,
};

/* What there is, and for which types. */
static const struct option {
	const char *name;
	int types;
	const char *has; /* who has it, where not all do */
} options[] = {
	{ "help", ALL, NULL },
	{ "labels", ALL, NULL },
	{ "unit", ALL, NULL },
	{ "keep", ALL, NULL },
	{ "ttl", ALL, NULL },
	{ "timestamps", ALL, NULL },
	{ "buckets", BUCKETED, "a histogram" },
	{ "native", 1 << METRIC_HISTOGRAM, "a histogram" },
	{ "states", 1 << METRIC_STATESET, "a stateset" },
	{ "quantiles", 1 << METRIC_SUMMARY, "a summary" },
	{ "window", 1 << METRIC_SUMMARY, "a summary" },
};

enum { OPTIONS = sizeof options / sizeof *options };

/* ---- names ---- */

static const struct option *find_option(const char *name)
{
	for (int i = 0; i < OPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

static void unknown_option(lua_State *L, const char *prefix, const char *name,
			   const char *const *known)
{
	const char *near = nearest(name, known);

	luaL_error(L, "%sunknown option '%s'%s%s%s", prefix, name,
		   near ? "; did you mean '" : "", near ? near : "",
		   near ? "'?" : "");
}

static const char *article(enum metric_type type)
{
	return type == METRIC_INFO || type == METRIC_UNKNOWN ? "an" : "a";
}

static void check_name(lua_State *L, const char *name, enum metric_type type)
{
	const struct option *option = find_option(name);
	const char *known[OPTIONS + 1] = { NULL };

	for (int i = 0; i < OPTIONS; i++)
		known[i] = options[i].name;
	if (!option)
		unknown_option(L, "", name, known);
	else if (!(option->types & 1 << type))
		luaL_error(L, "option '%s': %s has it, %s %s does not", name,
			   option->has, article(type), metric_type_name(type));
}

static void check_names(lua_State *L, int table, enum metric_type type)
{
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
		if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1)
			continue;
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "a metric takes one text, its help, and "
				      "named options");
		check_name(L, lua_tostring(L, -2), type);
	}
}

/* ---- kinds ---- */

/* Element I of a list on top of the stack. */
static void check_text(lua_State *L, const char *key, int i, int type)
{
	if (type == LUA_TSTRING &&
	    strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
		luaL_error(L, "option '%s': element %d has a zero byte", key,
			   i);
}

/* The table on top of the stack has N elements, and must have no other keys. */
static void check_no_keys(lua_State *L, const char *key, lua_Integer n)
{
	lua_Integer count = 0;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		count++;
	if (count != n)
		luaL_error(L,
			   "option '%s': expected a list, got a table with "
			   "keys",
			   key);
}

/* Field KEY must be absent or a list of TYPE. */
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
			check_text(L, key, (int)i, type);
			lua_pop(L, 1);
		}
		check_no_keys(L, key, n);
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
	if (given == LUA_TSTRING &&
	    strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
		luaL_error(L, "option '%s' has a zero byte", key);
	lua_pop(L, 1);
}

static void check_fields(lua_State *L, int table)
{
	check_field(L, table, "help", LUA_TSTRING);
	check_field(L, table, "unit", LUA_TSTRING);
	check_field(L, table, "keep", LUA_TBOOLEAN);
	check_field(L, table, "ttl", LUA_TNUMBER);
	check_field(L, table, "timestamps", LUA_TBOOLEAN);
	check_list(L, table, "labels", LUA_TSTRING);
	check_list(L, table, "states", LUA_TSTRING);
	check_list(L, table, "buckets", LUA_TNUMBER);
	check_list(L, table, "quantiles", LUA_TNUMBER);
}

/* ---- native ---- */

enum { NATIVE_BUCKETS = 160, NATIVE_BUCKETS_MAX = 4096 };

#define NATIVE_FACTOR 1.1
#define NATIVE_ZERO_THRESHOLD 0x1p-128

/* Field KEY of the table on top of the stack; FALLBACK when it is absent. */
static double check_native_number(lua_State *L, const char *key,
				  double fallback)
{
	double value = fallback;

	lua_pushstring(L, key);
	if (lua_rawget(L, -2) == LUA_TNUMBER)
		value = lua_tonumber(L, -1);
	else if (!lua_isnil(L, -1))
		luaL_error(L, "option 'native': %s is a %s, not a number", key,
			   luaL_typename(L, -1));
	lua_pop(L, 1);
	return value;
}

static void check_native_names(lua_State *L)
{
	static const char *const known[] = { "factor", "max_buckets",
					     "zero_threshold", NULL };

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *name = "[1]";
		int i = 0;

		if (lua_type(L, -2) == LUA_TSTRING)
			name = lua_tostring(L, -2);
		while (known[i] && strcmp(known[i], name) != 0)
			i++;
		if (!known[i])
			unknown_option(L, "option 'native': ", name, known);
	}
}

/* The table on top of the stack. */
static void check_native_table(lua_State *L, struct native_options *native)
{
	double factor, max, threshold;

	check_native_names(L);
	factor = check_native_number(L, "factor", NATIVE_FACTOR);
	max = check_native_number(L, "max_buckets", NATIVE_BUCKETS);
	threshold =
		check_native_number(L, "zero_threshold", NATIVE_ZERO_THRESHOLD);
	if (!(factor > 1))
		luaL_error(L,
			   "option 'native': the factor from one bucket to "
			   "the next is greater than 1, got %s",
			   push_number(L, factor));
	if (!(max >= 1 && max <= NATIVE_BUCKETS_MAX && floor(max) >= max))
		luaL_error(L,
			   "option 'native': max_buckets is a whole number "
			   "from 1 to %d, got %s",
			   NATIVE_BUCKETS_MAX, push_number(L, max));
	if (!(threshold >= 0 && isfinite(threshold)))
		luaL_error(L,
			   "option 'native': zero_threshold is a finite "
			   "number from 0 on, got %s",
			   push_number(L, threshold));
	native->schema = native_schema_for(factor);
	native->max_buckets = (unsigned)max;
	native->zero_threshold = threshold;
}

/* True when the option asks for native buckets. */
static bool check_native(lua_State *L, int table, struct native_options *native)
{
	int given = lua_getfield(L, table, "native");
	bool wanted = lua_toboolean(L, -1);

	if (given != LUA_TNIL && given != LUA_TBOOLEAN && given != LUA_TTABLE)
		luaL_error(L,
			   "option 'native': expected true or a table, got %s",
			   lua_typename(L, given));
	if (given == LUA_TBOOLEAN && wanted)
		lua_newtable(L);
	if (wanted)
		check_native_table(L, native);
	lua_pop(L, given == LUA_TBOOLEAN && wanted ? 2 : 1);
	return wanted;
}

/* ---- window ---- */

/* Seconds; 0: not given. */
static double check_window(lua_State *L, int table)
{
	int given = lua_getfield(L, table, "window");
	double seconds = lua_tonumber(L, -1);
	size_t len;
	const char *text;

	if (given == LUA_TSTRING) {
		text = lua_tolstring(L, -1, &len);
		if (!duration_parse(text, len, &seconds))
			seconds = 0;
	}
	if (given != LUA_TNIL && !(seconds > 0 && isfinite(seconds)))
		luaL_error(L, "option 'window': expected seconds, or a string "
			      "such as \"10m\"");
	lua_pop(L, 1);
	if (given == LUA_TNIL)
		return 0;
	if (lua_getfield(L, table, "quantiles") == LUA_TNIL)
		luaL_error(L, "option 'window': it is for 'quantiles', and "
			      "there are none");
	lua_pop(L, 1);
	return seconds;
}

void check_metric_options(lua_State *L, int table, enum metric_type type)
{
	struct native_options native;

	check_names(L, table, type);
	check_fields(L, table);
	check_native(L, table, &native);
	check_window(L, table);
}

/* ---- reading ---- */

static const char *string_field(lua_State *L, int table, const char *key)
{
	const char *s;

	lua_getfield(L, table, key);
	s = lua_tostring(L, -1);
	lua_pop(L, 1); /* the table keeps it alive */
	return s;
}

/* The list KEY on the stack, whose length is returned; more than MAX: -1. */
static int push_list(lua_State *L, int table, const char *key, int max)
{
	lua_Unsigned n = 0;

	if (lua_getfield(L, table, key) == LUA_TTABLE)
		n = lua_rawlen(L, -1);
	return n > (lua_Unsigned)max ? -1 : (int)n;
}

static int check_strings(lua_State *L, int table, const char *key,
			 const char **list, int max)
{
	int n = push_list(L, table, key, max);

	for (int i = 0; i < n; i++) {
		lua_rawgeti(L, -1, i + 1);
		list[i] = lua_tostring(L, -1);
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "option '%s': the list was changed", key);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return n;
}

static int read_numbers(lua_State *L, int table, const char *key, double *list,
			int max)
{
	int n = push_list(L, table, key, max);

	for (int i = 0; i < n; i++) {
		lua_rawgeti(L, -1, i + 1);
		list[i] = lua_tonumber(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return n;
}

static const double default_buckets[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
					  0.5,	 1,    2.5,   5,    10 };

/* Without the option there are the usual ones, unless the histogram is native.
 */
static int read_bounds(lua_State *L, int table, bool native, double *list)
{
	bool given = lua_getfield(L, table, "buckets") != LUA_TNIL;

	lua_pop(L, 1);
	if (given || native)
		return read_numbers(L, table, "buckets", list,
				    METADATA_BUCKETS_MAX);
	memcpy(list, default_buckets, sizeof default_buckets);
	return (int)(sizeof default_buckets / sizeof *default_buckets);
}

static bool refuse_more(const char *name, int max, const char *what,
			struct err *err)
{
	return err_set(err, ERR_LIMIT, "%s: more than %d %s", name, max, what);
}

static bool read_lists(lua_State *L, int table, struct metric_options *o,
		       struct err *err)
{
	struct metadata_desc *m = &o->family.metadata;
	int labels = check_strings(L, table, "labels", o->labels, LABELS_MAX);
	int states = check_strings(L, table, "states", o->states,
				   METADATA_STATES_MAX);
	int bounds = read_bounds(L, table, m->native, o->bounds);
	int quantiles = read_numbers(L, table, "quantiles", o->quantiles,
				     METADATA_QUANTILES_MAX);

	if (labels < 0)
		return refuse_more(m->name, LABELS_MAX, "labels", err);
	if (states < 0)
		return refuse_more(m->name, METADATA_STATES_MAX, "states", err);
	if (bounds < 0)
		return refuse_more(m->name, METADATA_BUCKETS_MAX, "buckets",
				   err);
	if (quantiles < 0)
		return refuse_more(m->name, METADATA_QUANTILES_MAX, "quantiles",
				   err);
	o->family.labels = o->labels;
	o->family.nlabels = (unsigned)labels;
	m->states = o->states;
	m->nstates = (unsigned)states;
	m->bounds = o->bounds;
	m->nbounds = (unsigned)bounds;
	m->quantiles = o->quantiles;
	m->nquantiles = (unsigned)quantiles;
	return true;
}

bool check_metric_family_options(lua_State *L, int table, const char *name,
				 enum metric_type type,
				 struct metric_options *o, struct err *err)
{
	struct metadata_desc *m = &o->family.metadata;

	check_fields(L, table);
	o->family = (struct family_options){ 0 };
	m->type = type;
	m->name = name;
	m->help = string_field(L, table, "help");
	m->unit = string_field(L, table, "unit");
	m->native = check_native(L, table, &o->native) ? &o->native : NULL;
	m->window = check_window(L, table);
	lua_getfield(L, table, "timestamps");
	m->timestamps = lua_toboolean(L, -1);
	lua_getfield(L, table, "keep");
	o->family.keep = lua_toboolean(L, -1);
	lua_getfield(L, table, "ttl");
	o->family.ttl = lua_tonumber(L, -1);
	lua_pop(L, 3);
	return read_lists(L, table, o, err);
}
