/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenMetrics 2.0 text, 2.0.0-rc0, which is experimental
 * (https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/). A sample has
 * the name of its family; distributions are one composite value, native
 * histograms among them; the start time stands inline. As in openmetrics.h,
 * what the format forbids is left out: counters that are NaN or negative,
 * summaries with such a sum, negative quantiles. An info whose name does not
 * end with _info is a gauge. Pure functions of pages: any thread.
 */
#ifndef CORE_OPENMETRICS2_H
#define CORE_OPENMETRICS2_H

#include <stddef.h>

#include "core/buf.h"
#include "core/page.h"
#include "core/render.h"

void openmetrics2_head(struct buf *out, struct form form,
		       const struct shown_family *family);
void openmetrics2_chunk(struct buf *out, struct form form,
			const struct shown_family *family,
			const struct chunk *chunk);
size_t openmetrics2_estimate(const struct metadata *metadata,
			     const struct chunk *chunk);

#endif
