/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenMetrics 1.0 text
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/). The family of the
 * counter x_total is x, that of the info x_info too. What the format forbids is
 * left out, so that the rest can be read: a counter that is NaN or negative,
 * _sum and _count of a histogram with negative bounds or such a sum, _sum of a
 * summary, negative quantiles, a unit that the name does not end with. Pure
 * functions of pages: any thread.
 */
#ifndef CORE_OPENMETRICS_H
#define CORE_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/lines.h"
#include "core/page.h"
#include "core/render.h"

void openmetrics_head(struct buf *out, struct form form,
		      const struct shown_family *family);
void openmetrics_chunk(struct buf *out, struct form form,
		       const struct shown_family *family,
		       const struct chunk *chunk);

/* The lines of a head: "# TYPE", TYPE, "# UNIT" where UNIT says so, "# HELP"
 * where there is one; of the name without its last CUT bytes. */
void openmetrics_comments(struct lines *lines, size_t cut, const char *type,
			  bool unit);

/* Adds " # {labels} value time", the time where it is known. */
void openmetrics_exemplar(const struct lines *lines, struct buf *out,
			  const struct exemplar *exemplar);

/* The last of them, or NULL. */
const struct exemplar *openmetrics_newest(const struct exemplars *exemplars);

/* The exemplar of bucket I of a histogram, or NULL. */
const struct exemplar *openmetrics_bucket_exemplar(
	const struct metadata *metadata, const struct exemplars *exemplars,
	unsigned i);

/* " 1520879607.789" behind a sample that has a time: a tail for lines.h. */
struct str openmetrics_time(struct lines *lines, const double *row);

/* Can UNIT stand in a line # UNIT? */
bool openmetrics_unit_valid(const struct metadata *metadata);

#endif
