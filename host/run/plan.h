/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line asks for: decided by lua/cli.lua, in a small state that
 * is gone when the plan is made, and copied out of it. To be made while there
 * is one thread.
 */
#ifndef RUN_PLAN_H
#define RUN_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "run/entry.h"

struct plan {
	char *command; /* "run", "once", "check", "test" or "print" */
	struct entry **exporters; /* a reference each */
	size_t nexporters;
	char *configuration;  /* the file that lists them, or NULL */
	char **listen;	      /* NULL: none given */
	char *telemetry_path; /* NULL: none given */
	char *log_level;      /* the same */
	char **files;	      /* of "test" */
	char *text;	      /* to print, or NULL */
	char *good;	      /* of "check": to print when all can run */
	char **secrets;	      /* arguments to hide, or what is behind their
				 "="; or NULL */
	char **errors;	      /* sentences for standard error, or NULL */
	int status;	      /* the exit status, if nothing fails */
};

/* Fills PLAN; a refusal is a plan, too. False and ERR when there is none, and
 * then as well PLAN is to be released. */
bool plan_make(struct plan *plan, int argc, char **argv, struct err *err);
void plan_release(struct plan *plan);

#endif
