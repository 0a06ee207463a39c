/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host about itself: lunex_* and the standard process_*. In the web thread,
 * which owns the registry and shows its page beside those of the exporters.
 */
#ifndef RUN_HOST_METRICS_H
#define RUN_HOST_METRICS_H

#include <stddef.h>

#include "core/page.h"
#include "run/roster.h"

struct host_metrics;

/* Takes a reference to ROSTER. */
struct host_metrics *host_metrics_new(struct roster *roster);
void host_metrics_free(struct host_metrics *metrics);

/* Takes a reference. The series of exporters that are gone go, too. */
void host_metrics_set_roster(struct host_metrics *metrics,
			     struct roster *roster);

/* Counts an answered request. */
void host_metrics_request(struct host_metrics *metrics, const char *handler,
			  unsigned code, double seconds);

/*
 * The present page, a reference. Reading /proc costs more than a scrape of a
 * small page, so the numbers are at most a tenth of a second old. NOW is in
 * seconds of a monotonic clock.
 */
struct page *host_metrics_page(struct host_metrics *metrics, double now);

#endif
