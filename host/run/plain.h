/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain data of one Lua state for another one: strings, numbers, booleans and
 * tables of them, as bytes in between. Metatables are not looked at. A function
 * becomes one that raises; whatever else there is, is left out. Depth and size
 * have ceilings.
 */
#ifndef RUN_PLAIN_H
#define RUN_PLAIN_H

#include <lua.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

enum { PLAIN_DEPTH_MAX = 20, PLAIN_MAX = 1 << 20 /* bytes */ };

/* Adds the value at INDEX to OUT, whose ceiling is the size's. Never raises;
 * false and ERR when it is too deep or too large. */
bool plain_write(lua_State *L, int index, struct buf *out, struct err *err);

/* Leaves what was written on the stack; nil for nothing. May raise (memory). */
void push_plain(lua_State *L, struct str bytes);

#endif
