/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"

#include <math.h>
#include <string.h>

#include "core/lines.h"
#include "core/number.h"

/* The parts of a gauge histogram. */
enum { BUCKETS, GCOUNT, GSUM };

static const char *const gauge_parts[] = { "", "_gcount", "_gsum" };

static const char *type_of(const struct shown_family *family)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
		[METRIC_GAUGEHISTOGRAM] = "histogram",
		[METRIC_SUMMARY] = "summary",
		[METRIC_INFO] = "gauge",
		[METRIC_STATESET] = "gauge",
		[METRIC_UNKNOWN] = "untyped",
	};

	return family->part == BUCKETS ? types[family->metadata->type]
				       : "gauge";
}

void text_show_head(struct buf *out, struct form form,
		    const struct shown_family *family)
{
	const char *suffix = gauge_parts[family->part];
	struct lines lines;

	lines_begin(&lines, out, form, family->metadata, NULL);
	if (*family->metadata->help) {
		lines_comment(&lines, "HELP", 0, suffix);
		lines_escape(out, family->metadata->help, false);
		buf_addch(out, '\n');
	}
	lines_comment(&lines, "TYPE", 0, suffix);
	buf_addstr(out, type_of(family));
	buf_addch(out, '\n');
	lines_end(&lines);
}

/* " 1520879607789": milliseconds since the epoch. */
static struct str milliseconds(struct lines *lines, const double *row)
{
	struct buf *text = &lines->scratch;
	char digits[NUMBER_MAX];
	double time;

	buf_clear(text);
	if (row_time(lines->metadata, row, &time)) {
		buf_addch(text, ' ');
		buf_add(text, digits,
			number_format(digits, round(time * 1000)));
	}
	return (struct str){ buf_text(text), text->len };
}

static inline void add(struct lines *lines, struct line *line,
		       struct str suffix, double value)
{
	line->suffix = suffix;
	line->value = value;
	lines_add(lines, line);
}

/* The bounds have texts; BUCKET is the line without its value. */
static double buckets(struct lines *lines, const struct line *line,
		      const double *row)
{
	const struct metadata *m = lines->metadata;
	struct line bucket = *line;

	bucket.extra = STR("le");
	for (unsigned i = 0; i <= m->nbounds; i++) {
		bucket.extra_value = str_of(m->le[i]);
		add(lines, &bucket, STR("_bucket"), bucket.value + row[1 + i]);
	}
	return bucket.value;
}

static void histogram(struct lines *lines, unsigned part, struct line *line,
		      const double *row)
{
	double count = buckets(lines, line, row);

	(void)part;
	add(lines, line, STR("_sum"), row[0]);
	add(lines, line, STR("_count"), count);
}

static void gaugehistogram(struct lines *lines, unsigned part,
			   struct line *line, const double *row)
{
	double count = 0;

	switch (part) {
	case BUCKETS: buckets(lines, line, row); break;
	case GCOUNT:
		for (unsigned i = 0; i <= lines->metadata->nbounds; i++)
			count += row[1 + i];
		add(lines, line, STR("_gcount"), count);
		break;
	default: add(lines, line, STR("_gsum"), row[0]);
	}
}

static void summary(struct lines *lines, unsigned part, struct line *line,
		    const double *row)
{
	const struct metadata *m = lines->metadata;

	(void)part;
	for (unsigned i = 0; i < m->nquantiles; i++) {
		struct line quantile = *line;

		quantile.extra = STR("quantile");
		quantile.extra_value = str_of(m->ranks[i]);
		add(lines, &quantile, STR(""), row[2 + i]);
	}
	add(lines, line, STR("_sum"), row[0]);
	add(lines, line, STR("_count"), row[1]);
}

static void stateset(struct lines *lines, unsigned part, struct line *line,
		     const double *row)
{
	(void)part;
	lines_states(lines, *line, row);
}

void text_show_chunk(struct buf *out, struct form form,
		     const struct shown_family *family,
		     const struct chunk *chunk)
{
	void (*show)(struct lines *, unsigned, struct line *, const double *);
	const struct metadata *m = family->metadata;
	const double *row;
	struct lines lines;
	struct line line;

	switch (m->type) {
	case METRIC_HISTOGRAM: show = histogram; break;
	case METRIC_GAUGEHISTOGRAM: show = gaugehistogram; break;
	case METRIC_SUMMARY: show = summary; break;
	case METRIC_STATESET: show = stateset; break;
	default: show = NULL;
	}
	lines_begin(&lines, out, form, m, chunk);
	if (!show)
		lines_simple(&lines, chunk, m->time ? milliseconds : NULL);
	for (uint32_t i = 0;
	     show && (row = lines_next(&lines, chunk, &i, &line)); i++) {
		if (m->time)
			line.tail = milliseconds(&lines, row);
		show(&lines, family->part, &line, row);
	}
	lines_end(&lines);
}

/* Lines of a series, each with ABOUT so many bytes beside name and labels. */
static size_t lines_of(const struct metadata *m, size_t *about)
{
	*about = 24; /* _bucket, le="0.25" */
	switch (m->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM: return m->nbounds + 3;
	case METRIC_SUMMARY: return m->nquantiles + 2;
	case METRIC_STATESET: *about += m->name_len; return m->nstates;
	default: *about = 10; return 1;
	}
}

size_t text_chunk_estimate(const struct metadata *metadata,
			   const struct chunk *chunk)
{
	const struct labels *labels = chunk_labels(chunk);
	size_t about, lines = lines_of(metadata, &about);

	return chunk->shown * lines *
	       (metadata->name_len + (labels ? labels->len : 0) + about);
}

void text_head(struct buf *out, const struct metadata *metadata)
{
	text_show_head(out, form_plain,
		       &(struct shown_family){ .metadata = metadata });
}

void text_chunk(struct buf *out, const struct metadata *metadata,
		const struct chunk *chunk)
{
	text_show_chunk(out, form_plain,
			&(struct shown_family){ .metadata = metadata }, chunk);
}
