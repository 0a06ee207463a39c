/* SPDX-License-Identifier: Apache-2.0 */
#include "run/outline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A script at PATH, with constant labels; ends with a pair of NULL. */
static struct declaration script(const char *path, struct label_pair *labels)
{
	struct declaration d = {
		.path = (char *)(uintptr_t)path,
		.source = (char *)(uintptr_t) "return {\n  metrics = {\n"
					      "    a = 1,\n    b = 2,\n"
					      "  },\n}\n",
		.labels = labels,
	};

	while (labels[d.nlabels].name)
		d.nlabels++;
	return d;
}

static void add(struct registry *registry, const char *name,
		enum metric_type type, const char *help, unsigned nlabels)
{
	static const char *const labels[] = { "n" };
	struct family_options options = {
		.metadata = { .name = name, .type = type, .help = help },
		.labels = labels,
		.nlabels = nlabels,
	};
	struct err err = { 0 };

	if (!registry_add(registry, &options, &err))
		fail_msg("%s", err.text);
}

/* An exporter with one family, and the label site, and its words. */
static struct outline_owner owner_of(const char *name, const char *site,
				     const char *family, enum metric_type type,
				     const char *help, unsigned nlabels)
{
	struct label_pair none[] = { { NULL, NULL } };
	struct label_pair given = { "site", site };
	struct declaration d = script(name, none);
	struct registry_options options = { 0 };
	struct registry *registry = registry_new(&options);
	struct outline *outline = outline_new(&d, &given, site != NULL);

	add(registry, family, type, help, nlabels);
	outline_read(outline, &d, registry);
	registry_free(registry);
	return (struct outline_owner){ outline, name, name, name };
}

static struct outline_owner owner(const char *name, const char *site,
				  enum metric_type type, const char *help,
				  unsigned nlabels)
{
	return owner_of(name, site, "a", type, help, nlabels);
}

static void release(const struct outline_owner *owner)
{
	outline_free((struct outline *)(uintptr_t)owner->outline);
}

/* EXPECTED: the sentence; NULL: they go together. */
static void check(struct outline_owner first, struct outline_owner second,
		  const char *expected)
{
	struct err err = { 0 };
	bool agree = outline_agree(&first, &second, &err);

	assert_int_equal(agree, expected == NULL);
	assert_string_equal(err.text, expected ? expected : "");
	release(&first);
	release(&second);
}

static void given_labels_win_and_all_are_in_order(void **state)
{
	struct label_pair own[] = { { "site", "own" },
				    { "rack", "1" },
				    { NULL, NULL } };
	const struct label_pair given[] = { { "zone", "z" },
					    { "site", "given" } };
	struct declaration d = script("x.lua", own);
	struct outline *outline = outline_new(&d, given, 2);

	(void)state;
	assert_int_equal(outline->nlabels, 3);
	assert_string_equal(outline->labels[0].name, "rack");
	assert_string_equal(outline->labels[1].name, "site");
	assert_string_equal(outline->labels[1].value, "given");
	assert_string_equal(outline->labels[2].name, "zone");
	outline_free(outline);
	outline_free(NULL);
}

static void families_have_their_lines(void **state)
{
	struct label_pair none[] = { { NULL, NULL } };
	struct declaration d = script("x.lua", none);
	struct registry *registry =
		registry_new(&(struct registry_options){ 0 });
	struct outline *outline = outline_new(&d, NULL, 0);

	(void)state;
	add(registry, "of_the_host", METRIC_GAUGE, "H.", 0);
	add(registry, "b", METRIC_GAUGE, "H.", 1);
	add(registry, "a", METRIC_GAUGE, "H.", 0);
	outline_read(outline, &d, registry);
	registry_free(registry);
	assert_int_equal(outline->nfamilies, 3);
	assert_string_equal(outline->families[0].metadata->name, "a");
	assert_int_equal(outline->families[0].line, 3);
	assert_int_equal(outline->families[1].line, 4);
	assert_int_equal(outline->families[1].labels, 1);
	assert_int_equal(outline->families[2].line, 0);
	outline_free(outline);
}

static void another_type_or_help_is_refused_with_both_places(void **state)
{
	(void)state;
	check(owner("x", "1", METRIC_GAUGE, "H.", 1),
	      owner("y", "2", METRIC_COUNTER, "H.", 1),
	      "y:3: a: declared as counter and as gauge; the exporter 'x' "
	      "declares it at x:3");
	check(owner("x", "1", METRIC_GAUGE, "H.", 1),
	      owner("y", "2", METRIC_GAUGE, "Other.", 1),
	      "y:3: a: declared with different help texts; the exporter 'x' "
	      "declares it at x:3");
}

static void the_same_series_is_refused_with_both_places(void **state)
{
	static const char sentence[] =
		"y: the exporter 'y' would show the same series as 'x' (x), "
		"such as a: give it other labels";

	(void)state;
	check(owner("x", NULL, METRIC_GAUGE, "H.", 0),
	      owner("y", NULL, METRIC_GAUGE, "H.", 0), sentence);
	check(owner("x", "1", METRIC_GAUGE, "H.", 0),
	      owner("y", "1", METRIC_GAUGE, "H.", 0), sentence);
}

/* Else the page had two samples of one name, and perhaps of one series. */
static void a_family_called_like_a_sample_is_refused(void **state)
{
	static const char *const names[] = { "a_count", "a_sum" };
	char sentence[200];

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(sentence, sizeof sentence,
			 "y: a: its '%s' is declared as well; the exporter 'x' "
			 "declares it at x:3",
			 names[i]);
		check(owner("x", "1", METRIC_SUMMARY, "H.", 1),
		      owner_of("y", "2", names[i], METRIC_GAUGE, "H.", 1),
		      sentence);
	}
	check(owner_of("x", NULL, "a_count", METRIC_GAUGE, "H.", 1),
	      owner("y", NULL, METRIC_SUMMARY, "H.", 1),
	      "y:3: a: its 'a_count' is declared as well; the exporter 'x' "
	      "declares it at x");
	check(owner_of("x", NULL, "a_count", METRIC_GAUGE, "H.", 1),
	      owner("y", NULL, METRIC_GAUGE, "H.", 1), NULL);
	check(owner_of("x", NULL, "a_bucket", METRIC_GAUGE, "H.", 1),
	      owner("y", NULL, METRIC_SUMMARY, "H.", 1), NULL);
}

static void others_go_together(void **state)
{
	(void)state;
	check(owner("x", "1", METRIC_GAUGE, "H.", 0),
	      owner("y", "2", METRIC_GAUGE, "H.", 0), NULL);
	check(owner("x", NULL, METRIC_GAUGE, "H.", 0),
	      owner("y", "2", METRIC_GAUGE, "H.", 0), NULL);
	check(owner("x", "1", METRIC_GAUGE, "H.", 1),
	      owner("y", "1", METRIC_GAUGE, "H.", 1), NULL);
	check(owner("x", "1", METRIC_GAUGE, "H.", 0),
	      owner("y", "1", METRIC_GAUGE, "H.", 1), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_labels_win_and_all_are_in_order),
		cmocka_unit_test(families_have_their_lines),
		cmocka_unit_test(
			another_type_or_help_is_refused_with_both_places),
		cmocka_unit_test(the_same_series_is_refused_with_both_places),
		cmocka_unit_test(a_family_called_like_a_sample_is_refused),
		cmocka_unit_test(others_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
