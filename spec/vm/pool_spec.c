/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/pool.h"

enum { BLOCKS = 4000, TURNS = 400000, SIZE_MAX_HERE = 600 };

struct block {
	unsigned char *data;
	size_t size;
	unsigned char fill;
};

static bool is_filled(const struct block *block, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (block->data[i] != block->fill)
			return false;
	return true;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void change(struct pool *pool, struct block *block, uint32_t *seed)
{
	size_t size = next(seed) % 4 ? next(seed) % SIZE_MAX_HERE : 0;
	size_t kept = size < block->size ? size : block->size;

	assert_true(is_filled(block, block->size));
	block->data = pool_resize(pool, block->data, block->size, size);
	assert_true(size ? block->data != NULL : block->data == NULL);
	if (size)
		assert_true(is_filled(block, kept));
	block->size = size;
	block->fill = (unsigned char)next(seed);
	if (size)
		memset(block->data, block->fill, size);
}

static void blocks_keep_what_is_in_them(void **state)
{
	struct block *blocks = calloc(BLOCKS, sizeof *blocks);
	uint32_t seed = 1;
	struct pool pool;

	(void)state;
	pool_init(&pool);
	for (int i = 0; i < TURNS; i++)
		change(&pool, &blocks[next(&seed) % BLOCKS], &seed);
	for (int i = 0; i < BLOCKS; i++)
		pool_resize(&pool, blocks[i].data, blocks[i].size, 0);
	pool_release(&pool);
	free(blocks);
}

static void what_was_given_back_is_used_again(void **state)
{
	struct pool pool;

	(void)state;
	pool_init(&pool);
	for (int i = 0; i < 1000000; i++)
		pool_resize(&pool, pool_resize(&pool, NULL, 0, 40), 40, 0);
	assert_true(pool.used <= 4096);
	pool_release(&pool);
}

static void a_full_region_is_no_end(void **state)
{
	enum { COUNT = POOL_REGION / POOL_BLOCK_MAX + 100 };
	static void *blocks[COUNT];
	struct pool pool;

	(void)state;
	pool_init(&pool);
	for (int i = 0; i < COUNT; i++) {
		blocks[i] = pool_resize(&pool, NULL, 0, POOL_BLOCK_MAX);
		assert_non_null(blocks[i]);
		memset(blocks[i], i, POOL_BLOCK_MAX);
	}
	assert_true(pool.used <= POOL_REGION);
	for (int i = 0; i < COUNT; i++)
		pool_resize(&pool, blocks[i], POOL_BLOCK_MAX, 0);
	pool_release(&pool);
}

static void without_a_region_malloc_has_all(void **state)
{
	struct pool pool = { 0 };
	char *p = pool_resize(&pool, NULL, 0, 10);

	(void)state;
	assert_non_null(p);
	strcpy(p, "contents");
	p = pool_resize(&pool, p, 10, 1000);
	assert_string_equal(p, "contents");
	p = pool_resize(&pool, p, 1000, 10);
	assert_string_equal(p, "contents");
	assert_null(pool_resize(&pool, p, 10, 0));
	pool_release(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_keep_what_is_in_them),
		cmocka_unit_test(what_was_given_back_is_used_again),
		cmocka_unit_test(a_full_region_is_no_end),
		cmocka_unit_test(without_a_region_malloc_has_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
