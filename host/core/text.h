/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Prometheus text format 0.0.4 and 1.0.0
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Types that
 * it does not know are written as gauges (info, stateset) or untyped (unknown).
 * A gauge histogram x is, as in client_python, a histogram x that has buckets
 * only, and the gauges x_gcount and x_gsum: three parts (render.h). Of native
 * histograms it shows count, sum and the bucket +Inf. Pure functions of pages:
 * any thread.
 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/buf.h"
#include "core/page.h"
#include "core/render.h"

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { TEXT_GAUGEHISTOGRAM_PARTS = 3 };

/* HELP (when there is one) and TYPE. */
void text_show_head(struct buf *out, struct form form,
		    const struct shown_family *family);

/* The lines of the series of a chunk. */
void text_show_chunk(struct buf *out, struct form form,
		     const struct shown_family *family,
		     const struct chunk *chunk);

/* About how many bytes the lines of a chunk have in any text format; cheap. */
size_t text_chunk_estimate(const struct metadata *metadata,
			   const struct chunk *chunk);

/* The same in form_plain. */
void text_head(struct buf *out, const struct metadata *metadata);
void text_chunk(struct buf *out, const struct metadata *metadata,
		const struct chunk *chunk);

#endif
