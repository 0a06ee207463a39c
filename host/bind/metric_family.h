/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families as scripts have them, m.NAME: userdata over core/registry.h, each
 * with a reference to the set that it belongs to (bind/metric_set.h). Part of
 * the module metric.
 */
#ifndef BIND_METRIC_FAMILY_H
#define BIND_METRIC_FAMILY_H

#include <lua.h>
#include <stdbool.h>

#include "bind/metric_set.h"

/* The metatable. Leaves nothing on the stack. */
void metric_family_class(lua_State *L);

void push_metric_family(lua_State *L, struct metric_set *set,
			struct family *family);

bool metric_is_family(lua_State *L, int index);

/* The family at INDEX and its set, both borrowed. Raises when it is none, or
 * belongs to a probe that is over. */
struct metric_set *check_metric_family(lua_State *L, int index,
				       struct family **family);

#endif
