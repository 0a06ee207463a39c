/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/obstacle.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <lauxlib.h>

/* The name of the function on top of L as a script writes it ("table.sort"),
 * or NULL; it borrows the names from package.loaded. */
static const char *library_name(lua_State *L, int function)
{
	const char *name = NULL;

	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	for (lua_pushnil(L); !name && lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
			continue;
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
			if (lua_type(L, -2) != LUA_TSTRING ||
			    !lua_rawequal(L, -1, function))
				continue;
			name = lua_pushfstring(L, "%s.%s", lua_tostring(L, -4),
					       lua_tostring(L, -2));
			if (strncmp(name, "_G.", 3) == 0)
				name += 3;
			return name; /* the caller throws the stack away */
		}
	}
	return NULL;
}

static bool can_yield_through(const char *name)
{
	static const char *const names[] = { "pcall", "xpcall", "dofile" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Level 0 is the binding itself. */
const char *obstacle_find(lua_State *L)
{
	lua_Debug ar;
	const char *name;

	if (lua_gc(L, LUA_GCCOUNT) < 0) /* what Lua says while one runs */
		return "inside a finalizer";
	for (int level = 1; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "nSf", &ar);
		if (strcmp(ar.what, "C") != 0) {
			lua_pop(L, 1);
			continue;
		}
		name = library_name(L, lua_gettop(L));
		if (name && strcmp(name, "require") == 0)
			return "at the top level of a module";
		if (name && !can_yield_through(name))
			return lua_pushfstring(L, "inside %s", name);
		lua_settop(L, 0);
	}
	return "inside table.sort, a string.gsub callback, a metamethod called "
	       "from C, a <close> of a cancelled task, or at the top level of "
	       "a module";
}
