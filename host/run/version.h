/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version of an exporter: an entry and the exporter that was made from it, as
 * the main thread sees them. What happens in the exporter's thread comes here
 * as messages, one after the other: it has loaded, was tried, is live, has
 * ended. Belongs to the main thread.
 */
#ifndef RUN_VERSION_H
#define RUN_VERSION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/loop.h"
#include "net/seen.h"
#include "run/entry.h"
#include "run/exporter.h"
#include "run/outline.h"

enum version_state {
	VERSION_LOADING,
	VERSION_LOADED,
	VERSION_TRYING,
	VERSION_TRIED, /* the trial is over; see trial_failed */
	VERSION_TAKING_OVER,
	VERSION_LIVE,
	VERSION_RETIRED, /* another one took over, or it was removed */
	VERSION_FAILED,	 /* it is not to run; see err */
};

struct version {
	struct entry *entry;	   /* a reference */
	struct exporter *exporter; /* NULL: none was made */
	char *lineage; /* see exporter_options; NULL without an exporter */
	enum version_state state;
	bool trial_failed;
	struct err err;
	struct seen_list seen; /* what it was made from; since it has loaded */
	bool seen_more;	       /* that has grown; for fleet_seen_more() */
	bool left_behind; /* its thread is stuck, and nobody waits for it */
	bool late;	  /* it is stuck since its trial, and takes over when it
			     comes back */
	double ending;	  /* since when its thread is to end; 0: it is not */
	bool finishing, stopping;
	bool ended;
	struct version *heir;
	unsigned rosters; /* that name it, and still are */
	unsigned debtors; /* former versions that may still hand over */
	bool stalled;	  /* at the last look of the fleet: it was told of */

	/* The state changed, or it has ended. Not from inside a call. */
	void (*changed)(struct version *version, void *arg);
	void *arg;

	/* private */
	struct loop *loop;
	struct message loaded, tried, live, end;
	struct seen_list load_seen;
	struct err load_err, trial_err;
	bool load_failed;
};

struct version_options {
	struct loop *loop; /* the main thread's */
	struct loop *web;  /* see exporter_options; NULL: none */
	struct entry *entry;
	const char *lineage; /* see exporter_options; copied */
	bool trial;	     /* there is an older one */
	size_t fail_at;	     /* specs: see vm/state.h */
	void (*changed)(struct version *version, void *arg);
	void *arg;
};

/* Begins to load. */
struct version *version_new(const struct version_options *options);

/* One that cannot run, for the reason ERR: no exporter is made. */
struct version *version_refused(struct entry *entry, const struct err *err);

/* The steps, in their order. A version that is loaded may be started instead of
 * tried. */
void version_start(struct version *version);
void version_try(struct version *version);
void version_replace(struct version *old, struct version *heir);
void version_remove(struct version *version);

/* Does it not come back to the host? Of one that runs. */
bool version_is_stalled(const struct version *version);

/* OLD, which is to hand over to its heir, is stuck: goes on without it. False
 * when it has just handed over. */
bool version_leave_behind(struct version *old);

/* HEIR, which is to take over from OLD, is stuck: it counts as live, and what
 * OLD showed last is seen until it comes back. */
void version_lend(struct version *old, struct version *heir);

/* It is not to run, for the reason ERR: its thread ends. */
void version_fail(struct version *version, const struct err *err);

/* Ends its thread at once, whatever it does. */
void version_stop(struct version *version);

/* Lets one that has retired end. */
void version_finish(struct version *version);

/* Waits for the end of its thread SECONDS at most. False when it is stuck. */
bool version_join(const struct version *version, double seconds);

/* Frees its exporter, whose thread is over. False when that is not all of it,
 * see exporter_free(). */
bool version_unload(struct version *version);

/* The same, and the rest of it. */
bool version_free(struct version *version);

/* What it shows, for those beside it; borrowed. It has been loaded. */
struct outline_owner version_owner(const struct version *version);

#endif
