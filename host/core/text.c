/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot loop of a scrape: for each series the name, the label text and a
 * number are copied behind each other. Room is asked for once a line; copies
 * are done in place because they are too short for a call to pay.
 */
#include "core/text.h"

#include <string.h>

#include "core/number.h"

static inline char *put(char *p, const char *s, size_t n)
{
	size_t i = 0;

	if (n >= 16) {
		for (; i + 16 < n; i += 16)
			memcpy(p + i, s + i, 16);
		memcpy(p + n - 16, s + n - 16, 16);
	} else if (n >= 8) {
		memcpy(p, s, 8);
		memcpy(p + n - 8, s + n - 8, 8);
	} else {
		for (; i < n; i++)
			p[i] = s[i];
	}
	return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

/* One line is being written: `p` moves, `out` learns at the end. */
static char *line_begin(struct buf *out, size_t most)
{
	return !out->full && buf_reserve(out, most) ? out->data + out->len
						    : NULL;
}

static inline void line_end(struct buf *out, char *p, double value)
{
	p += number_format(p, value);
	*p++ = '\n';
	*p = '\0';
	out->len = (size_t)(p - out->data);
}

/* name suffix {labels,extra="value"} number. EXTRA may be NULL. */
static void line(struct buf *out, const struct metadata *m, const char *suffix,
		 const struct labels *labels, const char *extra,
		 struct str extra_value, double value)
{
	size_t suffix_len = strlen(suffix);
	size_t extra_len = extra ? strlen(extra) : 0;
	char *p = line_begin(out, m->name_len + suffix_len + labels->len +
					  extra_len + extra_value.len +
					  NUMBER_MAX + 16);

	if (!p)
		return;
	p = put(p, m->name, m->name_len);
	p = put(p, suffix, suffix_len);
	if (labels->len || extra) {
		*p++ = '{';
		p = put(p, labels->text, labels->len);
		if (extra) {
			if (labels->len)
				*p++ = ',';
			p = put(p, extra, extra_len);
			p = PUT(p, "=\"");
			p = put(p, extra_value.data, extra_value.len);
			*p++ = '"';
		}
		*p++ = '}';
	}
	*p++ = ' ';
	line_end(out, p, value);
}

/* The same without suffix and extra label: most lines of most pages. */
static inline void simple_line(struct buf *out, const struct metadata *m,
			       const struct labels *labels, double value)
{
	char *p = line_begin(out, m->name_len + labels->len + NUMBER_MAX + 8);

	if (!p)
		return;
	p = put(p, m->name, m->name_len);
	if (labels->len) {
		*p++ = '{';
		p = put(p, labels->text, labels->len);
		*p++ = '}';
	}
	*p++ = ' ';
	line_end(out, p, value);
}

static const struct str no_value = { "", 0 };

static struct str text_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static void histogram(struct buf *out, const struct metadata *m,
		      const struct labels *labels, const double *numbers)
{
	double count = 0;

	for (unsigned i = 0; i <= m->nbounds; i++) {
		count += numbers[1 + i];
		line(out, m, "_bucket", labels, "le", text_of(m->le[i]), count);
	}
	line(out, m, "_sum", labels, NULL, no_value, numbers[0]);
	line(out, m, "_count", labels, NULL, no_value, count);
}

static void summary(struct buf *out, const struct metadata *m,
		    const struct labels *labels, const double *numbers)
{
	line(out, m, "_sum", labels, NULL, no_value, numbers[0]);
	line(out, m, "_count", labels, NULL, no_value, numbers[1]);
}

static void add_escaped(struct buf *out, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\\')
			buf_addstr(out, "\\\\");
		else if (*s == '\n')
			buf_addstr(out, "\\n");
		else if (*s == '"' && quotes)
			buf_addstr(out, "\\\"");
		else
			buf_addch(out, *s);
	}
}

static void stateset(struct buf *out, const struct metadata *m,
		     const struct labels *labels, const double *numbers)
{
	struct buf state;

	buf_init(&state, 2 * LABELS_TEXT_MAX);
	for (unsigned i = 0; i < m->nstates; i++) {
		buf_clear(&state);
		add_escaped(&state, m->states[i], true);
		line(out, m, "", labels, m->name,
		     (struct str){ buf_text(&state), state.len }, numbers[i]);
	}
	buf_release(&state);
}

void text_head(struct buf *out, const struct metadata *metadata)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",	  [METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram", [METRIC_SUMMARY] = "summary",
		[METRIC_INFO] = "gauge",	  [METRIC_STATESET] = "gauge",
		[METRIC_UNKNOWN] = "untyped",
	};

	if (*metadata->help) {
		buf_addf(out, "# HELP %s ", metadata->name);
		add_escaped(out, metadata->help, false);
		buf_addch(out, '\n');
	}
	buf_addf(out, "# TYPE %s %s\n", metadata->name, types[metadata->type]);
}

/* Label sets lie where malloc put them, the next one seldom behind this one. */
static inline void prefetch(const struct rows *rows, uint32_t i)
{
	uintptr_t labels; /* a number: a hole is NULL */

	if (i >= rows->count)
		return;
	labels = (uintptr_t)rows->labels[i];
	__builtin_prefetch((const void *)labels);
	__builtin_prefetch((const void *)(labels + 64));
}

static void simple_chunk(struct buf *out, const struct metadata *metadata,
			 const struct chunk *chunk)
{
	const struct rows *rows = chunk->rows;

	for (uint32_t i = 0; i < rows->count; i++) {
		prefetch(rows, i + 8);
		if (rows->labels[i])
			simple_line(out, metadata, rows->labels[i],
				    chunk->values[i * metadata->width]);
	}
}

void text_chunk(struct buf *out, const struct metadata *metadata,
		const struct chunk *chunk)
{
	void (*series)(struct buf *, const struct metadata *,
		       const struct labels *, const double *);

	switch (metadata->type) {
	case METRIC_HISTOGRAM: series = histogram; break;
	case METRIC_SUMMARY: series = summary; break;
	case METRIC_STATESET: series = stateset; break;
	default: simple_chunk(out, metadata, chunk); return;
	}
	for (uint32_t i = 0; i < chunk->rows->count; i++)
		if (chunk->rows->labels[i])
			series(out, metadata, chunk->rows->labels[i],
			       chunk->values + i * metadata->width);
}

size_t text_chunk_estimate(const struct metadata *metadata,
			   const struct chunk *chunk)
{
	size_t labels = 0;

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		if (chunk->rows->labels[i]) {
			labels = chunk->rows->labels[i]->len;
			break;
		}
	}
	return chunk->shown * metadata->width *
	       (metadata->name_len + labels + 10);
}
