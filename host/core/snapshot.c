/* SPDX-License-Identifier: Apache-2.0 */
#include "core/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Rows up to which a family is kept sorted; above it, only when an eighth of
 * them came or went. */
enum { SORT_ALWAYS = 4096 };

/* Old rows of a family on their way through the sort. */
struct mover {
	struct labels *labels;
	uint32_t row;
};

static int by_text(const void *a, const void *b)
{
	const struct labels *x = ((const struct mover *)a)->labels;
	const struct labels *y = ((const struct mover *)b)->labels;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void move_row(const struct family *family, const struct segment *from,
		     uint32_t place, struct segment *to, uint32_t at)
{
	to->rows->labels[at] = labels_ref(from->rows->labels[place]);
	to->states[at] = from->states[place];
	to->owners[at] = from->owners[place];
	if (to->expires)
		to->expires[at] = from->expires[place];
	if (family->beside)
		extras_copy(&to->extras, at, &from->extras, place);
	memcpy(to->values + at * family->width,
	       from->values + place * family->width,
	       family->width * sizeof(double));
}

/* Closes the holes and puts the rows into the order of their texts. The former
 * chunks stay where they are, to be compared with the new ones. */
static void sort_family(struct family *family)
{
	uint32_t n = family->rows - family->holes, k = 0;
	uint32_t whole = 1u << family->shift;
	uint32_t nsegments = (n + whole - 1) >> family->shift;
	struct mover *movers = mem_array(n, sizeof *movers);
	struct segment *segments = mem_array(nsegments, sizeof *segments);

	for (uint32_t row = 0; row < family->rows; row++)
		if (family_labels(family, row))
			movers[k++] =
				(struct mover){ family_labels(family, row),
						row };
	qsort(movers, n, sizeof *movers, by_text);
	for (uint32_t s = 0; s < family->nsegments; s++)
		family_segment_own(family, &family->segments[s]);
	for (uint32_t s = 0; s < nsegments; s++) {
		uint32_t left = n - (s << family->shift);

		family_segment_grow(family, &segments[s],
				    left < whole ? left : whole);
		segments[s].changed = true;
		if (s < family->nsegments) {
			segments[s].chunk = family->segments[s].chunk;
			family->segments[s].chunk = NULL;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		move_row(family, family_segment(family, movers[i].row),
			 family_place(family, movers[i].row),
			 &segments[i >> family->shift],
			 family_place(family, i));
	family_segments_free(family->segments, family->nsegments);
	free(movers);
	family->segments = segments;
	family->nsegments = nsegments;
	family->rows = n;
	family->holes = family->moved = 0;
	family->last = UINT32_MAX;
	family_reindex(family, 0);
}

static bool all_shown(const struct segment *segment, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!(segment->states[i] & ROW_SHOWN))
			return false;
	return true;
}

/* The label sets to show: the segment's own, when all its rows are shown. */
static struct rows *show_rows(const struct segment *segment, uint32_t n)
{
	struct rows *rows = segment->rows;

	if (rows->count == n && all_shown(segment, n)) {
		atomic_fetch_add_explicit(&rows->refs, 1, memory_order_relaxed);
		return rows;
	}
	rows = rows_new(n);
	for (uint32_t i = 0; i < n; i++)
		if (segment->states[i] & ROW_SHOWN)
			rows->labels[i] = labels_ref(segment->rows->labels[i]);
	return rows;
}

/* The numbers to show: the segment's own, which it gives away, when nothing is
 * staged. Else a staged value hides what the row shows; that is in the former
 * chunk at the same place: nothing is sorted meanwhile. */
static double *show_values(const struct family *family, struct segment *segment,
			   uint32_t n)
{
	unsigned width = family->width, hidden = ROW_SHOWN | ROW_STAGED;
	size_t bytes = width * sizeof(double);
	double *values;

	values = segment->values;
	if (!family->staged) {
		segment->values = NULL;
		return values;
	}
	values = mem_realloc(NULL, n * bytes);
	memcpy(values, segment->values, n * bytes);
	for (uint32_t i = 0; i < n; i++)
		if ((segment->states[i] & hidden) == hidden)
			memcpy(values + i * width,
			       segment->chunk->values + i * width, bytes);
	return values;
}

/* The same of what lies beside the numbers. */
static struct extras show_extras(const struct family *family,
				 const struct segment *segment, uint32_t n)
{
	unsigned hidden = ROW_SHOWN | ROW_STAGED;
	struct extras extras = { .n = n }, shown;

	if (!family->beside)
		return extras;
	if (segment->chunk)
		shown = chunk_extras(segment->chunk);
	for (uint32_t i = 0; i < n; i++)
		if ((segment->states[i] & hidden) == hidden)
			extras_copy(&extras, i, &shown, i);
		else if (segment->states[i] & ROW_SHOWN)
			extras_copy(&extras, i, &segment->extras, i);
	return extras;
}

/* Marks the rows that show what was counted; false: there are none. A staged
 * value hides what a row shows, but its state tells of what is shown. */
static bool show_marks(const struct family *family,
		       const struct segment *segment, uint32_t n,
		       uint8_t *marks)
{
	unsigned own = ROW_SHOWN | ROW_OWN;
	bool any = false;

	if (!family->counted)
		return false;
	memset(marks, 0, chunk_marks_size(n));
	for (uint32_t i = 0; i < n; i++) {
		if ((segment->states[i] & own) != own)
			continue;
		marks[i / 8] |= (uint8_t)(1u << i % 8);
		any = true;
	}
	return any;
}

static bool same_marks(const struct chunk *chunk, const uint8_t *marks)
{
	if (!marks || !chunk->counted)
		return !marks && !chunk->counted;
	return memcmp(chunk->marks, marks,
		      chunk_marks_size(chunk->rows->count)) == 0;
}

static bool same_extras(const struct chunk *chunk, const struct extras *extras)
{
	struct extras shown = chunk_extras(chunk);

	return extras_same(&shown, extras);
}

static bool same_rows(const struct rows *a, const struct rows *b)
{
	return a == b || (a->count == b->count &&
			  memcmp(a->labels, b->labels,
				 a->count * sizeof *a->labels) == 0);
}

void snapshot_segment(struct family *family, uint32_t s)
{
	struct segment *segment = &family->segments[s];
	struct chunk *old = segment->chunk;
	uint32_t n = family_segment_rows(family, s);
	uint8_t room[CHUNK_MARKS_MAX], *marks;
	struct extras extras;
	struct rows *rows;
	double *values;

	if (!segment->changed)
		return;
	segment->changed = false;
	family_segment_own(family, segment);
	family_read_windows(family, segment);
	rows = show_rows(segment, n);
	marks = show_marks(family, segment, n, room) ? room : NULL;
	extras = show_extras(family, segment, n);
	values = show_values(family, segment, n);
	if (old && same_rows(old->rows, rows) && same_marks(old, marks) &&
	    memcmp(old->values, values, n * family->width * sizeof(double)) ==
		    0 &&
	    same_extras(old, &extras)) {
		rows_unref(rows);
		free(values);
		extras_release(&extras);
		return;
	}
	segment->chunk = chunk_new(rows, values, marks);
	chunk_take_extras(segment->chunk, &extras);
	chunk_unref(old);
}

static bool wants_sort(const struct family *family)
{
	return family->moved && !family->staged &&
	       (family->rows <= SORT_ALWAYS ||
		family->moved > family->rows / 8);
}

size_t snapshot_take(struct family *family)
{
	size_t shown = 0;

	if (family->changed) {
		if (wants_sort(family))
			sort_family(family);
		for (uint32_t s = 0; s < family->nsegments; s++)
			snapshot_segment(family, s);
		family->changed = false;
	}
	for (uint32_t s = 0; s < family->nsegments; s++)
		if (family->segments[s].chunk)
			shown += family->segments[s].chunk->shown;
	return shown;
}

void snapshot_show(const struct family *family, struct page_family *to)
{
	to->metadata = metadata_ref(family->metadata);
	to->chunks = mem_array(family->nsegments, sizeof *to->chunks);
	for (uint32_t s = 0; s < family->nsegments; s++) {
		struct chunk *chunk = family->segments[s].chunk;

		if (chunk && chunk->shown)
			to->chunks[to->nchunks++] = chunk_ref(chunk);
	}
}
