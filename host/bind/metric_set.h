/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `m` and everything kept from it look at: a registry that may go before
 * they do, as that of a probe does. Counted in C, because finalizers come in
 * any order. One thread.
 */
#ifndef BIND_METRIC_SET_H
#define BIND_METRIC_SET_H

#include <sys/queue.h>

#include "core/registry.h"

/* How many series the registries may have together that the scripts of a state
 * make. Each of them holds a reference. */
struct metric_account {
	struct series_limit limit;
	LIST_HEAD(, metric_set) sets; /* those of its registries */
	unsigned references;	      /* private */
};

struct metric_set {
	struct registry *registry; /* NULL: closed */
	/* Itself for a probe's, which its scope must name; NULL for the
	 * exporter's. */
	const struct metric_set *key;
	/* Of a registry that a script made, which is the set's own: what is set
	 * shows at once, and anybody may set it. Else NULL. */
	struct metric_account *account;
	char *where; /* its registry was made, "x.lua:5: "; NULL: nowhere */
	LIST_ENTRY(metric_set) link; /* private, as is the next */
	unsigned references;
};

struct metric_account *metric_account_new(void);
void metric_account_unref(struct metric_account *account); /* or NULL */

/* Seconds since the epoch. */
double metric_now(void);

/* One reference. */
struct metric_set *metric_set_new(struct registry *registry);
struct metric_set *metric_set_ref(struct metric_set *set);
void metric_set_unref(struct metric_set *set); /* NULL is allowed */

/* A set with a registry of its own, made at WHERE, which goes with the last
 * reference. */
struct metric_set *metric_set_own(const struct registry_options *options,
				  struct metric_account *account,
				  const char *where);

/* From now on every use of its metrics raises, and the registry may be freed.
 */
void metric_set_close(struct metric_set *set);

#endif
