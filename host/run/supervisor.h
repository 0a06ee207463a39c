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
#include "run/config.h"

struct supervisor_options {
	const char *script; /* path */
	const struct config *config;
	const char *const *listen;  /* NULL-terminated; NULL: the script's */
	const char *telemetry_path; /* NULL: /metrics */
	double interval, timeout;   /* < 0: the script's */
	const char *lua_path, *lua_cpath;
};

/* Runs until SIGINT or SIGTERM. True: stopped by a signal. False and ERR: it
 * could not start (ERR_USAGE: the caller's mistake). */
bool supervisor_run(const struct supervisor_options *options, struct err *err);

/* One collection of the script, its page to standard output. False and ERR when
 * a part failed; what the other parts said is printed nevertheless. */
bool supervisor_once(const struct supervisor_options *options, struct err *err);

#endif
