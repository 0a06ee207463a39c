/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/metric_room.h"

#include <lauxlib.h>

#include "net/loop.h"
#include "vm/state.h"

/* Such registries may go without a page for long, or for ever. */
static void tidy(const struct metric_account *account, double now)
{
	const struct metric_set *set;

	LIST_FOREACH(set, &account->sets, link)
	registry_tidy(set->registry, now);
}

bool metric_set_has_room(lua_State *L, const struct metric_set *set,
			 const struct err *err)
{
	if (!set->account || err->code != ERR_LIMIT ||
	    !registry_is_full(set->registry))
		return false;
	lua_gc(L, LUA_GCCOLLECT, 0);
	tidy(set->account, loop_now(vm_loop(vm_of(L))));
	return !registry_is_full(set->registry);
}

const char *metric_limit_hint(lua_State *L, const struct metric_set *set,
			      const struct err *err)
{
	if (err->code != ERR_LIMIT || !registry_is_full(set->registry))
		return "";
	vm_limit_met(vm_of(L), VM_LIMIT_SERIES);
	return VM_LIMIT_HINT("series");
}

void check_metric_room(lua_State *L, const struct metric_set *set,
		       const struct err *err)
{
	if (!metric_set_has_room(L, set, err))
		luaL_error(L, "%s%s", err->text,
			   metric_limit_hint(L, set, err));
}
