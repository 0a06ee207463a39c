/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_verb.h"

#include <math.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/metric_arguments.h"
#include "bind/metric_mirror.h"
#include "bind/metric_room.h"
#include "bind/scope.h"
#include "net/loop.h"
#include "vm/state.h"

static const char *name_of(const struct family *family)
{
	return family_metadata(family)->name;
}

/* ---- who may ---- */

__attribute__((cold, noinline)) static void closed_error(lua_State *L)
{
	luaL_error(L, "this metric belongs to a probe that is over");
}

void check_metric_set(lua_State *L, const struct metric_set *set)
{
	if (!set || !set->registry)
		closed_error(L);
}

__attribute__((cold, noinline)) static unsigned part_error(
	lua_State *L, const struct scope *scope, const struct family *family)
{
	if (!scope)
		luaL_error(L,
			   "%s: metrics can be changed inside collect, probe, "
			   "routes and start only",
			   name_of(family));
	luaL_error(L,
		   "%s: kept from another m; a probe changes the metrics of "
		   "its own m, and nobody else does",
		   name_of(family));
	return 0;
}

/* A probe changes the metrics of its own `m`, everybody else the exporter's;
 * those of a registry that the script made are anybody's. */
unsigned check_metric_part(lua_State *L, const struct metric_set *set,
			   const struct family *family)
{
	const struct scope *scope;

	if (set->account)
		return REGISTRY_LIVE;
	scope = scope_of(L);
	if (!scope || scope->set != set->key)
		return part_error(L, scope, family);
	return scope->part;
}

/* The time of a set: the clock is asked only where it matters. */
static double now_of(lua_State *L, const struct family *family)
{
	return family_wants_now(family) ? loop_now(vm_loop(vm_of(L))) : 0;
}

enum {
	WITH_INC =
		1 << METRIC_COUNTER | 1 << METRIC_GAUGE | 1 << METRIC_UNKNOWN,
	WITH_OBSERVE = 1 << METRIC_HISTOGRAM | 1 << METRIC_GAUGEHISTOGRAM |
		       1 << METRIC_SUMMARY,
	SIMPLE = WITH_INC | 1 << METRIC_INFO, /* one number is all of it */
};

static void check_type(lua_State *L, const struct family *family,
		       unsigned types, const char *verb)
{
	enum metric_type type = family_metadata(family)->type;

	if (!(types & 1u << type))
		luaL_error(L, "%s: a %s has no '%s'", name_of(family),
			   metric_type_name(type), verb);
}

void check_metric_inc(lua_State *L, const struct family *family)
{
	check_type(L, family, WITH_INC, "inc");
}

void check_metric_observe(lua_State *L, const struct family *family)
{
	check_type(L, family, WITH_OBSERVE, "observe");
}

/* ---- rows ----
 *
 * A row is asked for behind everything that may make the collector run, such as
 * a number that becomes a string: then a finalizer of the script could publish,
 * and rows get other numbers.
 */

static bool find_row(const struct metric_target *target,
		     const struct str *values, uint32_t *row, struct err *err)
{
	return target->child ? child_row(target->child, row, err)
			     : family_row(target->family, values, row, err);
}

static uint32_t check_row(lua_State *L, const struct metric_target *target)
{
	struct str values[LABELS_MAX];
	struct err err;
	uint32_t row;

	if (!target->child)
		check_metric_labels(L, target->first, target->last,
				    target->family, values);
	while (!find_row(target, values, &row, &err))
		check_metric_room(L, target->set, &err);
	return row;
}

/* ---- set ---- */

/* The number of the state at 2. One that the family does not know, -1, shows as
 * no state at all: the world may invent states, and the others must not suffer
 * for it. */
static int check_state(lua_State *L, const struct family *family)
{
	size_t len;
	const char *name = lua_tolstring(L, 2, &len);

	if (!name)
		luaL_error(L, "%s: expected the name of a state, got %s",
			   name_of(family), luaL_typename(L, 2));
	return metadata_state(family_metadata(family), name, len);
}

static void check_meaning(lua_State *L, const struct family *family,
			  enum metric_type type, double value)
{
	if (type == METRIC_INFO && !(value >= 1 && value <= 1))
		luaL_error(L, "%s: the value of an info is always 1",
			   name_of(family));
	if (type == METRIC_COUNTER && !(value >= 0))
		luaL_error(L,
			   "%s: a counter counts from 0 on, and cannot be set "
			   "to %s",
			   name_of(family), push_number(L, value));
}

/* The number at 2, which becomes the value of a simple metric. */
static inline double check_setting(lua_State *L, const struct family *family)
{
	double value = check_metric_value(L, 2, family);
	enum metric_type type = family_metadata(family)->type;

	if (type != METRIC_GAUGE)
		check_meaning(L, family, type, value);
	return value;
}

/* Sets what is at 2, of any kind, with the table at MORE, if that is not 0. */
__attribute__((cold, noinline)) static int set_any(
	lua_State *L, const struct metric_target *target, int more)
{
	struct family *family = target->family;
	enum metric_type type = family_metadata(family)->type;
	unsigned part = check_metric_part(L, target->set, family);
	double numbers[METRIC_NUMBERS_MAX], now = now_of(L, family);
	struct metric_times times = { 0, 0 };
	uint32_t row;
	int state = 0;

	if (type == METRIC_STATESET)
		state = check_state(L, family);
	else if (metric_is_distribution(type))
		check_metric_numbers(L, 2, family, numbers);
	else
		numbers[0] = check_setting(L, family);
	if (more)
		times = check_metric_times(L, more, family);
	row = check_row(L, target);
	if (type == METRIC_STATESET)
		family_set_state(family, row, part, state, now);
	else if (metric_is_distribution(type))
		family_set_numbers(family, row, part, numbers, now);
	else
		family_set(family, row, part, numbers[0], now);
	if (more)
		family_set_times(family, row, times.created, times.time);
	if (type != METRIC_STATESET)
		return 0;
	lua_pushboolean(L, state >= 0);
	return 1;
}

int metric_set_value(lua_State *L, const struct metric_target *target, int more)
{
	struct family *family = target->family;
	double value;
	uint32_t row;

	if (more || !(SIMPLE & 1u << family_metadata(family)->type))
		return set_any(L, target, more);
	value = check_setting(L, family);
	row = check_row(L, target);
	family_set(family, row, check_metric_part(L, target->set, family),
		   value, now_of(L, family));
	return 0;
}

/* ---- inc and observe ---- */

double check_metric_increment(lua_State *L, int arg,
			      const struct family *family)
{
	double by = check_metric_value(L, arg, family);

	if (family_metadata(family)->type == METRIC_COUNTER && !(by >= 0))
		luaL_error(L, "%s: a counter cannot %s by inc()",
			   name_of(family),
			   isnan(by) ? "become NaN" : "go down");
	return by;
}

/* The row, and the exemplar of VALUE that the table at MORE makes; NULL for
 * none. Nothing that may raise stands between this and what takes it. */
static uint32_t check_described(lua_State *L,
				const struct metric_target *target,
				double value, int more,
				struct exemplar **exemplar)
{
	struct family *family = target->family;
	struct err err;

	while (true) {
		uint32_t row = check_row(L, target);

		*exemplar = more ? check_metric_exemplar(L, more, family, value)
				 : NULL;
		if (family_has_room(family, row, *exemplar, &err))
			return row;
		exemplar_unref(*exemplar);
		check_metric_room(L, target->set, &err);
	}
}

/* With the labels of an exemplar in the table at MORE. */
static int inc_explained(lua_State *L, const struct metric_target *target,
			 double by, int more)
{
	struct family *family = target->family;
	struct exemplar *exemplar;
	uint32_t row;

	check_metric_part(L, target->set, family);
	row = check_described(L, target, by, more, &exemplar);
	family_inc(family, row, by);
	family_exemplify(family, row, by, exemplar);
	return 0;
}

int metric_inc(lua_State *L, const struct metric_target *target, double by,
	       int more)
{
	if (more)
		return inc_explained(L, target, by, more);
	check_metric_part(L, target->set, target->family);
	family_inc(target->family, check_row(L, target), by);
	return 0;
}

/* The number at 2. NaN would stay in the sum for good. */
static double check_observation(lua_State *L, const struct family *family)
{
	double value = check_metric_value(L, 2, family);

	if (isnan(value))
		luaL_error(L, "%s: cannot observe NaN", name_of(family));
	return value;
}

int metric_observe(lua_State *L, const struct metric_target *target, int more)
{
	struct family *family = target->family;
	double value = check_observation(L, family);
	unsigned part = check_metric_part(L, target->set, family);
	double now = now_of(L, family);
	struct exemplar *exemplar;
	uint32_t row = check_described(L, target, value, more, &exemplar);

	family_observe(family, row, part, value, now);
	if (exemplar)
		family_exemplify(family, row, value, exemplar);
	return 0;
}
