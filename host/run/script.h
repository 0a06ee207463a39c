/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script in a state of its own. One that declares `sandbox = true` was in
 * none while it said so: it is loaded once more, in a sandbox of its own
 * making, and what it did before is gone with the first state.
 */
#ifndef RUN_SCRIPT_H
#define RUN_SCRIPT_H

#include "core/err.h"
#include "run/declaration.h"
#include "vm/state.h"

/* The state, and in DECLARATION what the script at PATH declares. NULL and ERR;
 * then DECLARATION is NULL, too. */
struct vm *script_load(const struct vm_options *options, const char *path,
		       struct declaration **declaration, struct err *err);

#endif
