/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exposition.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/duplicate.h"
#include "core/mem.h"
#include "core/overlap.h"
#include "core/text.h"

/* What the first block of an exposition stands behind. */
enum { FIRST_SERIAL = 1 };

/* A block may pass EXPOSITION_BLOCK only by one chunk with long labels. */
static const size_t text_max = (size_t)1 << 30;

/* A smaller block is made again when it can be made larger. */
enum { BLOCK_LEAST = EXPOSITION_BLOCK / 4 };

/* The head of a family (chunk is NULL), or one of its chunks. */
struct item {
	struct metadata *metadata;
	struct chunk *chunk;
};

/* The compressed text of a block; refers back into the block before it. An
 * older exposition, which somebody still reads, may have the same block behind
 * another one: so a piece never changes, and is counted. */
struct piece {
	uint32_t refs;
	uint64_t after; /* serial of the block before */
	struct deflate_piece deflate;
};

struct block {
	uint32_t refs;
	uint64_t serial; /* never used twice */
	size_t estimate;
	struct bytes *text;
	struct piece *piece; /* the last one made; NULL: none yet */
	size_t nitems;
	struct item items[];
};

struct exposition {
	uint32_t refs;
	unsigned conflicts;
	struct duplicates duplicates;
	struct overlap *overlap;
	size_t estimate;
	size_t npages;
	struct page **pages;
	size_t nblocks;
	struct block **blocks;
	struct piece **pieces; /* NULL before exposition_compress() */
};

/* ---- bytes ---- */

struct bytes *bytes_ref(struct bytes *bytes)
{
	bytes->refs++;
	return bytes;
}

void bytes_unref(struct bytes *bytes)
{
	if (!bytes || --bytes->refs)
		return;
	free(bytes->data);
	free(bytes);
}

static struct piece *piece_ref(struct piece *piece)
{
	piece->refs++;
	return piece;
}

static void piece_unref(struct piece *piece)
{
	if (!piece || --piece->refs)
		return;
	deflate_piece_release(&piece->deflate);
	free(piece);
}

/* ---- merging ---- */

struct items {
	struct item *list;
	size_t n, cap;
	struct chunk **made; /* chunks that are no page's: references */
	size_t nmade;
};

static void push(struct items *items, struct metadata *metadata,
		 struct chunk *chunk)
{
	if (items->n == items->cap) {
		items->cap = items->cap ? items->cap * 2 : 64;
		items->list = mem_realloc(items->list,
					  items->cap * sizeof *items->list);
	}
	items->list[items->n++] = (struct item){ metadata, chunk };
}

/* The family that comes next in name order, of the first page that has it. */
static struct page_family *lowest(struct page *const *pages, size_t n,
				  const uint32_t *at)
{
	struct page_family *low = NULL;

	for (size_t i = 0; i < n; i++) {
		struct page_family *family = &pages[i]->families[at[i]];

		if (at[i] < pages[i]->nfamilies &&
		    (!low ||
		     strcmp(family->metadata->name, low->metadata->name) < 0))
			low = family;
	}
	return low;
}

/* The pages that show a family, or would. */
struct showing {
	struct page_family **families;
	size_t *pages; /* their numbers */
	size_t n;
};

/* Moves on past the family NAME on every page that has it. */
static void gather(struct page *const *pages, size_t n, uint32_t *at,
		   const char *name, struct showing *showing)
{
	showing->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct page_family *family = &pages[i]->families[at[i]];

		if (at[i] == pages[i]->nfamilies ||
		    strcmp(family->metadata->name, name) != 0)
			continue;
		at[i]++;
		showing->families[showing->n] = family;
		showing->pages[showing->n++] = i;
	}
}

/* The first page has the family; those that disagree go. */
static unsigned drop_conflicts(struct showing *showing)
{
	const struct metadata *first = showing->families[0]->metadata;
	size_t n = showing->n;

	showing->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct page_family *family = showing->families[i];

		if (!metadata_agree(first, family->metadata, NULL))
			continue;
		showing->families[showing->n] = family;
		showing->pages[showing->n++] = showing->pages[i];
	}
	return (unsigned)(n - showing->n);
}

static void keep(struct items *items, struct chunk *made)
{
	items->made = mem_realloc(items->made,
				  (items->nmade + 1) * sizeof *items->made);
	items->made[items->nmade++] = made;
}

/* The chunks of one page, through FINDER unless that is NULL. */
static void push_family(struct items *items, struct metadata *metadata,
			const struct page_family *family, size_t page,
			struct duplicate_finder *finder)
{
	for (uint32_t k = 0; k < family->nchunks; k++) {
		struct chunk *chunk = family->chunks[k], *left = chunk;

		if (finder)
			left = duplicate_filter(finder, chunk, page);
		if (left->shown)
			push(items, metadata, left);
		if (finder && left == chunk)
			chunk_unref(left);
		else if (finder)
			keep(items, left);
	}
}

/* Series are looked at only where two pages could show the same one. */
static void push_showing(struct items *items, struct exposition *exposition,
			 const struct showing *showing)
{
	struct metadata *metadata = showing->families[0]->metadata;
	struct duplicate_finder *finder = NULL;

	push(items, metadata, NULL);
	for (size_t i = 0; i < showing->n; i++) {
		size_t page = showing->pages[i];
		bool doubtful = showing->n > 1 &&
				overlap_any(exposition->overlap, page,
					    showing->pages, showing->n);

		if (doubtful && !finder)
			finder = duplicate_finder_new(metadata,
						      &exposition->duplicates);
		push_family(items, metadata, showing->families[i], page,
			    doubtful ? finder : NULL);
	}
	if (finder)
		duplicate_finder_free(finder);
}

static void merge(struct exposition *exposition, struct items *items)
{
	struct page *const *pages = exposition->pages;
	size_t n = exposition->npages;
	uint32_t *at = mem_array(n, sizeof *at);
	struct showing showing = {
		mem_array(n, sizeof(struct page_family *)),
		mem_array(n, sizeof *showing.pages),
		0,
	};
	struct page_family *low;

	while ((low = lowest(pages, n, at)) != NULL) {
		gather(pages, n, at, low->metadata->name, &showing);
		exposition->conflicts += drop_conflicts(&showing);
		push_showing(items, exposition, &showing);
	}
	free(showing.families);
	free(showing.pages);
	free(at);
}

/* ---- blocks ---- */

static const void *key_of(const struct item *item)
{
	return item->chunk ? (const void *)item->chunk : item->metadata;
}

static size_t estimate(const struct item *item)
{
	const struct metadata *m = item->metadata;

	return item->chunk ? text_chunk_estimate(m, item->chunk)
			   : strlen(m->help) + 2 * m->name_len + 32;
}

static struct block *block_new(const struct item *items, size_t n)
{
	static _Atomic uint64_t last = FIRST_SERIAL; /* of all threads */
	struct block *block = mem_alloc(sizeof *block + n * sizeof *items);

	block->refs = 1;
	block->serial = ++last;
	block->nitems = n;
	for (size_t i = 0; i < n; i++) {
		block->items[i].metadata = metadata_ref(items[i].metadata);
		if (items[i].chunk)
			block->items[i].chunk = chunk_ref(items[i].chunk);
		block->estimate += estimate(&items[i]);
	}
	return block;
}

static void block_unref(struct block *block)
{
	if (--block->refs)
		return;
	for (size_t i = 0; i < block->nitems; i++) {
		metadata_unref(block->items[i].metadata);
		chunk_unref(block->items[i].chunk);
	}
	bytes_unref(block->text);
	piece_unref(block->piece);
	free(block);
}

/* Former blocks by their first item. */
struct firsts {
	struct block **slots;
	size_t mask;
};

static struct block **slot_of(const struct firsts *firsts, const void *key)
{
	size_t i = ((uintptr_t)key >> 4) * (size_t)0x9E3779B97F4A7C15u;

	for (i >>= 16;; i++) {
		struct block **slot = &firsts->slots[i & firsts->mask];

		if (!*slot || key_of(&(*slot)->items[0]) == key)
			return slot;
	}
}

static void firsts_init(struct firsts *firsts,
			const struct exposition *previous)
{
	size_t n = previous ? previous->nblocks : 0, size = 1;

	while (size < 2 * n + 1)
		size *= 2;
	firsts->mask = size - 1;
	firsts->slots = mem_array(size, sizeof *firsts->slots);
	for (size_t i = 0; i < n; i++)
		*slot_of(firsts, key_of(&previous->blocks[i]->items[0])) =
			previous->blocks[i];
}

static bool starts_with(const struct item *items, size_t n,
			const struct block *block)
{
	if (!block || block->nitems > n)
		return false;
	for (size_t i = 0; i < block->nitems; i++)
		if (key_of(&items[i]) != key_of(&block->items[i]))
			return false;
	return true;
}

/*
 * How many items the next block takes. Where a former block began not too far
 * from its proper end, it ends there: so after a change the borders fall into
 * step again and the blocks behind it can be taken over.
 */
static size_t cut(const struct item *items, size_t n,
		  const struct firsts *firsts)
{
	size_t size = estimate(&items[0]), end = 0;

	for (size_t i = 1; i < n; i++) {
		if (size >= BLOCK_LEAST && *slot_of(firsts, key_of(&items[i])))
			return i;
		size += estimate(&items[i]);
		if (!end && size > EXPOSITION_BLOCK)
			end = i;
		if (size > EXPOSITION_BLOCK + BLOCK_LEAST)
			return end;
	}
	return n;
}

/* May OLD stand for the first of these items? A small block only where a new
 * one would be no larger: a page that grows bit by bit must not end up as many
 * small blocks. */
static bool fits(const struct item *items, size_t n, const struct block *old,
		 const struct firsts *firsts)
{
	return starts_with(items, n, old) &&
	       (old->estimate >= BLOCK_LEAST ||
		cut(items, n, firsts) == old->nitems);
}

static void add_block(struct exposition *exposition, struct block *block,
		      size_t *cap)
{
	if (exposition->nblocks == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		exposition->blocks = mem_realloc(
			exposition->blocks, *cap * sizeof *exposition->blocks);
	}
	exposition->blocks[exposition->nblocks++] = block;
	exposition->estimate += block->estimate;
}

static void make_blocks(struct exposition *exposition,
			const struct items *items,
			const struct exposition *previous)
{
	struct firsts firsts;
	size_t cap = 0, n;

	firsts_init(&firsts, previous);
	for (size_t i = 0; i < items->n; i += n) {
		const struct item *from = items->list + i;
		struct block *old = *slot_of(&firsts, key_of(from));

		if (fits(from, items->n - i, old, &firsts)) {
			n = old->nitems;
			old->refs++;
			add_block(exposition, old, &cap);
		} else {
			n = cut(from, items->n - i, &firsts);
			add_block(exposition, block_new(from, n), &cap);
		}
	}
	free(firsts.slots);
}

struct exposition *exposition_new(struct page *const *pages, size_t n,
				  struct exposition *previous)
{
	struct exposition *exposition = mem_alloc(sizeof *exposition);
	struct items items = { 0 };

	exposition->refs = 1;
	exposition->npages = n;
	exposition->pages = mem_array(n, sizeof(struct page *));
	for (size_t i = 0; i < n; i++)
		exposition->pages[i] = page_ref(pages[i]);
	exposition->overlap =
		overlap_new(pages, n, previous ? previous->overlap : NULL);
	merge(exposition, &items);
	make_blocks(exposition, &items, previous);
	while (items.nmade)
		chunk_unref(items.made[--items.nmade]);
	free(items.made);
	free(items.list);
	return exposition;
}

struct exposition *exposition_ref(struct exposition *exposition)
{
	exposition->refs++;
	return exposition;
}

void exposition_unref(struct exposition *exposition)
{
	if (!exposition || --exposition->refs)
		return;
	for (size_t i = 0; i < exposition->nblocks; i++) {
		block_unref(exposition->blocks[i]);
		if (exposition->pieces)
			piece_unref(exposition->pieces[i]);
	}
	for (size_t i = 0; i < exposition->npages; i++)
		page_unref(exposition->pages[i]);
	overlap_unref(exposition->overlap);
	free(exposition->duplicates.series);
	free(exposition->blocks);
	free(exposition->pieces);
	free(exposition->pages);
	free(exposition);
}

bool exposition_shows(const struct exposition *exposition,
		      struct page *const *pages, size_t n)
{
	if (exposition->npages != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (exposition->pages[i] != pages[i])
			return false;
	return true;
}

size_t exposition_blocks(const struct exposition *exposition)
{
	return exposition->nblocks;
}

size_t exposition_series(const struct exposition *exposition)
{
	size_t series = 0;

	for (size_t i = 0; i < exposition->npages; i++)
		series += exposition->pages[i]->series;
	return series;
}

bool exposition_keeps_text(const struct exposition *exposition)
{
	return exposition->estimate <= EXPOSITION_KEEP_TEXT;
}

unsigned exposition_conflicts(const struct exposition *exposition)
{
	return exposition->conflicts;
}

const struct duplicates *exposition_duplicates(
	const struct exposition *exposition)
{
	return &exposition->duplicates;
}

/* ---- text and pieces ---- */

static struct bytes *render(const struct block *block)
{
	struct bytes *bytes = mem_alloc(sizeof *bytes);
	struct buf text;

	buf_init(&text, text_max);
	buf_reserve(&text, block->estimate + block->estimate / 4 + 256);
	for (size_t i = 0; i < block->nitems; i++) {
		const struct item *item = &block->items[i];

		if (item->chunk)
			text_chunk(&text, item->metadata, item->chunk);
		else
			text_head(&text, item->metadata);
	}
	bytes->refs = 1;
	bytes->data = buf_take(&text, &bytes->len);
	return bytes;
}

struct bytes *exposition_text(struct exposition *exposition, size_t i)
{
	struct block *block = exposition->blocks[i];
	struct bytes *text;

	if (block->text)
		return bytes_ref(block->text);
	text = render(block);
	if (exposition_keeps_text(exposition)) {
		text->data = mem_realloc(text->data, text->len + 1);
		block->text = bytes_ref(text);
	}
	return text;
}

/* BEFORE is the text in front of TEXT, NULL for none; FRESH says that it is
 * what went through DEFLATE last. */
static struct piece *make_piece(const struct bytes *before, bool fresh,
				const struct bytes *text,
				struct deflate *deflate)
{
	struct piece *piece = mem_alloc(sizeof *piece);

	piece->refs = 1;
	if (fresh && before->len >= DEFLATE_WINDOW) {
		deflate_follow(deflate);
	} else {
		deflate_begin(deflate);
		if (before)
			deflate_before(deflate, before->data, before->len);
	}
	deflate_add(deflate, text->data, text->len);
	deflate_end(deflate, &piece->deflate);
	return piece;
}

/*
 * A piece stays good while its block stands behind the same block. BEFORE is
 * the text of the block before, where that was rendered for its own piece.
 */
void exposition_compress(struct exposition *exposition, struct deflate *deflate)
{
	struct bytes *before = NULL, *text;
	uint64_t serial = FIRST_SERIAL;

	if (exposition->pieces)
		return;
	exposition->pieces =
		mem_array(exposition->nblocks, sizeof(struct piece *));
	for (size_t i = 0; i < exposition->nblocks; i++) {
		struct block *block = exposition->blocks[i];

		text = NULL;
		if (!block->piece || block->piece->after != serial) {
			bool fresh = before != NULL;

			if (i && !before)
				before = exposition_text(exposition, i - 1);
			text = exposition_text(exposition, i);
			piece_unref(block->piece);
			block->piece = make_piece(before, fresh, text, deflate);
			block->piece->after = serial;
		}
		exposition->pieces[i] = piece_ref(block->piece);
		bytes_unref(before);
		before = text;
		serial = block->serial;
	}
	bytes_unref(before);
}

const struct deflate_piece *exposition_piece(
	const struct exposition *exposition, size_t i)
{
	return &exposition->pieces[i]->deflate;
}
