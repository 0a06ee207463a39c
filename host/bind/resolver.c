/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/resolver.h"

#include <stddef.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "vm/state.h"

#define RESOLVER "resolver"
#define LOOKUP "resolver.lookup"

static const char key;

static const luaL_Reg no_methods[] = { { NULL, NULL } };

/* ---- the resolver of a state ---- */

struct box {
	struct resolver *resolver; /* NULL: the state is being closed */
};

static int l_resolver_gc(lua_State *L)
{
	struct box *box = luaL_checkudata(L, 1, RESOLVER);

	resolver_free(box->resolver);
	box->resolver = NULL;
	return 0;
}

static struct box *make_box(lua_State *L)
{
	static const luaL_Reg metas[] = { { "__gc", l_resolver_gc },
					  { NULL, NULL } };
	struct box *box;

	bind_class(L, RESOLVER, no_methods, metas);
	box = push_object(L, sizeof *box, RESOLVER, 0);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
	box->resolver = resolver_new(vm_loop(vm_of(L)), vm_allow(vm_of(L)));
	return box;
}

struct resolver *resolver_of(lua_State *L)
{
	struct box *box;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
	box = lua_touserdata(L, -1);
	lua_pop(L, 1);
	if (!box) {
		box = make_box(L);
		lua_pop(L, 1);
	}
	if (!box->resolver)
		luaL_error(L, "no name is resolved while the state is closed");
	return box->resolver;
}

void resolver_drop(lua_State *L)
{
	struct box *box;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
	box = lua_touserdata(L, -1);
	lua_pop(L, 1);
	if (!box)
		return;
	resolver_free(box->resolver);
	box->resolver = NULL;
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

int opt_family(lua_State *L, int arg)
{
	switch (opt_integer(L, arg, "family", 0, 0, 6)) {
	case 0: return AF_UNSPEC;
	case 4: return AF_INET;
	case 6: return AF_INET6;
	default: return luaL_error(L, "option 'family': expected 4 or 6");
	}
}

/* ---- a wait for a name ---- */

static void end_lookup(struct lookup *lookup)
{
	timer_release(&lookup->timer);
	resolve_forget(lookup->resolver, &lookup->resolve);
}

static void on_cancel(struct op *op)
{
	end_lookup((struct lookup *)(void *)((char *)op -
					     offsetof(struct lookup, op)));
}

static void on_done(struct resolve *resolve)
{
	struct lookup *lookup =
		(struct lookup *)(void *)((char *)resolve -
					  offsetof(struct lookup, resolve));

	end_lookup(lookup);
	task_wake(&lookup->op);
}

static void on_timeout(struct timer *timer)
{
	struct lookup *lookup =
		(struct lookup *)(void *)((char *)timer -
					  offsetof(struct lookup, timer));

	resolve_expire(lookup->resolver, &lookup->resolve, lookup->seconds);
	end_lookup(lookup);
	task_wake(&lookup->op);
}

static int l_lookup_gc(lua_State *L)
{
	end_lookup(luaL_checkudata(L, 1, LOOKUP));
	return 0;
}

static void check_name(lua_State *L, int arg)
{
	size_t len;
	const char *name = luaL_checklstring(L, arg, &len);

	luaL_argcheck(L, strlen(name) == len, arg, "the name contains a NUL");
}

struct lookup *push_lookup(lua_State *L, int arg, int family, double max_age,
			   double seconds)
{
	static const luaL_Reg metas[] = { { "__gc", l_lookup_gc },
					  { NULL, NULL } };
	struct resolver *resolver;
	struct lookup *lookup;

	check_name(L, arg);
	task_check(L);
	resolver = resolver_of(L);
	bind_class(L, LOOKUP, no_methods, metas);
	lookup = push_object(L, sizeof *lookup, LOOKUP, 1);
	lua_pushvalue(L, arg);
	lua_setiuservalue(L, -2, 1);
	lookup->op.cancel = on_cancel;
	lookup->resolver = resolver;
	lookup->resolve.name = lua_tostring(L, arg);
	lookup->resolve.family = family;
	lookup->resolve.max_age = max_age;
	lookup->resolve.done = on_done;
	lookup->seconds = within_deadline(L, seconds);
	if (lookup->seconds >= 0) {
		timer_init(vm_loop(vm_of(L)), &lookup->timer, on_timeout);
		timer_start(&lookup->timer, lookup->seconds);
	}
	resolve_start(resolver, &lookup->resolve);
	return lookup;
}
