/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs Lua specs by lua/test.lua, in a state as exporters have one. For `lunex
 * test`, and for the runner of lunex' own specs, which adds to `host`.
 */
#ifndef RUN_SPECS_H
#define RUN_SPECS_H

#include <lua.h>
#include <stdbool.h>

#include "vm/state.h"

/* Preloads the modules that only specs have: `host` and `exporter`. May raise.
 */
void specs_open(lua_State *L);

/* Leaves the table on the stack that specs see as the module `host`: counters
 * of what a spec must not leave behind. May raise. */
void push_specs_host(lua_State *L);

/*
 * Runs FILES, NULL-terminated, and reports on standard error; true when all of
 * them passed. OPTIONS say how the state is made; its `loop` is ignored, its
 * `open` (NULL: our modules, and `host`) must preload `host`.
 */
bool specs_run(const struct vm_options *options, const char *const *files);

#endif
