/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread: loads exporters and lets them run, starts the threads that
 * show and push what they say, waits for signals, notices stalled exporters and
 * changed files, and stops everything in order: first the server, whose
 * suspended scrapes are answered, then the exporters, then the rest.
 */
#ifndef RUN_SUPERVISOR_H
#define RUN_SUPERVISOR_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "run/plan.h"
#include "run/planner.h"

/* Runs what PLAN says until SIGINT or SIGTERM; PLANNER makes the next plans.
 * True: stopped by a signal. False and ERR: it could not start. One of several
 * exporters that cannot run is logged and left out. */
bool supervisor_run(const struct plan *plan, struct planner *planner,
		    struct err *err);

/* One collection of each exporter (their entries say that they are collected
 * when asked), their merged page to standard output. False and ERR when a part
 * failed; what the other parts said is printed nevertheless. */
bool supervisor_once(const struct plan *plan, struct err *err);

/* Loads the exporters and runs none. Calls TELL for each that could not run;
 * true when there is none. Adds to ADVICE a line for each thing that not every
 * reader would get of those that can. */
bool supervisor_check(const struct plan *plan,
		      void (*tell)(const char *sentence), struct buf *advice);

#endif
