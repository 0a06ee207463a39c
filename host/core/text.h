/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Types that
 * it does not know are written as gauges (info, stateset) or untyped (unknown).
 * Pure functions of pages: any thread.
 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/buf.h"
#include "core/page.h"

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* HELP (when there is one) and TYPE. */
void text_head(struct buf *out, const struct metadata *metadata);

/* The lines of the series of a chunk. */
void text_chunk(struct buf *out, const struct metadata *metadata,
		const struct chunk *chunk);

/* About how many bytes text_chunk() will add; cheap. */
size_t text_chunk_estimate(const struct metadata *metadata,
			   const struct chunk *chunk);

#endif
