/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All label sets of a chunk have the same names, so what a LabelPair has in
 * front of its value is encoded once a chunk (struct plan); the sets themselves
 * are read value by value. A message says its length before its bytes: that of
 * a simple series follows from the length of its label text alone, unless a
 * value is escaped or long.
 */
#include "core/metric_proto.h"

#include <math.h>

#include "core/escape.h"
#include "core/label_text.h"
#include "core/lines.h"
#include "core/metric_proto_value.h"
#include "core/put.h"
#include "core/wire.h"

/* Fields of MetricFamily and Metric, with their wire types. */
enum {
	FAMILY_NAME = 1,
	FAMILY_HELP = 2,
	FAMILY_TYPE = 3,
	FAMILY_UNIT = 5,
	FAMILY_METRIC_TAG = 4 << 3 | WIRE_BYTES,
	METRIC_LABEL_TAG = 1 << 3 | WIRE_BYTES,
	METRIC_TIME_TAG = 6 << 3 | WIRE_VARINT,
	LABEL_VALUE_TAG = 2 << 3 | WIRE_BYTES,
	VALUE_TAG = 1 << 3 | WIRE_FIXED64,
	CREATED_TAG = 3 << 3 | WIRE_BYTES,
	SECONDS_TAG = 1 << 3 | WIRE_VARINT,
	NANOS_TAG = 2 << 3 | WIRE_VARINT,
};

enum {
	TWO_BYTES = 128, /* the first length that takes two bytes */
	DOUBLE_SIZE = 9, /* with its tag */
};

/* A label of all sets of a chunk. */
struct planned {
	size_t skip;	/* bytes of text from the value before to this one */
	size_t at, len; /* in plan.bytes: name and tag of the value */
};

struct plan {
	unsigned n;
	struct planned labels[LABELS_MAX];
	struct buf bytes;
	size_t text;	/* bytes of a set's text that are no values */
	size_t fixed;	/* bytes of its messages that are no values, when all
			 * lengths take one byte */
	size_t longest; /* of one LabelPair without its value */
	bool escaped;	/* a set that does not say so may hold escapes: in the
			 * values of constant labels, which are in all sets */
};

/* A chunk that is being rendered or measured. */
struct shower {
	const struct metadata *metadata;
	const struct chunk *chunk;
	enum escaping escaping;
	struct plan plan;
	struct buf label; /* of a state */
	struct buf value; /* of one metric */
};

/* ---- the plan ---- */

static void plan_label(struct plan *plan, const struct label_text *label,
		       enum escaping escaping)
{
	struct planned *planned = &plan->labels[plan->n++];
	struct buf name;

	buf_init(&name, SIZE_MAX / 2);
	label_text_name(&name, label, escaping);
	planned->at = plan->bytes.len;
	wire_put_tag(&plan->bytes, 1, WIRE_BYTES);
	wire_put_bytes(&plan->bytes, (struct str){ buf_text(&name), name.len });
	wire_put_varint(&plan->bytes, LABEL_VALUE_TAG);
	planned->len = plan->bytes.len - planned->at;
	buf_release(&name);
	plan->fixed += planned->len + 3; /* a tag and two lengths */
	if (plan->longest < planned->len + 1)
		plan->longest = planned->len + 1;
}

static void plan_init(struct plan *plan, const struct labels *labels,
		      enum escaping escaping)
{
	struct str text = labels_str(labels);
	const char *before = text.data;
	struct label_text label;
	size_t at = 0;

	plan->n = 0;
	plan->text = plan->fixed = plan->longest = 0;
	plan->escaped = false;
	buf_init(&plan->bytes, SIZE_MAX / 2);
	while (plan->n < LABELS_MAX && label_text_next(text, &at, &label)) {
		plan->labels[plan->n].skip =
			(size_t)(label.value.data - before);
		plan->text += plan->labels[plan->n].skip;
		plan_label(plan, &label, escaping);
		plan->escaped |= label.escaped;
		before = label.value.data + label.value.len;
	}
	plan->text += plan->n > 0; /* the last quote */
}

/* ---- labels ---- */

/* The value at P, with the length that it has unescaped. */
static inline struct str value_at(const struct plan *plan, const char *p,
				  const struct labels *labels, size_t *raw)
{
	const char *end = labels->text + labels->len, *close;
	bool escaped;

	if (!labels->escaped && !plan->escaped) {
		close = memchr(p, '"', (size_t)(end - p));
		*raw = (size_t)(close - p);
		return (struct str){ p, *raw };
	}
	close = label_text_close(p, &escaped);
	*raw = (size_t)(close - p);
	for (const char *s = p; escaped && s < close; s++) {
		if (*s == '\\') {
			s++;
			--*raw;
		}
	}
	return (struct str){ p, (size_t)(close - p) };
}

static size_t pair_size(const struct planned *planned, size_t raw)
{
	return planned->len + varint_size(raw) + raw;
}

static size_t slow_labels_size(const struct plan *plan,
			       const struct labels *labels)
{
	const char *p = labels->text;
	size_t size = 0, raw;

	for (unsigned i = 0; i < plan->n; i++) {
		const struct planned *planned = &plan->labels[i];
		struct str value =
			value_at(plan, p + planned->skip, labels, &raw);
		size_t pair = pair_size(planned, raw);

		size += 1 + varint_size(pair) + pair;
		p = value.data + value.len;
	}
	return size;
}

static inline size_t labels_size(const struct plan *plan,
				 const struct labels *labels)
{
	size_t values = labels->len - plan->text;

	if (!labels->escaped && !plan->escaped &&
	    plan->longest + values < TWO_BYTES)
		return plan->fixed + values;
	return slow_labels_size(plan, labels);
}

static inline char *put_varint(char *p, uint64_t value)
{
	while (value >= TWO_BYTES) {
		*p++ = (char)(value | TWO_BYTES);
		value >>= 7;
	}
	*p++ = (char)value;
	return p;
}

static inline char *put_double(char *p, double value)
{
	memcpy(p, &value, sizeof value);
	return p + sizeof value;
}

static inline char *put_labels(char *p, const struct plan *plan,
			       const struct labels *labels)
{
	const char *text = labels->text;
	size_t raw;

	for (unsigned i = 0; i < plan->n; i++) {
		const struct planned *planned = &plan->labels[i];
		struct str value =
			value_at(plan, text + planned->skip, labels, &raw);

		*p++ = METRIC_LABEL_TAG;
		p = put_varint(p, pair_size(planned, raw));
		p = put(p, plan->bytes.data + planned->at, planned->len);
		p = put_varint(p, raw);
		if (raw == value.len)
			put(p, value.data, raw);
		else
			label_text_raw(p, value);
		p += raw;
		text = value.data + value.len;
	}
	return p;
}

/* ---- simple values ---- */

/* All of a metric but its labels, where it is a number and perhaps times. */
struct simple {
	double value;
	bool has_created, has_time;
	struct stamp created;
	uint64_t milliseconds;
};

static inline size_t counter_size(const struct simple *simple)
{
	return DOUBLE_SIZE +
	       (simple->has_created ? 2 + simple->created.size : 0);
}

static inline size_t simple_size(const struct simple *simple)
{
	size_t size = 2 + counter_size(simple);

	if (simple->has_time)
		size += 1 + varint_size(simple->milliseconds);
	return size;
}

static inline void simple_init(struct simple *simple, const struct metadata *m,
			       const double *row)
{
	double time;

	simple->value = row[0];
	simple->has_created = row_created(m, row, &time);
	if (simple->has_created)
		simple->created = stamp_of(time);
	simple->has_time = row_time(m, row, &time);
	if (simple->has_time)
		simple->milliseconds = (uint64_t)(int64_t)round(time * 1000);
}

static inline char *put_created(char *p, const struct stamp *stamp)
{
	*p++ = CREATED_TAG;
	*p++ = (char)stamp->size;
	*p++ = SECONDS_TAG;
	p = put_varint(p, (uint64_t)stamp->seconds);
	if (stamp->nanos) {
		*p++ = NANOS_TAG;
		p = put_varint(p, stamp->nanos);
	}
	return p;
}

static inline char *put_simple(char *p, unsigned tag,
			       const struct simple *simple)
{
	*p++ = (char)tag;
	*p++ = (char)counter_size(simple);
	*p++ = VALUE_TAG;
	p = put_double(p, simple->value);
	if (simple->has_created)
		p = put_created(p, &simple->created);
	if (simple->has_time) {
		*p++ = METRIC_TIME_TAG;
		p = put_varint(p, simple->milliseconds);
	}
	return p;
}

static void show_simple(struct buf *out, const struct shower *shower)
{
	const struct metadata *m = shower->metadata;
	const struct rows *rows = shower->chunk->rows;
	const unsigned tag = metric_proto_tag(m->type);

	for (uint32_t i = 0; i < rows->count; i++) {
		const struct labels *labels = rows->labels[i];
		struct simple simple;
		size_t size;
		char *p;

		rows_prefetch(rows, i + 8);
		if (!labels)
			continue;
		simple_init(&simple, m, shower->chunk->values + i * m->width);
		size = labels_size(&shower->plan, labels) +
		       simple_size(&simple);
		if (out->full || !buf_reserve(out, size + WIRE_VARINT_MAX))
			return;
		p = out->data + out->len;
		*p++ = FAMILY_METRIC_TAG;
		p = put_varint(p, size);
		p = put_labels(p, &shower->plan, labels);
		p = put_simple(p, tag, &simple);
		*p = '\0';
		out->len = (size_t)(p - out->data);
	}
}

static size_t measure_simple(const struct shower *shower)
{
	const struct metadata *m = shower->metadata;
	const struct rows *rows = shower->chunk->rows;
	size_t total = 0;

	for (uint32_t i = 0; i < rows->count; i++) {
		struct simple simple;
		size_t size;

		rows_prefetch(rows, i + 8);
		if (!rows->labels[i])
			continue;
		simple_init(&simple, m, shower->chunk->values + i * m->width);
		size = labels_size(&shower->plan, rows->labels[i]) +
		       simple_size(&simple);
		total += 1 + varint_size(size) + size;
	}
	return total;
}

/* ---- other values ---- */

static void put_time(struct buf *out, const struct metadata *m,
		     const double *row)
{
	double time;

	if (!row_time(m, row, &time))
		return;
	wire_put_varint(out, METRIC_TIME_TAG);
	wire_put_varint(out, (uint64_t)(int64_t)round(time * 1000));
}

/* Adds a metric of LABELS, perhaps one more, and what is in shower->value; OUT
 * is NULL where only the size is wanted. */
static size_t show_value(struct buf *out, const struct shower *shower,
			 const struct labels *labels)
{
	size_t all = labels_size(&shower->plan, labels);
	size_t size = all + shower->label.len + shower->value.len;

	if (!out)
		return 1 + varint_size(size) + size;
	wire_put_varint(out, FAMILY_METRIC_TAG);
	wire_put_varint(out, size);
	if (!out->full && buf_reserve(out, all)) {
		put_labels(out->data + out->len, &shower->plan, labels);
		out->len += all;
		out->data[out->len] = '\0';
	}
	buf_add(out, shower->label.data, shower->label.len);
	buf_add(out, shower->value.data, shower->value.len);
	return 0;
}

/* One metric, a gauge, for each state. */
static size_t show_states(struct buf *out, struct shower *shower, uint32_t i)
{
	const struct metadata *m = shower->metadata;
	const double *row = shower->chunk->values + i * m->width;
	struct simple simple = { 0 };
	struct buf name;
	size_t size = 0;

	buf_init(&name, SIZE_MAX / 2);
	name_escape_label(&name, (struct str){ m->name, m->name_len },
			  shower->escaping);
	simple_init(&simple, m, row);
	for (unsigned k = 0; k < m->nstates; k++) {
		buf_clear(&shower->label);
		metric_proto_label(&shower->label,
				   (struct str){ name.data, name.len },
				   str_of(m->states[k]));
		simple.value = row[k];
		buf_clear(&shower->value);
		buf_reserve(&shower->value, simple_size(&simple));
		put_simple(shower->value.data, metric_proto_tag(m->type),
			   &simple);
		shower->value.len = simple_size(&simple);
		size += show_value(out, shower, shower->chunk->rows->labels[i]);
	}
	buf_release(&name);
	return size;
}

static size_t show_others(struct buf *out, struct shower *shower)
{
	const struct metadata *m = shower->metadata;
	const struct chunk *chunk = shower->chunk;
	size_t size = 0;

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		rows_prefetch(chunk->rows, i + 8);
		if (!chunk->rows->labels[i])
			continue;
		if (m->type == METRIC_STATESET) {
			size += show_states(out, shower, i);
			continue;
		}
		buf_clear(&shower->value);
		metric_proto_value(&shower->value, m, chunk, i,
				   shower->escaping);
		put_time(&shower->value, m, chunk->values + i * m->width);
		size += show_value(out, shower, chunk->rows->labels[i]);
	}
	return size;
}

/* ---- chunks ---- */

static bool is_simple(const struct metadata *m, const struct chunk *chunk)
{
	switch (m->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
	case METRIC_SUMMARY:
	case METRIC_STATESET: return false;
	default: return !chunk->exemplars;
	}
}

/* Renders to OUT, or says the size where that is NULL. */
static size_t show(struct buf *out, struct form form, const struct metadata *m,
		   const struct chunk *chunk)
{
	struct shower shower; /* its plan is too large to be cleared */
	const struct labels *labels = chunk_labels(chunk);
	size_t size = 0;

	if (!labels)
		return 0;
	shower.metadata = m;
	shower.chunk = chunk;
	shower.escaping = form.escaping;
	buf_init(&shower.label, SIZE_MAX / 2);
	buf_init(&shower.value, SIZE_MAX / 2);
	plan_init(&shower.plan, labels, form.escaping);
	if (!is_simple(m, chunk))
		size = show_others(out, &shower);
	else if (out)
		show_simple(out, &shower);
	else
		size = measure_simple(&shower);
	buf_release(&shower.plan.bytes);
	buf_release(&shower.label);
	buf_release(&shower.value);
	return size;
}

void metric_proto_chunk(struct buf *out, struct form form,
			const struct shown_family *family,
			const struct chunk *chunk)
{
	show(out, form, family->metadata, chunk);
}

size_t metric_proto_size(struct form form, const struct metadata *metadata,
			 const struct chunk *chunk)
{
	return show(NULL, form, metadata, chunk);
}

size_t metric_proto_estimate(const struct metadata *metadata,
			     const struct chunk *chunk)
{
	const struct labels *labels = chunk_labels(chunk);
	size_t series = (labels ? labels->len : 0) + 24;

	if (metadata->type == METRIC_STATESET)
		series = (series + metadata->name_len + 16) * metadata->nstates;
	else if (metadata->width > 2)
		series += 16 * metadata->width;
	if (metadata->native)
		series += 256;
	return chunk->shown * series;
}

/* ---- heads ---- */

static unsigned type_of(enum metric_type type)
{
	enum {
		COUNTER,
		GAUGE,
		SUMMARY,
		UNTYPED,
		HISTOGRAM,
		GAUGE_HISTOGRAM,
	};

	switch (type) {
	case METRIC_COUNTER: return COUNTER;
	case METRIC_SUMMARY: return SUMMARY;
	case METRIC_UNKNOWN: return UNTYPED;
	case METRIC_HISTOGRAM: return HISTOGRAM;
	case METRIC_GAUGEHISTOGRAM: return GAUGE_HISTOGRAM;
	default: return GAUGE;
	}
}

static void put_text(struct buf *out, uint32_t field, struct str text)
{
	if (!text.len)
		return;
	wire_put_tag(out, field, WIRE_BYTES);
	wire_put_bytes(out, text);
}

void metric_proto_head(struct buf *out, struct form form,
		       const struct shown_family *family)
{
	const struct metadata *m = family->metadata;
	struct buf head, name;

	buf_init(&head, SIZE_MAX / 2);
	buf_init(&name, SIZE_MAX / 2);
	name_escape(&name, (struct str){ m->name, m->name_len }, form.escaping);
	put_text(&head, FAMILY_NAME, (struct str){ name.data, name.len });
	put_text(&head, FAMILY_HELP, str_of(m->help));
	wire_put_tag(&head, FAMILY_TYPE, WIRE_VARINT);
	wire_put_varint(&head, type_of(m->type));
	put_text(&head, FAMILY_UNIT, str_of(m->unit));
	wire_put_varint(out, head.len + family->size);
	buf_add(out, head.data, head.len);
	buf_release(&head);
	buf_release(&name);
}
