/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_family.h"

#include "bind/bind.h"
#include "bind/metric_arguments.h"
#include "bind/metric_child.h"
#include "bind/metric_verb.h"

#define CLASS "lunex.family"

static const char tag; /* see metric_tagged() */

struct family_object {
	const void *tag;
	struct metric_set *set;
	struct family *family;
};

static struct family_object *check_family_object(lua_State *L, int arg)
{
	struct family_object *object =
		metric_tagged(L, arg, sizeof *object, &tag);

	if (!object)
		luaL_error(L, "expected a metric as the first argument "
			      "(m.name:set(...) with a colon)");
	check_metric_set(L, object->set);
	return object;
}

/* The family at 1, with the labels that are the arguments from FIRST on. */
static struct metric_target check_target(lua_State *L, int first)
{
	const struct family_object *object = check_family_object(L, 1);

	return (struct metric_target){ .set = object->set,
				       .family = object->family,
				       .first = first,
				       .last = lua_gettop(L) };
}

/* How many arguments too many TARGET has for its labels. */
static int beyond_labels(const struct metric_target *target)
{
	return target->last - target->first + 1 -
	       (int)family_schema(target->family)->count;
}

/* Takes the last argument away from the labels where it is a table, or nil in
 * the place of one. The number of the table; 0: there is none. */
static int take_more(lua_State *L, struct metric_target *target)
{
	bool is_table = lua_istable(L, target->last);

	if (!is_table && !lua_isnil(L, target->last))
		return 0;
	target->last--;
	return is_table ? target->last + 1 : 0;
}

/* family:set(value, labels... [, times]) */
static int l_family_set(lua_State *L)
{
	struct metric_target target = check_target(L, 3);
	int more = 0;

	if (beyond_labels(&target) == 1)
		more = take_more(L, &target);
	return metric_set_value(L, &target, more);
}

/* family:inc([by,] labels... [, exemplar]) */
static int l_family_inc(lua_State *L)
{
	struct metric_target target = check_target(L, 2);
	int beyond = beyond_labels(&target), more = 0;
	double by = 1;

	check_metric_inc(L, target.family);
	/* one nil too many is a number that is missing, not an exemplar */
	if (beyond == 2 || (beyond > 0 && lua_istable(L, target.last)))
		more = take_more(L, &target);
	if (beyond_labels(&target) > 0)
		by = check_metric_increment(L, target.first++, target.family);
	return metric_inc(L, &target, by, more);
}

/* family:observe(value, labels... [, exemplar]) */
static int l_family_observe(lua_State *L)
{
	struct metric_target target = check_target(L, 3);
	int more = 0;

	check_metric_observe(L, target.family);
	if (beyond_labels(&target) == 1)
		more = take_more(L, &target);
	return metric_observe(L, &target, more);
}

/* family:remove(labels...) -> boolean */
static int l_family_remove(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct str values[LABELS_MAX];

	check_metric_labels(L, 2, lua_gettop(L), object->family, values);
	check_metric_part(L, object->set, object->family);
	lua_pushboolean(L, family_remove(object->family, values));
	return 1;
}

/* family:with(labels...) -> child */
static int l_family_with(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct str values[LABELS_MAX];

	check_metric_labels(L, 2, lua_gettop(L), object->family, values);
	push_metric_child(L, object->set, object->family, values);
	return 1;
}

static int l_family_tostring(lua_State *L)
{
	const struct family_object *object = check_family_object(L, 1);
	const struct metadata *m = family_metadata(object->family);

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

/* ---- for the other files of the module ---- */

void push_metric_family(lua_State *L, struct metric_set *set,
			struct family *family)
{
	struct family_object *object = push_object(L, sizeof *object, CLASS, 0);

	object->tag = &tag;
	object->family = family;
	object->set = metric_set_ref(set);
}

bool metric_is_family(lua_State *L, int index)
{
	return metric_tagged(L, index, sizeof(struct family_object), &tag);
}

struct metric_set *check_metric_family(lua_State *L, int index,
				       struct family **family)
{
	const struct family_object *object = check_family_object(L, index);

	*family = object->family;
	return object->set;
}

/* ---- tables ---- */

static const luaL_Reg methods[] = {
	{ "set", l_family_set },	 { "inc", l_family_inc },
	{ "observe", l_family_observe }, { "remove", l_family_remove },
	{ "with", l_family_with },	 { NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__gc", l_family_gc },
	{ "__tostring", l_family_tostring },
	{ NULL, NULL },
};

void metric_family_class(lua_State *L)
{
	bind_class(L, CLASS, methods, metas);
}
