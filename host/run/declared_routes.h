/* SPDX-License-Identifier: Apache-2.0 */
/* The key `routes` of a declaration. */
#ifndef RUN_DECLARED_ROUTES_H
#define RUN_DECLARED_ROUTES_H

#include <lua.h>
#include <stdbool.h>

#include "run/declaration.h"

/* Fills d->routes from the script's table at TABLE. Raises for a key that is no
 * method and path, for two that mean the same, and for a path of the host. */
void read_declared_routes(lua_State *L, struct declaration *d, int table);

/* Could one request be meant for both? The second of two exporters is then
 * refused. */
bool declared_routes_meet(const struct declared_route *a,
			  const struct declared_route *b);

#endif
