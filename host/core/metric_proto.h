/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delimited protobuf, io.prometheus.client.MetricFamily
 * (https://github.com/prometheus/client_model, metrics.proto). A family is one
 * message: its head says how long it is, the metrics of its chunks follow.
 * Info and statesets, which have no type there, are gauges. The only format but
 * OpenMetrics 2 that carries native histograms. Pure functions of pages: any
 * thread.
 */
#ifndef CORE_METRIC_PROTO_H
#define CORE_METRIC_PROTO_H

#include <stddef.h>

#include "core/buf.h"
#include "core/page.h"
#include "core/render.h"

void metric_proto_head(struct buf *out, struct form form,
		       const struct shown_family *family);
void metric_proto_chunk(struct buf *out, struct form form,
			const struct shown_family *family,
			const struct chunk *chunk);

/* Just the bytes that metric_proto_chunk() adds. Cheap where label sets are
 * short and nothing in them is escaped; else as dear as to render. */
size_t metric_proto_size(struct form form, const struct metadata *metadata,
			 const struct chunk *chunk);
size_t metric_proto_estimate(const struct metadata *metadata,
			     const struct chunk *chunk);

#endif
