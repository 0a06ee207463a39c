/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: names to addresses, on bind/resolver.h. Owns nothing. */
#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/resolver.h"
#include "net/address.h"

int luaopen_resolve(lua_State *L);

enum { LOOKUP_AT = 3 };

#define TIMEOUT 5.0

static int k_lookup(lua_State *L, int status, lua_KContext ctx)
{
	const struct lookup *lookup = lua_touserdata(L, LOOKUP_AT);
	const struct resolve *resolve = &lookup->resolve;
	char text[ADDRESS_TEXT_MAX];

	(void)status;
	(void)ctx;
	if (!resolve->ok)
		return push_failure(L, &resolve->err);
	lua_createtable(L, (int)resolve->n, 0);
	for (size_t i = 0; i < resolve->n; i++) {
		address_host_text(&resolve->addresses[i].any, text);
		lua_pushstring(L, text);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_pushnumber(L, resolve->ttl);
	return 2;
}

/* resolve.lookup(name [, options]) -> addresses, seconds | nil, message */
static int l_resolve_lookup(lua_State *L)
{
	static const char *const known[] = { "family", "max_age", "timeout",
					     NULL };
	struct lookup *lookup;

	luaL_checktype(L, 1, LUA_TSTRING);
	check_options(L, 2, known);
	lua_settop(L, LOOKUP_AT - 1);
	lookup = push_lookup(L, 1, opt_family(L, 2),
			     opt_seconds(L, 2, "max_age", -1),
			     opt_seconds(L, 2, "timeout", TIMEOUT));
	return task_await(L, &lookup->op, 0, k_lookup);
}

static const luaL_Reg module[] = {
	{ "lookup", l_resolve_lookup },
	{ NULL, NULL },
};

int luaopen_resolve(lua_State *L)
{
	luaL_newlib(L, module);
	return 1;
}
