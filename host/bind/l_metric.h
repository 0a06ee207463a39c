/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the run layer needs of the metric module: to turn the declarations of a
 * script into families of its registry, and to tell on whose account a task
 * sets values.
 */
#ifndef BIND_L_METRIC_H
#define BIND_L_METRIC_H

#include <lua.h>
#include <stdbool.h>

#include "core/registry.h"

/* The context of a task (task_set_context) in which metrics may be changed. */
struct metric_scope {
	unsigned part; /* of the collection, or REGISTRY_LIVE */
};

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
