/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a prometheus.TimeSeries has beside its labels and samples: native
 * histograms and exemplars (https://github.com/prometheus/prometheus,
 * prompb/types.proto; they are not in the text of remote write 1.0, and are
 * what Prometheus sends by it). Each function adds one field of a TimeSeries,
 * tag and all. Times are milliseconds since the epoch. Any thread.
 */
#ifndef CORE_REMOTE_POINT_H
#define CORE_REMOTE_POINT_H

#include <stdint.h>

#include "core/buf.h"
#include "core/exemplar.h"
#include "core/native.h"

/* Counts are integers, a sum that is no number is REMOTE_WRITE_NAN, and whether
 * they began anew is left to the receiver, as by Prometheus for what it
 * scraped. */
void remote_point_histogram(struct buf *out, const struct native *native,
			    int64_t time);

/* One that holds nothing and has the stale marker as its sum: the end of a
 * series. */
void remote_point_end(struct buf *out, int64_t time);

/* Label names have underscores where they are not legacy. */
void remote_point_exemplar(struct buf *out, const struct exemplar *exemplar,
			   int64_t time);

#endif
