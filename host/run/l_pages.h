/* SPDX-License-Identifier: Apache-2.0 */
/* The module `pages`, which the push thread's Lua works with: the owner of its
 * state is a struct pusher. */
#ifndef RUN_L_PAGES_H
#define RUN_L_PAGES_H

#include <lua.h>

int luaopen_pages(lua_State *L);

#endif
