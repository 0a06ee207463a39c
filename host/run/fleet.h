/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporters of the process: which are wanted, which version of each runs,
 * and former versions on their way out. What others see of them is a roster.
 * run/change.h says how one list of wanted exporters becomes another; this is
 * the list, its watching and its end. Belongs to the main thread.
 */
#ifndef RUN_FLEET_H
#define RUN_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "net/loop.h"
#include "run/entry.h"
#include "run/roster.h"
#include "run/version.h"

/* An exporter that is wanted. */
struct member {
	struct entry *entry;	 /* as it is listed now; a reference */
	struct version *current; /* NULL: none can run */

	/* How the latest load ended. */
	bool loaded;
	struct err err;
	double changed; /* seconds since the epoch */
	uint64_t loads_ok, loads_bad;

	/* What it was made from when it failed, so that the same is not tried
	 * again and again. NULL: it did not fail. */
	struct entry *failed;
	struct seen_list failed_seen;
};

/* So many threads left behind at once; then nothing is loaded any more. */
enum { FLEET_LEFT_MAX = 64 };

struct fleet;

struct fleet_options {
	struct loop *loop; /* the main thread's */
	struct loop *web;  /* see exporter_options; NULL: none */
	size_t fail_at;	   /* specs: see vm/state.h */
};

struct fleet *fleet_new(const struct fleet_options *options);

/* In the order of the configuration. Good until the next change. */
struct member *const *fleet_members(const struct fleet *fleet, size_t *n);
struct member *fleet_find(const struct fleet *fleet, const char *name);

/* Those that run, in that order; to be freed. */
struct exporter **fleet_running(const struct fleet *fleet, size_t *n);

/* Who is there, a reference: made when it is asked for first after a change. */
struct roster *fleet_roster(struct fleet *fleet);

/* For specs: the states made from now on run out of memory. */
void fleet_fail_at(struct fleet *fleet, size_t fail_at);

/* Lets those run that were held. */
void fleet_start(struct fleet *fleet);

/* Is there something that the latest roster does not say? */
bool fleet_has_news(const struct fleet *fleet);

/* What is to stand in rosters about the reading of the configuration; "" when
 * that went well. */
void fleet_set_config(struct fleet *fleet, const char *error);

/* Is something seen of those that run that was not when this was asked last?
 */
bool fleet_seen_more(struct fleet *fleet);

/* So many more threads are left behind, that are none of exporters. */
void fleet_set_left_behind(struct fleet *fleet, unsigned others);

/* Tells of those that are stalled now and were not at the last look, and of
 * those that have come back. */
void fleet_look(struct fleet *fleet);

/* Stops all of them at once, within SECONDS. False when one is stuck: then the
 * process should end by _exit(), around it. */
bool fleet_stop(struct fleet *fleet, double seconds);

/* After fleet_stop() was true, and after the loop was freed, which may hold
 * messages of versions. NULL is allowed. */
void fleet_free(struct fleet *fleet);

/* ---- for run/change.c ---- */

/* Begins to load ENTRY, beside FORMER, the version that runs; NULL: none does.
 * When there are no descriptors for it, it is refused. */
struct version *fleet_load(struct fleet *fleet, struct entry *entry,
			   const struct version *former);

/* Called for each version whose state changed; NULL: nobody. */
void fleet_listen(struct fleet *fleet,
		  void (*changed)(struct version *version, void *arg),
		  void *arg);

/* MEMBERS, N of them, take the place of those that there are; whoever is not
 * among them must have been removed. The array is copied. */
void fleet_set_members(struct fleet *fleet, struct member *const *members,
		       size_t n);

struct member *member_new(struct entry *entry);

/* Notes how the latest load ended: ERR, and what it was made from; NULL when it
 * succeeded. */
void member_note(struct member *member, struct entry *entry,
		 const struct seen_list *seen, const struct err *err);

/* Its version has retired or failed. */
void member_free(struct member *member);

/* VERSION is on its way out: it ends and is freed when nobody needs it. */
void fleet_part(struct fleet *fleet, struct version *version);

/* Room for the descriptors of so many exporters, where the system allows it. */
void fleet_want(size_t exporters);

#endif
