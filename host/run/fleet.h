/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporters of the process: loaded side by side, each in its own thread;
 * held until it is known which of them go together; then let go, watched, and
 * stopped side by side. One that cannot run is told about and does not keep the
 * others from it. Belongs to the main thread.
 */
#ifndef RUN_FLEET_H
#define RUN_FLEET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/loop.h"
#include "run/entry.h"
#include "run/exporter.h"

/* One that cannot run, and why. */
struct fleet_failure {
	const struct entry *entry;
	const struct err *err;
};

struct fleet;

/* ENTRIES, N of them, outlive it. LOOP is the main thread's. */
struct fleet *fleet_new(struct loop *loop, struct entry *const *entries,
			size_t n);

/* Begins to load all of them; LOADED is called in the loop when each of them
 * is loaded, has failed, or took too long. FITS is asked before, for one after
 * the other, behind those that go together: can it run, too? */
typedef bool fleet_fits(void *arg, struct exporter *const *exporters, size_t n,
			struct err *err);
void fleet_load(struct fleet *fleet, fleet_fits *fits,
		void (*loaded)(void *arg), void *arg);

/* Those that have loaded and go together, and the others, in the order of the
 * entries. After `loaded`; good until fleet_stop(). */
struct exporter *const *fleet_running(const struct fleet *fleet, size_t *n);
const struct fleet_failure *fleet_failures(const struct fleet *fleet,
					   size_t *n);

/* What is wanted of number I of those that run. */
const struct entry *fleet_running_entry(const struct fleet *fleet, size_t i);

/* Lets them go. */
void fleet_start(struct fleet *fleet);

/* Tells of those that are stalled now and were not at the last look, and of
 * those that have come back. */
void fleet_look(struct fleet *fleet);

/* Stops all of them at once, within SECONDS. False when one is stuck: then the
 * process should end by _exit(), around it. */
bool fleet_stop(struct fleet *fleet, double seconds);

/* After fleet_stop() was true, and after the loop was freed, which may hold a
 * message of one that was still loading. NULL is allowed. */
void fleet_free(struct fleet *fleet);

#endif
