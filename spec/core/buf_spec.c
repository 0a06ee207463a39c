/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static void a_new_buffer_is_an_empty_string(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf_text(&buf), "");
	assert_false(buf.full);
	buf_release(&buf);
	buf_release(&buf);
}

static void additions_stand_one_behind_the_other(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	assert_true(buf_add(&buf, "a\0b", 3));
	assert_true(buf_addstr(&buf, "cd"));
	assert_true(buf_addch(&buf, 'e'));
	assert_true(buf_addf(&buf, "%d-%s", 42, "f"));
	assert_true(buf_add(&buf, NULL, 0));
	assert_true(buf_addstr(&buf, ""));
	assert_int_equal(buf.len, 10);
	assert_memory_equal(buf.data, "a\0bcde42-f", 11);
	buf_release(&buf);
}

static void grows_to_its_ceiling_and_no_further(void **state)
{
	(void)state;
	for (size_t max = 0; max < 300; max++) {
		struct buf buf;

		buf_init(&buf, max);
		for (size_t i = 0; i < max; i++)
			assert_true(buf_addch(&buf, (char)('a' + i % 26)));
		assert_false(buf.full);
		assert_false(buf_addch(&buf, 'x'));
		assert_true(buf.full);
		assert_int_equal(buf.len, max);
		assert_int_equal(strlen(buf_text(&buf)), max);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(buf.data[i], 'a' + i % 26);
		buf_release(&buf);
	}
}

static void an_addition_is_whole_or_not_at_all(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 8);
	assert_true(buf_addstr(&buf, "12345"));
	assert_false(buf_addstr(&buf, "6789"));
	assert_string_equal(buf_text(&buf), "12345");
	buf_clear(&buf);
	assert_true(buf_addf(&buf, "%s", "12345"));
	assert_false(buf_addf(&buf, "%d", 6789));
	assert_string_equal(buf_text(&buf), "12345");
	buf_release(&buf);
}

static void once_full_nothing_more_is_added(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 4);
	assert_false(buf_addstr(&buf, "12345"));
	assert_false(buf_addch(&buf, '1'));
	assert_false(buf_addf(&buf, "2"));
	assert_false(buf_add(&buf, "3", 1));
	assert_int_equal(buf.len, 0);
	buf_clear(&buf);
	assert_false(buf.full);
	assert_true(buf_addstr(&buf, "1234"));
	buf_release(&buf);
}

static void a_cleared_buffer_is_an_empty_string_again(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 100);
	buf_clear(&buf);
	buf_addstr(&buf, "text");
	buf_clear(&buf);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf_text(&buf), "");
	buf_release(&buf);
}

static void reserved_room_can_be_written_directly(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	assert_true(buf_reserve(&buf, 0));
	assert_string_equal(buf_text(&buf), "");
	assert_true(buf_reserve(&buf, 1000));
	assert_string_equal(buf_text(&buf), "");
	memset(buf.data, 'x', 1000);
	buf.len = 1000;
	buf.data[1000] = '\0';
	assert_false(buf_reserve(&buf, 1));
	assert_true(buf.full);
	assert_int_equal(strlen(buf.data), 1000);
	buf_release(&buf);
}

static void no_size_overflows(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1 << 20);
	assert_true(buf_addstr(&buf, "text"));
	assert_false(buf_reserve(&buf, SIZE_MAX));
	assert_false(buf_reserve(&buf, SIZE_MAX - 4));
	assert_false(buf_reserve(&buf, SIZE_MAX - 3));
	assert_string_equal(buf_text(&buf), "text");
	buf_release(&buf);

	buf_init(&buf, SIZE_MAX);
	assert_true(buf_addstr(&buf, "text"));
	assert_string_equal(buf_text(&buf), "text");
	buf_release(&buf);
}

static void taken_bytes_belong_to_the_caller(void **state)
{
	struct buf buf;
	size_t len;
	char *text;

	(void)state;
	buf_init(&buf, 10);
	buf_addstr(&buf, "text");
	text = buf_take(&buf, &len);
	assert_string_equal(text, "text");
	assert_int_equal(len, 4);
	assert_int_equal(buf.len, 0);
	assert_null(buf.data);
	free(text);

	text = buf_take(&buf, NULL);
	assert_string_equal(text, "");
	free(text);

	assert_true(buf_addstr(&buf, "1234567890"));
	assert_false(buf_addch(&buf, '1'));
	free(buf_take(&buf, &len));
	assert_int_equal(len, 10);
	assert_false(buf.full);
	assert_true(buf_addch(&buf, '1'));
	buf_release(&buf);
}

static void str_takes_its_length_from_the_literal(void **state)
{
	struct str s = STR("a\0b");

	(void)state;
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "a\0b", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_buffer_is_an_empty_string),
		cmocka_unit_test(additions_stand_one_behind_the_other),
		cmocka_unit_test(grows_to_its_ceiling_and_no_further),
		cmocka_unit_test(an_addition_is_whole_or_not_at_all),
		cmocka_unit_test(once_full_nothing_more_is_added),
		cmocka_unit_test(a_cleared_buffer_is_an_empty_string_again),
		cmocka_unit_test(reserved_room_can_be_written_directly),
		cmocka_unit_test(no_size_overflows),
		cmocka_unit_test(taken_bytes_belong_to_the_caller),
		cmocka_unit_test(str_takes_its_length_from_the_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
