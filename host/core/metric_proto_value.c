/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metric_proto_value.h"

#include <math.h>

#include "core/label_text.h"
#include "core/lines.h"
#include "core/native_proto.h"
#include "core/openmetrics.h"
#include "core/wire.h"

/* Field numbers of metrics.proto. */
enum {
	METRIC_LABEL = 1,
	METRIC_GAUGE_FIELD = 2,
	METRIC_COUNTER_FIELD = 3,
	METRIC_SUMMARY_FIELD = 4,
	METRIC_UNTYPED_FIELD = 5,
	METRIC_HISTOGRAM_FIELD = 7,

	LABEL_NAME = 1,
	LABEL_VALUE = 2,

	SIMPLE_VALUE = 1,
	COUNTER_EXEMPLAR = 2,
	COUNTER_CREATED = 3,

	QUANTILE_RANK = 1,
	QUANTILE_VALUE = 2,

	SUMMARY_COUNT = 1,
	SUMMARY_SUM = 2,
	SUMMARY_QUANTILE = 3,
	SUMMARY_CREATED = 4,

	BUCKET_COUNT = 1,
	BUCKET_BOUND = 2,
	BUCKET_EXEMPLAR = 3,
	BUCKET_COUNT_FLOAT = 4,

	HISTOGRAM_COUNT = 1,
	HISTOGRAM_SUM = 2,
	HISTOGRAM_BUCKET = 3,
	HISTOGRAM_COUNT_FLOAT = 4,
	HISTOGRAM_SCHEMA = 5,
	HISTOGRAM_ZERO_THRESHOLD = 6,
	HISTOGRAM_ZERO_COUNT = 7,
	HISTOGRAM_NEGATIVE_SPAN = 9,
	HISTOGRAM_NEGATIVE_DELTA = 10,
	HISTOGRAM_POSITIVE_SPAN = 12,
	HISTOGRAM_POSITIVE_DELTA = 13,
	HISTOGRAM_CREATED = 15,
	HISTOGRAM_EXEMPLAR = 16,

	EXEMPLAR_LABEL = 1,
	EXEMPLAR_VALUE = 2,
	EXEMPLAR_TIME = 3,

	STAMP_SECONDS = 1,
	STAMP_NANOS = 2,
};

/* ---- fields ---- */

/* A count is an integer unless it was mirrored from something odd. */
static void put_count(struct buf *out, uint32_t field, uint32_t float_field,
		      double count)
{
	if (count >= 0 && count < 0x1p64 && floor(count) == count)
		wire_put_uint_field(out, field, (uint64_t)count);
	else
		wire_put_double_field(out, float_field, count);
}

/* ---- times, labels, exemplars ---- */

struct stamp stamp_of(double time)
{
	double seconds = floor(time);
	struct stamp stamp = { .seconds = (int64_t)seconds };
	double nanos = round((time - seconds) * 1e9);

	if (nanos >= 1e9) {
		nanos = 0;
		stamp.seconds++;
	}
	stamp.nanos = (uint32_t)nanos;
	stamp.size = 1 + varint_size((uint64_t)stamp.seconds);
	if (stamp.nanos)
		stamp.size += 1 + varint_size(stamp.nanos);
	return stamp;
}

static void put_stamp(struct buf *out, uint32_t field, double time)
{
	struct stamp stamp = stamp_of(time);

	wire_put_tag(out, field, WIRE_BYTES);
	wire_put_varint(out, stamp.size);
	wire_put_uint_field(out, STAMP_SECONDS, (uint64_t)stamp.seconds);
	if (stamp.nanos)
		wire_put_uint_field(out, STAMP_NANOS, stamp.nanos);
}

static void put_created(struct buf *out, uint32_t field,
			const struct metadata *metadata, const double *row)
{
	double created;

	if (row_created(metadata, row, &created))
		put_stamp(out, field, created);
}

void metric_proto_label(struct buf *out, struct str name, struct str value)
{
	size_t mark = wire_open(out, METRIC_LABEL);

	wire_put_bytes_field(out, LABEL_NAME, name);
	wire_put_bytes_field(out, LABEL_VALUE, value);
	wire_close(out, mark);
}

static void put_text_label(struct buf *out, const struct label_text *label,
			   enum escaping escaping)
{
	struct buf name, value;

	buf_init(&name, SIZE_MAX / 2);
	buf_init(&value, SIZE_MAX / 2);
	label_text_name(&name, label, escaping);
	buf_reserve(&value, label->value.len);
	value.len = label_text_raw(value.data, label->value);
	metric_proto_label(out, (struct str){ buf_text(&name), name.len },
			   (struct str){ value.data, value.len });
	buf_release(&name);
	buf_release(&value);
}

static void put_exemplar(struct buf *out, uint32_t field,
			 const struct exemplar *exemplar,
			 enum escaping escaping)
{
	size_t mark = wire_open(out, field), at = 0;
	struct str text = { exemplar->text, exemplar->len };
	struct label_text label;

	_Static_assert((int)EXEMPLAR_LABEL == (int)METRIC_LABEL,
		       "metric_proto_label() writes both");
	while (label_text_next(text, &at, &label))
		put_text_label(out, &label, escaping);
	wire_put_double_field(out, EXEMPLAR_VALUE, exemplar->value);
	if (isfinite(exemplar->time))
		put_stamp(out, EXEMPLAR_TIME, exemplar->time);
	wire_close(out, mark);
}

/* ---- histograms ---- */

/* The bucket +Inf is what the count says; it stands here for its exemplar. */
static void put_buckets(struct buf *out, const struct metadata *m,
			const double *row, const struct exemplars *exemplars,
			enum escaping escaping)
{
	double count = 0;

	for (unsigned i = 0; i <= m->nbounds; i++) {
		const struct exemplar *exemplar =
			openmetrics_bucket_exemplar(m, exemplars, i);
		bool last = i == m->nbounds;
		size_t mark;

		count += row[1 + i];
		if (last && !exemplar)
			break;
		mark = wire_open(out, HISTOGRAM_BUCKET);
		put_count(out, BUCKET_COUNT, BUCKET_COUNT_FLOAT, count);
		wire_put_double_field(out, BUCKET_BOUND,
				      last ? INFINITY : m->bounds[i]);
		if (exemplar)
			put_exemplar(out, BUCKET_EXEMPLAR, exemplar, escaping);
		wire_close(out, mark);
	}
}

/* A span tells readers that this is a native histogram, where nothing else
 * does. */
static void put_native(struct buf *out, const struct native *native)
{
	static const struct native_fields fields = {
		.schema = HISTOGRAM_SCHEMA,
		.zero_threshold = HISTOGRAM_ZERO_THRESHOLD,
		.zero_count = HISTOGRAM_ZERO_COUNT,
		.negative_span = HISTOGRAM_NEGATIVE_SPAN,
		.negative_delta = HISTOGRAM_NEGATIVE_DELTA,
		.positive_span = HISTOGRAM_POSITIVE_SPAN,
		.positive_delta = HISTOGRAM_POSITIVE_DELTA,
	};
	unsigned spans = native_proto_put(out, &fields, native);

	if (!spans && !native->zero_count && !(native->zero_threshold > 0))
		native_proto_span(out, HISTOGRAM_POSITIVE_SPAN, 0, 0);
}

/* Those of native histograms must have a time. */
static void put_native_exemplars(struct buf *out,
				 const struct exemplars *exemplars,
				 enum escaping escaping)
{
	for (uint32_t i = 0; exemplars && i < exemplars->n; i++)
		if (exemplars->slots[i] && isfinite(exemplars->slots[i]->time))
			put_exemplar(out, HISTOGRAM_EXEMPLAR,
				     exemplars->slots[i], escaping);
}

static void put_histogram(struct buf *out, const struct metadata *m,
			  const struct chunk *chunk, uint32_t i,
			  enum escaping escaping)
{
	const double *row = chunk->values + i * m->width;
	const struct native *native = chunk->natives ? chunk->natives[i] : NULL;
	const struct exemplars *exemplars =
		chunk->exemplars ? chunk->exemplars[i] : NULL;
	size_t mark = wire_open(out, METRIC_HISTOGRAM_FIELD);
	double count = 0;

	for (unsigned k = 0; k <= m->nbounds; k++)
		count += row[1 + k];
	put_count(out, HISTOGRAM_COUNT, HISTOGRAM_COUNT_FLOAT, count);
	wire_put_double_field(out, HISTOGRAM_SUM, row[0]);
	if (m->classic || !native)
		put_buckets(out, m, row, exemplars, escaping);
	if (native)
		put_native(out, native);
	put_created(out, HISTOGRAM_CREATED, m, row);
	if (native)
		put_native_exemplars(out, exemplars, escaping);
	wire_close(out, mark);
}

/* ---- the others ---- */

static void put_summary(struct buf *out, const struct metadata *m,
			const double *row)
{
	size_t mark = wire_open(out, METRIC_SUMMARY_FIELD);

	if (row[1] >= 0 && row[1] < 0x1p64)
		wire_put_uint_field(out, SUMMARY_COUNT, (uint64_t)row[1]);
	wire_put_double_field(out, SUMMARY_SUM, row[0]);
	for (unsigned i = 0; i < m->nquantiles; i++) {
		size_t quantile = wire_open(out, SUMMARY_QUANTILE);

		wire_put_double_field(out, QUANTILE_RANK, m->quantiles[i]);
		wire_put_double_field(out, QUANTILE_VALUE, row[2 + i]);
		wire_close(out, quantile);
	}
	put_created(out, SUMMARY_CREATED, m, row);
	wire_close(out, mark);
}

static void put_counter(struct buf *out, const struct metadata *m,
			const struct chunk *chunk, uint32_t i,
			enum escaping escaping)
{
	const double *row = chunk->values + i * m->width;
	const struct exemplar *exemplar = NULL;
	size_t mark = wire_open(out, METRIC_COUNTER_FIELD);

	if (chunk->exemplars && chunk->exemplars[i])
		exemplar = openmetrics_newest(chunk->exemplars[i]);
	wire_put_double_field(out, SIMPLE_VALUE, row[0]);
	if (exemplar)
		put_exemplar(out, COUNTER_EXEMPLAR, exemplar, escaping);
	put_created(out, COUNTER_CREATED, m, row);
	wire_close(out, mark);
}

unsigned metric_proto_tag(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER: return METRIC_COUNTER_FIELD << 3 | WIRE_BYTES;
	case METRIC_UNKNOWN: return METRIC_UNTYPED_FIELD << 3 | WIRE_BYTES;
	default: return METRIC_GAUGE_FIELD << 3 | WIRE_BYTES;
	}
}

static void put_simple(struct buf *out, enum metric_type type, double value)
{
	size_t mark;

	wire_put_varint(out, metric_proto_tag(type));
	mark = out->len;
	wire_put_double_field(out, SIMPLE_VALUE, value);
	wire_close(out, mark);
}

void metric_proto_value(struct buf *out, const struct metadata *metadata,
			const struct chunk *chunk, uint32_t i,
			enum escaping escaping)
{
	const double *row = chunk->values + i * metadata->width;

	switch (metadata->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
		put_histogram(out, metadata, chunk, i, escaping);
		break;
	case METRIC_SUMMARY: put_summary(out, metadata, row); break;
	case METRIC_COUNTER:
		put_counter(out, metadata, chunk, i, escaping);
		break;
	default: put_simple(out, metadata->type, row[0]);
	}
}
