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

static void label_names_are_those_of_prometheus(void **state)
{
	static const char *const good[] = {
		"a", "Z9", "_", "_a", "a__b", "le_"
	};
	static const char *const bad[] = { "",	  "9a",	      "a-b",
					   "a b", "a:b",      "__x",
					   "__",  "\xC3\xA9", "a\xC3\xA9",
					   "a\n" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(label_name_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(label_name_valid(bad[i]));
}

static void metric_names_may_have_colons(void **state)
{
	(void)state;
	assert_true(metric_name_valid("a:b"));
	assert_true(metric_name_valid(":a"));
	assert_true(metric_name_valid("__a9"));
	assert_false(metric_name_valid(""));
	assert_false(metric_name_valid("9"));
	assert_false(metric_name_valid("a.b"));
	assert_false(metric_name_valid("a "));
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
	static const char *const bad[] = { "a", "b-c" };
	static const char *const reserved[] = { "__name__" };
	static const char *const twice[] = { "a", "b", "a" };
	static const struct label_pair again = { "b", "x" };
	static const struct label_pair latin = { "z", "\xE9" };

	(void)state;
	assert_refused(bad, 2, NULL, 0, ERR_USAGE,
		       "label name 'b-c' is not valid "
		       "([a-zA-Z_][a-zA-Z0-9_]*)");
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

static void a_schema_has_a_limited_number_of_labels(void **state)
{
	static char texts[LABELS_MAX + 1][8];
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
		cmocka_unit_test(label_names_are_those_of_prometheus),
		cmocka_unit_test(metric_names_may_have_colons),
		cmocka_unit_test(a_set_is_its_text),
		cmocka_unit_test(without_labels_the_text_is_empty),
		cmocka_unit_test(quote_backslash_and_newline_are_escaped),
		cmocka_unit_test(constant_labels_follow_and_are_escaped),
		cmocka_unit_test(a_schema_says_what_is_wrong_with_it),
		cmocka_unit_test(a_schema_has_a_limited_number_of_labels),
		cmocka_unit_test(a_constant_that_fills_the_text_is_refused),
		cmocka_unit_test(a_set_longer_than_the_limit_is_refused),
		cmocka_unit_test(a_set_matches_its_own_values_and_no_others),
		cmocka_unit_test(
			a_value_that_reaches_over_a_border_does_not_match),
		cmocka_unit_test(hashes_of_sets_and_of_values_are_equal),
		cmocka_unit_test(the_hash_depends_on_borders_and_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
