/* SPDX-License-Identifier: Apache-2.0 */
#include "core/remote_point.h"

#include <math.h>

#include "core/label_text.h"
#include "core/native_proto.h"
#include "core/remote_write.h"
#include "core/wire.h"

/* Field numbers of prompb/types.proto. */
enum {
	SERIES_EXEMPLAR = 3,
	SERIES_HISTOGRAM = 4,

	LABEL_NAME = 1,
	LABEL_VALUE = 2,

	EXEMPLAR_LABEL = 1,
	EXEMPLAR_VALUE = 2,
	EXEMPLAR_TIME = 3,

	HISTOGRAM_COUNT = 1,
	HISTOGRAM_SUM = 3,
	HISTOGRAM_SCHEMA = 4,
	HISTOGRAM_ZERO_THRESHOLD = 5,
	HISTOGRAM_ZERO_COUNT = 6,
	HISTOGRAM_NEGATIVE_SPAN = 8,
	HISTOGRAM_NEGATIVE_DELTA = 9,
	HISTOGRAM_POSITIVE_SPAN = 11,
	HISTOGRAM_POSITIVE_DELTA = 12,
	HISTOGRAM_TIME = 15,
};

/* ---- histograms ---- */

static void put_histogram(struct buf *out, const struct native *native,
			  double sum, int64_t time)
{
	static const struct native_fields fields = {
		.schema = HISTOGRAM_SCHEMA,
		.zero_threshold = HISTOGRAM_ZERO_THRESHOLD,
		.zero_count = HISTOGRAM_ZERO_COUNT,
		.negative_span = HISTOGRAM_NEGATIVE_SPAN,
		.negative_delta = HISTOGRAM_NEGATIVE_DELTA,
		.positive_span = HISTOGRAM_POSITIVE_SPAN,
		.positive_delta = HISTOGRAM_POSITIVE_DELTA,
		.packed = true,
	};
	size_t mark = wire_open(out, SERIES_HISTOGRAM);

	wire_put_uint_field(out, HISTOGRAM_COUNT, native->count);
	wire_put_double_field(out, HISTOGRAM_SUM, sum);
	native_proto_put(out, &fields, native);
	wire_put_uint_field(out, HISTOGRAM_TIME, (uint64_t)time);
	wire_close(out, mark);
}

void remote_point_histogram(struct buf *out, const struct native *native,
			    int64_t time)
{
	double sum = native->sum;

	if (isnan(sum))
		sum = wire_double(REMOTE_WRITE_NAN);
	put_histogram(out, native, sum, time);
}

void remote_point_end(struct buf *out, int64_t time)
{
	const struct native nothing = { 0 };

	put_histogram(out, &nothing, wire_double(REMOTE_WRITE_STALE), time);
}

/* ---- exemplars ---- */

static void put_label(struct buf *out, const struct label_text *label)
{
	size_t mark = wire_open(out, EXEMPLAR_LABEL);
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	label_text_name(&text, label, ESCAPING_UNDERSCORES);
	wire_put_bytes_field(out, LABEL_NAME,
			     (struct str){ buf_text(&text), text.len });
	buf_clear(&text);
	buf_reserve(&text, label->value.len);
	text.len = label_text_raw(text.data, label->value);
	wire_put_bytes_field(out, LABEL_VALUE,
			     (struct str){ text.data, text.len });
	buf_release(&text);
	wire_close(out, mark);
}

void remote_point_exemplar(struct buf *out, const struct exemplar *exemplar,
			   int64_t time)
{
	size_t mark = wire_open(out, SERIES_EXEMPLAR), at = 0;
	struct str text = { exemplar->text, exemplar->len };
	struct label_text label;

	while (label_text_next(text, &at, &label))
		put_label(out, &label);
	wire_put_double_field(out, EXEMPLAR_VALUE, exemplar->value);
	wire_put_uint_field(out, EXEMPLAR_TIME, (uint64_t)time);
	wire_close(out, mark);
}
