/* SPDX-License-Identifier: Apache-2.0 */
#include "core/openmetrics.h"

#include <math.h>
#include <string.h>

#include "core/escape.h"
#include "core/label_text.h"
#include "core/lines.h"

/* A chunk that is being rendered. */
struct shower {
	struct lines lines;
	const struct metadata *metadata;
	const struct exemplars *exemplars; /* of the present row; or NULL */
	size_t cut;			   /* see cut_of() */
	bool created;			   /* with the samples x_created */
	struct buf tail;		   /* of a line that has an exemplar */
};

static const char *type_of(const struct shown_family *family)
{
	enum metric_type type = family->metadata->type;

	if (!family->unknown || (type != METRIC_COUNTER && type != METRIC_INFO))
		return metric_type_name(type);
	return type == METRIC_INFO ? "gauge" : "unknown";
}

/* By how many bytes the family's name is shorter than its sample's. */
static size_t cut_of(const struct shown_family *family)
{
	if (family->unknown)
		return 0;
	switch (family->metadata->type) {
	case METRIC_COUNTER: return strlen("_total");
	case METRIC_INFO: return strlen("_info");
	default: return 0;
	}
}

/* ---- heads ---- */

static bool ends_with(struct str name, const char *suffix)
{
	size_t len = strlen(suffix);

	return name.len > len &&
	       memcmp(name.data + name.len - len, suffix, len) == 0;
}

bool openmetrics_unit_valid(const struct metadata *metadata)
{
	struct str unit = str_of(metadata->unit);
	char name[64] = "_"; /* digits may begin a unit */

	if (!unit.len || unit.len > sizeof name - 2 ||
	    metadata->type == METRIC_INFO || metadata->type == METRIC_STATESET)
		return false;
	memcpy(name + 1, unit.data, unit.len);
	return name_is_legacy((struct str){ name, unit.len + 1 });
}

static bool shows_unit(const struct lines *lines, size_t cut)
{
	const struct metadata *m = lines->metadata;
	struct str family = { lines->name.data, lines->name.len - cut };

	if (!openmetrics_unit_valid(m) || !ends_with(family, m->unit))
		return false;
	family.len -= strlen(m->unit);
	return ends_with(family, "_");
}

void openmetrics_comments(struct lines *lines, size_t cut, const char *type,
			  bool unit)
{
	const struct metadata *m = lines->metadata;
	struct buf *out = lines->out;

	lines_comment(lines, "TYPE", cut, "");
	buf_addstr(out, type);
	buf_addch(out, '\n');
	if (unit) {
		lines_comment(lines, "UNIT", cut, "");
		buf_addstr(out, m->unit);
		buf_addch(out, '\n');
	}
	if (*m->help) {
		lines_comment(lines, "HELP", cut, "");
		lines_escape(out, m->help, true);
		buf_addch(out, '\n');
	}
}

void openmetrics_head(struct buf *out, struct form form,
		      const struct shown_family *family)
{
	size_t cut = cut_of(family);
	struct lines lines;

	lines_begin(&lines, out, form, family->metadata, NULL);
	openmetrics_comments(&lines, cut, type_of(family),
			     shows_unit(&lines, cut));
	lines_end(&lines);
}

/* ---- what stands behind a number ---- */

struct str openmetrics_time(struct lines *lines, const double *row)
{
	struct buf *text = &lines->scratch;
	double time;

	buf_clear(text);
	if (row_time(lines->metadata, row, &time)) {
		buf_addch(text, ' ');
		lines_number(text, time);
	}
	return (struct str){ buf_text(text), text->len };
}

void openmetrics_exemplar(const struct lines *lines, struct buf *out,
			  const struct exemplar *exemplar)
{
	buf_addstr(out, " # {");
	lines_add_labels(lines, out,
			 (struct str){ exemplar->text, exemplar->len });
	buf_addstr(out, "} ");
	lines_number(out, exemplar->value);
	if (isfinite(exemplar->time)) {
		buf_addch(out, ' ');
		lines_number(out, exemplar->time);
	}
}

const struct exemplar *openmetrics_newest(const struct exemplars *exemplars)
{
	const struct exemplar *found = NULL;

	for (uint32_t i = 0; i < exemplars->n; i++) {
		const struct exemplar *exemplar = exemplars->slots[i];

		if (exemplar && (!found || !(exemplar->time <= found->time)))
			found = exemplar;
	}
	return found;
}

/* A native histogram may keep any number, and shows one bucket. */
const struct exemplar *openmetrics_bucket_exemplar(
	const struct metadata *metadata, const struct exemplars *exemplars,
	unsigned i)
{
	if (!exemplars)
		return NULL;
	if (exemplars->n == metadata->nbounds + 1)
		return exemplars->slots[i];
	return i == metadata->nbounds ? openmetrics_newest(exemplars) : NULL;
}

/* ---- series ---- */

static size_t characters(struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++, n++)
		while (i + 1 < text.len &&
		       ((unsigned char)text.data[i + 1] & 0xC0) == 0x80)
			i++;
	return n;
}

/* Names are longer when they are escaped; an exemplar that is too long then is
 * left out. An escape in a value is one character. */
static bool fits(const struct lines *lines, const struct exemplar *exemplar)
{
	struct str text = { exemplar->text, exemplar->len };
	struct label_text label;
	size_t at = 0, n = 0;
	struct buf name;

	if (lines->escaping == ESCAPING_NONE || !label_text_quoted(text))
		return true;
	buf_init(&name, SIZE_MAX / 2);
	while (label_text_next(text, &at, &label)) {
		label_text_name(&name, &label, lines->escaping);
		n += characters(label.value);
		for (size_t i = 0; i < label.value.len; i++) {
			if (label.value.data[i] == '\\') {
				n--;
				i++;
			}
		}
	}
	n += name.len;
	buf_release(&name);
	return n <= EXEMPLAR_LABELS_MAX;
}

static void add(struct shower *shower, struct line line, struct str suffix,
		double value)
{
	line.suffix = suffix;
	line.value = value;
	lines_add(&shower->lines, &line);
}

static void add_with(struct shower *shower, struct line line,
		     const struct exemplar *exemplar)
{
	if (exemplar && fits(&shower->lines, exemplar)) {
		buf_clear(&shower->tail);
		buf_add(&shower->tail, line.tail.data, line.tail.len);
		openmetrics_exemplar(&shower->lines, &shower->tail, exemplar);
		line.tail = (struct str){ shower->tail.data, shower->tail.len };
	}
	lines_add(&shower->lines, &line);
}

static void add_created(struct shower *shower, struct line line,
			const double *row)
{
	double created;

	if (!shower->created || !row_created(shower->metadata, row, &created))
		return;
	shower->lines.name.len -= shower->cut;
	add(shower, line, STR("_created"), created);
	shower->lines.name.len += shower->cut;
}

static void counter(struct shower *shower, struct line line, const double *row)
{
	const struct exemplars *exemplars = shower->exemplars;

	if (!(row[0] >= 0))
		return;
	line.value = row[0];
	add_with(shower, line,
		 exemplars ? openmetrics_newest(exemplars) : NULL);
	add_created(shower, line, row);
}

static double buckets(struct shower *shower, struct line line,
		      const double *row)
{
	const struct metadata *m = shower->metadata;

	line.suffix = STR("_bucket");
	line.extra = STR("le");
	for (unsigned i = 0; i <= m->nbounds; i++) {
		line.value += row[1 + i];
		line.extra_value = str_of(m->canonical[i]);
		add_with(shower, line,
			 openmetrics_bucket_exemplar(m, shower->exemplars, i));
	}
	return line.value;
}

static bool has_negative_bounds(const struct metadata *m)
{
	return m->nbounds && m->bounds[0] < 0;
}

static void histogram(struct shower *shower, struct line line,
		      const double *row)
{
	double count = buckets(shower, line, row);

	if (!has_negative_bounds(shower->metadata) && row[0] >= 0) {
		add(shower, line, STR("_sum"), row[0]);
		add(shower, line, STR("_count"), count);
	}
	add_created(shower, line, row);
}

static void gaugehistogram(struct shower *shower, struct line line,
			   const double *row)
{
	double count = buckets(shower, line, row);

	if (isnan(row[0]) ||
	    (row[0] < 0 && !has_negative_bounds(shower->metadata)))
		return;
	add(shower, line, STR("_gcount"), count);
	add(shower, line, STR("_gsum"), row[0]);
}

static void summary(struct shower *shower, struct line line, const double *row)
{
	const struct metadata *m = shower->metadata;
	struct line quantile = line;

	quantile.extra = STR("quantile");
	for (unsigned i = 0; i < m->nquantiles; i++) {
		quantile.extra_value = str_of(m->canonical_ranks[i]);
		if (!(row[2 + i] < 0))
			add(shower, quantile, STR(""), row[2 + i]);
	}
	if (row[0] >= 0)
		add(shower, line, STR("_sum"), row[0]);
	add(shower, line, STR("_count"), row[1]);
	add_created(shower, line, row);
}

static void stateset(struct shower *shower, struct line line, const double *row)
{
	lines_states(&shower->lines, line, row);
}

/* ---- chunks ---- */

typedef void (*show_series)(struct shower *shower, struct line line,
			    const double *row);

/* NULL: a line for each series, and nothing behind it but a time. */
static show_series series_of(const struct shown_family *family)
{
	switch (family->metadata->type) {
	case METRIC_COUNTER: return family->unknown ? NULL : counter;
	case METRIC_HISTOGRAM: return histogram;
	case METRIC_GAUGEHISTOGRAM: return gaugehistogram;
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
		if (shower->metadata->time)
			line.tail = openmetrics_time(lines, row);
		if (chunk->exemplars)
			shower->exemplars = chunk->exemplars[i];
		show(shower, line, row);
	}
}

void openmetrics_chunk(struct buf *out, struct form form,
		       const struct shown_family *family,
		       const struct chunk *chunk)
{
	const struct metadata *m = family->metadata;
	show_series show = series_of(family);
	struct shower shower = {
		.metadata = m,
		.cut = cut_of(family),
		.created = form.created && !family->unknown,
	};

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
