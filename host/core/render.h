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
	bool unknown; /* OpenMetrics: show this counter as unknown, under its
		       * full name, which meets no other family then */
	size_t size;  /* protobuf: of all its chunks, by render_size() */
};

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

/* May FAMILY not be shown as a counter in OpenMetrics, because its name lacks
 * _total, or because its family or one of its samples would have a name of
 * another family? NAMES are those of all families of the exposition, sorted. */
bool render_is_unknown(struct form form, const struct metadata *metadata,
		       const char *const *names, size_t n);

#endif
