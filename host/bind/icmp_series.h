/* SPDX-License-Identifier: Apache-2.0 */
/* The function of the module icmp that asks one host several times. */
#ifndef BIND_ICMP_SERIES_H
#define BIND_ICMP_SERIES_H

#include <lua.h>

/* icmp.series(host [, options]) -> series | nil, message, reason */
int l_icmp_series(lua_State *L);

/* Registers the classes of this file. */
void icmp_series_open(lua_State *L);

#endif
