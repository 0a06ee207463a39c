/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/label.h"
#include "core/label_text.h"

enum { SEED = 42 };

static struct str text_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static struct label_schema *schema_of(unsigned count, const char *const *names)
{
	struct err err;
	struct label_schema *schema =
		label_schema_new(names, count, NULL, 0, &err);

	assert_non_null(schema);
	return schema;
}

static struct labels *set_of(const struct label_schema *schema,
			     const struct str *values)
{
	struct err err;
	struct labels *labels = labels_new(schema, values, &err);

	assert_non_null(labels);
	return labels;
}

static void assert_text(const struct labels *labels, const char *text)
{
	assert_int_equal(labels->len, strlen(text));
	assert_memory_equal(labels->text, text, strlen(text));
}

static const char *const abc[] = { "a", "b", "c" };

static void a_label_name_is_any_utf8_that_is_not_reserved(void **state)
{
	static const char *const good[] = {
		"a",   "Z9",  "_",	  "_a",		 "a__b", "le_",
		"9a",  "a-b", "a b",	  "a:b",	 "\"",	 "\\",
		"a\n", "=",   "\xC3\xA9", "http.method", "_.x",	 ",",
	};
	static const char *const bad[] = { "",	   "__x",   "__",
					   "\xC3", "a\xFF", "\xED\xA0\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(label_name_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(label_name_valid(bad[i]));
}

static void a_metric_name_is_any_utf8(void **state)
{
	static const char *const good[] = {
		"a:b", ":a", "__a9", "9", "a.b", "a ", "\xF0\x9F\x98\xB1"
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(metric_name_valid(good[i]));
	assert_false(metric_name_valid(""));
	assert_false(metric_name_valid("a\xFF"));
}

static void a_set_is_its_text(void **state)
{
	struct label_schema *schema = schema_of(2, abc);
	struct labels *labels =
		set_of(schema, (struct str[]){ STR("1"), STR("") });

	(void)state;
	assert_text(labels, "a=\"1\",b=\"\"");
	assert_false(labels->escaped);
	labels_unref(labels);
	label_schema_unref(schema);
}

static void without_labels_the_text_is_empty(void **state)
{
	struct label_schema *schema = schema_of(0, NULL);
	struct labels *labels = set_of(schema, NULL);

	(void)state;
	assert_text(labels, "");
	assert_true(labels_match(labels, schema, NULL));
	assert_int_equal(labels_hash(labels, schema, SEED),
			 label_hash(SEED, NULL, 0));
	labels_unref(labels);
	label_schema_unref(schema);
}

static void quote_backslash_and_newline_are_escaped(void **state)
{
	struct label_schema *schema = schema_of(1, abc);
	struct str value = STR("\"x\\\ny\r\t");
	struct labels *labels = set_of(schema, &value);

	(void)state;
	assert_text(labels, "a=\"\\\"x\\\\\\ny\r\t\"");
	assert_true(labels->escaped);
	labels_unref(labels);
	label_schema_unref(schema);
}

static void constant_labels_follow_and_are_escaped(void **state)
{
	static const struct label_pair constant[] = { { "site", "a\"b" },
						      { "unit", "" } };
	struct label_schema *schema;
	struct labels *labels;
	struct str value = STR("v");
	struct err err;

	(void)state;
	schema = label_schema_new(abc, 1, constant, 2, &err);
	labels = set_of(schema, &value);
	assert_text(labels, "a=\"v\",site=\"a\\\"b\",unit=\"\"");
	assert_false(labels->escaped);
	assert_true(labels_match(labels, schema, &value));
	assert_int_equal(labels_hash(labels, schema, SEED),
			 label_hash(SEED, &value, 1));
	labels_unref(labels);
	label_schema_unref(schema);
	schema = label_schema_new(NULL, 0, constant, 2, &err);
	labels = set_of(schema, NULL);
	assert_text(labels, "site=\"a\\\"b\",unit=\"\"");
	labels_unref(labels);
	label_schema_unref(schema);
}

static void assert_refused(const char *const *names, unsigned count,
			   const struct label_pair *constant, unsigned nconst,
			   enum err_code code, const char *text)
{
	struct err err = { 0 };

	assert_null(label_schema_new(names, count, constant, nconst, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
}

static void a_schema_says_what_is_wrong_with_it(void **state)
{
	static const char *const bad[] = { "a", "b\xFF"
						"c" };
	static const char *const empty[] = { "" };
	static const char *const reserved[] = { "__name__" };
	static const char *const twice[] = { "a", "b", "a" };
	static const struct label_pair again = { "b", "x" };
	static const struct label_pair latin = { "z", "\xE9" };

	(void)state;
	assert_refused(bad, 2, NULL, 0, ERR_USAGE,
		       "label name 'b\xEF\xBF\xBD"
		       "c' is not UTF-8");
	assert_refused(empty, 1, NULL, 0, ERR_USAGE,
		       "the name of a label is empty");
	assert_refused(reserved, 1, NULL, 0, ERR_USAGE,
		       "label name '__name__' is reserved (it begins with "
		       "'__')");
	assert_refused(twice, 3, NULL, 0, ERR_USAGE,
		       "label name 'a' is given twice");
	assert_refused(abc, 2, &again, 1, ERR_USAGE,
		       "label name 'b' is given twice, once as constant "
		       "label");
	assert_refused(abc, 2, &latin, 1, ERR_USAGE,
		       "the value of label 'z' is not UTF-8");
}

static void names_that_readers_would_get_as_one_are_refused(void **state)
{
	static const char *const dots[] = { "a.b", "c", "a_b" };
	static const char *const spelled[] = { "a_dot_b", "a.b" };
	static const char *const values[] = { "U__a_2e_b", "a.b" };
	static const char *const name[] = { "_ name._" };
	static const char *const wide[] = { " name " };
	static const char *const fine[] = { "a.b", "a.c", "a_d", "\xC3\xA9" };
	static const struct label_pair constant = { "a b", "x" };

	(void)state;
	assert_refused(dots, 3, NULL, 0, ERR_USAGE,
		       "label names 'a.b' and 'a_b' are both 'a_b' to readers "
		       "that know no UTF-8 names");
	assert_refused(spelled, 2, NULL, 0, ERR_USAGE,
		       "label names 'a_dot_b' and 'a.b' are both 'a_dot_b' to "
		       "readers that know no UTF-8 names");
	assert_refused(values, 2, NULL, 0, ERR_USAGE,
		       "label names 'U__a_2e_b' and 'a.b' are both 'U__a_2e_b' "
		       "to readers that know no UTF-8 names");
	assert_refused(dots, 2, &constant, 1, ERR_USAGE,
		       "label names 'a.b' and 'a b' are both 'a_b' to readers "
		       "that know no UTF-8 names");
	assert_refused(name, 1, NULL, 0, ERR_USAGE,
		       "label name '_ name._' is '__name__' to readers that "
		       "know no UTF-8 names");
	assert_refused(wide, 1, NULL, 0, ERR_USAGE,
		       "label name ' name ' is '__name__' to readers that "
		       "know no UTF-8 names");
	label_schema_unref(schema_of(4, fine));
}

static void a_schema_has_a_limited_number_of_labels(void **state)
{
	static char texts[LABELS_MAX + 1][16];
	const char *names[LABELS_MAX + 1];
	struct label_schema *schema;

	(void)state;
	for (int i = 0; i <= LABELS_MAX; i++) {
		snprintf(texts[i], sizeof texts[i], "x%d", i);
		names[i] = texts[i];
	}
	schema = schema_of(LABELS_MAX, names);
	assert_int_equal(schema->count, LABELS_MAX);
	label_schema_unref(schema);
	assert_refused(names, LABELS_MAX + 1, NULL, 0, ERR_LIMIT,
		       "more than 1024 labels");
}

static void a_constant_that_fills_the_text_is_refused(void **state)
{
	char *value = malloc(LABELS_TEXT_MAX + 1);
	struct label_pair constant = { "z", value };
	struct label_schema *schema;
	struct labels *labels;
	struct str one = STR("1"), none = STR("");
	struct err err = { 0 };

	(void)state;
	memset(value, 'v', LABELS_TEXT_MAX);
	value[LABELS_TEXT_MAX] = '\0';
	assert_null(label_schema_new(abc, 1, &constant, 1, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	value[LABELS_TEXT_MAX - 9] = '\0'; /* a="",z="..." */
	schema = label_schema_new(abc, 1, &constant, 1, &err);
	assert_non_null(schema);
	labels = set_of(schema, &none);
	assert_int_equal(labels->len, LABELS_TEXT_MAX);
	assert_null(labels_new(schema, &one, &err));
	labels_unref(labels);
	label_schema_unref(schema);
	free(value);
}

static void a_set_longer_than_the_limit_is_refused(void **state)
{
	struct label_schema *schema = schema_of(1, abc);
	char *value = malloc(LABELS_TEXT_MAX);
	struct str most = { value, LABELS_TEXT_MAX - 4 }; /* a="" */
	struct str more = { value, LABELS_TEXT_MAX - 3 };
	struct err err = { 0 };
	struct labels *labels;

	(void)state;
	memset(value, 'v', LABELS_TEXT_MAX);
	labels = set_of(schema, &most);
	assert_int_equal(labels->len, LABELS_TEXT_MAX);
	assert_true(labels_match(labels, schema, &most));
	labels_unref(labels);
	assert_null(labels_new(schema, &more, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "the labels of a series are longer than "
				      "65535 bytes");
	value[0] = '\n';
	assert_null(labels_new(schema, &most, &err));
	free(value);
	label_schema_unref(schema);
}

/* Values that could be taken for something else: made of the pieces. */
static const char *const hostile[] = {
	"",	   "x",	       "xy",	    "\"",
	"\\",	   "\\\"",     "\\n",	    "\n",
	",",	   "\",b=\"",  "x\",b=",    "x\",b=\"",
	"\",b=",   "12345678", "5678",	    "=\"",
	"b=\"x",   "\",c=\"",  "x\",b=\"y", "\",c=",
	"1234\",", "\\\\",     "\xC3\xA9",  "a long value of 31 characters..",
};

enum { HOSTILE = sizeof hostile / sizeof *hostile };

static void check_pair(const struct label_schema *schema,
		       const struct labels *labels, const struct str *of,
		       const struct str *values)
{
	bool same = true;

	for (unsigned i = 0; i < schema->count; i++)
		same &= of[i].len == values[i].len &&
			memcmp(of[i].data, values[i].data, of[i].len) == 0;
	if (labels_match(labels, schema, values) != same)
		fail_msg("labels_match says %d for %.*s and %s|%s", !same,
			 labels->len, labels->text, values[0].data,
			 values[1].data);
	if (same)
		assert_int_equal(labels_hash(labels, schema, SEED),
				 label_hash(SEED, values, schema->count));
}

static void a_set_matches_its_own_values_and_no_others(void **state)
{
	struct label_schema *schema = schema_of(2, abc);

	(void)state;
	for (int i = 0; i < HOSTILE * HOSTILE; i++) {
		struct str of[] = { text_of(hostile[i / HOSTILE]),
				    text_of(hostile[i % HOSTILE]) };
		struct labels *labels = set_of(schema, of);

		for (int k = 0; k < HOSTILE * HOSTILE; k++) {
			struct str values[] = { text_of(hostile[k / HOSTILE]),
						text_of(hostile[k % HOSTILE]) };

			check_pair(schema, labels, of, values);
		}
		labels_unref(labels);
	}
	label_schema_unref(schema);
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static size_t random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state >> 11) % n;
}

/* Three labels and a constant one, all of hostile names; they may meet. */
static struct label_schema *hostile_schema(const char **names,
					   struct label_pair *constant)
{
	struct label_schema *schema;
	struct err err;

	do {
		for (int i = 0; i < 3; i++)
			names[i] = hostile[1 + random_below(HOSTILE - 1)];
		constant->name = hostile[1 + random_below(HOSTILE - 1)];
		constant->value = hostile[random_below(HOSTILE)];
		schema = label_schema_new(names, 3, constant, 1, &err);
	} while (!schema);
	return schema;
}

static void random_values(struct str *values)
{
	for (int i = 0; i < 3; i++)
		values[i] = text_of(hostile[random_below(HOSTILE)]);
}

static void assert_pair(struct str pair, const char *name, struct str value)
{
	char *raw = malloc(pair.len);
	struct str is = label_name(pair, raw);

	assert_int_equal(is.len, strlen(name));
	assert_memory_equal(is.data, name, is.len);
	is = label_value(pair, raw);
	assert_int_equal(is.len, value.len);
	assert_memory_equal(is.data, value.data, is.len);
	free(raw);
}

static void check_labels(const struct labels *labels,
			 const struct label_schema *schema,
			 const struct str *values,
			 const struct label_pair *constant)
{
	struct str pair, name;
	size_t at = 0;

	for (unsigned i = 0; i < 3; i++) {
		assert_true(labels_next(labels, &at, &pair));
		assert_pair(pair, schema->names[i], values[i]);
		name = label_name_text(pair);
		assert_int_equal(name.len, label_schema_name(schema, i).len);
		assert_memory_equal(
			name.data, label_schema_name(schema, i).data, name.len);
	}
	assert_true(labels_next(labels, &at, &pair));
	assert_pair(pair, constant->name, text_of(constant->value));
	assert_false(labels_next(labels, &at, &pair));
}

static void check_others(const struct labels *labels,
			 const struct label_schema *schema,
			 const struct str *of)
{
	for (int i = 0; i < 300; i++) {
		struct str values[3];

		random_values(values);
		check_pair(schema, labels, of, values);
	}
	check_pair(schema, labels, of, of);
}

static void names_may_be_as_hostile_as_values(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct label_pair constant;
		const char *names[3];
		struct label_schema *schema = hostile_schema(names, &constant);
		struct str values[3];
		struct labels *labels;

		random_values(values);
		labels = set_of(schema, values);
		check_labels(labels, schema, values, &constant);
		check_others(labels, schema, values);
		labels_unref(labels);
		label_schema_unref(schema);
	}
}

static void assert_shown(const struct labels *labels, enum escaping scheme,
			 const char *expected)
{
	struct buf out;

	buf_init(&out, 1000);
	label_text_escape(&out, labels_str(labels), scheme);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

static void names_that_are_not_legacy_are_quoted(void **state)
{
	static const char *const names[] = { "http.method", "b", "a\"\\\n" };
	static const struct label_pair constant = { "x:y", "k=\"" };
	struct str values[] = { STR("GET"), STR(","), STR("\"") };
	struct label_schema *schema;
	struct labels *labels, *copy;
	struct err err;

	(void)state;
	schema = label_schema_new(names, 3, &constant, 1, &err);
	labels = set_of(schema, values);
	assert_text(labels, "\"http.method\"=\"GET\",b=\",\","
			    "\"a\\\"\\\\\\n\"=\"\\\"\","
			    "\"x:y\"=\"k=\\\"\"");
	assert_true(labels->quoted);
	copy = labels_copy(labels);
	assert_true(copy->quoted);
	assert_shown(copy, ESCAPING_UNDERSCORES,
		     "http_method=\"GET\",b=\",\",a___=\"\\\"\","
		     "x_y=\"k=\\\"\"");
	assert_shown(copy, ESCAPING_DOTS,
		     "http_dot_method=\"GET\",b=\",\",a______=\"\\\"\","
		     "x__y=\"k=\\\"\"");
	assert_shown(copy, ESCAPING_VALUES,
		     "U__http_2e_method=\"GET\",b=\",\","
		     "U__a_22__5c__a_=\"\\\"\",U__x_3a_y=\"k=\\\"\"");
	labels_unref(copy);
	label_schema_unref(schema);
	schema = label_schema_new(abc, 1, &constant, 1, &err);
	copy = set_of(schema, values);
	assert_true(copy->quoted);
	labels_unref(copy);
	labels_unref(labels);
	label_schema_unref(schema);
}

static void legacy_names_are_the_same_text_for_all(void **state)
{
	struct label_schema *schema = schema_of(2, abc);
	struct labels *labels =
		set_of(schema, (struct str[]){ STR("1.5"), STR("\"") });

	(void)state;
	assert_false(labels->quoted);
	for (int i = ESCAPING_UNDERSCORES; i < ESCAPING_NONE; i++)
		assert_shown(labels, (enum escaping)i, "a=\"1.5\",b=\"\\\"\"");
	labels_unref(labels);
	label_schema_unref(schema);
}

static void a_value_that_reaches_over_a_border_does_not_match(void **state)
{
	struct label_schema *schema = schema_of(2, abc);
	struct labels *labels =
		set_of(schema, (struct str[]){ STR("x"), STR("12345678") });

	(void)state;
	assert_false(labels_match(
		labels, schema, (struct str[]){ STR("x\",b="), STR("5678") }));
	labels_unref(labels);
	label_schema_unref(schema);
}

static void hashes_of_sets_and_of_values_are_equal(void **state)
{
	struct label_schema *schema = schema_of(3, abc);

	(void)state;
	for (int i = 0; i < HOSTILE * HOSTILE * HOSTILE; i++) {
		struct str values[] = {
			text_of(hostile[i % HOSTILE]),
			text_of(hostile[i / HOSTILE % HOSTILE]),
			text_of(hostile[i / HOSTILE / HOSTILE]),
		};
		struct labels *labels = set_of(schema, values);

		assert_int_equal(labels_hash(labels, schema, SEED),
				 label_hash(SEED, values, 3));
		labels_unref(labels);
	}
	label_schema_unref(schema);
}

static void the_hash_depends_on_borders_and_seed(void **state)
{
	struct str one[] = { STR("ab"), STR("c") };
	struct str two[] = { STR("a"), STR("bc") };

	(void)state;
	assert_int_not_equal(label_hash(SEED, one, 2),
			     label_hash(SEED, two, 2));
	assert_int_not_equal(label_hash(SEED, one, 2),
			     label_hash(SEED + 1, one, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_name_is_any_utf8_that_is_not_reserved),
		cmocka_unit_test(a_metric_name_is_any_utf8),
		cmocka_unit_test(a_set_is_its_text),
		cmocka_unit_test(without_labels_the_text_is_empty),
		cmocka_unit_test(quote_backslash_and_newline_are_escaped),
		cmocka_unit_test(constant_labels_follow_and_are_escaped),
		cmocka_unit_test(a_schema_says_what_is_wrong_with_it),
		cmocka_unit_test(
			names_that_readers_would_get_as_one_are_refused),
		cmocka_unit_test(a_schema_has_a_limited_number_of_labels),
		cmocka_unit_test(a_constant_that_fills_the_text_is_refused),
		cmocka_unit_test(a_set_longer_than_the_limit_is_refused),
		cmocka_unit_test(a_set_matches_its_own_values_and_no_others),
		cmocka_unit_test(names_may_be_as_hostile_as_values),
		cmocka_unit_test(names_that_are_not_legacy_are_quoted),
		cmocka_unit_test(legacy_names_are_the_same_text_for_all),
		cmocka_unit_test(
			a_value_that_reaches_over_a_border_does_not_match),
		cmocka_unit_test(hashes_of_sets_and_of_values_are_equal),
		cmocka_unit_test(the_hash_depends_on_borders_and_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
