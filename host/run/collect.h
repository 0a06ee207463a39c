/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collections of one exporter: runs the parts of a script side by side,
 * each under the deadline, commits or drops what each staged when it ends, and
 * sets what the host says about it (<name>_up and its sisters). One collection
 * at a time; whoever wants one while it runs shares it. In the exporter's
 * thread.
 */
#ifndef RUN_COLLECT_H
#define RUN_COLLECT_H

#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "run/declaration.h"
#include "vm/state.h"

struct collector;

struct collector_options {
	struct vm *vm;
	struct registry *registry;
	const struct declaration *declaration;
	/* A part ended, or the collection did: the registry has something new
	 * to publish, and must be published before this returns. */
	void (*publish)(void *arg);
	/* The collection is over; FIRST is the first failure of a part, NULL
	 * when every part succeeded. */
	void (*done)(void *arg, const struct err *first);
	void *arg;
};

/* Adds the host's families to the registry. NULL and ERR when the script
 * declares one of them in another form. */
struct collector *collector_new(const struct collector_options *options,
				struct err *err);

/* Cancels what runs. `done` is not called any more. NULL is allowed. */
void collector_free(struct collector *collector);

/* Is what it collects a trial, of a version that does not run yet? The log says
 * so. */
void collector_set_trial(struct collector *collector, bool trial);

bool collector_runs(const struct collector *collector);

/* How long the latest collection took; 0 before the first is over. */
double collector_seconds(const struct collector *collector);

/* Starts a collection that ends within SECONDS; does nothing while one runs. */
void collector_run(struct collector *collector, double seconds);

/* For a script without `collect`: sets <name>_up from its `start`. */
void collector_set_up(struct collector *collector, bool up);

#endif
