/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in a metric of io.prometheus.client beside its labels: one of
 * Gauge, Counter, Summary, Untyped, Histogram, with the exemplars and times in
 * it. Adds to a buffer; see metric_proto.h. Any thread.
 */
#ifndef CORE_METRIC_PROTO_VALUE_H
#define CORE_METRIC_PROTO_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/form.h"
#include "core/page.h"

/* A google.protobuf.Timestamp. */
struct stamp {
	int64_t seconds;
	uint32_t nanos;
	size_t size; /* of its message */
};

struct stamp stamp_of(double time);

/* Adds what row I of CHUNK shows, tag and all: for any type but a stateset. */
void metric_proto_value(struct buf *out, const struct metadata *metadata,
			const struct chunk *chunk, uint32_t i,
			enum escaping escaping);

/* Adds a LabelPair, tag 1 and all. */
void metric_proto_label(struct buf *out, struct str name, struct str value);

/* Bytes of VALUE as a varint: one, most of the time. */
static inline size_t varint_size(uint64_t value)
{
	if (value < 128)
		return 1;
	return (70 - (unsigned)__builtin_clzll(value)) / 7;
}

/* The field of a Metric that holds a simple value of TYPE, as a tag. */
unsigned metric_proto_tag(enum metric_type type);

#endif
