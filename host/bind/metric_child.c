/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_child.h"

#include "bind/bind.h"
#include "bind/metric_room.h"
#include "bind/metric_verb.h"

#define CLASS "lunex.child"

static const char tag; /* see metric_tagged() */

struct child_object {
	const void *tag;
	struct metric_set *set;
	struct child child;
};

/* The kept series at 1. */
static struct metric_target check_child(lua_State *L)
{
	struct child_object *object = metric_tagged(L, 1, sizeof *object, &tag);

	if (!object || !object->child.family)
		luaL_error(L, "expected a kept series as the first argument "
			      "(child:set(...) with a colon)");
	check_metric_set(L, object->set);
	return (struct metric_target){ .set = object->set,
				       .family = object->child.family,
				       .child = &object->child };
}

/* The number of the table that stands behind argument LAST; 0: there is none.
 */
static int check_behind(lua_State *L, int last, const struct family *family)
{
	int got = lua_gettop(L) - last;

	if (got > 1)
		luaL_error(L,
			   "%s: a kept series has its labels, got %d values "
			   "behind its value",
			   family_metadata(family)->name, got);
	return got == 1 && !lua_isnil(L, last + 1) ? last + 1 : 0;
}

/* child:set(value [, times]) */
static int l_child_set(lua_State *L)
{
	struct metric_target target = check_child(L);

	return metric_set_value(L, &target, check_behind(L, 2, target.family));
}

/* child:inc([by] [, exemplar]) */
static int l_child_inc(lua_State *L)
{
	struct metric_target target = check_child(L);
	int last = lua_gettop(L), behind = 1, more = 0;
	double by = 1;

	check_metric_inc(L, target.family);
	if (last > 1 && !(last == 2 && lua_istable(L, 2))) {
		by = check_metric_increment(L, 2, target.family);
		behind = 2;
	}
	if (last > behind)
		more = check_behind(L, behind, target.family);
	return metric_inc(L, &target, by, more);
}

/* child:observe(value [, exemplar]) */
static int l_child_observe(lua_State *L)
{
	struct metric_target target = check_child(L);

	check_metric_observe(L, target.family);
	return metric_observe(L, &target, check_behind(L, 2, target.family));
}

static int l_child_gc(lua_State *L)
{
	struct child_object *object = lua_touserdata(L, 1);

	child_release(&object->child);
	metric_set_unref(object->set);
	object->set = NULL;
	return 0;
}

void push_metric_child(lua_State *L, struct metric_set *set,
		       struct family *family, const struct str *values)
{
	struct child_object *object = push_object(L, sizeof *object, CLASS, 0);
	struct err err;

	object->tag = &tag;
	while (!child_init(&object->child, family, values, &err))
		check_metric_room(L, set, &err);
	object->set = metric_set_ref(set);
}

static const luaL_Reg methods[] = {
	{ "set", l_child_set },
	{ "inc", l_child_inc },
	{ "observe", l_child_observe },
	{ NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__gc", l_child_gc },
	{ NULL, NULL },
};

void metric_child_class(lua_State *L)
{
	bind_class(L, CLASS, methods, metas);
}
