/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A collection sets series in the same order each time, so the row behind the
 * last one is tried before the index is asked: that saves hashing, and memory
 * is walked in order.
 */
#include "core/family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { SEGMENT_NUMBERS = CHUNK_ROWS_MAX, SEGMENT_SHIFT_MIN = 3 };

/* ---- life ---- */

/* The greatest power of two of rows whose NUMBERS, but for those of the time,
 * fill a segment. */
static unsigned shift_for(unsigned numbers)
{
	unsigned shift = SEGMENT_SHIFT_MIN;

	while ((2u << shift) * numbers <= SEGMENT_NUMBERS)
		shift++;
	return shift;
}

/* What a series that has sparse buckets counts beside itself: as one more for
 * each KiB that they may come to. */
static unsigned burden_of(const struct metadata *metadata)
{
	size_t buckets = metadata->native_options.max_buckets;

	if (metadata->nquantiles)
		buckets = (size_t)(WINDOW_SLICES + 1) * WINDOW_BUCKETS;
	return (unsigned)(buckets * sizeof(struct native_bucket) / 1024);
}

struct family *family_new(struct series_pool *pool, struct metadata *metadata,
			  struct label_schema *schema,
			  const struct family_options *options)
{
	struct family *family = mem_alloc(sizeof *family);

	family->pool = pool;
	family->metadata = metadata;
	family->schema = schema;
	family->keep = options->keep;
	family->exempt = options->exempt;
	family->burden = options->exempt ? 0 : burden_of(metadata);
	family->ttl = options->ttl;
	family->last = UINT32_MAX;
	family->width = metadata->width;
	family->added = metadata_added(metadata);
	family->created = metadata->created;
	family->time = metadata->time;
	family->shift = shift_for(family->added + metadata->nquantiles);
	family->beside = metadata->native || metadata->nquantiles > 0;
	family->more = family->beside || metadata->created || metadata->time;
	family->expires = family->turns = INFINITY;
	return family;
}

static void segment_release(struct segment *segment)
{
	rows_unref(segment->rows);
	chunk_unref(segment->chunk);
	free(segment->values);
	free(segment->expires);
	extras_release(&segment->extras);
	free(segment->owners);
	free(segment->states);
	free(segment->after);
}

void family_segments_free(struct segment *segments, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		segment_release(&segments[i]);
	free(segments);
}

void family_free(struct family *family)
{
	family_segments_free(family->segments, family->nsegments);
	metadata_unref(family->metadata);
	label_schema_unref(family->schema);
	row_index_release(&family->index);
	free(family->vacant);
	free(family);
}

const struct metadata *family_metadata(const struct family *family)
{
	return family->metadata;
}

const struct label_schema *family_schema(const struct family *family)
{
	return family->schema;
}

bool family_wants_now(const struct family *family)
{
	return family->ttl > 0 || family->metadata->nquantiles > 0;
}

/* ---- rows ---- */

/* Readies the label sets of a segment for a change: a private copy when a
 * chunk has them too, and room for COUNT. */
static void rows_own(struct segment *segment, uint32_t count)
{
	struct rows *old = segment->rows, *rows;

	if (old && old->count >= count &&
	    atomic_load_explicit(&old->refs, memory_order_acquire) == 1)
		return;
	rows = rows_new(count);
	for (uint32_t i = 0; old && i < old->count; i++)
		if (old->labels[i])
			rows->labels[i] = labels_ref(old->labels[i]);
	rows_unref(old);
	segment->rows = rows;
}

void family_segment_own(const struct family *family, struct segment *segment)
{
	const struct chunk *chunk = segment->chunk;
	size_t bytes = family->width * sizeof(double);

	if (segment->values)
		return;
	segment->values = mem_realloc(NULL, segment->rows->count * bytes);
	if (chunk)
		memcpy(segment->values, chunk->values,
		       chunk->rows->count * bytes);
}

void family_segment_grow(const struct family *family, struct segment *segment,
			 uint32_t cap)
{
	rows_own(segment, cap);
	family_segment_own(family, segment);
	segment->values = mem_realloc(segment->values,
				      cap * family->width * sizeof(double));
	segment->owners = mem_realloc(segment->owners, cap);
	segment->states = mem_realloc(segment->states, cap);
	if (family->ttl > 0)
		segment->expires =
			mem_realloc(segment->expires, cap * sizeof(double));
	extras_grow(&segment->extras, cap);
	free(segment->after); /* it is learnt again */
	segment->after = NULL;
}

uint32_t family_segment_rows(const struct family *family, uint32_t s)
{
	uint32_t whole = 1u << family->shift;
	uint32_t left = family->rows - (s << family->shift);

	return left < whole ? left : whole;
}

/* The segment of ROW, the one behind all others, with room for it. */
static void append(struct family *family, uint32_t row)
{
	uint32_t whole = 1u << family->shift, cap;
	struct segment *segment;

	if (family_place(family, row) == 0) {
		family->segments = mem_realloc(
			family->segments,
			(family->nsegments + 1) * sizeof *family->segments);
		family->segments[family->nsegments++] = (struct segment){ 0 };
	}
	segment = family_segment(family, row);
	cap = segment->rows ? segment->rows->count : 0;
	if (family_place(family, row) < cap)
		return;
	if (cap)
		family_segment_grow(family, segment,
				    cap * 2 < whole ? cap * 2 : whole);
	else
		family_segment_grow(family, segment, 1u << SEGMENT_SHIFT_MIN);
}

/* A number for a new row: behind all others, where a page changes the least,
 * unless that would make the family ever longer. */
static uint32_t number_row(struct family *family)
{
	if (family->holes > family->rows / 2)
		return family->vacant[--family->holes];
	append(family, family->rows);
	return family->rows++;
}

static uint32_t place_row(struct family *family, struct labels *labels)
{
	uint32_t row = number_row(family), place = family_place(family, row);
	struct segment *segment = family_segment(family, row);

	rows_own(segment, segment->rows->count);
	family_segment_own(family, segment);
	segment->rows->labels[place] = labels;
	segment->states[place] = 0;
	segment->owners[place] = REGISTRY_LIVE;
	memset(segment->values + place * family->width, 0,
	       family->width * sizeof(double));
	if (segment->expires)
		segment->expires[place] = 0;
	return row;
}

static void leave_hole(struct family *family, uint32_t row)
{
	if (family->holes == family->vacant_cap) {
		family->vacant_cap = family->holes ? 2 * family->holes : 8;
		family->vacant = mem_realloc(family->vacant,
					     family->vacant_cap *
						     sizeof *family->vacant);
	}
	family->vacant[family->holes++] = row;
}

/* ---- index ---- */

static uint64_t hash_of(const struct family *family,
			const struct labels *labels)
{
	return labels_hash(labels, family->schema, family->pool->seed);
}

void family_reindex(struct family *family, uint32_t room)
{
	row_index_reset(&family->index, family->rows - family->holes + room);
	for (uint32_t row = 0; row < family->rows; row++) {
		struct labels *labels = family_labels(family, row);

		if (labels)
			row_index_add(&family->index, hash_of(family, labels),
				      row);
	}
}

void family_reserve(struct family *family, uint32_t rows)
{
	if (rows <= family->rows)
		return;
	family_reindex(family, rows - family->rows);
	intern_reserve(&family->pool->sets, rows - family->rows);
}

static bool index_find(const struct family *family, uint64_t hash,
		       const struct str *values, uint32_t *row)
{
	uint32_t cursor = 0;

	while (row_index_next(&family->index, hash, &cursor, row))
		if (labels_match(family_labels(family, *row), family->schema,
				 values))
			return true;
	return false;
}

/* The row of LABELS, an interned set; CURSOR is where the index has it. */
static bool index_find_set(const struct family *family,
			   const struct labels *labels, uint32_t *cursor,
			   uint32_t *row)
{
	uint64_t hash = hash_of(family, labels);

	*cursor = 0;
	while (row_index_next(&family->index, hash, cursor, row))
		if (family_labels(family, *row) == labels)
			return true;
	return false;
}

/* ---- finding and making series ---- */

void series_pool_sweep(struct series_pool *pool)
{
	pool->limit->bytes -= pool->sets.bytes;
	intern_sweep(&pool->sets);
	pool->limit->bytes += pool->sets.bytes;
	pool->removed = 0;
}

size_t series_limit_bytes(const struct series_limit *limit)
{
	size_t max = limit->max < SIZE_MAX / REGISTRY_LABELS_MEAN
			     ? limit->max * REGISTRY_LABELS_MEAN
			     : SIZE_MAX;

	return max > REGISTRY_LABELS_LEAST ? max : REGISTRY_LABELS_LEAST;
}

bool series_pool_has_bytes(struct series_pool *pool)
{
	size_t max = series_limit_bytes(pool->limit);

	if (pool->limit->bytes >= max && pool->removed)
		series_pool_sweep(pool);
	return pool->limit->bytes < max;
}

bool family_refuse_series(const struct family *family, struct err *err)
{
	const char *name = family->metadata->name;
	size_t max = family->pool->limit->max;

	if (family->burden)
		return err_set(err, ERR_LIMIT,
			       "%s: the limit of %zu series is reached (one "
			       "with %s counts as %u)",
			       name, max,
			       family->metadata->native ? "native buckets"
							: "quantiles",
			       family->burden + 1);
	return err_set(err, ERR_LIMIT, "%s: the limit of %zu series is reached",
		       name, max);
}

bool family_refuse_bytes(const struct family *family, struct err *err)
{
	const struct series_pool *pool = family->pool;

	return err_set(err, ERR_LIMIT,
		       "%s: the labels of all series%s take more than %zu "
		       "bytes",
		       family->metadata->name,
		       pool->explained ? " and exemplars" : "",
		       series_limit_bytes(pool->limit));
}

static bool check_room(const struct family *family, struct err *err)
{
	struct series_pool *pool = family->pool;

	if ((pool->limit->used >= pool->limit->max && !family->exempt) ||
	    family->rows >= ROW_INDEX_MAX)
		return family_refuse_series(family, err);
	if (!series_pool_has_bytes(pool) && !family->exempt)
		return family_refuse_bytes(family, err);
	return true;
}

/* Takes LABELS over. */
static struct labels *intern(struct series_pool *pool, struct labels *labels)
{
	pool->limit->bytes -= pool->sets.bytes;
	labels = intern_take(&pool->sets, labels);
	pool->limit->bytes += pool->sets.bytes;
	return labels;
}

/* Takes over the reference to LABELS. */
static uint32_t add_row(struct family *family, struct labels *labels)
{
	uint32_t row = place_row(family, labels);

	if (row_index_full(&family->index))
		family_reindex(family, family->rows / 4);
	else
		row_index_add(&family->index, hash_of(family, labels), row);
	family->pool->series += !family->exempt;
	family->pool->used += !family->exempt;
	family->pool->limit->used += !family->exempt;
	family->moved++;
	return row;
}

static struct labels *make_labels(struct family *family,
				  const struct str *values, struct err *err)
{
	struct labels *labels;
	struct err why;

	labels = labels_new(family->schema, values, &why);
	if (!labels) {
		err_set(err, why.code, "%s: %s", family->metadata->name,
			why.text);
		return NULL;
	}
	return intern(family->pool, labels);
}

static bool values_valid(const struct family *family, const struct str *values)
{
	for (unsigned i = 0; i < family->schema->count; i++)
		if (!utf8_valid(values[i].data, values[i].len))
			return false;
	return true;
}

static bool row_repaired(struct family *family, const struct str *values,
			 uint32_t *row, struct err *err)
{
	struct str repaired[LABELS_MAX] = { { NULL, 0 } };
	struct buf texts[LABELS_MAX];
	unsigned n = family->schema->count;
	bool ok;

	for (unsigned i = 0; i < n; i++) {
		buf_init(&texts[i], LABELS_TEXT_MAX);
		utf8_repair(&texts[i], values[i].data, values[i].len);
		repaired[i] = (struct str){ buf_text(&texts[i]), texts[i].len };
	}
	ok = family_row(family, repaired, row, err);
	for (unsigned i = 0; i < n; i++)
		buf_release(&texts[i]);
	return ok;
}

static bool row_missed(struct family *family, const struct str *values,
		       uint32_t *row, struct err *err)
{
	uint64_t hash =
		label_hash(family->pool->seed, values, family->schema->count);
	struct labels *labels;

	if (index_find(family, hash, values, row))
		return true;
	if (!values_valid(family, values))
		return row_repaired(family, values, row, err);
	if (!check_room(family, err))
		return false;
	labels = make_labels(family, values, err);
	if (!labels)
		return false;
	*row = add_row(family, labels);
	return true;
}

bool family_row_like(struct family *family, const struct labels *labels,
		     uint32_t *row)
{
	uint64_t hash = hash_of(family, labels);
	uint32_t cursor = 0;

	while (row_index_next(&family->index, hash, &cursor, row))
		if (labels_same(family_labels(family, *row), labels))
			return true;
	if (!check_room(family, NULL))
		return false;
	*row = add_row(family, intern(family->pool, labels_copy(labels)));
	return true;
}

/* The row that a collection sets behind ROW, as far as is known: the next one,
 * or, where the script's order is not that of the texts, what came the last
 * time. */
static inline uint32_t row_after(const struct family *family, uint32_t row)
{
	const struct segment *segment;

	if (row >= family->rows)
		return 0;
	segment = family_segment(family, row);
	if (segment->after)
		return segment->after[family_place(family, row)];
	return row + 1 < family->rows ? row + 1 : 0;
}

static void learn(struct family *family, uint32_t row, uint32_t after)
{
	struct segment *segment;
	uint32_t cap;

	if (row >= family->rows)
		return;
	segment = family_segment(family, row);
	if (!segment->after) {
		cap = segment->rows->count;
		segment->after = mem_array(cap, sizeof *segment->after);
		row &= ~((1u << family->shift) - 1);
		for (uint32_t i = 0; i < cap; i++)
			segment->after[i] = row + i + 1;
		row = family->last;
	}
	segment->after[family_place(family, row)] = after;
}

bool family_row(struct family *family, const struct str *values, uint32_t *row,
		struct err *err)
{
	uint32_t rows = family->rows, next = row_after(family, family->last);
	struct labels *labels;

	labels = next < rows ? family_labels(family, next) : NULL;
	if (labels && labels_match(labels, family->schema, values)) {
		*row = next;
	} else {
		if (!row_missed(family, values, row, err))
			return false;
		if (rows == family->rows)
			learn(family, family->last, *row);
	}
	family->last = *row;
	return true;
}

bool child_init(struct child *child, struct family *family,
		const struct str *values, struct err *err)
{
	if (!family_row(family, values, &child->row, err))
		return false;
	child->family = family;
	child->labels = labels_ref(family_labels(family, child->row));
	return true;
}

void child_release(struct child *child)
{
	labels_unref(child->labels);
	*child = (struct child){ 0 };
}

static bool child_refind(struct child *child, struct err *err)
{
	uint32_t cursor;

	if (index_find_set(child->family, child->labels, &cursor, &child->row))
		return true;
	if (!check_room(child->family, err))
		return false;
	child->row = add_row(child->family, labels_ref(child->labels));
	return true;
}

bool child_row(struct child *child, uint32_t *row, struct err *err)
{
	bool there = child->row < child->family->rows &&
		     family_labels(child->family, child->row) == child->labels;

	if (!there && !child_refind(child, err))
		return false;
	*row = child->row;
	return true;
}

/* ---- removing ---- */

void family_remove_row(struct family *family, uint32_t row)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row), cursor, found;
	struct labels *labels = segment->rows->labels[place];

	if (index_find_set(family, labels, &cursor, &found))
		row_index_remove(&family->index, cursor);
	if (segment->states[place] & ROW_SHOWN)
		segment->changed = true;
	/* Also when no page showed it: only a publish closes holes. */
	family->changed = true;
	family->staged -= (segment->states[place] & ROW_STAGED) != 0;
	rows_own(segment, segment->rows->count);
	labels_unref(segment->rows->labels[place]);
	segment->rows->labels[place] = NULL;
	if (family->beside)
		family_drop_row_extras(family, segment, place);
	segment->states[place] = 0;
	leave_hole(family, row);
	family->moved++;
	family->pool->series -= !family->exempt;
	family->pool->used -= !family->exempt;
	family->pool->limit->used -= !family->exempt;
	family->pool->removed++;
}

bool family_remove(struct family *family, const struct str *values)
{
	uint32_t row;
	bool was;

	if (!family_row(family, values, &row, NULL))
		return false;
	was = family_segment(family, row)->states[family_place(family, row)];
	family_remove_row(family, row);
	return was;
}
