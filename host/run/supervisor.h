/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread: starts exporters and the web thread, waits for signals,
 * notices stalled exporters, and stops everything in order: first the server,
 * whose suspended scrapes are answered, then the exporters, then the rest.
 */
#ifndef RUN_SUPERVISOR_H
#define RUN_SUPERVISOR_H

#include <stdbool.h>

#include "core/err.h"
#include "run/fleet.h"
#include "run/plan.h"
#include "run/planner.h"

struct supervisor_options {
	struct entry *const *exporters;
	size_t nexporters;
	const char *configuration;  /* the file that lists them, or the folders
				       that they are in; NULL: none */
	const char *const *listen;  /* NULL-terminated; NULL: the script's */
	const char *telemetry_path; /* NULL: /metrics */
	const char *log_level;	    /* NULL: none given */
	bool open;		    /* exporters may come later: it runs also
				       when there is none */
	bool lifecycle;		    /* POST /-/reload is allowed */
	enum plan_watch watch;
	struct planner *planner; /* makes the next plans; NULL but for
				    supervisor_run() */
};

/* Runs until SIGINT or SIGTERM. True: stopped by a signal. False and ERR: it
 * could not start (ERR_USAGE: the caller's mistake). One of several exporters
 * that cannot run is logged and left out. */
bool supervisor_run(const struct supervisor_options *options, struct err *err);

/* One collection of each exporter (their entries say that they are collected
 * when asked), their merged page to standard output. False
 * and ERR when a part failed; what the other parts said is printed
 * nevertheless. */
bool supervisor_once(const struct supervisor_options *options, struct err *err);

/* Loads the exporters and runs none. Calls TELL for each that could not run;
 * true when there is none. */
bool supervisor_check(const struct supervisor_options *options,
		      void (*tell)(const char *sentence));

#endif
