/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The long-running task of a script, its `start`: begun, and begun again when
 * it fails, after longer and longer waits unless it had run well for long. In
 * the exporter's thread.
 */
#ifndef RUN_STARTER_H
#define RUN_STARTER_H

#include "core/err.h"
#include "run/declaration.h"
#include "vm/state.h"

struct starter;

struct starter_options {
	struct vm *vm;
	const struct declaration *declaration; /* has a `start` */
	/* It has begun: ERR is NULL, and it waits or has come to its end; or it
	 * failed, at once or later, and is begun again. */
	void (*told)(void *arg, const struct err *err);
	void *arg;
};

struct starter *starter_new(const struct starter_options *options);

/* Begins it. `told` comes in a later round of the loop. */
void starter_begin(struct starter *starter);

/* Ends it, its <close> variables run; it is not begun again. */
void starter_end(struct starter *starter, const char *reason);

/* NULL is allowed. */
void starter_free(struct starter *starter);

#endif
