/* SPDX-License-Identifier: Apache-2.0 */
#include "core/page.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* True when this was the last reference. */
static int drop(_Atomic uint32_t *refs)
{
	return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

struct rows *rows_new(uint32_t count)
{
	struct rows *rows =
		mem_alloc(sizeof *rows + count * sizeof rows->labels[0]);

	atomic_init(&rows->refs, 1);
	rows->count = count;
	return rows;
}

void rows_unref(struct rows *rows)
{
	if (!rows || !drop(&rows->refs))
		return;
	for (uint32_t i = 0; i < rows->count; i++)
		labels_unref(rows->labels[i]);
	free(rows);
}

struct chunk *chunk_new(struct rows *rows, double *values, const uint8_t *marks)
{
	size_t size = marks ? chunk_marks_size(rows->count) : 0;
	struct chunk *chunk = mem_alloc(sizeof *chunk + size);

	atomic_init(&chunk->refs, 1);
	chunk->rows = rows;
	chunk->values = values;
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->labels[i])
			chunk->shown++;
	chunk->counted = marks;
	if (marks)
		memcpy(chunk->marks, marks, size);
	return chunk;
}

void chunk_take_extras(struct chunk *chunk, struct extras *extras)
{
	chunk->natives = extras->natives;
	chunk->windows = extras->windows;
	chunk->exemplars = extras->exemplars;
	*extras = (struct extras){ 0 };
}

struct extras chunk_extras(const struct chunk *chunk)
{
	return (struct extras){ chunk->rows->count, chunk->natives,
				chunk->windows, chunk->exemplars };
}

struct chunk *chunk_ref(struct chunk *chunk)
{
	atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
	return chunk;
}

void chunk_unref(struct chunk *chunk)
{
	struct extras extras;

	if (!chunk || !drop(&chunk->refs))
		return;
	extras = chunk_extras(chunk);
	extras_release(&extras);
	rows_unref(chunk->rows);
	free(chunk->values);
	free(chunk);
}

struct page *page_new(uint32_t nfamilies)
{
	struct page *page =
		mem_alloc(sizeof *page + nfamilies * sizeof page->families[0]);

	atomic_init(&page->refs, 1);
	page->nfamilies = nfamilies;
	return page;
}

struct page *page_ref(struct page *page)
{
	atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
	return page;
}

static void page_free(struct page *page)
{
	for (uint32_t i = 0; i < page->nfamilies; i++) {
		struct page_family *family = &page->families[i];

		for (uint32_t k = 0; k < family->nchunks; k++)
			chunk_unref(family->chunks[k]);
		free(family->chunks);
		metadata_unref(family->metadata);
	}
	labels_unref(page->constant);
	free(page);
}

void page_unref(struct page *page)
{
	if (page && drop(&page->refs))
		page_free(page);
}

static int by_name(const void *name, const void *family)
{
	return strcmp(name,
		      ((const struct page_family *)family)->metadata->name);
}

const struct page_family *page_find(const struct page *page, const char *name)
{
	return bsearch(name, page->families, page->nfamilies,
		       sizeof page->families[0], by_name);
}

struct page *page_pick(const struct page *page, const char *name)
{
	const struct page_family *from = page_find(page, name);
	struct page *picked = page_new(from ? 1 : 0);
	struct page_family *to = picked->families;

	picked->quoted = page->quoted;
	if (page->constant)
		picked->constant = labels_ref(page->constant);
	if (!from)
		return picked;
	to->metadata = metadata_ref(from->metadata);
	to->chunks = mem_array(from->nchunks, sizeof *to->chunks);
	for (; to->nchunks < from->nchunks; to->nchunks++) {
		to->chunks[to->nchunks] = chunk_ref(from->chunks[to->nchunks]);
		picked->series += to->chunks[to->nchunks]->shown;
	}
	return picked;
}

/*
 * The word: 48 bits of pointer, above them 16 bits that count readers between
 * their two steps. Step one adds a reader and so learns the pointer, which the
 * slot's own references keep alive until the word is exchanged; the exchange
 * hands the readers it finds over to the page's own count. Step two takes a
 * real reference and takes the reader back, from wherever it is counted now.
 *
 * A reader that finds the word exchanged takes itself back from the page's
 * count, perhaps before the exchange has handed it over. So a slot counts for
 * more references than there can be readers: it alone can bring the count to 0
 * while a hand-over is due.
 */
#define READER (UINT64_C(1) << 48)
#define POINTER (READER - 1)
#define SLOT_REFS (UINT32_C(1) << 20)

static struct page *pointer_of(uint64_t word)
{
	return (struct page *)(uintptr_t)(word & POINTER);
}

struct page *page_slot_get(struct page_slot *slot)
{
	uint64_t word = atomic_fetch_add_explicit(&slot->word, READER,
						  memory_order_acquire);
	struct page *page = pointer_of(word);

	if (page)
		page_ref(page);
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	while (pointer_of(word) == page && word >= READER)
		if (atomic_compare_exchange_weak_explicit(
			    &slot->word, &word, word - READER,
			    memory_order_acq_rel, memory_order_relaxed))
			return page;
	page_unref(page);
	return page;
}

void page_slot_set(struct page_slot *slot, struct page *page)
{
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	struct page *gone = pointer_of(word);
	uint32_t refs;

	if (page == gone) {
		page_unref(page);
		return;
	}
	if (page)
		atomic_fetch_add_explicit(&page->refs, SLOT_REFS - 1,
					  memory_order_relaxed);
	word = atomic_exchange_explicit(&slot->word, (uint64_t)(uintptr_t)page,
					memory_order_acq_rel);
	if (!gone)
		return;
	refs = SLOT_REFS - (uint32_t)(word / READER);
	if (atomic_fetch_sub_explicit(&gone->refs, refs,
				      memory_order_acq_rel) == refs)
		page_free(gone);
}
