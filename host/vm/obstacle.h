/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a wait is not possible: which C function stands between the running
 * function and its task, in words for the author of a script.
 */
#ifndef VM_OBSTACLE_H
#define VM_OBSTACLE_H

#include <lua.h>

/* "inside table.sort", "at the top level of a module". The stack of L must be
 * empty; what is left on it is the caller's to throw away with an error. May
 * raise (memory). */
const char *obstacle_find(lua_State *L);

#endif
