/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.registry: families that a script makes, sets, renders and pushes by
 * itself, apart from those of the exporter. Part of the module metric.
 */
#ifndef BIND_METRIC_REGISTRY_H
#define BIND_METRIC_REGISTRY_H

#include <lua.h>
#include <stddef.h>

/* The metatables. Leaves nothing on the stack. */
void metric_registry_class(lua_State *L);

/* metric.registry { namespace =, labels =, name = declaration or family, ... }
 */
int l_metric_registry(lua_State *L);

/* How many series all registries of the state may have together. May raise. */
void metric_registry_limit(lua_State *L, size_t series_max);

#endif
