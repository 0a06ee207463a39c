/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the run layer needs of the metric module: to turn the declarations of a
 * script into families of its registry.
 */
#ifndef BIND_L_METRIC_H
#define BIND_L_METRIC_H

#include <lua.h>
#include <stdbool.h>

#include "core/registry.h"

int luaopen_metric(lua_State *L);

/*
 * Declares every family of the table at INDEX (name = metric.counter{...}, and
 * nothing else)
 * in REGISTRY and leaves a strict table of them, `m`. Raises a sentence with
 * the file and line of the declaration. REGISTRY must outlive the state. TTL
 * learns whether any family has a ttl.
 */
void push_metrics(lua_State *L, int index, struct registry *registry,
		  bool *ttl);

#endif
