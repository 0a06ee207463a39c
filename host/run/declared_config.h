/* SPDX-License-Identifier: Apache-2.0 */
/* The key `config` of a declaration: the check of its entries, and the strict
 * table of values that functions of the script see. */
#ifndef RUN_DECLARED_CONFIG_H
#define RUN_DECLARED_CONFIG_H

#include <lua.h>

#include "run/config.h"
#include "run/declaration.h"
#include "run/exporter.h"
#include "run/secrets.h"

/* Raises for what the `config` of the script at TABLE must not hold. */
void check_declared_config(lua_State *L, const struct declaration *d,
			   int table);

/* Leaves the strict table of values: CONFIG's (NULL: none), then the defaults.
 * Raises for an unknown key and a missing required value. */
void push_declared_config(lua_State *L, const struct declaration *d,
			  const struct config *config);

/* The same for a probe, with the values of PROFILE (NULL: none) over them. The
 * target is whatever somebody asked for: of the secrets it is given those of
 * the profile alone, never CONFIG's. */
void push_probe_config(lua_State *L, const struct declaration *d,
		       const struct config *config,
		       const struct exporter_profile *profile);

/* Adds the texts that are declared as secret of the table at VALUES. */
void read_declared_secrets(lua_State *L, const struct declaration *d,
			   int values, struct secrets *secrets);

#endif
