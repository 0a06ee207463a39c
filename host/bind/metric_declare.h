/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations of metrics: what metric.counter{...} and its sisters return. A
 * declaration is a checked copy of the script's options, which knows where it
 * was made; metric_add_family() makes the family of a registry from it.
 */
#ifndef BIND_METRIC_DECLARE_H
#define BIND_METRIC_DECLARE_H

#include <lua.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"

/* The metatable of declarations. Leaves nothing on the stack. */
void metric_declare_class(lua_State *L);

/* For functions of the module: the options are argument 1, a table or just the
 * help text. Leaves the declaration on the stack and returns 1. Raises with the
 * place of the caller. */
int metric_declare(lua_State *L, enum metric_type type);

bool metric_is_declaration(lua_State *L, int index);

/* Declares NAME in REGISTRY from the declaration on top of the stack. NULL and
 * ERR; raises when the script has changed the declaration. */
struct family *metric_add_family(lua_State *L, const char *name,
				 struct registry *registry, struct err *err);

/* "file:line: " of the declaration on top of the stack; pushed. */
const char *push_metric_place(lua_State *L);

#endif
