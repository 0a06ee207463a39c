/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module `names` of lunex-spec: lets a state ask a stand-in for the name
 * servers of this host.
 *
 *   names.use { resolv_conf = path, nsswitch = path, port = 5353,
 *               patience = 0.1 }
 *
 * What is kept is forgotten. Not while somebody waits for a name.
 */
#ifndef BIND_NAMES_H
#define BIND_NAMES_H

#include <lua.h>

int luaopen_names(lua_State *L);

#endif
