/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module metric: declarations (bind/metric_declare.h), `m`, which is made
 * from them, and registries of a script's own (bind/metric_registry.h). Owns
 * nothing but references to sets.
 */
#include "bind/l_metric.h"

#include "bind/bind.h"
#include "bind/metric_child.h"
#include "bind/metric_declare.h"
#include "bind/metric_family.h"
#include "bind/metric_registry.h"
#include "bind/metric_verb.h"
#include "core/nearest.h"

#define CLASS_SET "lunex.metrics"

/* ---- the metrics of a script ---- */

static int l_set_gc(lua_State *L)
{
	struct metric_set **object = lua_touserdata(L, 1);

	metric_set_unref(*object);
	*object = NULL;
	return 0;
}

/* The set in a userdata that holds a reference. A script without metrics does
 * not open the module, so the class is made here. */
static void push_set(lua_State *L, struct metric_set *set)
{
	static const luaL_Reg methods[] = { { NULL, NULL } };
	static const luaL_Reg metas[] = { { "__gc", l_set_gc },
					  { NULL, NULL } };
	struct metric_set **object;

	bind_class(L, CLASS_SET, methods, metas);
	object = push_object(L, sizeof *object, CLASS_SET, 0);
	*object = metric_set_ref(set);
}

/* __index of m: (m, key), upvalue: the set */
static int l_metrics_index(lua_State *L)
{
	struct metric_set **set = lua_touserdata(L, lua_upvalueindex(1));
	const char *key = luaL_tolstring(L, 2, NULL), *near;

	check_metric_set(L, *set);
	near = nearest(key, registry_names((*set)->registry));
	return luaL_error(L, "no metric '%s' is declared%s%s%s", key,
			  near ? "; did you mean '" : "", near ? near : "",
			  near ? "'?" : "");
}

static int l_metrics_newindex(lua_State *L)
{
	return luaL_error(L,
			  "m.%s = ...: a metric is changed with "
			  "m.name:set(value)",
			  luaL_tolstring(L, 2, NULL));
}

void push_metrics(lua_State *L, int index, struct metric_set *set, bool *ages)
{
	int table = lua_absindex(L, index), m;
	struct err err;

	lua_newtable(L);
	m = lua_gettop(L);
	lua_pushnil(L);
	while (lua_next(L, table)) { /* m name declaration */
		struct family *family;
		const char *name;

		name = lua_tostring(L, -2);
		if (strlen(name) != lua_rawlen(L, -2))
			luaL_error(L, "%sthe name of a metric has a zero byte",
				   push_metric_place(L));
		family = metric_add_family(L, name, set->registry, &err);
		if (!family)
			luaL_error(L, "%s%s", push_metric_place(L), err.text);
		*ages |= family_wants_now(family);
		lua_pop(L, 1);
		push_metric_family(L, set, family);
		lua_setfield(L, m, name); /* m name */
	}
	push_set(L, set);
	lua_pushcclosure(L, l_metrics_index, 1);
	lua_pushcfunction(L, l_metrics_newindex);
	push_strict(L, m);
	lua_replace(L, m);
}

/* ---- declarations ---- */

/* metric.counter { help, labels = {...}, unit =, keep =, ttl =,
 *                  timestamps = } */
static int l_metric_counter(lua_State *L)
{
	return metric_declare(L, METRIC_COUNTER);
}

/* metric.gauge { help, ... } */
static int l_metric_gauge(lua_State *L)
{
	return metric_declare(L, METRIC_GAUGE);
}

/* metric.histogram { help, buckets = { 0.1, 1, 10 }, native =, ... } */
static int l_metric_histogram(lua_State *L)
{
	return metric_declare(L, METRIC_HISTOGRAM);
}

/* metric.gaugehistogram { help, buckets = { 0.1, 1, 10 }, ... } */
static int l_metric_gaugehistogram(lua_State *L)
{
	return metric_declare(L, METRIC_GAUGEHISTOGRAM);
}

/* metric.summary { help, quantiles = { 0.5, 0.99 }, window =, ... } */
static int l_metric_summary(lua_State *L)
{
	return metric_declare(L, METRIC_SUMMARY);
}

/* metric.info { help, labels = {...} } */
static int l_metric_info(lua_State *L)
{
	return metric_declare(L, METRIC_INFO);
}

/* metric.stateset { help, states = { "up", "down" }, ... } */
static int l_metric_stateset(lua_State *L)
{
	return metric_declare(L, METRIC_STATESET);
}

/* metric.unknown { help, ... } */
static int l_metric_unknown(lua_State *L)
{
	return metric_declare(L, METRIC_UNKNOWN);
}

/* ---- tables ---- */

static const luaL_Reg functions[] = {
	{ "counter", l_metric_counter },
	{ "gauge", l_metric_gauge },
	{ "histogram", l_metric_histogram },
	{ "gaugehistogram", l_metric_gaugehistogram },
	{ "summary", l_metric_summary },
	{ "info", l_metric_info },
	{ "stateset", l_metric_stateset },
	{ "unknown", l_metric_unknown },
	{ "registry", l_metric_registry },
	{ NULL, NULL },
};

int luaopen_metric(lua_State *L)
{
	metric_family_class(L);
	metric_child_class(L);
	metric_declare_class(L);
	metric_registry_class(L);
	luaL_newlib(L, functions);
	return 1;
}
