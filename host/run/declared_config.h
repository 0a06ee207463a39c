/* SPDX-License-Identifier: Apache-2.0 */
/* The key `config` of a declaration: the check of its entries, and the strict
 * table of values that functions of the script see. */
#ifndef RUN_DECLARED_CONFIG_H
#define RUN_DECLARED_CONFIG_H

#include <lua.h>

#include "run/declaration.h"

/* Raises for what the `config` of the script at TABLE must not hold. */
void check_declared_config(lua_State *L, const struct declaration *d,
			   int table);

/*
 * Leaves the strict table of values: CONFIG's (NULL: none), under those of
 * OVERLAY (a profile; NULL: none), and the defaults for the rest. Raises for an
 * unknown key, a wrong type and a missing required value.
 */
void push_declared_config(lua_State *L, const struct declaration *d,
			  const struct config *config,
			  const struct config *overlay);

#endif
