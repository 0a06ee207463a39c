/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

void pool_init(struct pool *pool)
{
	void *region;

	memset(pool, 0, sizeof *pool);
	if (SANITIZED)
		return;
	region = mmap(NULL, POOL_REGION, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		return;
	/* A small script must not cost a huge page. */
	madvise(region, POOL_REGION, MADV_NOHUGEPAGE);
	pool->region = region;
}

void pool_release(struct pool *pool)
{
	if (pool->region)
		munmap(pool->region, POOL_REGION);
	memset(pool, 0, sizeof *pool);
}

static bool in_region(const struct pool *pool, const void *p)
{
	return (uintptr_t)p - (uintptr_t)pool->region < POOL_REGION &&
	       pool->region;
}

static size_t class_of(size_t size)
{
	return (size - 1) / POOL_STEP;
}

/* A block of the region for SIZE bytes, or NULL. */
static void *take(struct pool *pool, size_t size)
{
	size_t class = class_of(size), bytes = (class + 1) * POOL_STEP;
	void *p = pool->free[class];

	if (p) {
		memcpy(&pool->free[class], p, sizeof p);
		/* The list goes all over the region, so the next of it is
		 * seldom near: it comes while this one is used. */
		__builtin_prefetch(pool->free[class], 1);
		return p;
	}
	if (!pool->region || pool->used + bytes > POOL_REGION)
		return NULL;
	p = pool->region + pool->used;
	pool->used += bytes;
	return p;
}

static void *obtain(struct pool *pool, size_t size)
{
	void *p = size <= POOL_BLOCK_MAX ? take(pool, size) : NULL;

	return p ? p : malloc(size);
}

static void give_back(struct pool *pool, void *p, size_t size)
{
	size_t class;

	if (!in_region(pool, p)) {
		free(p);
		return;
	}
	class = class_of(size);
	memcpy(p, &pool->free[class], sizeof p);
	pool->free[class] = p;
}

/* The block P is the region's and has the wrong size. */
static void *move(struct pool *pool, void *p, size_t old, size_t size)
{
	void *moved = obtain(pool, size);

	if (!moved)
		return NULL;
	memcpy(moved, p, old < size ? old : size);
	give_back(pool, p, old);
	return moved;
}

/* A block that gets smaller without memory stays in its place: then it is in a
 * list for less than it has. */
static void *resize(struct pool *pool, void *p, size_t old, size_t size)
{
	void *result;

	if (in_region(pool, p)) {
		if (class_of(old) == class_of(size))
			return p;
		result = move(pool, p, old, size);
	} else {
		result = realloc(p, size);
	}
	return !result && size <= old ? p : result;
}

void *pool_resize(struct pool *pool, void *p, size_t old, size_t size)
{
	if (!p)
		return size ? obtain(pool, size) : NULL;
	if (size)
		return resize(pool, p, old, size);
	give_back(pool, p, old);
	return NULL;
}
