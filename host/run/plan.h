/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line asks for: decided by lua/cli.lua, in a small state that
 * is gone when the plan is made, and copied out of it. Any thread, also beside
 * others that make one; it waits for files, and for the scripts, which it loads
 * (see run/planner.h).
 */
#ifndef RUN_PLAN_H
#define RUN_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/form.h"
#include "net/seen.h"
#include "run/entry.h"

/* How changes of files are noticed. */
enum plan_watch {
	PLAN_WATCH_AUTO,
	PLAN_WATCH_POLL,
	PLAN_WATCH_OFF, /* a reload has to be asked for */
};

struct plan {
	char *command; /* "run", "once", "check", "test" or "print" */
	struct entry **exporters; /* a reference each */
	size_t nexporters;
	char *configuration;  /* the file that lists them, or the folders that
				 they are in, for sentences; or NULL */
	bool open;	      /* others may come later, into a folder: it runs
				 also when none can, or when there is none */
	char **listen;	      /* NULL: none given */
	char *telemetry_path; /* NULL: none given */
	char *log_level;      /* the same */
	bool lifecycle;	      /* POST /-/reload is allowed */
	bool without_created; /* no x_created in OpenMetrics 1 */
	enum plan_watch watch;
	struct form form;      /* of the page that "once" prints */
	char **files;	       /* of "test" */
	char *text;	       /* to print, or NULL */
	char *good;	       /* of "check": to print when all can run */
	char **secrets;	       /* arguments to hide, or what is behind their
				  "="; or NULL */
	char **errors;	       /* sentences for standard error, or NULL */
	int status;	       /* the exit status, if nothing fails */
	struct seen_list seen; /* everything that it was made from, scripts
				  and what they load among it; also of a
				  refusal */
};

/* Who wants to know which FILE is being read or loaded now, and what was SEEN
 * before; called in the thread that makes the plan. The items of SEEN stay as
 * they are until the plan is released. */
struct plan_teller {
	void (*doing)(void *arg, const char *file,
		      const struct seen_list *seen);
	void *arg;
};

/* Fills PLAN; a refusal is a plan, too. False and ERR when there is none, and
 * then as well PLAN is to be released. TELLER may be NULL. */
bool plan_make(struct plan *plan, int argc, char *const *argv,
	       const struct plan_teller *teller, struct err *err);
void plan_release(struct plan *plan);

/* There is nothing to carry out but to print `errors`: a mistake in the command
 * line or in what it names. */
bool plan_refused(const struct plan *plan);

#endif
