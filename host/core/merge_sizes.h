/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sizes of chunks that were measured for an earlier exposition: measuring
 * costs about as much as rendering. One thread.
 */
#ifndef CORE_MERGE_SIZES_H
#define CORE_MERGE_SIZES_H

#include <stddef.h>

#include "core/block.h"

struct merge_sizes;

/* Of all chunks in BLOCKS, which outlive it. */
struct merge_sizes *merge_sizes_new(struct block *const *blocks, size_t n);

/* NULL is allowed. */
void merge_sizes_free(struct merge_sizes *sizes);

/* 0: it has not been measured. */
size_t merge_sizes_find(const struct merge_sizes *sizes,
			const struct chunk *chunk);

#endif
