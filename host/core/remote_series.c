/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TimeSeries is labels in the order of their names, then the sample. For a
 * family there is a list of slots, one for each label. A slot has either the
 * whole label encoded, or what stands before the value that the row gives; so a
 * series is a few copies. The slot of __name__, and the one of `le` and its
 * like, get what they hold from the kind.
 */
#include "core/remote_series.h"

#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/wire.h"

enum {
	TIMESERIES = 0x0A,   /* WriteRequest.timeseries */
	LABEL = 0x0A,	     /* TimeSeries.labels */
	LABEL_NAME = 0x0A,   /* Label.name */
	LABEL_VALUE = 0x12,  /* Label.value */
	SAMPLE = 0x12,	     /* TimeSeries.samples */
	SAMPLE_VALUE = 0x09, /* Sample.value */
	SAMPLE_TIME = 0x10,  /* Sample.timestamp */
	/* The texts of a family: names and labels, below LABELS_TEXT_MAX each,
	 * once for each kind. */
	TEXT_MAX = 1 << 28,
};

static struct str text_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static bool same(struct str a, struct str b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static size_t varint_len(size_t value)
{
	size_t n = 1;

	while (value >>= 7)
		n++;
	return n;
}

static inline char *put_varint(char *p, size_t value)
{
	for (; value >= 0x80; value >>= 7)
		*p++ = (char)(value | 0x80);
	*p++ = (char)value;
	return p;
}

static inline char *put(char *p, const void *data, size_t len)
{
	memcpy(p, data, len);
	return p + len;
}

void remote_series_init(struct remote_series *series,
			const struct label_pair *added, unsigned nadded,
			int64_t time)
{
	memset(series, 0, sizeof *series);
	series->added = added;
	series->nadded = nadded;
	buf_init(&series->text, TEXT_MAX);
	buf_init(&series->names, TEXT_MAX);
	buf_init(&series->raw, LABELS_TEXT_MAX);
	remote_series_time(series, time);
}

void remote_series_time(struct remote_series *series, int64_t time)
{
	struct buf tail;

	buf_init(&tail, sizeof series->tail);
	buf_addch(&tail, SAMPLE_TIME);
	wire_put_varint(&tail, (uint64_t)time);
	memcpy(series->tail, tail.data, tail.len);
	series->tail_len = (unsigned)tail.len;
	buf_release(&tail);
}

void remote_series_release(struct remote_series *series)
{
	buf_release(&series->text);
	buf_release(&series->names);
	buf_release(&series->raw);
}

/* ---- kinds ---- */

/* The sample's name is the family's and SUFFIX; LABEL (NULL: none) tells it
 * from others of that name. */
struct kind {
	const char *suffix, *label, *value;
};

static bool has_native(const struct remote_series *series,
		       const struct metadata *m)
{
	return series->natives && m->native;
}

/* Buckets, _sum and _count; none where there are native buckets instead. */
static unsigned classic_kinds(const struct remote_series *series,
			      const struct metadata *m)
{
	return has_native(series, m) && !m->classic ? 0 : m->nbounds + 3;
}

bool remote_series_is_native(const struct remote_series *series,
			     const struct metadata *m, unsigned kind)
{
	return has_native(series, m) && kind == classic_kinds(series, m);
}

static struct kind histogram_kind(const struct metadata *m, unsigned kind)
{
	if (kind <= m->nbounds)
		return (struct kind){ "_bucket", "le", m->le[kind] };
	return (struct kind){ metric_type_suffixes(m->type)[kind - m->nbounds],
			      NULL, NULL };
}

static struct kind kind_of(const struct remote_series *series,
			   const struct metadata *m, unsigned kind)
{
	switch (m->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
		if (remote_series_is_native(series, m, kind))
			return (struct kind){ "", NULL, NULL };
		return histogram_kind(m, kind);
	case METRIC_SUMMARY:
		if (kind < 2)
			return (struct kind){
				metric_type_suffixes(m->type)[kind], NULL, NULL
			};
		return (struct kind){ "", "quantile", m->ranks[kind - 2] };
	case METRIC_STATESET:
		return (struct kind){ "", m->name, m->states[kind] };
	default: return (struct kind){ "", NULL, NULL };
	}
}

static unsigned kinds_of(const struct remote_series *series,
			 const struct metadata *m)
{
	switch (m->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
		return classic_kinds(series, m) + has_native(series, m);
	case METRIC_STATESET: return m->nstates;
	case METRIC_SUMMARY: return m->nquantiles + 2;
	default: return 1;
	}
}

/* The label that tells some kinds apart; NULL: none does. */
static const char *kind_label(const struct remote_series *series)
{
	const struct metadata *m = series->metadata;

	for (unsigned i = 0; i < series->nkinds; i++)
		if (kind_of(series, m, i).label)
			return kind_of(series, m, i).label;
	return NULL;
}

bool remote_series_has_kind(const struct remote_series *series,
			    const struct metadata *a, unsigned kind,
			    const struct metadata *b)
{
	struct kind wanted = kind_of(series, a, kind);

	for (unsigned i = 0; i < kinds_of(series, b); i++) {
		struct kind there = kind_of(series, b, i);

		if (strcmp(wanted.suffix, there.suffix) != 0)
			continue;
		if (!wanted.label || !there.label) {
			if (wanted.label == there.label)
				return true;
		} else if (strcmp(wanted.label, there.label) == 0 &&
			   strcmp(wanted.value, there.value) == 0) {
			return true;
		}
	}
	return false;
}

void remote_series_values(const struct remote_series *series,
			  const double *numbers,
			  double values[REMOTE_KINDS_MAX])
{
	const struct metadata *m = series->metadata;
	double count = 0;

	if (!m->le) {
		memcpy(values, numbers, series->nkinds * sizeof *values);
		return;
	}
	for (unsigned i = 0; i <= m->nbounds; i++) {
		count += numbers[1 + i];
		values[i] = count;
	}
	values[m->nbounds + 1] = numbers[0];
	values[m->nbounds + 2] = count;
}

/* ---- the family ---- */

unsigned remote_series_family(struct remote_series *series,
			      const struct metadata *metadata)
{
	series->metadata = metadata;
	series->nslots = 0;
	series->nkinds = kinds_of(series, metadata);
	return series->nkinds;
}

/* One that is "" would be no label, which the receiver may refuse. */
static struct remote_span add_label(struct buf *text, struct str name,
				    struct str value)
{
	struct remote_span span = { (uint32_t)text->len, 0 };

	if (value.len == 0)
		return span;
	buf_addch(text, LABEL);
	wire_put_varint(text, 2 + varint_len(name.len) + name.len +
				      varint_len(value.len) + value.len);
	buf_addch(text, LABEL_NAME);
	wire_put_bytes(text, name);
	buf_addch(text, LABEL_VALUE);
	wire_put_bytes(text, value);
	span.len = (uint32_t)(text->len - span.at);
	return span;
}

static struct remote_span add_head(struct buf *text, struct str name)
{
	struct remote_span span = { (uint32_t)text->len, 0 };

	buf_addch(text, LABEL_NAME);
	wire_put_bytes(text, name);
	buf_addch(text, LABEL_VALUE);
	span.len = (uint32_t)(text->len - span.at);
	return span;
}

static void add_kinds(struct remote_series *series)
{
	const struct metadata *m = series->metadata;
	struct buf name;

	buf_init(&name, TEXT_MAX);
	for (unsigned i = 0; i < series->nkinds; i++) {
		struct kind kind = kind_of(series, m, i);

		buf_clear(&name);
		name_escape(&name, (struct str){ m->name, m->name_len },
			    ESCAPING_UNDERSCORES);
		buf_addstr(&name, kind.suffix);
		series->kind_names[i] =
			add_label(&series->text, STR("__name__"),
				  (struct str){ name.data, name.len });
		if (kind.label)
			series->kind_labels[i] =
				add_label(&series->text, series->kind_label,
					  text_of(kind.value));
		else if (series->kind_slot >= 0)
			series->kind_labels[i] =
				series->slots[series->kind_slot].fixed;
	}
	buf_release(&name);
}

/* The slot of NAME, a new one at its place in the order if need be. */
static struct remote_slot *add_slot(struct remote_series *series,
				    struct str name)
{
	struct remote_slot *slots = series->slots;
	unsigned at = series->nslots;

	for (unsigned i = 0; i < series->nslots; i++) {
		size_t n = name.len < slots[i].name.len ? name.len
							: slots[i].name.len;
		int order = memcmp(name.data, slots[i].name.data, n);

		if (order == 0 && name.len == slots[i].name.len)
			return &slots[i];
		if (order < 0 || (order == 0 && name.len < slots[i].name.len)) {
			at = i;
			break;
		}
	}
	memmove(&slots[at + 1], &slots[at],
		(series->nslots - at) * sizeof *slots);
	series->nslots++;
	slots[at] = (struct remote_slot){ .name = name, .own = -1 };
	return &slots[at];
}

/* RAW as receivers get it; there is room for it in `names`. */
static struct str escaped_name(struct remote_series *series, struct str raw)
{
	size_t from = series->names.len;

	if (name_is_legacy_label(raw))
		return raw;
	name_escape_label(&series->names, raw, ESCAPING_UNDERSCORES);
	return (struct str){ series->names.data + from,
			     series->names.len - from };
}

/* The name of a PAIR of a set. */
static struct str name_of(struct remote_series *series, struct str pair)
{
	if (*pair.data != '"')
		return label_name_text(pair);
	buf_clear(&series->raw);
	buf_reserve(&series->raw, pair.len);
	return escaped_name(series, label_name(pair, series->raw.data));
}

static void add_own(struct remote_series *series, const struct labels *labels)
{
	struct str pair;

	series->nown = 0;
	for (size_t at = 0;
	     series->nown < LABELS_MAX && labels_next(labels, &at, &pair);) {
		struct str name = name_of(series, pair);
		struct remote_slot *slot = add_slot(series, name);

		slot->own = (int)series->nown;
		slot->head = add_head(&series->text, name);
		series->own_names[series->nown++] = label_name_text(pair);
	}
}

static int find_slot(const struct remote_series *series, struct str name)
{
	for (unsigned i = 0; i < series->nslots; i++)
		if (same(series->slots[i].name, name))
			return (int)i;
	return -1;
}

/* For rows whose labels are named as those of LABELS: all of the family. */
static void make_slots(struct remote_series *series,
		       const struct labels *labels)
{
	const struct metadata *m = series->metadata;
	const char *label = kind_label(series);

	buf_clear(&series->text);
	buf_clear(&series->names);
	buf_reserve(&series->names, labels->len + m->name_len);
	if (label)
		series->kind_label = escaped_name(series, text_of(label));
	series->nslots = 0;
	series->escaped =
		labels->len && memchr(labels->text, '\\', labels->len);
	add_own(series, labels);
	for (unsigned i = 0; i < series->nadded; i++) {
		struct str name = text_of(series->added[i].name);

		add_slot(series, name)->fixed = add_label(
			&series->text, name, text_of(series->added[i].value));
	}
	add_slot(series, STR("__name__"))->own = -1;
	if (label)
		add_slot(series, series->kind_label)->own = -1;
	series->name_slot = find_slot(series, STR("__name__"));
	series->kind_slot = label ? find_slot(series, series->kind_label) : -1;
	add_kinds(series);
}

/* ---- the row ---- */

/* P is at the first byte of an escaped value that ends at END. The room for
 * all values of a row is there already: none of them moves. */
static struct str unescape(struct buf *raw, const char *p, const char *end)
{
	size_t from = raw->len;

	for (; p < end; p++) {
		char c = *p;

		if (c == '\\')
			c = *++p == 'n' ? '\n' : *p;
		buf_addch(raw, c);
	}
	return (struct str){ raw->data + from, raw->len - from };
}

/* Behind a value: at its closing quote. */
static const char *end_of_value(const char *p, const char *end, bool escaped)
{
	if (!escaped)
		return memchr(p, '"', (size_t)(end - p));
	while (*p != '"')
		p += *p == '\\' ? 2 : 1;
	return p;
}

/* False when the labels are not named as those that the slots were made for. */
static bool read_values(struct remote_series *series,
			const struct labels *labels)
{
	const char *p = labels->text, *end = p + labels->len;
	bool escaped = labels->escaped || series->escaped;

	if (escaped) {
		buf_clear(&series->raw);
		buf_reserve(&series->raw, labels->len);
	}
	for (unsigned i = 0; i < series->nown; i++) {
		struct str name = series->own_names[i];
		const char *from = p + name.len + 2;

		if ((size_t)(end - p) < name.len + 3 ||
		    memcmp(p, name.data, name.len) != 0 || p[name.len] != '=')
			return false;
		p = end_of_value(from, end, escaped);
		series->values[i] =
			escaped ? unescape(&series->raw, from, p)
				: (struct str){ from, (size_t)(p - from) };
		p += p + 1 < end ? 2 : 1; /* and the comma */
	}
	return p == end;
}

static inline size_t own_body(const struct remote_slot *slot, struct str value)
{
	return slot->head.len + varint_len(value.len) + value.len;
}

void remote_series_row(struct remote_series *series,
		       const struct labels *labels)
{
	if (series->nslots == 0 || !read_values(series, labels)) {
		make_slots(series, labels);
		read_values(series, labels);
	}
	series->row_len = 0;
	for (int i = 0; i < (int)series->nslots; i++) {
		const struct remote_slot *slot = &series->slots[i];
		size_t body;

		if (i == series->name_slot || i == series->kind_slot)
			continue;
		if (slot->own < 0 || series->values[slot->own].len == 0) {
			series->row_len += slot->fixed.len;
			continue;
		}
		body = own_body(slot, series->values[slot->own]);
		series->row_len += 1 + varint_len(body) + body;
	}
}

static char *put_labels(const struct remote_series *series, char *p,
			unsigned kind)
{
	const char *text = series->text.data;

	for (int i = 0; i < (int)series->nslots; i++) {
		const struct remote_slot *slot = &series->slots[i];
		struct remote_span fixed = slot->fixed;
		struct str value;

		if (i == series->name_slot)
			fixed = series->kind_names[kind];
		else if (i == series->kind_slot)
			fixed = series->kind_labels[kind];
		else if (slot->own >= 0 && series->values[slot->own].len) {
			value = series->values[slot->own];
			*p++ = LABEL;
			p = put_varint(p, own_body(slot, value));
			p = put(p, text + slot->head.at, slot->head.len);
			p = put_varint(p, value.len);
			p = put(p, value.data, value.len);
			continue;
		}
		p = put(p, text + fixed.at, fixed.len);
	}
	return p;
}

/* Begins a series that has LEN bytes behind its labels, which the caller puts
 * where the result says; NULL when there is no room. */
static char *begin(struct remote_series *series, struct buf *out, unsigned kind,
		   size_t len)
{
	char *p;

	len += series->row_len + series->kind_names[kind].len +
	       (series->kind_slot < 0 ? 0 : series->kind_labels[kind].len);
	if (!buf_reserve(out, 1 + varint_len(len) + len))
		return NULL;
	p = out->data + out->len;
	*p++ = TIMESERIES;
	p = put_varint(p, len);
	return put_labels(series, p, kind);
}

/* P is behind the series. */
static void end(struct buf *out, char *p)
{
	*p = '\0';
	out->len = (size_t)(p - out->data);
}

void remote_series_put(struct remote_series *series, struct buf *out,
		       unsigned kind, double value)
{
	size_t sample = 1 + sizeof value + series->tail_len;
	char *p = begin(series, out, kind, 2 + sample);
	uint64_t bits;

	if (!p)
		return;
	*p++ = SAMPLE;
	*p++ = (char)sample;
	*p++ = SAMPLE_VALUE;
	memcpy(&bits, &value, sizeof bits);
	for (unsigned i = 0; i < sizeof bits; i++)
		*p++ = (char)(bits >> (8 * i));
	end(out, put(p, series->tail, series->tail_len));
}

void remote_series_put_point(struct remote_series *series, struct buf *out,
			     unsigned kind, struct str point)
{
	char *p = begin(series, out, kind, point.len);

	if (p)
		end(out, put(p, point.data, point.len));
}
