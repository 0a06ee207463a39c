/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for a Lua state. Lua asks for small blocks all the time and gives them
 * back in heaps when it collects: a list of free blocks for each size costs a
 * third of malloc. The blocks come from one region of bounded size; what is
 * large, or does not fit any more, comes from malloc. Nothing of the region is
 * given back before pool_release(). One thread.
 */
#ifndef VM_POOL_H
#define VM_POOL_H

#include <stddef.h>

enum {
	POOL_STEP = 16,	       /* bytes between two sizes of blocks */
	POOL_BLOCK_MAX = 256,  /* larger ones are malloc's */
	POOL_REGION = 8 << 20, /* address space; only what is used is memory */
};

/* Private. All zeroes is a pool that has everything from malloc. */
struct pool {
	char *region; /* NULL: none */
	size_t used;  /* bytes of it that were handed out once */
	void *free[POOL_BLOCK_MAX / POOL_STEP];
};

/* Leaves the sanitizers to look at each block by itself: then, and when there
 * is no address space, everything is malloc's. */
void pool_init(struct pool *pool);

/* Every block of the region is gone. */
void pool_release(struct pool *pool);

/*
 * Makes the block at P (NULL: none yet), which has OLD bytes, one of SIZE bytes
 * (0: none any more, the answer is NULL). The contents stay, as realloc() has
 * it. NULL, and the old block as it was, when there is no memory; a block that
 * gets smaller always succeeds.
 */
void *pool_resize(struct pool *pool, void *p, size_t old, size_t size);

#endif
