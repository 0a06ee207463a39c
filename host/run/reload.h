/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reloads: makes the plan anew, loads what changed beside what runs, tries it,
 * swaps, and says what it did. One at a time; who asks while one is under way
 * gets the next one. Belongs to the main thread.
 */
#ifndef RUN_RELOAD_H
#define RUN_RELOAD_H

#include "net/loop.h"
#include "run/report.h"

struct reload;

/* A wish for a reload, from any thread. The asker embeds it; `answered` runs in
 * the loop ASKER, once, always: when the reload is over, or lunex stops (then
 * there is no report). REPORT is the asker's from then on. */
struct reload_request {
	struct message message; /* private */
	struct reload *reload;
	struct loop *asker;
	struct report *report;
	void (*answered)(struct reload_request *request);
};

void reload_ask(struct reload_request *request);

#endif
