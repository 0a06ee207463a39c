/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric.registry: families that a script makes, sets, renders and pushes by
 * itself, apart from those of the exporter. Part of the module metric.
 */
#ifndef BIND_METRIC_REGISTRY_H
#define BIND_METRIC_REGISTRY_H

#include <lua.h>
#include <stddef.h>

#include "core/registry.h"

/* The metatables. Leaves nothing on the stack. */
void metric_registry_class(lua_State *L);

/* metric.registry { namespace =, labels =, name = declaration or family, ... }
 */
int l_metric_registry(lua_State *L);

/* How many series all registries of the state may have together. May raise. */
void metric_registry_limit(lua_State *L, size_t series_max);

/* Calls VISIT, which leaves Lua alone, for each registry that scripts of the
 * state have made, the last first, with the place of that: "x.lua:5: ". One
 * that nobody can use any more is collected first, so that it does not depend
 * on when that happens. May raise before the first. */
void metric_registry_each(lua_State *L,
			  void (*visit)(void *arg, const char *where,
					struct registry *registry),
			  void *arg);

/* Leaves those out that are there by now. May raise. */
void metric_registry_forget(lua_State *L);

#endif
