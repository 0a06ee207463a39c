/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"

static void utf8_is_recognised(void **state)
{
	static const char *const good[] = {
		"",
		"a",
		"\x7F",
		"\xC2\x80",
		"\xDF\xBF",
		"\xE0\xA0\x80",
		"\xED\x9F\xBF",
		"\xEE\x80\x80",
		"\xEF\xBF\xBF",
		"\xF0\x90\x80\x80",
		"\xF4\x8F\xBF\xBF",
	};
	static const char *const bad[] = {
		"\x80",
		"\xBF",
		"\xC0\x80",
		"\xC1\xBF",
		"\xC2",
		"\xC2\x41",
		"\xE0\x9F\xBF",
		"\xE2\x82",
		"\xED\xA0\x80",
		"\xF0\x8F\xBF\xBF",
		"\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80",
		"\xFE",
		"\xFF",
		"\xF0\x9F\x98",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

static void each_wrong_byte_becomes_a_replacement_character(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	utf8_repair(&out, STR("a\xFF\xC3\xA9\xE2\x82!").data, 7);
	assert_string_equal(buf_text(&out), "a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD"
					    "\xEF\xBF\xBD!");
	assert_true(utf8_valid(out.data, out.len));
	buf_release(&out);
}

static void characters_come_one_by_one(void **state)
{
	static const uint32_t expected[] = { 'a',    0x7F,   0x80,    0x7FF,
					     0x800,  0xFFFF, 0x10000, 0x10FFFF,
					     0xFFFD, 0xFFFD, 0xFFFD,  0 };
	struct str text = STR("a\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF"
			      "\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"
			      "\xFF\xE2\x82\0");
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		uint32_t c;

		assert_true(at < text.len);
		at += utf8_next(text.data + at, text.len - at, &c);
		assert_int_equal(c, expected[i]);
	}
	assert_int_equal(at, text.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_recognised),
		cmocka_unit_test(
			each_wrong_byte_becomes_a_replacement_character),
		cmocka_unit_test(characters_come_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
