/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept series as scripts have them, family:with(labels...): userdata over
 * struct child of core/registry.h, each with a reference to the set that it
 * belongs to (bind/metric_set.h). Part of the module metric.
 */
#ifndef BIND_METRIC_CHILD_H
#define BIND_METRIC_CHILD_H

#include <lua.h>

#include "bind/metric_set.h"

/* The metatable. Leaves nothing on the stack. */
void metric_child_class(lua_State *L);

/* The series of FAMILY, which is one of SET's, with VALUES for its labels.
 * Raises also when there is no room for it. */
void push_metric_child(lua_State *L, struct metric_set *set,
		       struct family *family, const struct str *values);

#endif
