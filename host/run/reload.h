/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reloads: makes the plan anew, changes the fleet to what is wanted now, and
 * says what became of it. One at a time: who asks while one is under way gets
 * the next one. Belongs to the main thread.
 */
#ifndef RUN_RELOAD_H
#define RUN_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/loop.h"
#include "net/seen.h"
#include "run/exporter.h"
#include "run/fleet.h"
#include "run/plan.h"
#include "run/planner.h"
#include "run/report.h"
#include "run/watcher.h"

struct reload;

/* All of it outlives the reload. */
struct reload_options {
	struct loop *loop; /* the main thread's */
	struct fleet *fleet;
	struct planner *planner;
	struct watcher *watcher;  /* NULL: files are not watched */
	const struct plan *first; /* that of the start */
	bool (*fits)(void *arg, struct exporter *const *exporters, size_t n,
		     struct err *err);
	void (*changed)(void *arg); /* there is another roster */
	void *arg;
};

struct reload *reload_new(const struct reload_options *options);

/* Watches what the exporters that run were made from. Once, when they run. */
void reload_watch(struct reload *reload);

/* Watches what has been seen of them since, too. */
void reload_watch_more(struct reload *reload);

/* Asks for a reload. INSIST: what has failed or is stalled is loaded again,
 * though it is the same. */
void reload_wish(struct reload *reload, bool insist);

/* Gives up what is under way, within SECONDS, and answers who waits. False when
 * a thread is stuck: then the process should end by _exit(), around it. */
bool reload_stop(struct reload *reload, double seconds);

/* After reload_stop(). NULL is allowed. */
void reload_free(struct reload *reload);

/* A wish for a reload, from any thread; it insists. The asker embeds it;
 * `answered` runs in the loop ASKER, once, always: when the reload is over, or
 * lunex stops (then there is no report). REPORT is the asker's from then on. */
struct reload_request {
	struct message message; /* private */
	struct reload *reload;
	struct loop *asker;
	struct report *report;
	void (*answered)(struct reload_request *request);
};

void reload_ask(struct reload_request *request);

#endif
