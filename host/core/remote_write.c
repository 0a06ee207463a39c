/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which series are gone follows from the page before: two pages share the label
 * sets of what they both show, mostly in whole chunks, so that comparing them
 * is comparing pointers.
 */
#include "core/remote_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"
#include "core/remote_series.h"
#include "core/snappy.h"
#include "core/wire.h"

enum {
	/* Raw bytes of a request: what crosses REMOTE_WRITE_BYTES is the last,
	 * and it is no longer than its labels. */
	RAW_MAX = REMOTE_WRITE_BYTES + (1 << 24),
	TEXT_MAX = 1 << 16, /* of a help text; a longer one stays at home */
};

struct remote_write {
	struct label_pair *labels;
	unsigned nlabels;
	struct page *page; /* the one before; NULL: none */
	int64_t time;	   /* of that */
	int64_t metadata;  /* when all were written */
	bool begun;
};

/* A page on its way into requests. */
struct writing {
	const struct snappy *snappy;
	struct remote_series series;
	int64_t time;
	struct buf raw, packed;
	size_t samples;
	bool all_metadata;
	remote_write_request *request;
	void *arg;
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

struct remote_write *remote_write_new(const struct label_pair *labels,
				      unsigned nlabels, struct err *err)
{
	struct label_schema *schema =
		label_schema_new(NULL, 0, labels, nlabels, err);
	struct remote_write *writer;

	if (!schema)
		return NULL;
	label_schema_unref(schema);
	if (!check_legacy(labels, nlabels, err))
		return NULL;
	writer = mem_alloc(sizeof *writer);
	writer->labels = mem_array(nlabels, sizeof *writer->labels);
	writer->nlabels = nlabels;
	for (unsigned i = 0; i < nlabels; i++) {
		writer->labels[i].name = mem_string(labels[i].name);
		writer->labels[i].value = mem_string(labels[i].value);
	}
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
	free(writer);
}

/* ---- requests ---- */

static void flush(struct writing *w)
{
	if (w->raw.len == 0)
		return;
	buf_clear(&w->packed);
	snappy_pack(w->snappy, &w->packed,
		    (struct str){ w->raw.data, w->raw.len });
	w->request(w->arg, (struct str){ w->packed.data, w->packed.len },
		   w->samples);
	buf_clear(&w->raw);
	w->samples = 0;
}

static void put(struct writing *w, unsigned kind, double value)
{
	remote_series_put(&w->series, &w->raw, kind, value);
	w->samples++;
	if (w->samples == REMOTE_WRITE_SAMPLES ||
	    w->raw.len >= REMOTE_WRITE_BYTES)
		flush(w);
}

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

/* ---- what a page shows ---- */

static double normal(double value)
{
	return isnan(value) ? wire_double(REMOTE_WRITE_NAN) : value;
}

/* Milliseconds of the sample's own time, or else that of the page. */
static int64_t time_of(const struct writing *w, double seconds)
{
	double ms = round(seconds * 1000);

	if (!(fabs(ms) >= 1 && fabs(ms) < 0x1p53))
		return w->time;
	return (int64_t)ms;
}

static void write_row(struct writing *w, const struct metadata *metadata,
		      const struct labels *labels, const double *numbers,
		      unsigned kinds)
{
	double values[REMOTE_KINDS_MAX];

	remote_series_row(&w->series, labels);
	remote_series_values(metadata, numbers, values);
	if (metadata->time)
		remote_series_time(&w->series,
				   time_of(w, numbers[metadata->time]));
	for (unsigned k = 0; k < kinds; k++)
		put(w, k, normal(values[k]));
}

static void write_family(struct writing *w, const struct page_family *family)
{
	unsigned kinds = remote_series_family(&w->series, family->metadata);
	unsigned width = family->metadata->width;

	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct chunk *chunk = family->chunks[c];

		for (uint32_t i = 0; i < chunk->rows->count; i++)
			if (chunk->rows->labels[i])
				write_row(w, family->metadata,
					  chunk->rows->labels[i],
					  chunk->values + i * width, kinds);
	}
	if (family->metadata->time)
		remote_series_time(&w->series, w->time);
}

/* ---- what it does not show any more ---- */

struct sets {
	struct labels **labels;
	size_t count;
};

static bool same_rows(const struct rows *a, const struct rows *b)
{
	return a == b || (a->count == b->count &&
			  memcmp(a->labels, b->labels,
				 a->count * sizeof *a->labels) == 0);
}

/* The label sets of FAMILY, without those of chunks that stand at the same
 * place in OTHER (NULL: none do). free() the labels, which are borrowed. */
static struct sets sets_of(const struct page_family *family,
			   const struct page_family *other)
{
	uint32_t common = other ? other->nchunks : 0;
	struct sets sets = { 0 };
	size_t room = 0;

	for (uint32_t c = 0; c < family->nchunks; c++)
		room += family->chunks[c]->shown;
	sets.labels = mem_array(room, sizeof *sets.labels);
	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct rows *rows = family->chunks[c]->rows;

		if (c < common && same_rows(rows, other->chunks[c]->rows))
			continue;
		for (uint32_t i = 0; i < rows->count; i++)
			if (rows->labels[i])
				sets.labels[sets.count++] = rows->labels[i];
	}
	return sets;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (struct labels *const *)a;
	uintptr_t y = (uintptr_t) * (struct labels *const *)b;

	return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
	const struct labels *x = *(struct labels *const *)a;
	const struct labels *y = *(struct labels *const *)b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Takes out of both what is in both. No hash: outsiders choose the texts. */
static void part(struct sets *a, struct sets *b,
		 int (*order)(const void *, const void *))
{
	size_t i = 0, j = 0, left_a = 0, left_b = 0;

	qsort(a->labels, a->count, sizeof *a->labels, order);
	qsort(b->labels, b->count, sizeof *b->labels, order);
	while (i < a->count && j < b->count) {
		int c = order(&a->labels[i], &b->labels[j]);

		if (c < 0)
			a->labels[left_a++] = a->labels[i++];
		else if (c > 0)
			b->labels[left_b++] = b->labels[j++];
		else
			i++, j++;
	}
	while (i < a->count)
		a->labels[left_a++] = a->labels[i++];
	while (j < b->count)
		b->labels[left_b++] = b->labels[j++];
	a->count = left_a;
	b->count = left_b;
}

/* The label sets that BEFORE has and AFTER, the family of that name (NULL:
 * there is none), does not. */
static struct sets gone_sets(const struct page_family *before,
			     const struct page_family *after)
{
	struct sets gone = sets_of(before, after), come;

	if (!after)
		return gone;
	come = sets_of(after, before);
	part(&gone, &come, by_address);
	part(&gone, &come, by_text);
	free(come.labels);
	return gone;
}

static void end_kinds(struct writing *w, const struct sets *sets,
		      const bool ends[REMOTE_KINDS_MAX], unsigned kinds)
{
	for (size_t i = 0; i < sets->count; i++) {
		remote_series_row(&w->series, sets->labels[i]);
		for (unsigned k = 0; k < kinds; k++)
			if (ends[k])
				put(w, k, wire_double(REMOTE_WRITE_STALE));
	}
}

/* Ends the kinds of series, such as buckets, that the rows which stay had and
 * have no more: those of BEFORE but for GONE. */
static void end_lost_kinds(struct writing *w, const struct page_family *before,
			   const struct page_family *after, struct sets *gone,
			   unsigned kinds)
{
	bool lost[REMOTE_KINDS_MAX] = { 0 }, any = false;
	struct sets rows;

	for (unsigned k = 0; k < kinds; k++)
		any |= lost[k] = !remote_series_has_kind(before->metadata, k,
							 after->metadata);
	if (!any)
		return;
	rows = sets_of(before, NULL);
	part(&rows, gone, by_text);
	end_kinds(w, &rows, lost, kinds);
	free(rows.labels);
}

/* Ends what BEFORE shows and AFTER (NULL: there is none) does not. */
static void end_family(struct writing *w, const struct page_family *before,
		       const struct page_family *after)
{
	unsigned kinds = remote_series_family(&w->series, before->metadata);
	struct sets gone = gone_sets(before, after);
	bool every[REMOTE_KINDS_MAX];

	memset(every, true, sizeof every);
	end_kinds(w, &gone, every, kinds);
	if (after && after->metadata != before->metadata)
		end_lost_kinds(w, before, after, &gone, kinds);
	free(gone.labels);
}

/* ---- pages ---- */

static void write_new(struct writing *w, const struct page_family *family,
		      const struct page_family *before)
{
	if (w->all_metadata || !before || before->metadata != family->metadata)
		put_metadata(&w->raw, family->metadata);
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

bool remote_write_page(struct remote_write *writer, struct page *page,
		       int64_t time, remote_write_request *request, void *arg,
		       struct err *err)
{
	struct writing w = { .snappy = snappy_get(err),
			     .request = request,
			     .arg = arg };

	if (!w.snappy)
		return false;
	if (writer->begun && time == writer->time)
		time++;
	w.all_metadata = metadata_due(writer, time);
	w.time = time;
	remote_series_init(&w.series, writer->labels, writer->nlabels, time);
	buf_init(&w.raw, RAW_MAX);
	buf_init(&w.packed, 2 * (size_t)RAW_MAX);
	write_page(&w, writer->page, page);
	flush(&w);
	buf_release(&w.raw);
	buf_release(&w.packed);
	remote_series_release(&w.series);
	if (page)
		page_ref(page);
	page_unref(writer->page);
	writer->page = page;
	writer->time = time;
	writer->begun = true;
	return true;
}
