/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context of a task (task_set_context): on whose account it works. Made by
 * the run layer, inherited by child tasks, looked at by modules.
 */
#ifndef BIND_SCOPE_H
#define BIND_SCOPE_H

#include <lua.h>

#include "core/trace.h"
#include "vm/task.h"

struct metric_set;

struct scope {
	unsigned part;	     /* of the collection, or REGISTRY_LIVE */
	struct trace *trace; /* borrowed; NULL: nobody reads it */
	/* Of a probe: the metrics that it may change; NULL: the exporter's. */
	const struct metric_set *set;
};

/* Of the running task; NULL where there is none. Never raises. */
static inline struct scope *scope_of(lua_State *L)
{
	struct task *task = task_current(L);

	return task ? task_context(task) : NULL;
}

static inline struct trace *scope_trace(lua_State *L)
{
	struct scope *scope = scope_of(L);

	return scope ? scope->trace : NULL;
}

#endif
