/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page is what an exporter shows: an immutable, counted snapshot of its
 * families in name order. The values of a family lie in chunks of a fixed
 * number of series; a new page shares every chunk that did not change with the
 * page before it. Chunks carry numbers and label texts, not rendered lines: at
 * 100 000 series the text would be most of the memory, and every format is
 * rendered from the same chunks (exposition.h keeps what was rendered).
 *
 * A chunk also says which of its rows are *own*: all that they show was counted
 * here, by inc and observe, and nothing of it was set. That is what a new
 * version of the exporter goes on with (carry.h).
 *
 * Pages, chunks and rows are made by a registry in the exporter's thread and
 * read, and released, by any thread.
 */
#ifndef CORE_PAGE_H
#define CORE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/extras.h"
#include "core/label.h"
#include "core/metadata.h"

enum { CHUNK_ROWS_MAX = 512, CHUNK_MARKS_MAX = CHUNK_ROWS_MAX / 8 };

/* The label sets of the series of a chunk, all of one schema, so with the same
 * names in the same order; holes are NULL. */
struct rows {
	_Atomic uint32_t refs;
	uint32_t count;
	struct labels *labels[];
};

struct chunk {
	_Atomic uint32_t refs;
	uint16_t shown; /* rows that are not holes */
	bool counted;	/* a row is own; else there are no marks */
	struct rows *rows;
	double *values; /* rows->count * metadata->width */
	/* What few families have, rows->count each, NULL where a row has none;
	 * NULL altogether where no row has any. */
	struct native **natives;
	struct window **windows; /* for carry.h alone; quantiles are values */
	struct exemplars **exemplars;
	uint8_t marks[]; /* a bit for each row: own */
};

struct page_family {
	struct metadata *metadata;
	struct chunk **chunks;
	uint32_t nchunks;
};

struct page {
	_Atomic uint32_t refs;
	uint32_t nfamilies;
	size_t series;
	struct labels *constant; /* those of every series; NULL: none */
	bool quoted; /* a name may be one that is not legacy: of a family, a
		      * label, a label of an exemplar. Else all escapings show
		      * the same. */
	struct page_family families[];
};

/* COUNT holes, one reference. */
struct rows *rows_new(uint32_t count);
void rows_unref(struct rows *rows);

/* Takes over the caller's reference to ROWS, and VALUES (free() frees them).
 * MARKS are copied; NULL: no row is own. */
struct chunk *chunk_new(struct rows *rows, double *values,
			const uint8_t *marks);
/* Takes over EXTRAS, as many as there are rows, right after chunk_new(). */
void chunk_take_extras(struct chunk *chunk, struct extras *extras);

/* Those of the chunk, borrowed. */
struct extras chunk_extras(const struct chunk *chunk);

struct chunk *chunk_ref(struct chunk *chunk);
void chunk_unref(struct chunk *chunk);

static inline size_t chunk_marks_size(uint32_t count)
{
	return (count + 7) / 8;
}

static inline bool chunk_is_own(const struct chunk *chunk, uint32_t row)
{
	return chunk->counted && chunk->marks[row / 8] >> row % 8 & 1;
}

/* An empty page for NFAMILIES families, which the caller fills with references
 * and sorts by name. */
struct page *page_new(uint32_t nfamilies);
struct page *page_ref(struct page *page);
void page_unref(struct page *page);

/* The family NAME, or NULL. Borrowed. */
const struct page_family *page_find(const struct page *page, const char *name);

/* A page of the family NAME of PAGE alone; an empty one, when it is not there.
 */
struct page *page_pick(const struct page *page, const char *name);

/*
 * The place where one thread publishes and others fetch: one atomic word that
 * holds the pointer and the number of readers that are just taking a reference
 * (a split reference count), so that neither side ever waits. A page that was
 * replaced in a slot may not come back to it.
 */
struct page_slot {
	_Atomic uint64_t word;
};

/* A new reference to the present page, or NULL. Any thread. */
struct page *page_slot_get(struct page_slot *slot);

/* Publishes PAGE, whose reference moves into the slot; NULL empties it, and the
 * page that is there already is fine. One thread at a time. */
void page_slot_set(struct page_slot *slot, struct page *page);

#endif
