/* SPDX-License-Identifier: Apache-2.0 */
/* Trying a script's declaration without running it, for lunex check. */
#ifndef RUN_ADVICE_H
#define RUN_ADVICE_H

#include <lua.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "run/declaration.h"
#include "vm/state.h"

/*
 * Declares the metrics of DECLARATION, which is of VM, in a registry of no
 * further use, REGISTRY; NULL when a `metrics` function cannot be asked because
 * something is missing in the configuration. False and ERR.
 */
bool advice_register(struct declaration *declaration, struct vm *vm,
		     struct registry **registry, struct err *err);

/* Leaves a list of advice, "file:line: ...", on the stack. REGISTRY may be
 * NULL. Raises. */
void push_advice(lua_State *L, const struct declaration *declaration,
		 struct registry *registry);

#endif
