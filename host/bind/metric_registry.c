/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry is a userdata with a set of its own (bind/metric_set.h). Its user
 * value is a table of what it shows: families of that set, and guests, which
 * are families of other registries. The set lives as long as a family of it is
 * kept. What is rendered is one page of the own families and one for each
 * guest, merged as for a scrape (core/exposition.h).
 */
#include "bind/metric_registry.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/metric_declare.h"
#include "bind/metric_family.h"
#include "bind/metric_form.h"
#include "bind/metric_registry_options.h"
#include "bind/metric_room.h"
#include "bind/metric_verb.h"
#include "core/exposition.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "net/loop.h"
#include "vm/state.h"

#define CLASS "lunex.registry"
#define CLASS_ACCOUNT "lunex.account"
#define CLASS_RENDERING "lunex.rendering"

enum { NAMES_SHOWN = 64 };

/* A text under way, with the block at hand. */
struct rendering {
	struct exposition *exposition;
	struct bytes *block;
};

struct guest {
	struct metric_set *set;
	struct family *family;
};

struct registry_object {
	struct metric_set *set;
	unsigned nguests;
	struct guest guests[];
};

static struct registry_object *check_registry(lua_State *L)
{
	struct registry_object *object = luaL_testudata(L, 1, CLASS);

	if (!object)
		luaL_error(L, "expected a registry as the first argument "
			      "(registry:render() with a colon)");
	if (!object->set) /* finalizers come in any order */
		luaL_error(L, "the registry was collected already");
	return object;
}

/* ---- the account of a state ---- */

static int l_account_gc(lua_State *L)
{
	struct metric_account **object = lua_touserdata(L, 1);

	metric_account_unref(*object);
	*object = NULL;
	return 0;
}

static struct metric_account *account_of(lua_State *L)
{
	static const luaL_Reg methods[] = { { NULL, NULL } };
	static const luaL_Reg metas[] = { { "__gc", l_account_gc },
					  { NULL, NULL } };
	static const char key;
	struct metric_account **object;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
		bind_class(L, CLASS_ACCOUNT, methods, metas);
		object = push_object(L, sizeof *object, CLASS_ACCOUNT, 0);
		*object = metric_account_new();
		(*object)->limit.max = vm_limits(vm_of(L))->series;
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
		lua_remove(L, -2);
	}
	object = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return *object;
}

void metric_registry_limit(lua_State *L, size_t series_max)
{
	account_of(L)->limit.max = series_max;
}

void metric_registry_each(lua_State *L,
			  void (*visit)(void *arg, const char *where,
					struct registry *registry),
			  void *arg)
{
	const struct metric_account *account = account_of(L);
	const struct metric_set *set;

	lua_gc(L, LUA_GCCOLLECT, 0);
	set = LIST_FIRST(&account->sets);
	for (; set; set = LIST_NEXT(set, link))
		if (set->where)
			visit(arg, set->where, set->registry);
}

void metric_registry_forget(lua_State *L)
{
	struct metric_set *set = LIST_FIRST(&account_of(L)->sets);

	for (; set; set = LIST_NEXT(set, link)) {
		free(set->where);
		set->where = NULL;
	}
}

/* ---- making a registry ---- */

/* Its object on the stack, without families. */
static struct registry_object *push_registry(lua_State *L, unsigned guests)
{
	struct label_pair labels[LABELS_MAX];
	struct registry_options options = { .labels = labels };
	struct registry_object *object;

	options.nlabels = check_registry_labels(L, labels);
	luaL_where(L, 1);
	object = push_object(L,
			     sizeof *object + guests * sizeof object->guests[0],
			     CLASS, 1);
	object->set =
		metric_set_own(&options, account_of(L), lua_tostring(L, -2));
	lua_remove(L, -2);
	return object;
}

/* The family of the declaration on top of the stack and the name below it. */
static struct family *add_family(lua_State *L, const struct metric_set *set)
{
	const char *name = lua_tostring(L, -2);
	struct family *family;
	struct err err;

	family = metric_add_family(L, name, set->registry, &err);
	if (!family && metric_set_has_room(L, set, &err))
		family = metric_add_family(L, name, set->registry, &err);
	if (!family) {
		lua_pushfstring(L, "%s%s%s", push_metric_place(L), err.text,
				metric_limit_hint(L, set, &err));
		lua_error(L);
	}
	return family;
}

/* The name that the family of the key on top of the stack has. */
static void push_name(lua_State *L, const char *namespace)
{
	if (namespace)
		lua_pushfstring(L, "%s_%s", namespace, lua_tostring(L, -1));
	else
		lua_pushvalue(L, -1);
}

/* Families of every declaration, into the table at FIELDS. */
static void add_own(lua_State *L, const struct registry_object *object,
		    int fields)
{
	const char *namespace = check_registry_namespace(L);

	lua_pushnil(L);
	while (lua_next(L, 1)) { /* key declaration */
		if (metric_is_declaration(L, -1)) {
			lua_pushvalue(L, -2);
			push_name(L, namespace);
			lua_pushvalue(L, -3); /* key decl. key name decl. */
			push_metric_family(L, object->set,
					   add_family(L, object->set));
			lua_replace(L, -3);
			lua_pop(L, 1);
			lua_rawset(L, fields);
		}
		lua_pop(L, 1);
	}
}

static void check_apart(lua_State *L, const struct family *a,
			const struct family *b)
{
	struct err err;

	if (!metadata_apart(family_metadata(a), family_metadata(b), &err))
		luaL_error(L, "%s", err.text);
}

/* The family on top of the stack belongs to another registry. */
static void add_guest(lua_State *L, struct registry_object *object)
{
	struct registry *registry = object->set->registry;
	const char *const *name = registry_names(registry);
	struct family *family;
	struct metric_set *set = check_metric_family(L, -1, &family);

	for (; *name; name++)
		check_apart(L, registry_find(registry, *name), family);
	for (unsigned i = 0; i < object->nguests; i++)
		check_apart(L, object->guests[i].family, family);
	object->guests[object->nguests++] =
		(struct guest){ metric_set_ref(set), family };
}

static void add_guests(lua_State *L, struct registry_object *object, int fields)
{
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) { /* key value */
		if (!metric_is_family(L, -1))
			continue;
		add_guest(L, object);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, fields);
	}
}

int l_metric_registry(lua_State *L)
{
	struct registry_object *object;
	unsigned guests;

	guests = check_registry_options(L);
	object = push_registry(L, guests); /* options object */
	lua_newtable(L);		   /* options object fields */
	lua_pushvalue(L, 3);
	lua_setiuservalue(L, 2, 1);
	add_own(L, object, 3);
	add_guests(L, object, 3);
	lua_settop(L, 2);
	return 1;
}

/* ---- rendering ---- */

static void end_rendering(struct rendering *rendering)
{
	bytes_unref(rendering->block);
	exposition_unref(rendering->exposition);
	*rendering = (struct rendering){ 0 };
}

static int l_rendering_gc(lua_State *L)
{
	end_rendering(lua_touserdata(L, 1));
	return 0;
}

/* A guest shows what its own registry shows now. */
static struct page *page_of(const struct guest *guest, double now)
{
	struct page *page = registry_publish(guest->set->registry, now);
	struct page *picked =
		page_pick(page, family_metadata(guest->family)->name);

	page_unref(page);
	return picked;
}

static struct exposition *render(const struct registry_object *object,
				 struct form form, double now)
{
	size_t n = 1 + object->nguests;
	struct page **pages = mem_array(n, sizeof *pages);
	struct exposition *exposition;

	pages[0] = registry_publish(object->set->registry, now);
	for (size_t i = 1; i < n; i++)
		pages[i] = page_of(&object->guests[i - 1], now);
	exposition = exposition_new(pages, n, form, NULL);
	for (size_t i = 0; i < n; i++)
		page_unref(pages[i]);
	free(pages);
	return exposition;
}

/* Each push may raise, or run a finalizer that renders the same registry: so
 * what is under way is an object of its own. */
static void push_text(lua_State *L, const struct registry_object *object,
		      struct form form)
{
	struct rendering *rendering;
	size_t n;

	for (unsigned i = 0; i < object->nguests; i++)
		check_metric_set(L, object->guests[i].set);
	rendering = push_object(L, sizeof *rendering, CLASS_RENDERING, 0);
	rendering->exposition =
		render(object, form, loop_now(vm_loop(vm_of(L))));
	n = exposition_blocks(rendering->exposition);
	luaL_checkstack(L, (int)n + 1, "to render a registry");
	for (size_t i = 0; i < n; i++) {
		struct bytes *block = exposition_text(rendering->exposition, i);

		rendering->block = block;
		lua_pushlstring(L, block->data, block->len);
		rendering->block = NULL;
		bytes_unref(block);
	}
	lua_concat(L, (int)n);
	end_rendering(rendering);
	lua_remove(L, -2);
}

/* registry:render([format [, escaping]]) -> text, content type */
static int l_render(lua_State *L)
{
	struct registry_object *object = check_registry(L);
	struct form form = opt_metric_form(L, 2);

	push_text(L, object, form);
	push_metric_form_type(L, form);
	return 2;
}

/* ---- pushing: the work of the module push ---- */

static void push_function(lua_State *L, const char *name)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "push");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, name);
	lua_remove(L, -2);
}

static int k_done(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	return lua_gettop(L) - (int)ctx;
}

/* The form that the options at INDEX ask for; push.send() checks them. */
static struct form push_form(lua_State *L, int index)
{
	struct form form = form_plain;
	const char *name;

	if (lua_type(L, index) != LUA_TTABLE)
		return form;
	lua_pushliteral(L, "format");
	name = lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	if (strcmp(name, "protobuf") == 0)
		form.format = FORMAT_PROTOBUF;
	lua_pop(L, 1);
	return form;
}

/* registry:push(url, options) -> true | nil, message [, answer] */
static int l_push(lua_State *L)
{
	struct registry_object *object = check_registry(L);

	lua_settop(L, 3);
	push_function(L, "send");
	lua_pushvalue(L, 2);
	push_text(L, object, push_form(L, 3));
	lua_pushvalue(L, 3);
	lua_callk(L, 3, LUA_MULTRET, 3, k_done);
	return k_done(L, LUA_OK, 3);
}

/* registry:delete(url, options) -> true | nil, message [, answer] */
static int l_delete(lua_State *L)
{
	check_registry(L);
	lua_settop(L, 3);
	push_function(L, "delete");
	lua_pushvalue(L, 2);
	lua_pushvalue(L, 3);
	lua_callk(L, 2, LUA_MULTRET, 3, k_done);
	return k_done(L, LUA_OK, 3);
}

/* ---- fields ---- */

static void unknown_field(lua_State *L, int fields)
{
	const char *names[NAMES_SHOWN + 1] = { NULL }, *key, *near;
	int n = 0;

	key = luaL_tolstring(L, 2, NULL);
	lua_pushnil(L);
	while (n < NAMES_SHOWN && lua_next(L, fields)) {
		lua_pop(L, 1);
		names[n++] = lua_tostring(L, -1);
	}
	near = nearest(key, names);
	if (!near)
		near = nearest(key, registry_methods);
	luaL_error(L, "this registry has no metric '%s'%s%s%s", key,
		   near ? "; did you mean '" : "", near ? near : "",
		   near ? "'?" : "");
}

/* __index: (registry, key), upvalue: the methods */
static int l_index(lua_State *L)
{
	lua_settop(L, 2);
	lua_getiuservalue(L, 1, 1);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, 3) != LUA_TNIL)
		return 1;
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
		unknown_field(L, 3);
	return 1;
}

static int l_newindex(lua_State *L)
{
	return luaL_error(L,
			  "registry.%s = ...: a metric is changed with "
			  "registry.name:set(value)",
			  luaL_tolstring(L, 2, NULL));
}

static int l_gc(lua_State *L)
{
	struct registry_object *object = lua_touserdata(L, 1);

	while (object->nguests)
		metric_set_unref(object->guests[--object->nguests].set);
	metric_set_unref(object->set);
	object->set = NULL;
	return 0;
}

/* ---- tables ---- */

static const luaL_Reg methods[] = {
	{ "render", l_render },
	{ "push", l_push },
	{ "delete", l_delete },
	{ NULL, NULL },
};

static const luaL_Reg metas[] = {
	{ "__newindex", l_newindex },
	{ "__gc", l_gc },
	{ NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg rendering_metas[] = {
	{ "__gc", l_rendering_gc },
	{ NULL, NULL },
};

void metric_registry_class(lua_State *L)
{
	bind_class(L, CLASS_RENDERING, no_methods, rendering_metas);
	bind_class(L, CLASS, methods, metas);
	luaL_getmetatable(L, CLASS);
	lua_getfield(L, -1, "__index");
	lua_pushcclosure(L, l_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}
