/* SPDX-License-Identifier: Apache-2.0 */
#include "core/layout.h"

#include <stdlib.h>

#include "core/mem.h"

/* A smaller block is made again when it can be made larger. */
enum { BLOCK_LEAST = EXPOSITION_BLOCK / 4 };

/* ---- former blocks ---- */

static const void *key_of(const struct item *item)
{
	return item->chunk ? (const void *)item->chunk : item->metadata;
}

/* Do both begin with the same thing, whatever is said of it? */
static bool same_key(const struct item *a, const struct item *b)
{
	return key_of(a) == key_of(b) && a->part == b->part;
}

static struct block **slot_of(const struct layout *layout,
			      const struct item *item)
{
	size_t i = (((uintptr_t)key_of(item) >> 4) + item->part) *
		   (size_t)0x9E3779B97F4A7C15u;

	for (i >>= 16;; i++) {
		struct block **slot = &layout->slots[i & layout->mask];

		if (!*slot || same_key(&(*slot)->items[0], item))
			return slot;
	}
}

void layout_init(struct layout *layout, struct form form,
		 struct block *const *former, size_t n)
{
	size_t size = 1;

	while (size < 2 * n + 1)
		size *= 2;
	layout->form = form;
	layout->mask = size - 1;
	layout->slots = mem_array(size, sizeof *layout->slots);
	for (size_t i = 0; i < n; i++)
		*slot_of(layout, &former[i]->items[0]) = former[i];
}

void layout_release(struct layout *layout)
{
	free(layout->slots);
	layout->slots = NULL;
}

/* ---- cutting ---- */

/*
 * How many items the next block takes. Where a former block began not too far
 * from its proper end, it ends there: so after a change the borders fall into
 * step again and the blocks behind it can be taken over.
 */
static size_t cut(const struct layout *layout, const struct item *items,
		  size_t n)
{
	size_t size = items[0].estimate, end = 0;

	for (size_t i = 1; i < n; i++) {
		if (size >= BLOCK_LEAST && *slot_of(layout, &items[i]))
			return i;
		size += items[i].estimate;
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
static bool fits(const struct layout *layout, const struct item *items,
		 size_t n, const struct block *old)
{
	return block_begins(old, items, n) &&
	       (old->estimate >= BLOCK_LEAST ||
		cut(layout, items, n) == old->nitems);
}

struct block *layout_next(const struct layout *layout, const struct item *items,
			  size_t n)
{
	struct block *old = *slot_of(layout, items);

	if (fits(layout, items, n, old))
		return block_ref(old);
	return block_new(layout->form, items, cut(layout, items, n));
}
