/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter as the landing page and the API show it: what its board and the
 * roster say at one moment. In the web thread.
 */
#ifndef RUN_VIEW_H
#define RUN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "run/exporter.h"
#include "run/roster.h"

enum view_state {
	VIEW_RUNNING,  /* and well */
	VIEW_STARTING, /* its first collection is not over */
	VIEW_FAILING,  /* the latest collection failed */
	VIEW_STALLED,  /* the script does not come back to the host */
	VIEW_BROKEN,   /* there is no exporter: it cannot run */
	VIEW_STATES
};

/* Seconds, since the epoch where it is a point in time; 0: never. */
struct view {
	enum view_state state;
	double last_run, last_success, last_seconds;
	const char *error; /* of the latest collection, or why it cannot run; ""
			    */
	uint64_t series, memory, succeeded, failed;
	double cpu;
};

/* What is borrowed is good until the thread's loop goes on. */
struct view view_of(const struct roster_entry *entry);

/* "running" and so on: the words of the page and the API. */
const char *view_word(enum view_state state);

/* The script has not come back to the host for more than a second. */
bool view_stalled(const struct exporter *exporter);

/* Is its first collection not over yet? One that is collected on scrape has no
 * reason to wait for it. */
bool view_starting(const struct exporter *exporter);

#endif
