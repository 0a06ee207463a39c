/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

enum { ROOM = sizeof((struct err *)0)->text - 1 };

static void keeps_the_code_and_the_sentence(void **state)
{
	struct err err = { ERR_NONE, "" };

	(void)state;
	assert_false(err_set(&err, ERR_IO, "connect %s:%d: refused", "h", 80));
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.text, "connect h:80: refused");
	assert_false(err_set(&err, ERR_LIMIT, "too much"));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "too much");
}

static void nobody_has_to_want_the_sentence(void **state)
{
	(void)state;
	assert_false(err_set(NULL, ERR_IO, "%s", "nobody reads this"));
}

/* PAD bytes, then the character again and again, far beyond the end. */
static void check_cut(size_t pad, const char *character)
{
	char text[2 * ROOM];
	size_t size = strlen(character), len = pad;
	struct err err;

	memset(text, '.', pad);
	while (len + size < sizeof text) {
		memcpy(text + len, character, size);
		len += size;
	}
	text[len] = '\0';
	err_set(&err, ERR_INPUT, "%s", text);
	len = strlen(err.text);
	assert_int_equal(len, pad + (ROOM - pad) / size * size);
	assert_memory_equal(err.text, text, len);
}

static void a_long_sentence_is_cut_between_characters(void **state)
{
	(void)state;
	for (size_t pad = 0; pad < 8; pad++) {
		check_cut(pad, "x");
		check_cut(pad, "\xC3\xA9");
		check_cut(pad, "\xE2\x82\xAC");
		check_cut(pad, "\xF0\x9F\x98\x80");
	}
}

static void a_sentence_that_just_fits_is_whole(void **state)
{
	char text[ROOM + 1];
	struct err err;

	(void)state;
	memset(text, 'x', ROOM);
	memcpy(text + ROOM - 2, "\xC3\xA9", 3);
	err_set(&err, ERR_INPUT, "%s", text);
	assert_string_equal(err.text, text);
}

static void bytes_that_are_not_utf_8_do_no_harm(void **state)
{
	char text[2 * ROOM];
	struct err err;

	(void)state;
	for (int c = 0x80; c <= 0xFF; c++) {
		memset(text, c, sizeof text - 1);
		text[sizeof text - 1] = '\0';
		err_set(&err, ERR_INPUT, "%s", text);
		assert_true(strlen(err.text) <= ROOM);
		assert_true(strlen(err.text) >= ROOM - 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_code_and_the_sentence),
		cmocka_unit_test(nobody_has_to_want_the_sentence),
		cmocka_unit_test(a_long_sentence_is_cut_between_characters),
		cmocka_unit_test(a_sentence_that_just_fits_is_whole),
		cmocka_unit_test(bytes_that_are_not_utf_8_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
