/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the push thread says about itself: lunex_push_*, each with the labels
 * exporter and target, and some with one more. Belongs to that thread; others
 * see the pages that it publishes.
 */
#ifndef RUN_PUSH_METRICS_H
#define RUN_PUSH_METRICS_H

#include <stdbool.h>

#include "core/page.h"

struct push_metrics;

/* Which series: EXTRA is the third label (result, reason), or NULL. */
struct push_series {
	const char *family;
	const char *exporter, *target, *extra;
};

struct push_metrics *push_metrics_new(void);
void push_metrics_free(struct push_metrics *metrics);

/* Counts, or states a value. False when there is no such family, or EXTRA does
 * not go with it. */
bool push_metrics_add(struct push_metrics *metrics,
		      const struct push_series *series, double by);
bool push_metrics_set(struct push_metrics *metrics,
		      const struct push_series *series, double value);

/* A page, a reference. NOW is in seconds of a monotonic clock. */
struct page *push_metrics_publish(struct push_metrics *metrics, double now);

#endif
