/* SPDX-License-Identifier: Apache-2.0 */
/* The module `remote_write` of the push thread: pages into requests, and the
 * queue of those. Scripts do not have it. */
#ifndef RUN_L_REMOTE_WRITE_H
#define RUN_L_REMOTE_WRITE_H

#include <lua.h>

int luaopen_remote_write(lua_State *L);

#endif
