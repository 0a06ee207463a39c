/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coroutine library that scripts see: Lua's own, but a wait of the host
 * inside a script's coroutine goes through resume and wrap to the scheduler,
 * and comes back the same way; all other yields are the script's.
 */
#ifndef VM_COROUTINE_H
#define VM_COROUTINE_H

#include <lua.h>

/* Replaces resume, wrap, close, status and yield in the library table on top
 * of L, which stays there. May raise. */
void coroutine_open(lua_State *L);

#endif
