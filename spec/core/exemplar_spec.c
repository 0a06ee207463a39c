/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/exemplar.h"

#define LABEL(name, value)                                                     \
	{                                                                      \
		name,                                                          \
		{                                                              \
			value, sizeof value - 1                                \
		}                                                              \
	}

static struct exemplar *made(const struct exemplar_label *labels, unsigned n)
{
	struct err err = { 0 };
	struct exemplar *exemplar = exemplar_new(labels, n, 0.5, 1000, &err);

	if (!exemplar)
		fail_msg("%s", err.text);
	return exemplar;
}

static void assert_text(const struct exemplar_label *labels, unsigned n,
			const char *want)
{
	struct exemplar *exemplar = made(labels, n);

	assert_string_equal(exemplar->text, want);
	assert_int_equal(exemplar->len, strlen(want));
	exemplar_unref(exemplar);
}

static void assert_refused(const struct exemplar_label *labels, unsigned n,
			   const char *want)
{
	struct err err = { 0 };

	assert_null(exemplar_new(labels, n, 0, 0, &err));
	assert_string_equal(err.text, want);
	assert_int_equal(err.code, ERR_USAGE);
	assert_null(exemplar_new(labels, n, 0, 0, NULL));
}

static void labels_are_as_the_exposition_shows_them(void **state)
{
	const struct exemplar_label two[] = { LABEL("trace_id", "4bf9"),
					      LABEL("x", "a\\b\"c\nd") };
	const struct exemplar_label zero = LABEL("x", "a\0b");
	const struct exemplar_label broken = LABEL("x", "\xC3\xA9\xFF");
	struct exemplar *exemplar;

	(void)state;
	assert_text(NULL, 0, "");
	assert_text(two, 1, "trace_id=\"4bf9\"");
	assert_text(two, 2, "trace_id=\"4bf9\",x=\"a\\\\b\\\"c\\nd\"");
	exemplar = made(&zero, 1);
	assert_int_equal(exemplar->len, 7);
	assert_memory_equal(exemplar->text, "x=\"a\0b\"", 7);
	exemplar_unref(exemplar);
	assert_text(&broken, 1, "x=\"\xC3\xA9\xEF\xBF\xBD\"");
}

static void value_and_time_are_kept(void **state)
{
	struct exemplar *exemplar = made(NULL, 0);

	(void)state;
	assert_true(exemplar->value == 0.5 && exemplar->time == 1000);
	assert_ptr_equal(exemplar_ref(exemplar), exemplar);
	exemplar_unref(exemplar);
	exemplar_unref(exemplar);
	exemplar_unref(NULL);
}

static void wrong_labels_are_refused(void **state)
{
	const struct exemplar_label reserved = LABEL("__x", "");
	const struct exemplar_label empty = LABEL("", "");
	const struct exemplar_label twice[] = { LABEL("a", "1"),
						LABEL("b", "1"),
						LABEL("a", "2") };
	const struct exemplar_label met[] = { LABEL("trace-id", "1"),
					      LABEL("trace_id", "2") };
	static const struct exemplar_label many[EXEMPLAR_PAIRS_MAX + 1];

	(void)state;
	assert_refused(&reserved, 1,
		       "the exemplar's label name '__x' is not valid");
	assert_refused(&empty, 1, "the exemplar's label name '' is not valid");
	assert_refused(twice, 3, "the exemplar has the label 'a' twice");
	assert_refused(met, 2,
		       "the exemplar's labels 'trace-id' and 'trace_id' are "
		       "both 'trace_id' to readers that know no UTF-8 names");
	assert_refused(many, EXEMPLAR_PAIRS_MAX + 1,
		       "an exemplar has at most 16 labels, got 17");
}

/* Characters count, not bytes; names too. */
static void labels_have_a_ceiling(void **state)
{
	char text[2 * EXEMPLAR_LABELS_MAX + 1] = "";
	struct exemplar_label label = { .name = "ab" };
	struct exemplar *exemplar;

	(void)state;
	for (int i = 0; i < EXEMPLAR_LABELS_MAX - 2; i++)
		strcat(text, "\xC3\xA9");
	label.value = (struct str){ text, strlen(text) };
	exemplar = made(&label, 1);
	assert_int_equal(exemplar->len, 2 * (EXEMPLAR_LABELS_MAX - 2) + 5);
	exemplar_unref(exemplar);
	label.name = "abc";
	assert_refused(&label, 1,
		       "the labels of an exemplar have at most 128 characters, "
		       "names and values together, got 129");
}

static void a_list_is_made_when_it_is_needed(void **state)
{
	struct exemplars *list = NULL;
	struct exemplar *one = made(NULL, 0), *two = made(NULL, 0);

	(void)state;
	exemplars_put(&list, 3, 1, one);
	assert_int_equal(list->n, 3);
	assert_null(list->slots[0]);
	assert_ptr_equal(list->slots[1], one);
	exemplars_put(&list, 3, 1, two);
	assert_ptr_equal(list->slots[1], two);
	exemplars_put(&list, 3, 2, exemplar_ref(two));
	exemplars_unref(list);
	exemplars_unref(NULL);
}

static void a_shared_list_does_not_change(void **state)
{
	struct exemplars *list = NULL, *shared;
	struct exemplar *one = made(NULL, 0), *two = made(NULL, 0);

	(void)state;
	exemplars_put(&list, 2, 0, one);
	shared = exemplars_ref(list);
	exemplars_put(&list, 2, 1, two);
	assert_ptr_not_equal(list, shared);
	assert_ptr_equal(list->slots[0], one);
	assert_ptr_equal(list->slots[1], two);
	assert_ptr_equal(shared->slots[0], one);
	assert_null(shared->slots[1]);
	exemplars_unref(shared);
	shared = list;
	exemplars_put(&list, 2, 0, exemplar_ref(two));
	assert_ptr_equal(list, shared);
	exemplars_unref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_as_the_exposition_shows_them),
		cmocka_unit_test(value_and_time_are_kept),
		cmocka_unit_test(wrong_labels_are_refused),
		cmocka_unit_test(labels_have_a_ceiling),
		cmocka_unit_test(a_list_is_made_when_it_is_needed),
		cmocka_unit_test(a_shared_list_does_not_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
