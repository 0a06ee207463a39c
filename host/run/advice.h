/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trying a script's declaration without running it, for lunex check: what does
 * not go is an error, as it would be when it runs; the rest is advice.
 */
#ifndef RUN_ADVICE_H
#define RUN_ADVICE_H

#include <lua.h>
#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "run/declaration.h"
#include "run/lint.h"
#include "vm/state.h"

/* Zeroed: nothing to say. */
struct advice {
	struct lint promtool, further;
	struct lint registries; /* `family` is the place */
	struct err unasked; /* why a `metrics` function was not; "": it was */
	struct registry *registry; /* private; the script's `m` looks at it */
};

/*
 * Declares the metrics of DECLARATION, which is of VM, and those that the host
 * adds, in a registry of no further use, and collects the advice about them. A
 * `metrics` function is left out when something is missing in the
 * configuration. False and ERR; ADVICE is to be released all the same, when
 * Lua does not look at the metrics any more.
 */
bool advice_take(struct advice *advice, struct declaration *declaration,
		 struct vm *vm, struct err *err);
void advice_release(struct advice *advice);

/* Leaves a list of sentences on the stack, "file:line: ...": first those of
 * promtool, "file:line: metric text", about the page, then about the registries
 * that the script, in the state L, has made for itself, which are added to
 * ADVICE. Raises. */
void push_advice(lua_State *L, const struct declaration *declaration,
		 struct advice *advice);

#endif
