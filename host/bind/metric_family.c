/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_family.h"

#include <math.h>

#include "bind/bind.h"
#include "bind/metric_arguments.h"
#include "bind/metric_mirror.h"
#include "bind/metric_room.h"
#include "bind/scope.h"
#include "net/loop.h"
#include "vm/state.h"

#define CLASS_FAMILY "lunex.family"
#define CLASS_CHILD "lunex.child"

/* Family and child methods are the hottest calls of a collection. A word that
 * only our userdata begins with is checked instead of the metatable. */
static const char family_tag, child_tag;

struct family_object {
	const void *tag;
	struct metric_set *set;
	struct family *family;
};

struct child_object {
	const void *tag;
	struct metric_set *set;
	struct child child;
};

static void *tagged(lua_State *L, int arg, size_t size, const void *tag)
{
	void *object = NULL;

	if (lua_type(L, arg) == LUA_TUSERDATA && lua_rawlen(L, arg) >= size)
		object = lua_touserdata(L, arg);
	return object && *(const void **)object == tag ? object : NULL;
}

__attribute__((cold, noinline)) static void closed_error(lua_State *L)
{
	luaL_error(L, "this metric belongs to a probe that is over");
}

static inline void check_open(lua_State *L, const struct metric_set *set)
{
	if (!set || !set->registry)
		closed_error(L);
}

void check_metric_set(lua_State *L, const struct metric_set *set)
{
	check_open(L, set);
}

static struct family_object *check_family_object(lua_State *L, int arg)
{
	struct family_object *object =
		tagged(L, arg, sizeof *object, &family_tag);

	if (!object)
		luaL_error(L, "expected a metric as the first argument "
			      "(m.name:set(...) with a colon)");
	check_open(L, object->set);
	return object;
}

static struct family *check_family(lua_State *L, int arg)
{
	return check_family_object(L, arg)->family;
}

static struct child_object *check_child(lua_State *L, int arg)
{
	struct child_object *object =
		tagged(L, arg, sizeof *object, &child_tag);

	if (!object || !object->child.family)
		luaL_error(L, "expected a kept series as the first argument "
			      "(child:set(...) with a colon)");
	check_open(L, object->set);
	return object;
}

static const char *name_of(const struct family *family)
{
	return family_metadata(family)->name;
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
static inline unsigned check_part(lua_State *L, const struct metric_set *set,
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

/* ---- rows ---- */

/* Of the labels that are arguments FIRST to LAST. */
static uint32_t check_row(lua_State *L, int first, int last,
			  const struct metric_set *set, struct family *family)
{
	struct str values[LABELS_MAX];
	struct err err;
	uint32_t row;

	check_metric_labels(L, first, last, family, values);
	if (!family_row(family, values, &row, &err) &&
	    (!metric_set_has_room(L, set, &err) ||
	     !family_row(family, values, &row, &err)))
		luaL_error(L, "%s%s", err.text,
			   metric_limit_hint(L, set, &err));
	return row;
}

static uint32_t check_child_row(lua_State *L, struct child_object *object)
{
	struct err err;
	uint32_t row;

	if (!child_row(&object->child, &row, &err) &&
	    (!metric_set_has_room(L, object->set, &err) ||
	     !child_row(&object->child, &row, &err)))
		luaL_error(L, "%s%s", err.text,
			   metric_limit_hint(L, object->set, &err));
	return row;
}

/* The row of a child, or else of the labels that are arguments FIRST to LAST of
 * a family. */
struct target {
	const struct metric_set *set;
	struct family *family;
	struct child_object *child; /* or NULL */
	int first, last;
};

static uint32_t check_target(lua_State *L, const struct target *target)
{
	return target->child ? check_child_row(L, target->child)
			     : check_row(L, target->first, target->last,
					 target->set, target->family);
}

static void check_type(lua_State *L, const struct family *family,
		       unsigned types, const char *verb)
{
	enum metric_type type = family_metadata(family)->type;

	if (!(types & 1u << type))
		luaL_error(L, "%s: a %s has no '%s'", name_of(family),
			   metric_type_name(type), verb);
}

enum {
	WITH_INC =
		1 << METRIC_COUNTER | 1 << METRIC_GAUGE | 1 << METRIC_UNKNOWN,
	WITH_OBSERVE = 1 << METRIC_HISTOGRAM | 1 << METRIC_GAUGEHISTOGRAM |
		       1 << METRIC_SUMMARY,
	SIMPLE = WITH_INC | 1 << METRIC_INFO, /* one number is all of it */
};

/* ---- verbs, for families and children alike ----
 *
 * A row is asked for behind everything that may make the collector run, such as
 * a number that becomes a string: then a finalizer of the script could publish,
 * and rows get other numbers.
 */

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
__attribute__((cold, noinline)) static int set_any(lua_State *L,
						   const struct target *target,
						   int more)
{
	struct family *family = target->family;
	enum metric_type type = family_metadata(family)->type;
	unsigned part = check_part(L, target->set, family);
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
	row = check_target(L, target);
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

static inline bool is_simple(const struct family *family)
{
	return SIMPLE & 1u << family_metadata(family)->type;
}

static double check_increment(lua_State *L, int arg,
			      const struct family *family)
{
	double by = check_metric_value(L, arg, family);

	if (family_metadata(family)->type == METRIC_COUNTER && !(by >= 0))
		luaL_error(L, "%s: a counter cannot %s by inc()",
			   name_of(family),
			   isnan(by) ? "become NaN" : "go down");
	return by;
}

/* With the labels of an exemplar in the table at MORE. */
static int inc_explained(lua_State *L, const struct target *target, double by,
			 int more)
{
	struct family *family = target->family;
	struct exemplar *exemplar;
	uint32_t row;

	check_part(L, target->set, family);
	row = check_target(L, target);
	exemplar = check_metric_exemplar(L, more, family, by);
	family_inc(family, row, by);
	family_exemplify(family, row, by, exemplar);
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

static int observe_row(lua_State *L, const struct target *target, double value,
		       int more)
{
	struct family *family = target->family;
	unsigned part = check_part(L, target->set, family);
	double now = now_of(L, family);
	uint32_t row = check_target(L, target);
	struct exemplar *exemplar =
		more ? check_metric_exemplar(L, more, family, value) : NULL;

	family_observe(family, row, part, value, now);
	if (exemplar)
		family_exemplify(family, row, value, exemplar);
	return 0;
}

/* Is argument ARG, which stands behind the labels, a table, or nil in the place
 * of one? MORE becomes its number where it is a table. */
static bool is_more(lua_State *L, int arg, int *more)
{
	if (lua_istable(L, arg))
		*more = arg;
	return *more || lua_isnil(L, arg);
}

/* ---- family ---- */

/* family:set(value, labels... [, times]) */
static int l_family_set(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	int last = lua_gettop(L), more = 0;
	int beyond = last - 2 - (int)family_schema(family)->count;
	struct target target;

	if (beyond == 0 && is_simple(family)) {
		double value = check_setting(L, family);
		uint32_t row = check_row(L, 3, last, object->set, family);

		family_set(family, row, check_part(L, object->set, family),
			   value, now_of(L, family));
		return 0;
	}
	if (beyond == 1 && is_more(L, last, &more))
		last--;
	target = (struct target){ object->set, family, NULL, 3, last };
	return set_any(L, &target, more);
}

/* As many arguments as BEYOND are more than the labels: a number, a table, or
 * both. */
__attribute__((noinline)) static int inc_more(
	lua_State *L, const struct family_object *object, int last, int beyond)
{
	struct target target = { object->set, object->family, NULL, 2, last };
	double by = 1;
	uint32_t row;
	int more = 0;

	/* one nil too many is a number that is missing, not an exemplar */
	if ((beyond == 2 || lua_istable(L, last)) && is_more(L, last, &more)) {
		target.last--;
		beyond--;
	}
	if (beyond > 0)
		by = check_increment(L, target.first++, target.family);
	if (more)
		return inc_explained(L, &target, by, more);
	check_part(L, target.set, target.family);
	row = check_target(L, &target);
	family_inc(target.family, row, by);
	return 0;
}

/* family:inc([by,] labels... [, exemplar]) */
static int l_family_inc(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	int last = lua_gettop(L);
	int beyond = last - 1 - (int)family_schema(family)->count;

	check_type(L, family, WITH_INC, "inc");
	if (beyond > 0)
		return inc_more(L, object, last, beyond);
	check_part(L, object->set, family);
	family_inc(family, check_row(L, 2, last, object->set, family), 1);
	return 0;
}

/* family:observe(value, labels... [, exemplar]) */
static int l_family_observe(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	int last = lua_gettop(L), more = 0;
	int beyond = last - 2 - (int)family_schema(family)->count;
	struct target target = { object->set, family, NULL, 3, last };

	check_type(L, family, WITH_OBSERVE, "observe");
	if (beyond == 1 && is_more(L, last, &more))
		target.last--;
	return observe_row(L, &target, check_observation(L, family), more);
}

/* family:remove(labels...) -> boolean */
static int l_family_remove(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct str values[LABELS_MAX];

	check_metric_labels(L, 2, lua_gettop(L), object->family, values);
	check_part(L, object->set, object->family);
	lua_pushboolean(L, family_remove(object->family, values));
	return 1;
}

/* family:with(labels...) -> child */
static int l_family_with(lua_State *L)
{
	struct family_object *parent = check_family_object(L, 1);
	struct str values[LABELS_MAX];
	struct child_object *object;
	struct err err;

	check_metric_labels(L, 2, lua_gettop(L), parent->family, values);
	object = push_object(L, sizeof *object, CLASS_CHILD, 0);
	object->tag = &child_tag;
	if (!child_init(&object->child, parent->family, values, &err) &&
	    (!metric_set_has_room(L, parent->set, &err) ||
	     !child_init(&object->child, parent->family, values, &err)))
		luaL_error(L, "%s%s", err.text,
			   metric_limit_hint(L, parent->set, &err));
	object->set = metric_set_ref(parent->set);
	return 1;
}

static int l_family_tostring(lua_State *L)
{
	const struct metadata *m = family_metadata(check_family(L, 1));

	lua_pushfstring(L, "%s (%s)", m->name, metric_type_name(m->type));
	return 1;
}

static int l_family_gc(lua_State *L)
{
	struct family_object *object = lua_touserdata(L, 1);

	metric_set_unref(object->set);
	object->set = NULL;
	return 0;
}

/* ---- child ---- */

/* The number of the table that stands behind argument LAST; 0: there is none.
 */
static int check_behind(lua_State *L, int last, const struct family *family)
{
	int got = lua_gettop(L) - last;

	if (got > 1)
		luaL_error(L,
			   "%s: a kept series has its labels, got %d values "
			   "behind its value",
			   name_of(family), got);
	return got == 1 && !lua_isnil(L, last + 1) ? last + 1 : 0;
}

/* child:set(value [, times]) */
static int l_child_set(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct family *family = object->child.family;
	struct target target;

	if (lua_gettop(L) == 2 && is_simple(family)) {
		double value = check_setting(L, family);
		uint32_t row = check_child_row(L, object);

		family_set(family, row, check_part(L, object->set, family),
			   value, now_of(L, family));
		return 0;
	}
	target = (struct target){ object->set, family, object, 0, 0 };
	return set_any(L, &target, check_behind(L, 2, family));
}

/* child:inc([by] [, exemplar]) */
static int l_child_inc(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct family *family = object->child.family;
	int last = lua_gettop(L), more = 0;
	bool given = last > 1 && !(last == 2 && lua_istable(L, 2));
	struct target target;
	double by = 1;

	check_type(L, family, WITH_INC, "inc");
	if (given)
		by = check_increment(L, 2, family);
	if (last > (given ? 2 : 1))
		more = check_behind(L, given ? 2 : 1, family);
	if (more) {
		target = (struct target){ object->set, family, object, 0, 0 };
		return inc_explained(L, &target, by, more);
	}
	check_part(L, object->set, family);
	family_inc(family, check_child_row(L, object), by);
	return 0;
}

/* child:observe(value [, exemplar]) */
static int l_child_observe(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct family *family = object->child.family;
	struct target target = { object->set, family, object, 0, 0 };

	check_type(L, family, WITH_OBSERVE, "observe");
	return observe_row(L, &target, check_observation(L, family),
			   check_behind(L, 2, family));
}

static int l_child_gc(lua_State *L)
{
	struct child_object *object = lua_touserdata(L, 1);

	child_release(&object->child);
	metric_set_unref(object->set);
	object->set = NULL;
	return 0;
}

/* ---- for the other files of the module ---- */

void push_metric_family(lua_State *L, struct metric_set *set,
			struct family *family)
{
	struct family_object *object =
		push_object(L, sizeof *object, CLASS_FAMILY, 0);

	object->tag = &family_tag;
	object->family = family;
	object->set = metric_set_ref(set);
}

bool metric_is_family(lua_State *L, int index)
{
	return tagged(L, index, sizeof(struct family_object), &family_tag);
}

struct metric_set *check_metric_family(lua_State *L, int index,
				       struct family **family)
{
	const struct family_object *object = check_family_object(L, index);

	*family = object->family;
	return object->set;
}

/* ---- tables ---- */

static const luaL_Reg family_methods[] = {
	{ "set", l_family_set },	 { "inc", l_family_inc },
	{ "observe", l_family_observe }, { "remove", l_family_remove },
	{ "with", l_family_with },	 { NULL, NULL },
};

static const luaL_Reg family_metas[] = {
	{ "__gc", l_family_gc },
	{ "__tostring", l_family_tostring },
	{ NULL, NULL },
};

static const luaL_Reg child_methods[] = {
	{ "set", l_child_set },
	{ "inc", l_child_inc },
	{ "observe", l_child_observe },
	{ NULL, NULL },
};

static const luaL_Reg child_metas[] = {
	{ "__gc", l_child_gc },
	{ NULL, NULL },
};

void metric_family_classes(lua_State *L)
{
	bind_class(L, CLASS_FAMILY, family_methods, family_metas);
	bind_class(L, CLASS_CHILD, child_methods, child_metas);
}
