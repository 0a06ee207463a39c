/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/escape.h"
#include "core/merge_names.h"

enum { MOST = 8 };

/* Families of these names, which end with NULL, as a merge finds them. */
static size_t families_of(const char *const *names, struct metadata *metadata,
			  struct merged_family *families)
{
	size_t n = 0;

	for (; names[n]; n++) {
		struct str name = { names[n], strlen(names[n]) };

		metadata[n] = (struct metadata){
			.name = (char *)(uintptr_t)name.data,
			.name_len = name.len,
			.quoted = !name_is_legacy(name),
		};
		families[n] = (struct merged_family){ &metadata[n], n, 1, 0 };
	}
	return n;
}

/* WHY one of them is dropped; NULL: none is. */
static void assert_dropped(const char *const *names, enum escaping scheme,
			   const char *const *expected, const char *why)
{
	struct homonyms homonyms = { .why = { .text = "" } };
	struct merged_family families[MOST];
	struct metadata metadata[MOST];
	size_t n = merge_order(families, families_of(names, metadata, families),
			       scheme, &homonyms);

	for (size_t i = 0; i < n; i++) {
		assert_non_null(expected[i]);
		assert_string_equal(families[i].metadata->name, expected[i]);
		assert_ptr_equal(families[i].metadata,
				 &metadata[families[i].first]);
	}
	assert_null(expected[n]);
	assert_string_equal(homonyms.why.text, why ? why : "");
	if (why) {
		assert_ptr_equal(homonyms.kept.metadata, families[0].metadata);
		assert_ptr_equal(homonyms.dropped.metadata, &metadata[0]);
	}
}

static void assert_order(const char *const *names, enum escaping scheme,
			 const char *const *expected)
{
	assert_dropped(names, scheme, expected, NULL);
}

static void names_that_are_legacy_stay_as_they_are(void **state)
{
	static const char *const names[] = { "a", "b:c", "b_c", NULL };

	(void)state;
	for (int scheme = 0; scheme <= ESCAPING_NONE; scheme++)
		assert_order(names, (enum escaping)scheme, names);
}

static void they_stand_in_the_order_of_what_is_shown(void **state)
{
	static const char *const names[] = { "a.z", "a_b", "b", "\303\244",
					     NULL };
	static const char *const dots[] = { "\303\244", "a_b", "a.z", "b",
					    NULL };
	static const char *const values[] = { "\303\244", "a.z", "a_b", "b",
					      NULL };

	(void)state;
	assert_order(names, ESCAPING_NONE, names);
	assert_order(names, ESCAPING_DOTS, dots);     /* "__" and "a_dot_z" */
	assert_order(names, ESCAPING_VALUES, values); /* "U___e4_", ... */
}

static void of_one_name_that_which_is_not_escaped_stays(void **state)
{
	static const char *const names[] = { "a.b", "a/b", "a_b",
					     "b-c", "b.c", NULL };
	static const char *const left[] = { "a_b", "b-c", NULL };

	(void)state;
	assert_dropped(names, ESCAPING_UNDERSCORES, left,
		       "a.b: is shown as 'a_b', as is 'a_b'");
	assert_order(names, ESCAPING_NONE, names);
}

static void none_is_fine(void **state)
{
	(void)state;
	assert_int_equal(merge_order(NULL, 0, ESCAPING_UNDERSCORES, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_are_legacy_stay_as_they_are),
		cmocka_unit_test(they_stand_in_the_order_of_what_is_shown),
		cmocka_unit_test(of_one_name_that_which_is_not_escaped_stays),
		cmocka_unit_test(none_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
