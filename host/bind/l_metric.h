/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the run layer needs of the metric module: to turn the declarations of a
 * script into families of its registry.
 */
#ifndef BIND_L_METRIC_H
#define BIND_L_METRIC_H

#include <lua.h>
#include <stdbool.h>

#include "bind/metric_set.h"

int luaopen_metric(lua_State *L);

/*
 * Declares every family of the table at INDEX (name = metric.counter{...}, and
 * nothing else) in the registry of SET and leaves a strict table of them, `m`,
 * which takes references to SET. Raises a sentence with the file and line of
 * the declaration. The registry must live until the state is closed or the set
 * is. AGES learns whether time alone may change what a family shows: by a ttl,
 * or the window of quantiles.
 */
void push_metrics(lua_State *L, int index, struct metric_set *set, bool *ages);

#endif
