/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_family.h"

#include <string.h>

#include "bind/bind.h"
#include "bind/scope.h"
#include "core/number.h"
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

/* ---- arguments ---- */

static double check_value(lua_State *L, int arg, const struct family *family)
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

/* The label values from FIRST to the top of the stack. */
static void check_labels(lua_State *L, int first, const struct family *family,
			 struct str *values)
{
	int got = lua_gettop(L) - first + 1;
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

bool metric_set_has_room(lua_State *L, const struct metric_set *set,
			 const struct err *err)
{
	const struct metric_account *account = set->account;

	if (!account || err->code != ERR_LIMIT ||
	    account->limit.used < account->limit.max)
		return false;
	lua_gc(L, LUA_GCCOLLECT, 0);
	return account->limit.used < account->limit.max;
}

const char *metric_limit_hint(lua_State *L, const struct metric_set *set,
			      const struct err *err)
{
	if (err->code != ERR_LIMIT || !registry_is_full(set->registry))
		return "";
	vm_limit_met(vm_of(L), VM_LIMIT_SERIES);
	return VM_LIMIT_HINT("series");
}

static uint32_t check_row(lua_State *L, int first, const struct metric_set *set,
			  struct family *family)
{
	struct str values[LABELS_MAX];
	struct err err;
	uint32_t row;

	check_labels(L, first, family, values);
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
	WITH_SET = WITH_INC | 1 << METRIC_INFO | 1 << METRIC_STATESET,
	WITH_OBSERVE = 1 << METRIC_HISTOGRAM | 1 << METRIC_SUMMARY,
};

/* ---- verbs, for families and children alike ---- */

/* The number of the state at 2. One that the family does not know, -1, shows as
 * no state at all: the world may invent states, and the others must not suffer
 * for it. A row is asked for behind it: a number that becomes a string may make
 * the collector run, and a finalizer of the script publish. */
static int check_state(lua_State *L, const struct family *family)
{
	size_t len;
	const char *name = lua_tolstring(L, 2, &len);

	if (!name)
		luaL_error(L, "%s: expected the name of a state, got %s",
			   name_of(family), luaL_typename(L, 2));
	return metadata_state(family_metadata(family), name, len);
}

static int set_state(lua_State *L, const struct metric_set *set,
		     struct family *family, uint32_t row, int state)
{
	family_set_state(family, row, check_part(L, set, family), state,
			 now_of(L, family));
	lua_pushboolean(L, state >= 0);
	return 1;
}

static int set_row(lua_State *L, const struct metric_set *set,
		   struct family *family, uint32_t row, double value)
{
	enum metric_type type = family_metadata(family)->type;

	if (type == METRIC_INFO && !(value >= 1 && value <= 1))
		luaL_error(L, "%s: the value of an info is always 1",
			   name_of(family));
	family_set(family, row, check_part(L, set, family), value,
		   now_of(L, family));
	return 0;
}

static int inc_row(lua_State *L, const struct metric_set *set,
		   struct family *family, uint32_t row, double by)
{
	check_part(L, set, family);
	if (family_metadata(family)->type == METRIC_COUNTER && !(by >= 0))
		luaL_error(L, "%s: a counter cannot go down by inc()",
			   name_of(family));
	family_inc(family, row, by);
	return 0;
}

/* ---- family ---- */

/* family:set(value, labels...) */
static int l_family_set(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	enum metric_type type = family_metadata(family)->type;
	double value;

	check_type(L, family, WITH_SET, "set");
	if (type == METRIC_STATESET) {
		int state = check_state(L, family);

		return set_state(L, object->set, family,
				 check_row(L, 3, object->set, family), state);
	}
	value = check_value(L, 2, family);
	return set_row(L, object->set, family,
		       check_row(L, 3, object->set, family), value);
}

/* family:inc([by,] labels...) */
static int l_family_inc(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	int labels = (int)family_schema(family)->count;
	bool given = lua_gettop(L) - 1 > labels;
	double by;

	check_type(L, family, WITH_INC, "inc");
	by = given ? check_value(L, 2, family) : 1;
	return inc_row(L, object->set, family,
		       check_row(L, given ? 3 : 2, object->set, family), by);
}

/* family:observe(value, labels...) */
static int l_family_observe(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct family *family = object->family;
	double value;
	unsigned part;
	uint32_t row;

	check_type(L, family, WITH_OBSERVE, "observe");
	value = check_value(L, 2, family);
	part = check_part(L, object->set, family);
	row = check_row(L, 3, object->set, family);
	family_observe(family, row, part, value, now_of(L, family));
	return 0;
}

/* family:remove(labels...) -> boolean */
static int l_family_remove(lua_State *L)
{
	struct family_object *object = check_family_object(L, 1);
	struct str values[LABELS_MAX];

	check_labels(L, 2, object->family, values);
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

	check_labels(L, 2, parent->family, values);
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

/* child:set(value) */
static int l_child_set(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct child *child = &object->child;
	struct family *family = child->family;
	double value;

	check_type(L, family, WITH_SET, "set");
	if (family_metadata(family)->type == METRIC_STATESET) {
		int state = check_state(L, family);

		return set_state(L, object->set, family,
				 check_child_row(L, object), state);
	}
	value = check_value(L, 2, family);
	return set_row(L, object->set, family, check_child_row(L, object),
		       value);
}

/* child:inc([by]) */
static int l_child_inc(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct child *child = &object->child;
	double by;

	check_type(L, child->family, WITH_INC, "inc");
	by = lua_isnone(L, 2) ? 1 : check_value(L, 2, child->family);
	return inc_row(L, object->set, child->family,
		       check_child_row(L, object), by);
}

/* child:observe(value) */
static int l_child_observe(lua_State *L)
{
	struct child_object *object = check_child(L, 1);
	struct child *child = &object->child;
	double value;
	unsigned part;
	uint32_t row;

	check_type(L, child->family, WITH_OBSERVE, "observe");
	value = check_value(L, 2, child->family);
	part = check_part(L, object->set, child->family);
	row = check_child_row(L, object);
	family_observe(child->family, row, part, value,
		       now_of(L, child->family));
	return 0;
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
