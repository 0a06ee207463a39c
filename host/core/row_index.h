/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the hash of label values to row numbers: open addressing, four bytes a
 * slot (eight bits of hash, 24 of row), four fifths full at most. The caller
 * compares the labels of each candidate. One thread.
 */
#ifndef CORE_ROW_INDEX_H
#define CORE_ROW_INDEX_H

#include <stdbool.h>
#include <stdint.h>

enum { ROW_INDEX_MAX = (1 << 24) - 2 }; /* row numbers are below it */

struct row_index {
	uint32_t *slots; /* private */
	uint32_t nslots; /* private; a power of two */
	uint32_t used;	 /* private; slots that are not empty */
};

void row_index_release(struct row_index *index);

/* Empties the index and makes room for ENTRIES and some more. */
void row_index_reset(struct row_index *index, uint32_t entries);

/* Must be reset before another row is added? */
bool row_index_full(const struct row_index *index);

void row_index_add(struct row_index *index, uint64_t hash, uint32_t row);

/* The next row that may have HASH; CURSOR starts at 0. */
bool row_index_next(const struct row_index *index, uint64_t hash,
		    uint32_t *cursor, uint32_t *row);

/* Takes out the row that row_index_next() gave with CURSOR. */
void row_index_remove(struct row_index *index, uint32_t cursor);

#endif
