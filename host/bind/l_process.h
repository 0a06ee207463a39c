/* SPDX-License-Identifier: Apache-2.0 */
/* What specs ask of the module `process`. */
#ifndef BIND_L_PROCESS_H
#define BIND_L_PROCESS_H

#include <lua.h>

/* Forgets the spawner of a state; the next command makes another one. What is
 * still running keeps it until it is over. */
void process_release(lua_State *L);

#endif
