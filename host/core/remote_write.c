/* SPDX-License-Identifier: Apache-2.0 */
#include "core/remote_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"
#include "core/openmetrics.h"
#include "core/remote_exemplars.h"
#include "core/remote_point.h"
#include "core/remote_requests.h"
#include "core/remote_series.h"
#include "core/remote_sets.h"
#include "core/snappy.h"
#include "core/wire.h"

enum {
	TEXT_MAX = 1 << 16, /* of a help text; a longer one stays at home */
	POINT_MAX = 1 << 24,
};

struct remote_write {
	struct label_pair *labels;
	unsigned nlabels;
	bool native_histograms, exemplars;
	struct page *page; /* the one before; NULL: none */
	struct page *seen; /* the last that was one: its exemplars are known */
	int64_t time;	   /* of that */
	int64_t metadata;  /* when all were written */
	bool begun;
};

/* A page on its way into requests. */
struct writing {
	struct remote_requests requests;
	struct remote_series series;
	int64_t time;
	int64_t row_time; /* of the row at hand */
	struct buf point;
	bool all_metadata;
	bool exemplars;
	const struct page *seen;       /* NULL: none */
	struct remote_exemplars known; /* of the family at hand */
};

/* ---- the writer ---- */

/* Receivers may know no others. */
static bool check_legacy(const struct label_pair *labels, unsigned n,
			 struct err *err)
{
	for (unsigned i = 0; i < n; i++) {
		const char *name = labels[i].name;

		if (!name_is_legacy_label((struct str){ name, strlen(name) }))
			return err_set(err, ERR_USAGE,
				       "label name '%s' is not valid "
				       "([a-zA-Z_][a-zA-Z0-9_]*)",
				       name);
	}
	return true;
}

static void copy_labels(struct remote_write *writer,
			const struct label_pair *labels, unsigned n)
{
	writer->labels = mem_array(n, sizeof *writer->labels);
	writer->nlabels = n;
	for (unsigned i = 0; i < n; i++) {
		writer->labels[i].name = mem_string(labels[i].name);
		writer->labels[i].value = mem_string(labels[i].value);
	}
}

struct remote_write *remote_write_new(
	const struct remote_write_options *options, struct err *err)
{
	struct label_schema *schema = label_schema_new(NULL, 0, options->labels,
						       options->nlabels, err);
	struct remote_write *writer;

	if (!schema)
		return NULL;
	label_schema_unref(schema);
	if (!check_legacy(options->labels, options->nlabels, err))
		return NULL;
	writer = mem_alloc(sizeof *writer);
	copy_labels(writer, options->labels, options->nlabels);
	writer->native_histograms = options->native_histograms;
	writer->exemplars = options->exemplars;
	return writer;
}

void remote_write_free(struct remote_write *writer)
{
	if (!writer)
		return;
	for (unsigned i = 0; i < writer->nlabels; i++) {
		free((char *)(uintptr_t)writer->labels[i].name);
		free((char *)(uintptr_t)writer->labels[i].value);
	}
	free(writer->labels);
	page_unref(writer->page);
	page_unref(writer->seen);
	free(writer);
}

/* ---- points ---- */

static void put(struct writing *w, unsigned kind, double value)
{
	remote_series_put(&w->series, &w->requests.raw[REMOTE_SAMPLES], kind,
			  value);
	remote_requests_added(&w->requests, REMOTE_SAMPLES);
}

/* What is in `point`. */
static void put_point(struct writing *w, unsigned kind,
		      enum remote_content content)
{
	remote_series_put_point(&w->series, &w->requests.raw[content], kind,
				(struct str){ w->point.data, w->point.len });
	remote_requests_added(&w->requests, content);
}

/* NATIVE is NULL where nothing was observed. */
static void put_histogram(struct writing *w, unsigned kind,
			  const struct metadata *m, const struct native *native)
{
	const struct native empty = {
		.schema = m->native_options.schema,
		.zero_threshold = m->native_options.zero_threshold,
	};

	buf_clear(&w->point);
	remote_point_histogram(&w->point, native ? native : &empty,
			       w->row_time);
	put_point(w, kind, REMOTE_HISTOGRAMS);
}

static void put_end(struct writing *w, const struct metadata *m, unsigned kind)
{
	if (!remote_series_is_native(&w->series, m, kind)) {
		put(w, kind, wire_double(REMOTE_WRITE_STALE));
		return;
	}
	buf_clear(&w->point);
	remote_point_end(&w->point, w->time);
	put_point(w, kind, REMOTE_HISTOGRAMS);
}

/* ---- metadata ---- */

static void put_text(struct buf *out, uint32_t number, const char *text)
{
	if (!*text)
		return;
	wire_put_tag(out, number, WIRE_BYTES);
	wire_put_bytes(out, (struct str){ text, strlen(text) });
}

/* As its series have it. */
static void put_name(struct buf *out, uint32_t number, const struct metadata *m)
{
	struct buf name;

	buf_init(&name, SIZE_MAX / 2);
	name_escape(&name, (struct str){ m->name, m->name_len },
		    ESCAPING_UNDERSCORES);
	put_text(out, number, buf_text(&name));
	buf_release(&name);
}

/* WriteRequest.metadata */
static void put_metadata(struct buf *out, const struct metadata *m)
{
	static const unsigned char types[] = {
		[METRIC_UNKNOWN] = 0,  [METRIC_COUNTER] = 1,
		[METRIC_GAUGE] = 2,    [METRIC_HISTOGRAM] = 3,
		[METRIC_SUMMARY] = 5,  [METRIC_INFO] = 6,
		[METRIC_STATESET] = 7, [METRIC_GAUGEHISTOGRAM] = 4,
	};
	size_t mark;

	wire_put_tag(out, 3, WIRE_BYTES);
	mark = out->len;
	wire_put_tag(out, 1, WIRE_VARINT);
	wire_put_varint(out, types[m->type]);
	put_name(out, 2, m);
	if (strlen(m->help) <= TEXT_MAX)
		put_text(out, 4, m->help);
	put_text(out, 5, m->unit);
	wire_close(out, mark);
}

/* ---- exemplars ---- */

/* Milliseconds of a time of its own, or else OTHERWISE. */
static int64_t time_or(double seconds, int64_t otherwise)
{
	double ms = round(seconds * 1000);

	if (!(fabs(ms) >= 1 && fabs(ms) < 0x1p53))
		return otherwise;
	return (int64_t)ms;
}

/* A row of the page. */
struct place {
	const struct page_family *family;
	uint32_t chunk, row;
};

static const struct exemplars *exemplars_at(const struct place *at)
{
	const struct chunk *chunk = at->family->chunks[at->chunk];

	return chunk->exemplars ? chunk->exemplars[at->row] : NULL;
}

static bool is_new(struct writing *w, const struct place *at,
		   const struct exemplar *exemplar)
{
	return exemplar &&
	       remote_exemplars_is_new(&w->known, at->family->chunks[at->chunk],
				       at->chunk, at->row, exemplar);
}

static void put_exemplar(struct writing *w, unsigned kind,
			 const struct exemplar *exemplar)
{
	buf_clear(&w->point);
	remote_point_exemplar(&w->point, exemplar,
			      time_or(exemplar->time, w->time));
	put_point(w, kind, REMOTE_EXEMPLARS);
}

static int by_time(const void *a, const void *b)
{
	const struct exemplar *x = *(const struct exemplar *const *)a;
	const struct exemplar *y = *(const struct exemplar *const *)b;

	if (x->time < y->time || x->time > y->time)
		return x->time < y->time ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

/* Those of a native histogram are of one series, which takes them in order of
 * time; so they must have one. */
static void put_native_exemplars(struct writing *w, unsigned kind,
				 const struct place *at)
{
	const struct exemplars *list = exemplars_at(at);
	const struct exemplar *found[REMOTE_KINDS_MAX];
	size_t n = 0;

	for (uint32_t i = 0; i < list->n && n < REMOTE_KINDS_MAX; i++)
		if (is_new(w, at, list->slots[i]) &&
		    isfinite(list->slots[i]->time))
			found[n++] = list->slots[i];
	qsort(found, n, sizeof *found, by_time);
	for (size_t i = 0; i < n; i++)
		put_exemplar(w, kind, found[i]);
}

/* The series of a bucket has its own, and that of a counter the newest. */
static void write_exemplars(struct writing *w, const struct place *at,
			    unsigned kinds)
{
	const struct metadata *m = at->family->metadata;
	const struct exemplars *list = exemplars_at(at);

	for (unsigned k = 0; k < kinds; k++) {
		const struct exemplar *exemplar = NULL;

		if (remote_series_is_native(&w->series, m, k))
			put_native_exemplars(w, k, at);
		else if (m->le && k <= m->nbounds)
			exemplar = openmetrics_bucket_exemplar(m, list, k);
		else if (m->type == METRIC_COUNTER)
			exemplar = openmetrics_newest(list);
		if (is_new(w, at, exemplar))
			put_exemplar(w, k, exemplar);
	}
}

/* ---- what a page shows ---- */

static double normal(double value)
{
	return isnan(value) ? wire_double(REMOTE_WRITE_NAN) : value;
}

static void write_row(struct writing *w, const struct place *at, unsigned kinds)
{
	const struct metadata *m = at->family->metadata;
	const struct chunk *chunk = at->family->chunks[at->chunk];
	const double *numbers = chunk->values + at->row * m->width;
	double values[REMOTE_KINDS_MAX];

	remote_series_row(&w->series, chunk->rows->labels[at->row]);
	remote_series_values(&w->series, numbers, values);
	w->row_time = w->time;
	if (m->time) {
		w->row_time = time_or(numbers[m->time], w->time);
		remote_series_time(&w->series, w->row_time);
	}
	for (unsigned k = 0; k < kinds; k++)
		if (remote_series_is_native(&w->series, m, k))
			put_histogram(w, k, m,
				      chunk->natives ? chunk->natives[at->row]
						     : NULL);
		else
			put(w, k, normal(values[k]));
	if (w->exemplars && exemplars_at(at))
		write_exemplars(w, at, kinds);
}

static void write_family(struct writing *w, const struct page_family *family)
{
	unsigned kinds = remote_series_family(&w->series, family->metadata);
	struct place at = { .family = family };

	remote_exemplars_init(
		&w->known,
		w->seen ? page_find(w->seen, family->metadata->name) : NULL);
	for (; at.chunk < family->nchunks; at.chunk++) {
		const struct rows *rows = family->chunks[at.chunk]->rows;

		for (at.row = 0; at.row < rows->count; at.row++)
			if (rows->labels[at.row])
				write_row(w, &at, kinds);
	}
	remote_exemplars_release(&w->known);
	if (family->metadata->time)
		remote_series_time(&w->series, w->time);
}

/* ---- what it does not show any more ---- */

/* Those of the rows of SETS that BEFORE, the family, had. */
static void end_kinds(struct writing *w, const struct page_family *before,
		      const struct remote_sets *sets,
		      const bool ends[REMOTE_KINDS_MAX], unsigned kinds)
{
	for (size_t i = 0; i < sets->count; i++) {
		remote_series_row(&w->series, sets->labels[i]);
		for (unsigned k = 0; k < kinds; k++)
			if (ends[k])
				put_end(w, before->metadata, k);
	}
}

/* Ends the kinds of series, such as buckets, that the rows which stay had and
 * have no more: those of BEFORE but for GONE. */
static void end_lost_kinds(struct writing *w, const struct page_family *before,
			   const struct page_family *after,
			   struct remote_sets *gone, unsigned kinds)
{
	bool lost[REMOTE_KINDS_MAX] = { 0 }, any = false;
	struct remote_sets rows;

	for (unsigned k = 0; k < kinds; k++)
		any |= lost[k] = !remote_series_has_kind(
			&w->series, before->metadata, k, after->metadata);
	if (!any)
		return;
	rows = remote_sets_staying(before, gone);
	end_kinds(w, before, &rows, lost, kinds);
	free(rows.labels);
}

/* Ends what BEFORE shows and AFTER (NULL: there is none) does not. */
static void end_family(struct writing *w, const struct page_family *before,
		       const struct page_family *after)
{
	unsigned kinds = remote_series_family(&w->series, before->metadata);
	struct remote_sets gone = remote_sets_gone(before, after);
	bool every[REMOTE_KINDS_MAX];

	memset(every, true, sizeof every);
	end_kinds(w, before, &gone, every, kinds);
	if (after && after->metadata != before->metadata)
		end_lost_kinds(w, before, after, &gone, kinds);
	free(gone.labels);
}

/* ---- pages ---- */

static void write_new(struct writing *w, const struct page_family *family,
		      const struct page_family *before)
{
	if (w->all_metadata || !before || before->metadata != family->metadata)
		put_metadata(&w->requests.raw[REMOTE_SAMPLES],
			     family->metadata);
	write_family(w, family);
}

/* Families of both are in the order of their names. */
static void write_page(struct writing *w, const struct page *old,
		       const struct page *new)
{
	uint32_t nold = old ? old->nfamilies : 0;
	uint32_t nnew = new ? new->nfamilies : 0, i = 0, j = 0;

	while (i < nold || j < nnew) {
		const struct page_family *gone = NULL, *shown = NULL;
		int order = i == nold ? 1
			    : j == nnew
				    ? -1
				    : strcmp(old->families[i].metadata->name,
					     new->families[j].metadata->name);

		if (order <= 0)
			gone = &old->families[i++];
		if (order >= 0)
			shown = &new->families[j++];
		if (shown)
			write_new(w, shown, gone);
		if (gone)
			end_family(w, gone, shown);
	}
}

static bool metadata_due(struct remote_write *writer, int64_t time)
{
	if (writer->begun && time - writer->metadata < REMOTE_WRITE_METADATA &&
	    time >= writer->metadata)
		return false;
	writer->metadata = time;
	return true;
}

static void begin(struct remote_write *writer, struct writing *w)
{
	remote_series_init(&w->series, writer->labels, writer->nlabels,
			   w->time);
	w->series.natives = writer->native_histograms;
	w->exemplars = writer->exemplars;
	w->seen = writer->seen;
	buf_init(&w->point, POINT_MAX);
}

/* Gives up PLACE's page for PAGE, which may be NULL. */
static void keep(struct page **place, struct page *page)
{
	if (page)
		page_ref(page);
	page_unref(*place);
	*place = page;
}

bool remote_write_page(struct remote_write *writer, struct page *page,
		       int64_t time, remote_write_request *request, void *arg,
		       struct err *err)
{
	const struct snappy *snappy = snappy_get(err);
	struct writing w = { 0 };

	if (!snappy)
		return false;
	if (writer->begun && time == writer->time)
		time++;
	w.all_metadata = metadata_due(writer, time);
	w.time = time;
	remote_requests_init(&w.requests, snappy, request, arg);
	begin(writer, &w);
	write_page(&w, writer->page, page);
	remote_requests_flush(&w.requests);
	remote_requests_release(&w.requests);
	buf_release(&w.point);
	remote_series_release(&w.series);
	keep(&writer->page, page);
	if (page && writer->exemplars)
		keep(&writer->seen, page);
	writer->time = time;
	writer->begun = true;
	return true;
}
