/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/json_text.h"

static struct buf out;
static struct json_text json;

static int set_up(void **state)
{
	(void)state;
	buf_init(&out, 1 << 16);
	json_text_init(&json, &out);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_release(&out);
	return 0;
}

/* Compares, and begins anew. */
static void wrote(const char *expected)
{
	assert_string_equal(expected, buf_text(&out));
	assert_false(out.full);
	buf_clear(&out);
	json_text_init(&json, &out);
}

static void commas_stand_between_members_and_elements(void **state)
{
	(void)state;
	json_text_object(&json, NULL);
	json_text_string(&json, "a", "x");
	json_text_array(&json, "b");
	json_text_count(&json, NULL, 1);
	json_text_array(&json, NULL);
	json_text_end_array(&json);
	json_text_object(&json, NULL);
	json_text_end_object(&json);
	json_text_bool(&json, NULL, true);
	json_text_end_array(&json);
	json_text_object(&json, "c");
	json_text_null(&json, "d");
	json_text_bool(&json, "e", false);
	json_text_end_object(&json);
	json_text_number(&json, "f", 0.5);
	json_text_end_object(&json);
	wrote("{\"a\":\"x\",\"b\":[1,[],{},true],"
	      "\"c\":{\"d\":null,\"e\":false},\"f\":0.5}");
}

static void a_value_may_stand_alone(void **state)
{
	(void)state;
	json_text_string(&json, NULL, "");
	wrote("\"\"");
	json_text_string(&json, NULL, NULL);
	wrote("null");
}

static void quotes_backslashes_and_controls_are_escaped(void **state)
{
	char controls[32], expected[256] = "\"";

	(void)state;
	json_text_string(&json, NULL, "a\"b\\c/d<e>\x7f");
	wrote("\"a\\\"b\\\\c/d<e>\x7f\"");
	for (int i = 0; i < 31; i++)
		controls[i] = (char)(i + 1);
	controls[31] = '\0';
	strcat(expected, "\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007"
			 "\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f"
			 "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016"
			 "\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d"
			 "\\u001e\\u001f\"");
	json_text_string(&json, NULL, controls);
	wrote(expected);
}

static void a_key_is_escaped_like_a_value(void **state)
{
	(void)state;
	json_text_object(&json, NULL);
	json_text_bool(&json, "a\"\n\xff", true);
	json_text_end_object(&json);
	wrote("{\"a\\\"\\n\xEF\xBF\xBD\":true}");
}

static void utf8_stays_and_other_bytes_are_replaced(void **state)
{
	static const char *const examples[][2] = {
		{ "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80",
		  "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"" },
		{ "\xE2\x80\xA8", "\"\xE2\x80\xA8\"" },
		{ "a\xff", "\"a\xEF\xBF\xBD\"" },
		/* A lead byte before a quote must not swallow it. */
		{ "\xC3\"", "\"\xEF\xBF\xBD\\\"\"" },
		{ "\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		/* An overlong quote, a surrogate. */
		{ "\xC0\xA2", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		{ "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		{ "\xff\n", "\"\xEF\xBF\xBD\\n\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		json_text_string(&json, NULL, examples[i][0]);
		wrote(examples[i][1]);
	}
}

static void a_number_is_exact_and_never_nan(void **state)
{
	static const struct {
		double value;
		const char *text;
	} examples[] = {
		{ 0, "0" },
		{ -0.0, "-0" },
		{ 0.1, "0.1" },
		{ 1763700163.123, "1763700163.123" },
		{ 1e-7, "1e-07" },
		{ 1.5e300, "1.5e+300" },
		{ NAN, "null" },
		{ INFINITY, "null" },
		{ -INFINITY, "null" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		json_text_number(&json, NULL, examples[i].value);
		wrote(examples[i].text);
	}
	json_text_count(&json, NULL, UINT64_MAX);
	wrote("18446744073709551615");
}

static void a_full_buffer_is_told_by_the_buffer(void **state)
{
	struct buf small;

	(void)state;
	buf_init(&small, 4);
	json_text_init(&json, &small);
	json_text_string(&json, NULL, "too long");
	assert_true(small.full);
	buf_release(&small);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(commas_stand_between_members_and_elements),
		test(a_value_may_stand_alone),
		test(quotes_backslashes_and_controls_are_escaped),
		test(a_key_is_escaped_like_a_value),
		test(utf8_stays_and_other_bytes_are_replaced),
		test(a_number_is_exact_and_never_nan),
		test(a_full_buffer_is_told_by_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
