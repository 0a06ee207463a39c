/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument of metric.registry: a table of options, declarations and
 * families of other registries, always at 1 of the stack.
 */
#ifndef BIND_METRIC_REGISTRY_OPTIONS_H
#define BIND_METRIC_REGISTRY_OPTIONS_H

#include <lua.h>

#include "core/label.h"

/* What a registry has besides metrics; NULL-terminated. */
extern const char *const registry_methods[];

/* Makes a copy of it, the only thing on the stack, and checks what is in it.
 * The number of families of others. */
unsigned check_registry_options(lua_State *L);

/* The option `labels` into PAIRS, which has room for LABELS_MAX, by name.
 * Borrowed from the table. */
unsigned check_registry_labels(lua_State *L, struct label_pair *pairs);

/* The option `namespace`; NULL: there is none. Borrowed from the table. */
const char *check_registry_namespace(lua_State *L);

#endif
