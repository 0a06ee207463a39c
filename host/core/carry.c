/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets belong to the registry that made them, so those of the old version
 * are read back into values, of which the new registry makes its own. Two pages
 * of one registry share them, though: a series is found again in BEFORE by the
 * address of its set, mostly at the same place.
 */
#include "core/carry.h"

#include <stdlib.h>
#include <string.h>

#include "core/family.h"
#include "core/mem.h"
#include "core/row_index.h"

/* The rows of a family in BEFORE. */
struct former {
	const struct page_family *family; /* NULL: not there */
	struct row_index index;		  /* made when a row has moved */
};

struct carry {
	const struct page_family *after;
	struct former before;
	struct family *to;
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

static bool find_name(const struct label_schema *schema, struct str pair,
		      unsigned *place)
{
	for (unsigned i = 0; i < schema->count; i++) {
		size_t len = strlen(schema->names[i]);

		if (pair.len > len && pair.data[len] == '=' &&
		    memcmp(pair.data, schema->names[i], len) == 0) {
			*place = i;
			return true;
		}
	}
	return false;
}

static const struct labels *first_own(const struct page_family *family)
{
	for (uint32_t c = 0; c < family->nchunks; c++)
		for (uint32_t i = 0; i < family->chunks[c]->rows->count; i++)
			if (chunk_is_own(family->chunks[c], i))
				return family->chunks[c]->rows->labels[i];
	return NULL;
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
	for (unsigned i = 0; i < carry->nlabels; i++)
		if (!labels_next(labels, &at, &pair) ||
		    !find_name(schema, pair, &carry->places[i]))
			return false;
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
					      c * CHUNK_ROWS_MAX + i);
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
		*c = row / CHUNK_ROWS_MAX;
		*i = row % CHUNK_ROWS_MAX;
		if (is_there(former, *c, *i, labels))
			return true;
	}
	return false;
}

/* The numbers of the row in BEFORE; NULL: none that were counted. */
static const double *former_numbers(struct carry *carry,
				    const struct labels *labels, uint32_t c,
				    uint32_t i)
{
	struct former *former = &carry->before;
	const struct chunk *chunk;

	if (!former->family || !find_former(former, labels, &c, &i))
		return NULL;
	chunk = former->family->chunks[c];
	if (!chunk_is_own(chunk, i))
		return NULL;
	return chunk->values + i * carry->to->width;
}

/* Only sums can go down while a series counts on. */
static bool began_anew(const struct metadata *metadata, const double *before,
		       const double *now)
{
	unsigned i = metadata->type == METRIC_COUNTER ? 0 : 1;

	for (; i < metadata->width; i++)
		if (now[i] < before[i])
			return true;
	return false;
}

/* BY = NOW - BEFORE, 0 where they are equal (as two infinite sums are). False:
 * all are equal. */
static bool subtract(const struct metadata *metadata, const double *before,
		     const double *now, double *by)
{
	bool any = false;

	if (began_anew(metadata, before, now)) {
		memcpy(by, now, metadata->width * sizeof *by);
		return true;
	}
	for (unsigned i = 0; i < metadata->width; i++) {
		bool same = now[i] <= before[i] && now[i] >= before[i];

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

static void add_row(struct carry *carry, const struct labels *labels,
		    const double *numbers)
{
	uint32_t row;

	read_values(carry, labels);
	if (!family_row(carry->to, carry->values, &row, NULL))
		carry->left.full++;
	else if (family_count(carry->to, row, numbers))
		carry->taken++;
}

static void carry_row(struct carry *carry, uint32_t c, uint32_t i)
{
	const struct chunk *chunk = carry->after->chunks[c];
	const struct labels *labels = chunk->rows->labels[i];
	const double *now = chunk->values + i * carry->to->width, *before;
	double by[METADATA_BUCKETS_MAX + 2];

	before = former_numbers(carry, labels, c, i);
	if (!before)
		add_row(carry, labels, now);
	else if (subtract(carry->after->metadata, before, now, by))
		add_row(carry, labels, by);
}

static void carry_family(struct carry *carry)
{
	const struct page_family *after = carry->after;
	const struct page_family *before = carry->before.family;
	struct family_staged staged;

	family_unstage(carry->to, &staged);
	for (uint32_t c = 0; c < after->nchunks; c++) {
		const struct chunk *chunk = after->chunks[c];

		if (!chunk->counted || (before && c < before->nchunks &&
					before->chunks[c] == chunk))
			continue;
		for (uint32_t i = 0; i < chunk->rows->count; i++)
			if (chunk_is_own(chunk, i))
				carry_row(carry, c, i);
	}
	family_restage(carry->to, &staged);
	row_index_release(&carry->before.index);
}

/* ---- pages ---- */

static size_t count_own(const struct page_family *family)
{
	size_t n = 0;

	for (uint32_t c = 0; c < family->nchunks; c++)
		for (uint32_t i = 0; i < family->chunks[c]->rows->count; i++)
			n += chunk_is_own(family->chunks[c], i);
	return n;
}

size_t registry_carry(struct registry *to, const struct page *before,
		      const struct page *after, struct carry_left *left)
{
	struct carry carry = { .raw = mem_alloc(LABELS_TEXT_MAX) };
	bool same = same_pairs(registry_constant(to), after->constant);
	unsigned nconstant = count_pairs(after->constant);

	for (uint32_t i = 0; i < after->nfamilies; i++) {
		const struct page_family *family = &after->families[i];
		const struct labels *first = first_own(family);

		if (!first || !carries(family->metadata->type))
			continue;
		carry.after = family;
		carry.to = registry_find(to, family->metadata->name);
		carry.before.family =
			before ? page_find(before, family->metadata->name)
			       : NULL;
		if (same && carry.to &&
		    metadata_alike(carry.to->metadata, family->metadata) &&
		    map_labels(&carry, first, nconstant))
			carry_family(&carry);
		else
			carry.left.unlike += before ? 0 : count_own(family);
	}
	free(carry.raw);
	if (left)
		*left = carry.left;
	return carry.taken;
}
