/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats behind one interface: a head for each family, its chunks, the end
 * of all. What stands in what order is the exposition's to say (exposition.h).
 * Each format has a file of its own:
 *
 *	text.c          Prometheus text 0.0.4 and 1.0.0
 *	openmetrics.c   OpenMetrics 1.0
 *	openmetrics2.c  OpenMetrics 2.0
 *	metric_proto.c  delimited protobuf
 *
 * What the first three have in common is in lines.c.
 *
 * Pure functions of pages: any thread.
 */
#ifndef CORE_RENDER_H
#define CORE_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/form.h"
#include "core/page.h"

/* A family as one exposition shows it. */
struct shown_family {
	const struct metadata *metadata;
	unsigned part; /* 0 up to render_parts() */
	bool unknown;  /* OpenMetrics 1: not as all that it is,
			* by render_is_unknown() */
	size_t size;   /* protobuf: of all its chunks, by render_size() */
};

/* How many times a family is shown: once, but for the gauge histograms of the
 * text format, which are three families there (x_bucket, x_gcount, x_gsum). The
 * head and all chunks of one part stand before the head of the next. */
unsigned render_parts(struct form form, const struct metadata *metadata);

/* HELP, TYPE, UNIT; protobuf: all of the message but its metrics. */
void render_head(struct buf *out, struct form form,
		 const struct shown_family *family);

/* The series of CHUNK. */
void render_chunk(struct buf *out, struct form form,
		  const struct shown_family *family, const struct chunk *chunk);

/* What stands behind all families: "# EOF\n" in OpenMetrics, else nothing. */
void render_end(struct buf *out, struct form form);

/* About how many bytes render_chunk() will add; cheap. */
size_t render_estimate(struct form form, const struct metadata *metadata,
		       const struct chunk *chunk);

/* Just how many, which a protobuf message says before them. Costs about as much
 * as rendering where a chunk holds more than simple values. */
size_t render_size(struct form form, const struct metadata *metadata,
		   const struct chunk *chunk);

/* May METADATA not be shown as such in OpenMetrics 1, because its name lacks
 * _total or _info, or because its family or one of its samples would have a
 * name that another family has, too? Then it is shown under its full name, as
 * unknown or as a gauge, which meets nobody. Nor may a histogram or a summary
 * whose samples x_created would: it has none then. ALL are the N families of
 * the exposition, METADATA one of them, with the names that they have in FORM
 * and in the order of these. False for other types and formats. */
bool render_is_unknown(struct form form, const struct metadata *metadata,
		       const struct metadata *const *all, size_t n);

#endif
