/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the push thread says about itself: lunex_push_*, each with the labels
 * exporter and target, and some with one more. The series of a stream are an
 * account: they go when it is closed. Belongs to that thread; others see the
 * pages that it publishes.
 */
#ifndef RUN_PUSH_METRICS_H
#define RUN_PUSH_METRICS_H

#include <stdbool.h>

#include "core/page.h"

struct push_metrics;
struct push_account;

struct push_metrics *push_metrics_new(void);
void push_metrics_free(struct push_metrics *metrics);

/* An account: no other that is open has the same EXPORTER and TARGET. Closed
 * before the metrics are freed. */
struct push_account *push_metrics_open(struct push_metrics *metrics,
				       const char *exporter,
				       const char *target);
void push_metrics_close(struct push_account *account);

/* Counts, or states a value. EXTRA is the third label (result, reason), or
 * NULL. False when there is no such family, or EXTRA does not go with it. */
bool push_metrics_add(struct push_account *account, const char *family,
		      const char *extra, double by);
bool push_metrics_set(struct push_account *account, const char *family,
		      const char *extra, double value);

/* A page, a reference. NOW is in seconds of a monotonic clock. */
struct page *push_metrics_publish(struct push_metrics *metrics, double now);

#endif
