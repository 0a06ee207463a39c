/* SPDX-License-Identifier: Apache-2.0 */
#include "core/row_index.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define EMPTY UINT32_MAX
#define GONE (UINT32_MAX - 1)

enum { SLOTS_MIN = 8, ROW_BITS = 24 };

void row_index_release(struct row_index *index)
{
	free(index->slots);
	*index = (struct row_index){ 0 };
}

void row_index_reset(struct row_index *index, uint32_t entries)
{
	uint32_t nslots = SLOTS_MIN;

	while ((entries + 1) * 5ull > nslots * 4ull)
		nslots *= 2;
	free(index->slots);
	index->slots = mem_array(nslots, sizeof *index->slots);
	memset(index->slots, 0xFF, nslots * sizeof *index->slots);
	index->nslots = nslots;
	index->used = 0;
}

bool row_index_full(const struct row_index *index)
{
	return (index->used + 1) * 5ull > index->nslots * 4ull;
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 56);
}

void row_index_add(struct row_index *index, uint64_t hash, uint32_t row)
{
	uint32_t mask = index->nslots - 1, i = (uint32_t)hash & mask;

	while (index->slots[i] != EMPTY)
		i = (i + 1) & mask;
	index->slots[i] = tag_of(hash) << ROW_BITS | row;
	index->used++;
}

bool row_index_next(const struct row_index *index, uint64_t hash,
		    uint32_t *cursor, uint32_t *row)
{
	uint32_t mask = index->nslots - 1, slot;
	uint32_t i = *cursor ? *cursor : (uint32_t)hash & mask;

	if (!index->nslots)
		return false;
	for (; (slot = index->slots[i & mask]) != EMPTY; i++) {
		if (slot == GONE || slot >> ROW_BITS != tag_of(hash))
			continue;
		*row = slot & ((1u << ROW_BITS) - 1);
		*cursor = (i & mask) + 1;
		return true;
	}
	return false;
}

void row_index_remove(struct row_index *index, uint32_t cursor)
{
	index->slots[cursor - 1] = GONE;
}
