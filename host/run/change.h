/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of the fleet: from the exporters that run to those that are
 * wanted. What is new or different is loaded beside what runs; who does not go
 * with the others is refused; a new version of what runs is tried; then all
 * that is well takes over, and the rest stays as it is. The start of the
 * program is a change of a fleet that is empty. Belongs to the main thread.
 */
#ifndef RUN_CHANGE_H
#define RUN_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "run/entry.h"
#include "run/fleet.h"
#include "run/report.h"

struct change;

enum change_need {
	CHANGE_NOTHING, /* it runs as it is wanted */
	CHANGE_NOT_YET, /* what is wanted has failed already, as it is */
	CHANGE_LOAD,
};

struct change_options {
	struct loop *loop; /* the main thread's */
	struct fleet *fleet;
	struct entry *const *entries; /* that are wanted, by unique names; they
					 outlive the change */
	size_t n;

	/* What is to be done about MEMBER, now that it is wanted as ENTRY?
	 * NULL: everything is loaded. */
	enum change_need (*need)(void *arg, const struct member *member,
				 const struct entry *entry);

	/* Can the last of the exporters, N of them, run beside the others? */
	bool (*fits)(void *arg, struct exporter *const *exporters, size_t n,
		     struct err *err);

	/* It is over. The report is the callee's; the change may be freed. */
	void (*done)(void *arg, struct report *report);
	void *arg;
	bool patient; /* waits for scripts that load for as long as it takes */
	bool hold;    /* what is new waits for fleet_start() */
};

/* Begins; nothing is called from inside it. */
struct change *change_new(const struct change_options *options);

/* What is under way is given up; whoever had taken over stays. NULL is allowed.
 */
void change_free(struct change *change);

#endif
