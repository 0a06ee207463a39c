/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/escape.h"
#include "core/utf8.h"

static struct str text_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static void assert_escaped(const char *name, enum escaping scheme,
			   const char *expected)
{
	struct buf out;

	buf_init(&out, 1000);
	name_escape(&out, text_of(name), scheme);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void legacy_names_are_those_of_old_readers(void **state)
{
	static const struct {
		const char *name;
		bool metric, label;
	} cases[] = {
		{ "Avalid_23name", true, true },
		{ "_Avalid_23name", true, true },
		{ "1valid_23name", false, false },
		{ "avalid_23name", true, true },
		{ "Ava:lid_23name", true, false },
		{ "a lid_23name", false, false },
		{ ":leading_colon", true, false },
		{ "colon:in:the:middle", true, false },
		{ "", false, false },
		{ "a\xC5z", false, false },
		{ "a.b", false, false },
		{ "_", true, true },
		{ "a\n", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str name = text_of(cases[i].name);

		assert_int_equal(name_is_legacy(name), cases[i].metric);
		assert_int_equal(name_is_legacy_label(name), cases[i].label);
	}
	assert_false(name_is_legacy(STR("a\0b")));
}

/* The cases of prometheus/common, model/metric_test.go; and legacy names as
 * model.EscapeMetricFamily leaves them. */
static void escapes_as_prometheus_common_does(void **state)
{
	static const struct {
		const char *name, *underscores, *dots, *values;
	} cases[] = {
		{ "", "", "", "" },
		{ "no:escaping_required", "no:escaping_required",
		  "no:escaping_required", "no:escaping_required" },
		{ "mysystem.prod.west.cpu.load", "mysystem_prod_west_cpu_load",
		  "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
		  "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load" },
		{ "mysystem.prod.west.cpu.load_total",
		  "mysystem_prod_west_cpu_load_total",
		  "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total",
		  "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total" },
		{ "http.status:sum", "http_status:sum", "http_dot_status:sum",
		  "U__http_2e_status:sum" },
		{ "label with \xF0\x9F\x98\xB1", "label_with__",
		  "label__with____", "U__label_20_with_20__1f631_" },
		{ "\xE8\x8A\xB1\xE7\x81\xAB", "__", "____", "U___82b1__706b_" },
		{ "label with \xC4\x80", "label_with__", "label__with____",
		  "U__label_20_with_20__100_" },
		{ "my.metric", "my_metric", "my_dot_metric",
		  "U__my_2e_metric" },
		{ "some?label", "some_label", "some__label",
		  "U__some_3f_label" },
		{ "unicode.and.dots.\xE8\x8A\xB1\xE7\x81\xAB",
		  "unicode_and_dots___", "unicode_dot_and_dot_dots_dot_____",
		  "U__unicode_2e_and_2e_dots_2e__82b1__706b_" },
		{ "9lives", "_lives", "__lives", "U___39_lives" },
		{ "9.9", "__9", "___dot_9", "U___39__2e_9" },
		{ "a\xFFz", "a_z", "a__z", "U__a_fffd_z" },
		{ "a\nb", "a_b", "a__b", "U__a_a_b" },
		{ "\xF4\x8F\xBF\xBF", "_", "__", "U___10ffff_" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_escaped(cases[i].name, ESCAPING_UNDERSCORES,
			       cases[i].underscores);
		assert_escaped(cases[i].name, ESCAPING_DOTS, cases[i].dots);
		assert_escaped(cases[i].name, ESCAPING_VALUES, cases[i].values);
		assert_escaped(cases[i].name, ESCAPING_NONE, cases[i].name);
	}
}

static void a_colon_is_not_of_a_label(void **state)
{
	static const char *const expected[] = {
		[ESCAPING_UNDERSCORES] = "a_b",
		[ESCAPING_DOTS] = "a__b",
		[ESCAPING_VALUES] = "U__a_3a_b",
		[ESCAPING_NONE] = "a:b",
	};
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		buf_clear(&out);
		name_escape_label(&out, STR("a:b"), (enum escaping)i);
		assert_string_equal(buf_text(&out), expected[i]);
		buf_clear(&out);
		name_escape_label(&out, STR("a_b"), (enum escaping)i);
		assert_string_equal(buf_text(&out), "a_b");
	}
	buf_release(&out);
}

static void quotes_what_would_end_a_string(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	name_quote(&out, STR("a\"b\\c\nd.\xC3\xA9"));
	assert_string_equal(buf_text(&out), "\"a\\\"b\\\\c\\nd.\xC3\xA9\"");
	buf_clear(&out);
	name_quote(&out, STR(""));
	assert_string_equal(buf_text(&out), "\"\"");
	buf_release(&out);
}

static void schemes_have_names(void **state)
{
	static const char *const unknown[] = { "",     "dot",	"dotss",
					       "Dots", "utf-8", " values" };
	enum escaping scheme = ESCAPING_DOTS;

	(void)state;
	assert_string_equal(escaping_name(ESCAPING_UNDERSCORES), "underscores");
	assert_string_equal(escaping_name(ESCAPING_DOTS), "dots");
	assert_string_equal(escaping_name(ESCAPING_VALUES), "values");
	assert_string_equal(escaping_name(ESCAPING_NONE), "allow-utf-8");
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_false(escaping_parse(text_of(unknown[i]), &scheme));
	assert_int_equal(scheme, ESCAPING_DOTS);
	for (int i = ESCAPING_UNDERSCORES; i <= ESCAPING_NONE; i++) {
		const char *name = escaping_name((enum escaping)i);

		assert_true(escaping_parse(text_of(name), &scheme));
		assert_int_equal(scheme, i);
	}
}

/* ---- any name ---- */

static uint64_t random_state = 0x2545F4914F6CDD1Du;

static size_t random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state >> 11) % n;
}

/* UTF-8 of characters that mean something to a scheme, and of others. */
static void add_random_name(struct buf *out)
{
	static const char *const parts[] = {
		"a",
		"Z",
		"0",
		"9",
		"_",
		"__",
		".",
		":",
		" ",
		"U__",
		"_2e_",
		"_dot_",
		"\"",
		"\\",
		"\n",
		"\x7F",
		"\xC3\xA9",
		"\xEF\xBF\xBD",
		"\xF0\x9F\x98\xB1",
		"\x01",
	};

	for (size_t n = 1 + random_below(8); n > 0; n--)
		buf_addstr(out,
			   parts[random_below(sizeof parts / sizeof *parts)]);
}

/* What a reader makes of a name in ESCAPING_VALUES. */
static void undo_values(struct buf *out, const char *s)
{
	assert_memory_equal(s, "U__", 3);
	for (s += 3; *s; s++) {
		char *end;
		unsigned long c;

		if (*s != '_') {
			buf_addch(out, *s);
			continue;
		}
		if (*++s == '_') {
			buf_addch(out, '_');
			continue;
		}
		c = strtoul(s, &end, 16);
		assert_int_equal(*end, '_');
		s = end;
		if (c >= 0x10000)
			buf_addch(out, (char)(0xF0 | c >> 18));
		if (c >= 0x800)
			buf_addch(out,
				  (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3F)
						      : 0xE0 | c >> 12));
		if (c >= 0x80)
			buf_addch(out,
				  (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3F)
						    : 0xC0 | c >> 6));
		buf_addch(out, (char)(c >= 0x80 ? 0x80 | (c & 0x3F) : c));
	}
}

static void check_values(struct str name, const struct buf *escaped)
{
	struct buf undone;

	buf_init(&undone, 1000);
	undo_values(&undone, buf_text(escaped));
	assert_int_equal(undone.len, name.len);
	assert_memory_equal(undone.data, name.data, name.len);
	buf_release(&undone);
}

static void check_name(struct str name, bool label)
{
	bool legacy = label ? name_is_legacy_label(name) : name_is_legacy(name);
	struct buf escaped;

	buf_init(&escaped, 1000);
	for (int i = ESCAPING_UNDERSCORES; i <= ESCAPING_VALUES; i++) {
		struct str text;

		buf_clear(&escaped);
		(label ? name_escape_label : name_escape)(&escaped, name,
							  (enum escaping)i);
		text = (struct str){ escaped.data, escaped.len };
		assert_true(label ? name_is_legacy_label(text)
				  : name_is_legacy(text));
		assert_int_equal(legacy, text.len == name.len &&
						 memcmp(text.data, name.data,
							text.len) == 0);
		if (i == ESCAPING_VALUES && !legacy)
			check_values(name, &escaped);
	}
	buf_release(&escaped);
}

static void what_is_escaped_is_legacy_and_values_can_be_undone(void **state)
{
	struct buf name;

	(void)state;
	buf_init(&name, 1000);
	for (int i = 0; i < 100000; i++) {
		buf_clear(&name);
		add_random_name(&name);
		assert_true(utf8_valid(name.data, name.len));
		check_name((struct str){ name.data, name.len }, i % 2);
	}
	buf_release(&name);
}

static void a_terminal_is_not_obeyed(void **state)
{
	static const char text[] =
		"a\n\x1b[2J\x7f\0b\xC2\x9b\xC2\xA0\xC3\xA9\xFF";
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	text_show(&out, (struct str){ text, sizeof text - 1 });
	assert_string_equal(
		buf_text(&out),
		"a\\n\\x1b[2J\\x7f\\x00b\\u009b\xC2\xA0\xC3\xA9\xFF");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(legacy_names_are_those_of_old_readers),
		cmocka_unit_test(escapes_as_prometheus_common_does),
		cmocka_unit_test(a_colon_is_not_of_a_label),
		cmocka_unit_test(quotes_what_would_end_a_string),
		cmocka_unit_test(schemes_have_names),
		cmocka_unit_test(a_terminal_is_not_obeyed),
		cmocka_unit_test(
			what_is_escaped_is_legacy_and_values_can_be_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
