/* SPDX-License-Identifier: Apache-2.0 */
/* The function of the module icmp that asks thousands of hosts at once. */
#ifndef BIND_ICMP_SWEEP_H
#define BIND_ICMP_SWEEP_H

#include <lua.h>

/* icmp.sweep(hosts [, options]) -> rtts, failures | nil, message, reason */
int l_icmp_sweep(lua_State *L);

/* Registers the classes of this file. */
void icmp_sweep_open(lua_State *L);

#endif
