/* SPDX-License-Identifier: Apache-2.0 */
/* A table with open addressing, at most half full. */
#include "core/merge_sizes.h"

#include <stdlib.h>

#include "core/mem.h"

struct merge_sizes {
	size_t mask;
	const struct item *slots[]; /* NULL: free */
};

static const struct item **slot_of(struct merge_sizes *sizes,
				   const struct chunk *chunk)
{
	size_t i = ((uintptr_t)chunk >> 4) * (size_t)0x9E3779B97F4A7C15u;

	for (i >>= 16;; i++) {
		const struct item **slot = &sizes->slots[i & sizes->mask];

		if (!*slot || (*slot)->chunk == chunk)
			return slot;
	}
}

struct merge_sizes *merge_sizes_new(struct block *const *blocks, size_t n)
{
	struct merge_sizes *sizes;
	size_t items = 0, size = 1;

	for (size_t i = 0; i < n; i++)
		items += blocks[i]->nitems;
	while (size < 2 * items + 1)
		size *= 2;
	sizes = mem_alloc(sizeof *sizes + size * sizeof(struct item *));
	sizes->mask = size - 1;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < blocks[i]->nitems; k++) {
			const struct item *item = &blocks[i]->items[k];

			if (item->chunk)
				*slot_of(sizes, item->chunk) = item;
		}
	return sizes;
}

void merge_sizes_free(struct merge_sizes *sizes)
{
	free(sizes);
}

size_t merge_sizes_find(const struct merge_sizes *sizes,
			const struct chunk *chunk)
{
	const struct item *item =
		*slot_of((struct merge_sizes *)(uintptr_t)sizes, chunk);

	return item ? item->size : 0;
}
