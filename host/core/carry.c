/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets belong to the registry that made them, so the new one makes its
 * own: copies, or where the labels have another order now, of the values that
 * are read back. Two pages of one registry share them, though: a series is
 * found again in BEFORE by the address of its set, mostly at the same place.
 */
#include "core/carry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/family.h"
#include "core/mem.h"
#include "core/row_index.h"

/* The rows of a family in BEFORE. */
struct former {
	const struct page_family *family; /* NULL: not there */
	struct row_index index;		  /* made when a row has moved */
	unsigned shift;			  /* rows of a chunk: 1 << shift */
};

struct carry {
	const struct page_family *after;
	struct former before;
	struct family *to;
	double now;
	bool same_order; /* of all labels: sets have the same texts */
	unsigned nlabels;
	unsigned places[LABELS_MAX]; /* of AFTER's labels among TO's */
	struct str values[LABELS_MAX];
	char *raw; /* values that were escaped; LABELS_TEXT_MAX bytes */
	size_t taken;
	struct carry_left left;
};

/* ---- what is alike ---- */

static unsigned count_pairs(const struct labels *labels)
{
	struct str pair;
	unsigned n = 0;

	if (labels)
		for (size_t at = 0; labels_next(labels, &at, &pair);)
			n++;
	return n;
}

static bool has_pair(const struct labels *labels, struct str wanted)
{
	struct str pair;

	for (size_t at = 0; labels_next(labels, &at, &pair);)
		if (pair.len == wanted.len &&
		    memcmp(pair.data, wanted.data, pair.len) == 0)
			return true;
	return false;
}

/* Names are unique in a set, so an equal number that is all there is the same
 * set. */
static bool same_pairs(const struct labels *a, const struct labels *b)
{
	struct str pair;

	if (count_pairs(a) != count_pairs(b))
		return false;
	if (a && b)
		for (size_t at = 0; labels_next(a, &at, &pair);)
			if (!has_pair(b, pair))
				return false;
	return true;
}

static bool same_text(const struct labels *a, const struct labels *b)
{
	return a && b ? labels_same(a, b) : a == b;
}

static bool find_name(const struct label_schema *schema, struct str pair,
		      unsigned *place)
{
	struct str name = label_name_text(pair);

	for (unsigned i = 0; i < schema->count; i++) {
		struct str there = label_schema_name(schema, i);

		if (there.len == name.len &&
		    memcmp(there.data, name.data, name.len) == 0) {
			*place = i;
			return true;
		}
	}
	return false;
}

/* The number of own rows of the family, and the labels of one of them. */
static size_t count_own(const struct page_family *family,
			const struct labels **labels)
{
	size_t n = 0;

	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct chunk *chunk = family->chunks[c];

		for (uint32_t i = 0; chunk->counted && i < chunk->rows->count;
		     i++) {
			if (!chunk_is_own(chunk, i))
				continue;
			*labels = chunk->rows->labels[i];
			n++;
		}
	}
	return n;
}

/* Learns where the labels of LABELS, of which the last NCONSTANT are constant,
 * are among those of the new family. All sets of a family are named alike. */
static bool map_labels(struct carry *carry, const struct labels *labels,
		       unsigned nconstant)
{
	const struct label_schema *schema = family_schema(carry->to);
	struct str pair;
	size_t at = 0;

	carry->nlabels = count_pairs(labels) - nconstant;
	if (carry->nlabels != schema->count)
		return false;
	for (unsigned i = 0; i < carry->nlabels; i++) {
		if (!labels_next(labels, &at, &pair) ||
		    !find_name(schema, pair, &carry->places[i]))
			return false;
		carry->same_order &= carry->places[i] == i;
	}
	return true;
}

static bool carries(enum metric_type type)
{
	return type == METRIC_COUNTER || type == METRIC_HISTOGRAM ||
	       type == METRIC_SUMMARY;
}

/* ---- what a row counted ---- */

static uint64_t hash_of(const struct labels *labels)
{
	uint64_t h = (uint64_t)(uintptr_t)labels * UINT64_C(0x9E3779B97F4A7C15);

	return h ^ h >> 32;
}

static void index_former(struct former *former)
{
	const struct page_family *family = former->family;
	uint32_t n = 0;

	for (uint32_t c = 0; c < family->nchunks; c++)
		n += family->chunks[c]->shown;
	row_index_reset(&former->index, n);
	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct rows *rows = family->chunks[c]->rows;

		for (uint32_t i = 0; i < rows->count; i++)
			if (rows->labels[i])
				row_index_add(&former->index,
					      hash_of(rows->labels[i]),
					      c << former->shift | i);
	}
}

static bool is_there(const struct former *former, uint32_t c, uint32_t i,
		     const struct labels *labels)
{
	const struct page_family *family = former->family;

	return c < family->nchunks && i < family->chunks[c]->rows->count &&
	       family->chunks[c]->rows->labels[i] == labels;
}

/* Changes C and I from the place of LABELS in AFTER to that in BEFORE. */
static bool find_former(struct former *former, const struct labels *labels,
			uint32_t *c, uint32_t *i)
{
	uint64_t hash = hash_of(labels);
	uint32_t cursor = 0, row;

	if (is_there(former, *c, *i, labels))
		return true;
	if (!former->index.slots)
		index_former(former);
	while (row_index_next(&former->index, hash, &cursor, &row)) {
		*c = row >> former->shift;
		*i = row & ((1u << former->shift) - 1);
		if (is_there(former, *c, *i, labels))
			return true;
	}
	return false;
}

/* A row of a page; NULL numbers: there is none. */
struct page_row {
	const double *numbers;
	struct counted extras;
};

static struct page_row row_of(const struct carry *carry,
			      const struct chunk *chunk, uint32_t i)
{
	struct extras extras = chunk_extras(chunk);

	return (struct page_row){
		chunk->values + i * carry->to->width,
		{ extras_native_at(&extras, i), extras_window_at(&extras, i),
		  extras_exemplars_at(&extras, i) },
	};
}

/* The row in BEFORE, if it was counted there. */
static struct page_row former_row(struct carry *carry,
				  const struct labels *labels, uint32_t c,
				  uint32_t i)
{
	struct former *former = &carry->before;
	const struct chunk *chunk;

	if (!former->family || !find_former(former, labels, &c, &i))
		return (struct page_row){ 0 };
	chunk = former->family->chunks[c];
	if (!chunk_is_own(chunk, i))
		return (struct page_row){ 0 };
	return row_of(carry, chunk, i);
}

/* Only sums can go down while a series counts on. */
static bool began_anew(const struct family *family, const double *before,
		       const double *now)
{
	unsigned i = family->metadata->type == METRIC_COUNTER ? 0 : 1;

	for (; i < family->added; i++)
		if (now[i] < before[i])
			return true;
	return false;
}

/* Infinities and what is no number equal themselves here. */
static bool same_number(double a, double b)
{
	return isnan(a) ? isnan(b) : a <= b && a >= b;
}

/* BY = NOW - BEFORE, and 0 where they are the same; it began when NOW did.
 * False: all are. */
static bool subtract(const struct family *family, const double *before,
		     const double *now, double *by)
{
	bool any = false;

	by[family->created] = now[family->created];
	for (unsigned i = 0; i < family->added; i++) {
		bool same = same_number(now[i], before[i]);

		by[i] = same ? 0 : now[i] - before[i];
		any |= !same;
	}
	return any;
}

/* ---- rows ---- */

static void read_values(struct carry *carry, const struct labels *labels)
{
	char *raw = carry->raw;
	struct str pair;
	size_t at = 0;

	for (unsigned i = 0; i < carry->nlabels; i++) {
		labels_next(labels, &at, &pair);
		carry->values[carry->places[i]] = label_value(pair, raw);
		raw += pair.len;
	}
}

static bool find_row(struct carry *carry, const struct labels *labels,
		     uint32_t *row)
{
	if (carry->same_order)
		return family_row_like(carry->to, labels, row);
	read_values(carry, labels);
	return family_row(carry->to, carry->values, row, NULL);
}

/* Adds NUMBERS, and of the rest what AFTER has beyond BEFORE. */
static void add_row(struct carry *carry, const struct labels *labels,
		    const double *numbers, const struct page_row *before,
		    const struct page_row *after)
{
	uint32_t row;

	if (!find_row(carry, labels, &row) ||
	    !family_has_room(carry->to, row, NULL, NULL)) {
		carry->left.full++;
		return;
	}
	if (!family_count(carry->to, row, numbers))
		return;
	carry->taken++;
	family_count_extras(carry->to, row, &before->extras, &after->extras,
			    carry->now);
}

static void carry_row(struct carry *carry, uint32_t c, uint32_t i)
{
	const struct chunk *chunk = carry->after->chunks[c];
	const struct labels *labels = chunk->rows->labels[i];
	struct page_row now = row_of(carry, chunk, i);
	struct page_row before = former_row(carry, labels, c, i);
	double by[METADATA_BUCKETS_MAX + 4];

	if (before.numbers &&
	    began_anew(carry->to, before.numbers, now.numbers))
		before = (struct page_row){ 0 };
	if (!before.numbers)
		add_row(carry, labels, now.numbers, &before, &now);
	else if (subtract(carry->to, before.numbers, now.numbers, by))
		add_row(carry, labels, by, &before, &now);
}

/* Sets are read in the order of their texts and lie where they were made. */
static void fetch_soon(const struct rows *rows, uint32_t i)
{
	const char *labels;

	if (i >= rows->count || !rows->labels[i])
		return;
	labels = (const char *)rows->labels[i];
	__builtin_prefetch(labels);
	__builtin_prefetch(labels + 64);
}

static void carry_chunk(struct carry *carry, uint32_t c)
{
	const struct chunk *chunk = carry->after->chunks[c];

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		fetch_soon(chunk->rows, i + 8);
		if (chunk_is_own(chunk, i))
			carry_row(carry, c, i);
	}
}

/* OWN of the rows of AFTER are own. */
static void carry_family(struct carry *carry, size_t own)
{
	const struct page_family *after = carry->after;
	const struct page_family *before = carry->before.family;
	struct family_staged staged;

	if (!before)
		family_reserve(carry->to, (uint32_t)own);
	carry->before.shift = carry->to->shift;
	family_unstage(carry->to, &staged);
	for (uint32_t c = 0; c < after->nchunks; c++)
		if (after->chunks[c]->counted &&
		    !(before && c < before->nchunks &&
		      before->chunks[c] == after->chunks[c]))
			carry_chunk(carry, c);
	family_restage(carry->to, &staged);
	row_index_release(&carry->before.index);
}

/* ---- pages ---- */

/* Readies the way from family CARRY->after to that in TO. LABELS are those of
 * one of its rows. False: there is none like it. */
static bool find_family(struct carry *carry, struct registry *to,
			const struct labels *constant,
			const struct labels *labels)
{
	const struct metadata *metadata = carry->after->metadata;

	carry->same_order = same_text(registry_constant(to), constant);
	carry->to = registry_find(to, metadata->name);
	return carry->to && metadata_alike(carry->to->metadata, metadata) &&
	       map_labels(carry, labels, count_pairs(constant));
}

size_t registry_carry(struct registry *to, const struct page *before,
		      const struct page *after, double now,
		      struct carry_left *left)
{
	struct carry carry = { .raw = mem_alloc(LABELS_TEXT_MAX), .now = now };
	bool same = same_pairs(registry_constant(to), after->constant);

	for (uint32_t i = 0; i < after->nfamilies; i++) {
		const struct page_family *family = &after->families[i];
		const struct labels *labels = NULL;
		size_t own = carries(family->metadata->type)
				     ? count_own(family, &labels)
				     : 0;

		if (!own)
			continue;
		carry.after = family;
		carry.before.family =
			before ? page_find(before, family->metadata->name)
			       : NULL;
		if (same && find_family(&carry, to, after->constant, labels))
			carry_family(&carry, own);
		else
			carry.left.unlike += before ? 0 : own;
	}
	free(carry.raw);
	if (left)
		*left = carry.left;
	return carry.taken;
}
