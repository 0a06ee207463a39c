/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buckets of a native histogram in protobuf. Two messages have them, under
 * other field numbers:
 *   io.prometheus.client.Histogram, which is scraped (metric_proto_value.c)
 *   https://github.com/prometheus/client_model, metrics.proto
 *   prometheus.Histogram, which is written remotely (remote_point.c)
 *   https://github.com/prometheus/prometheus, prompb/types.proto
 * In both, spans say which buckets there are, and each count is the difference
 * to the one before it. Adds to a buffer. Any thread.
 */
#ifndef CORE_NATIVE_PROTO_H
#define CORE_NATIVE_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/native.h"

/* Field numbers of a message. */
struct native_fields {
	uint32_t schema, zero_threshold, zero_count;
	uint32_t negative_span, negative_delta;
	uint32_t positive_span, positive_delta;
	bool packed; /* the deltas are, as in proto3 */
};

/* Adds schema, zero bucket and both sides; returns how many spans there are. */
unsigned native_proto_put(struct buf *out, const struct native_fields *fields,
			  const struct native *native);

/* Adds one BucketSpan. */
void native_proto_span(struct buf *out, uint32_t field, int32_t offset,
		       uint32_t length);

#endif
