/* SPDX-License-Identifier: Apache-2.0 */
#include "names.h"

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/resolver.h"

/* names.use(options) */
static int l_use(lua_State *L)
{
	static const char *const known[] = { "nsswitch", "patience", "port",
					     "resolv_conf", NULL };
	struct resolver_options options = { 0 };

	check_options(L, 1, known);
	options.resolv_conf = opt_str(L, 1, "resolv_conf").data;
	options.nsswitch = opt_str(L, 1, "nsswitch").data;
	options.port = (unsigned)opt_integer(L, 1, "port", 0, 0, 65535);
	options.patience = opt_seconds(L, 1, "patience", 0);
	resolver_configure(resolver_of(L), &options);
	/* The texts are borrowed from the table. */
	lua_settop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, "names.options");
	return 0;
}

int luaopen_names(lua_State *L)
{
	static const luaL_Reg module[] = { { "use", l_use }, { NULL, NULL } };

	luaL_newlib(L, module);
	return 1;
}
