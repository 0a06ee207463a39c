/* SPDX-License-Identifier: Apache-2.0 */
#include "core/openmetrics2.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/lines.h"
#include "core/openmetrics.h"

/* A chunk that is being rendered. */
struct shower {
	struct lines lines;
	struct buf *out;
	const struct metadata *metadata;
	const struct exemplars *exemplars; /* of the present row; or NULL */
	const struct native *native;	   /* the same */
	struct buf tail;
};

static bool ends_with_info(const struct metadata *m)
{
	static const char suffix[] = "_info";
	size_t len = strlen(suffix);

	return m->name_len > len &&
	       strcmp(m->name + m->name_len - len, suffix) == 0;
}

static const char *type_of(const struct metadata *m)
{
	return m->type == METRIC_INFO && !ends_with_info(m)
		       ? "gauge"
		       : metric_type_name(m->type);
}

void openmetrics2_head(struct buf *out, struct form form,
		       const struct shown_family *family)
{
	const struct metadata *m = family->metadata;
	struct lines lines;

	lines_begin(&lines, out, form, m, NULL);
	openmetrics_comments(&lines, 0, type_of(m), openmetrics_unit_valid(m));
	lines_end(&lines);
}

/* ---- pieces of a composite value ---- */

static void add_pair(struct buf *out, const char *key, double value)
{
	buf_addstr(out, key);
	lines_number(out, value);
}

static void add_classic(struct buf *out, const struct metadata *m,
			const double *row)
{
	double count = 0;

	buf_addstr(out, ",bucket:[");
	for (unsigned i = 0; i <= m->nbounds; i++) {
		count += row[1 + i];
		if (i)
			buf_addch(out, ',');
		buf_addstr(out, m->le[i]);
		add_pair(out, ":", count);
	}
	buf_addch(out, ']');
}

/* What stands before the next number of a list: its name, then commas. */
struct list {
	struct buf *out;
	char before[sizeof ",negative_buckets:["];
};

static void next(struct list *list)
{
	buf_addstr(list->out, list->before);
	strcpy(list->before, ",");
}

static void add_span(void *arg, int32_t offset, uint32_t length)
{
	struct list *list = arg;

	next(list);
	buf_addf(list->out, "%d:%u", (int)offset, (unsigned)length);
}

static void add_bucket(void *arg, uint64_t count)
{
	struct list *list = arg;

	next(list);
	buf_addf(list->out, "%llu", (unsigned long long)count);
}

static void add_side(struct buf *out, const char *name,
		     const struct native_side *side)
{
	struct list spans = { .out = out }, buckets = { .out = out };

	snprintf(spans.before, sizeof spans.before, ",%s_spans:[", name);
	native_spans(side, add_span, NULL, &spans);
	if (strcmp(spans.before, ",") != 0)
		return;
	buf_addch(out, ']');
	snprintf(buckets.before, sizeof buckets.before, ",%s_buckets:[", name);
	native_spans(side, NULL, add_bucket, &buckets);
	buf_addch(out, ']');
}

static void add_native(struct buf *out, const struct native *native)
{
	buf_addf(out, ",schema:%d", native->schema);
	add_pair(out, ",zero_threshold:", native->zero_threshold);
	buf_addf(out, ",zero_count:%llu",
		 (unsigned long long)native->zero_count);
	add_side(out, "negative", &native->negative);
	add_side(out, "positive", &native->positive);
}

/* ---- what stands behind a value ---- */

/* Here an exemplar has a time. */
static void add_exemplars(struct shower *shower)
{
	const struct exemplars *exemplars = shower->exemplars;

	for (uint32_t i = 0; exemplars && i < exemplars->n; i++) {
		const struct exemplar *exemplar = exemplars->slots[i];

		if (exemplar && isfinite(exemplar->time))
			openmetrics_exemplar(&shower->lines, &shower->tail,
					     exemplar);
	}
}

/* Time, start time, exemplars. */
static struct str tail_of(struct shower *shower, const double *row)
{
	struct str time = openmetrics_time(&shower->lines, row);
	double created;

	buf_clear(&shower->tail);
	buf_add(&shower->tail, time.data, time.len);
	if (row_created(shower->metadata, row, &created))
		add_pair(&shower->tail, " st@", created);
	add_exemplars(shower);
	return (struct str){ buf_text(&shower->tail), shower->tail.len };
}

/* ---- series ---- */

static void counter(struct shower *shower, struct line line, const double *row)
{
	if (!(row[0] >= 0))
		return;
	line.value = row[0];
	lines_add(&shower->lines, &line);
}

static void close_composite(struct shower *shower, const struct line *line)
{
	buf_addch(shower->out, '}');
	buf_add(shower->out, line->tail.data, line->tail.len);
	buf_addch(shower->out, '\n');
}

static void histogram(struct shower *shower, struct line line,
		      const double *row)
{
	const struct metadata *m = shower->metadata;
	bool gauge = m->type == METRIC_GAUGEHISTOGRAM;
	double count = 0;

	for (unsigned i = 0; i <= m->nbounds; i++)
		count += row[1 + i];
	lines_start(&shower->lines, &line);
	add_pair(shower->out, gauge ? "{gcount:" : "{count:", count);
	add_pair(shower->out, gauge ? ",gsum:" : ",sum:", row[0]);
	if (shower->native)
		add_native(shower->out, shower->native);
	if (m->classic || !shower->native)
		add_classic(shower->out, m, row);
	close_composite(shower, &line);
}

static void summary(struct shower *shower, struct line line, const double *row)
{
	const struct metadata *m = shower->metadata;
	const char *before = "";

	if (!(row[0] >= 0))
		return;
	lines_start(&shower->lines, &line);
	add_pair(shower->out, "{count:", row[1]);
	add_pair(shower->out, ",sum:", row[0]);
	buf_addstr(shower->out, ",quantile:[");
	for (unsigned i = 0; i < m->nquantiles; i++) {
		if (row[2 + i] < 0)
			continue;
		buf_addf(shower->out, "%s%s:", before, m->ranks[i]);
		lines_number(shower->out, row[2 + i]);
		before = ",";
	}
	buf_addch(shower->out, ']');
	close_composite(shower, &line);
}

static void stateset(struct shower *shower, struct line line, const double *row)
{
	lines_states(&shower->lines, line, row);
}

/* ---- chunks ---- */

typedef void (*show_series)(struct shower *shower, struct line line,
			    const double *row);

static show_series series_of(const struct metadata *m)
{
	switch (m->type) {
	case METRIC_COUNTER: return counter;
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM: return histogram;
	case METRIC_SUMMARY: return summary;
	case METRIC_STATESET: return stateset;
	default: return NULL;
	}
}

static void show_rows(struct shower *shower, const struct chunk *chunk,
		      show_series show)
{
	struct lines *lines = &shower->lines;
	const double *row;
	struct line line;

	for (uint32_t i = 0; (row = lines_next(lines, chunk, &i, &line)); i++) {
		shower->exemplars =
			chunk->exemplars ? chunk->exemplars[i] : NULL;
		shower->native = chunk->natives ? chunk->natives[i] : NULL;
		line.tail = tail_of(shower, row);
		show(shower, line, row);
	}
}

void openmetrics2_chunk(struct buf *out, struct form form,
			const struct shown_family *family,
			const struct chunk *chunk)
{
	const struct metadata *m = family->metadata;
	show_series show = series_of(m);
	struct shower shower = { .out = out, .metadata = m };

	buf_init(&shower.tail, SIZE_MAX / 2);
	lines_begin(&shower.lines, out, form, m, chunk);
	if (show)
		show_rows(&shower, chunk, show);
	else
		lines_simple(&shower.lines, chunk,
			     m->time ? openmetrics_time : NULL);
	lines_end(&shower.lines);
	buf_release(&shower.tail);
}

/* About 8 bytes a number of a composite value, which has one name. */
size_t openmetrics2_estimate(const struct metadata *metadata,
			     const struct chunk *chunk)
{
	const struct labels *labels = chunk_labels(chunk);
	size_t line = metadata->name_len + (labels ? labels->len : 0) + 10;

	if (metadata->type == METRIC_STATESET)
		line = (line + metadata->name_len) * metadata->nstates;
	else if (metadata->width > 1)
		line += 8 * metadata->width;
	return chunk->shown * line;
}
