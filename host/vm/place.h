/* SPDX-License-Identifier: Apache-2.0 */
/* Where a script is. For the other files of vm, and bindings. */
#ifndef VM_PLACE_H
#define VM_PLACE_H

#include <lua.h>
#include <stddef.h>

enum { PLACE_MAX = LUA_IDSIZE + 16 };

/*
 * "file:line: " of the innermost function of L that is a script's own and not
 * of a module inside the program, or "". L may be NULL. Allocates nothing and
 * does not raise, so an allocator may ask, for the state that runs.
 */
void place_find(lua_State *L, char buf[PLACE_MAX]);

#endif
