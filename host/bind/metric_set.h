/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `m` and everything kept from it look at: a registry that may go before
 * they do, as that of a probe does. Counted in C, because finalizers come in
 * any order. One thread.
 */
#ifndef BIND_METRIC_SET_H
#define BIND_METRIC_SET_H

#include "core/registry.h"

struct metric_set {
	struct registry *registry; /* NULL: closed */
	/* Itself for a probe's, which its scope must name; NULL for the
	 * exporter's. */
	const struct metric_set *key;
	unsigned references; /* private */
};

/* One reference. */
struct metric_set *metric_set_new(struct registry *registry);
struct metric_set *metric_set_ref(struct metric_set *set);
void metric_set_unref(struct metric_set *set); /* NULL is allowed */

/* From now on every use of its metrics raises, and the registry may be freed.
 */
void metric_set_close(struct metric_set *set);

#endif
