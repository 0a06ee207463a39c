/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exporter counted itself outlives its reload. The old version's pages,
 * which are immutable, go to the thread of the new one, and that adds what they
 * say to what it has counted meanwhile. Two steps, because the old version may
 * have runs under way when the new one takes its place:
 *
 *	registry_carry(to, NULL, page)    the page at the swap
 *	registry_carry(to, page, last)    the last one, when all runs have ended
 *
 * Own rows carry over (page.h): counters, histograms and summaries whose family
 * has the same name, type, buckets, quantiles and label names, in any order of
 * these. So do their exemplars, and the time when they began. What was set does
 * not, nor do gauges. Constant labels belong to the identity of a
 * series: when those of TO are others than AFTER's, nothing carries.
 */
#ifndef CORE_CARRY_H
#define CORE_CARRY_H

#include <stddef.h>

#include "core/page.h"
#include "core/registry.h"

/* Own series that were not taken over. */
struct carry_left {
	size_t unlike; /* TO has no family like theirs; with BEFORE NULL */
	size_t full;   /* the limit of series leaves no room for them, or for
			* their native buckets or windows */
};

/*
 * Adds to TO what the own series of AFTER counted beyond BEFORE, a former page
 * of the same registry, or NULL for nothing. As in Prometheus, a series that
 * counted less than before began anew, and all of it is added. A series that TO
 * has set meanwhile stays as it is, but not one that is only staged: what was
 * counted is there again when the part is dropped.
 *
 * Returns the number of series that something was added to (with BEFORE NULL:
 * also nought); LEFT may be NULL. Never fails: at the limit of series, the ones
 * that are there already still get what is theirs, and exemplars that there is
 * no room for are left out. TO's thread; the caller
 * holds references to both pages. NOW, of the clock that both registries were
 * told the time by, matters to windows alone.
 */
size_t registry_carry(struct registry *to, const struct page *before,
		      const struct page *after, double now,
		      struct carry_left *left);

#endif
