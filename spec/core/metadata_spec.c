/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/escape.h"
#include "core/metadata.h"

static struct metadata *made(struct metadata_desc desc)
{
	struct err err = { 0 };
	struct metadata *metadata = metadata_new(&desc, &err);

	if (!metadata)
		fail_msg("%s", err.text);
	return metadata;
}

static void assert_refused(struct metadata_desc desc, const char *text)
{
	struct err err = { 0 };

	assert_null(metadata_new(&desc, &err));
	assert_string_equal(err.text, text);
}

static void types_have_names(void **state)
{
	enum metric_type type;

	(void)state;
	for (int i = 0; i <= METRIC_UNKNOWN; i++) {
		assert_true(metric_type_parse(
			metric_type_name((enum metric_type)i), &type));
		assert_int_equal(type, i);
	}
	type = METRIC_INFO;
	assert_false(metric_type_parse("Counter", &type));
	assert_false(metric_type_parse("", &type));
	assert_int_equal(type, METRIC_INFO);
}

static void a_declaration_is_copied(void **state)
{
	char name[] = "a_total", help[] = "Help.", unit[] = "seconds";
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_COUNTER,
		.name = name,
		.help = help,
		.unit = unit,
	});

	(void)state;
	name[0] = help[0] = unit[0] = 'X';
	assert_string_equal(m->name, "a_total");
	assert_int_equal(m->name_len, 7);
	assert_string_equal(m->help, "Help.");
	assert_string_equal(m->unit, "seconds");
	assert_int_equal(m->width, 2);
	assert_int_equal(m->created, 1);
	assert_int_equal(m->time, 0);
	metadata_unref(m);
}

static void absent_texts_are_empty(void **state)
{
	struct metadata *m = made((struct metadata_desc){ .name = "a" });

	(void)state;
	assert_string_equal(m->help, "");
	assert_string_equal(m->unit, "");
	metadata_unref(m);
}

static void a_histogram_has_a_bound_more_than_given(void **state)
{
	static const double bounds[] = { -1, 0.1, 2.5, 1e7 };
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_HISTOGRAM,
		.name = "h",
		.bounds = bounds,
		.nbounds = 4,
	});

	(void)state;
	assert_int_equal(m->width, 7);
	assert_int_equal(m->created, 6);
	assert_true(m->classic);
	assert_false(m->native);
	assert_string_equal(m->le[0], "-1");
	assert_string_equal(m->le[1], "0.1");
	assert_string_equal(m->le[2], "2.5");
	assert_string_equal(m->le[3], "1e+07");
	assert_string_equal(m->le[4], "+Inf");
	metadata_unref(m);
}

static void a_histogram_without_bounds_counts_all_together(void **state)
{
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "h" });

	(void)state;
	assert_int_equal(m->width, 3);
	assert_true(m->classic);
	assert_string_equal(m->le[0], "+Inf");
	metadata_unref(m);
}

static void a_state_is_found_by_its_name(void **state)
{
	static const char *const states[] = { "up", "down", "" };
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_STATESET,
		.name = "s",
		.states = states,
		.nstates = 3,
	});

	(void)state;
	assert_int_equal(m->width, 3);
	assert_int_equal(metadata_state(m, "up", 2), 0);
	assert_int_equal(metadata_state(m, "downer", 4), 1);
	assert_int_equal(metadata_state(m, "", 0), 2);
	assert_int_equal(metadata_state(m, "dow", 3), -1);
	metadata_unref(m);
}

static void bounds_have_a_second_spelling(void **state)
{
	static const double bounds[] = { -0.0, 1e-5, 1e-4,   0.1,
					 1,    2.5,  100000, 1e6 };
	static const char *const plain[] = { "0",      "1e-05", "0.0001",
					     "0.1",    "1",	"2.5",
					     "100000", "1e+06", "+Inf" };
	static const char *const canonical[] = { "0.0",	     "1e-05", "0.0001",
						 "0.1",	     "1.0",   "2.5",
						 "100000.0", "1e+06", "+Inf" };
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_GAUGEHISTOGRAM,
		.name = "h",
		.bounds = bounds,
		.nbounds = 8,
	});

	(void)state;
	for (int i = 0; i <= 8; i++) {
		assert_string_equal(m->le[i], plain[i]);
		assert_string_equal(m->canonical[i], canonical[i]);
	}
	assert_int_equal(m->width, 10);
	assert_int_equal(m->created, 0);
	assert_int_equal(metadata_added(m), 10);
	metadata_unref(m);
}

static void quantiles_have_two_spellings_too(void **state)
{
	static const double quantiles[] = { 0, 0.5, 0.999, 1 };
	struct metadata *m = made((struct metadata_desc){
		.type = METRIC_SUMMARY,
		.name = "s",
		.quantiles = quantiles,
		.nquantiles = 4,
		.window = 60,
		.timestamps = true,
	});

	(void)state;
	assert_string_equal(m->ranks[0], "0");
	assert_string_equal(m->ranks[2], "0.999");
	assert_string_equal(m->canonical_ranks[0], "0.0");
	assert_string_equal(m->canonical_ranks[1], "0.5");
	assert_string_equal(m->canonical_ranks[3], "1.0");
	assert_true(m->window == 60);
	assert_int_equal(m->width, 8);
	assert_int_equal(m->created, 6);
	assert_int_equal(m->time, 7);
	assert_int_equal(metadata_added(m), 2);
	metadata_unref(m);
	m = made((struct metadata_desc){ .type = METRIC_SUMMARY, .name = "s" });
	assert_true(m->window == METADATA_WINDOW);
	assert_int_equal(m->nquantiles, 0);
	metadata_unref(m);
}

static void a_histogram_may_be_native(void **state)
{
	static const struct native_options options = { 3, 160, 1e-9 };
	static const double bounds[] = { 1 };
	struct metadata_desc desc = { .type = METRIC_HISTOGRAM,
				      .name = "h",
				      .native = &options };
	struct metadata *m = made(desc);

	(void)state;
	assert_true(m->native);
	assert_false(m->classic);
	assert_int_equal(m->native_options.schema, 3);
	assert_int_equal(m->native_options.max_buckets, 160);
	assert_true(m->native_options.zero_threshold == 1e-9);
	assert_int_equal(m->width, 3);
	metadata_unref(m);
	desc.bounds = bounds;
	desc.nbounds = 1;
	m = made(desc);
	assert_true(m->native && m->classic);
	metadata_unref(m);
}

static void wrong_native_buckets_are_refused(void **state)
{
	struct native_options options = { NATIVE_SCHEMA_MAX + 1, 0, 0 };
	struct metadata_desc desc = { .type = METRIC_HISTOGRAM,
				      .name = "h",
				      .native = &options };

	(void)state;
	assert_refused(desc, "h: the schema of native buckets is -4 to 8, "
			     "got 9");
	options.schema = -5;
	assert_refused(desc, "h: the schema of native buckets is -4 to 8, "
			     "got -5");
	options = (struct native_options){ 0, 0, -1 };
	assert_refused(desc, "h: the zero threshold is not a finite number "
			     "from 0 on");
	options.zero_threshold = NAN;
	assert_refused(desc, "h: the zero threshold is not a finite number "
			     "from 0 on");
}

static void wrong_quantiles_are_refused(void **state)
{
	static const double equal[] = { 0.5, 0.5 }, above[] = { 0.5, 1.5 };
	static const double not_a_number[] = { NAN };
	static const double many[METADATA_QUANTILES_MAX + 1];
	struct metadata_desc desc = { .type = METRIC_SUMMARY, .name = "s" };

	(void)state;
	desc.quantiles = equal;
	desc.nquantiles = 2;
	assert_refused(desc, "s: quantiles must rise, but quantile 2 does not");
	desc.quantiles = above;
	assert_refused(desc, "s: quantile 2 is not from 0 to 1");
	desc.quantiles = not_a_number;
	desc.nquantiles = 1;
	assert_refused(desc, "s: quantile 1 is not from 0 to 1");
	desc.quantiles = many;
	desc.nquantiles = METADATA_QUANTILES_MAX + 1;
	assert_refused(desc, "s: more than 32 quantiles");
	desc.nquantiles = 0;
	desc.window = -1;
	assert_refused(desc, "s: the window is not a number of seconds");
	desc.window = INFINITY;
	assert_refused(desc, "s: the window is not a number of seconds");
}

static void wrong_names_and_texts_are_refused(void **state)
{
	(void)state;
	assert_refused((struct metadata_desc){ .name = "a\xFF" },
		       "metric name 'a\xEF\xBF\xBD' is not UTF-8");
	assert_refused((struct metadata_desc){ .name = "" },
		       "the name of a metric is empty");
	assert_refused((struct metadata_desc){ .name = "a", .help = "\xFF" },
		       "a: the help is not UTF-8");
}

static void a_name_that_is_not_legacy_is_quoted(void **state)
{
	static const struct {
		const char *name;
		bool quoted;
	} cases[] = { { "a:b", false }, { "a.b", true }, { "9", true },
		      { "_", false },	{ "a\n", true }, { "\xC3\xA9", true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct metadata *m =
			made((struct metadata_desc){ .name = cases[i].name });

		assert_int_equal(m->quoted, cases[i].quoted);
		metadata_unref(m);
	}
}

static void names_that_escaping_makes_equal_are_not_apart(void **state)
{
	static const struct {
		const char *histogram, *gauge, *message;
	} cases[] = {
		{ "a.b", "a_c", NULL },
		{ "a.b", "a.b.counts", NULL },
		{ "a.b", "a.b.count",
		  "a.b.count: belongs to the histogram 'a.b'" },
		{ "a.b", "a.b", "a.b: declared twice" },
		{ "a.b", "a.b_sum", "a.b_sum: belongs to the histogram 'a.b'" },
		{ "a.b", "a b_sum", "a b_sum: belongs to the histogram 'a.b'" },
		{ "a.b", "a b",
		  "a b: is 'a_b' to readers that know no UTF-8 "
		  "names, as is 'a.b'" },
		{ "a_dot_b", "a.b",
		  "a.b: is 'a_dot_b' to readers that know no UTF-8 names, as "
		  "is 'a_dot_b'" },
		{ "a.b", "U__a_2e_b_count",
		  "U__a_2e_b_count: belongs to the histogram 'a.b'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct metadata *a = made((struct metadata_desc){
			.type = METRIC_HISTOGRAM, .name = cases[i].histogram });
		struct metadata *b = made((struct metadata_desc){
			.type = METRIC_GAUGE, .name = cases[i].gauge });
		struct err err = { 0 };

		assert_int_equal(metadata_apart(a, b, &err), !cases[i].message);
		if (cases[i].message)
			assert_string_equal(err.text, cases[i].message);
		metadata_unref(a);
		metadata_unref(b);
	}
}

static void wrong_states_are_refused(void **state)
{
	static const char *const twice[] = { "a", "b", "a" };
	static const char *const latin[] = { "a", "\xE9" };
	static const char *const many[METADATA_STATES_MAX + 1];
	struct metadata_desc desc = { .type = METRIC_STATESET, .name = "s" };

	(void)state;
	assert_refused(desc, "s: a stateset has 1 to 256 states, got 0");
	desc.states = many;
	desc.nstates = METADATA_STATES_MAX + 1;
	assert_refused(desc, "s: a stateset has 1 to 256 states, got 257");
	desc.states = twice;
	desc.nstates = 3;
	assert_refused(desc, "s: state 'a' is given twice");
	desc.states = latin;
	desc.nstates = 2;
	assert_refused(desc, "s: state 2 is not UTF-8");
}

static void wrong_buckets_are_refused(void **state)
{
	static const double equal[] = { 1, 2, 2 }, infinite[] = { 1, INFINITY };
	static const double not_a_number[] = { NAN };
	static const double many[METADATA_BUCKETS_MAX + 1];
	struct metadata_desc desc = { .type = METRIC_HISTOGRAM, .name = "h" };

	(void)state;
	desc.bounds = equal;
	desc.nbounds = 3;
	assert_refused(desc, "h: buckets must rise, but bucket 3 does not");
	desc.bounds = infinite;
	desc.nbounds = 2;
	assert_refused(desc, "h: bucket 2 is not a finite number (+Inf is "
			     "added by itself)");
	desc.bounds = not_a_number;
	desc.nbounds = 1;
	assert_refused(desc, "h: bucket 1 is not a finite number (+Inf is "
			     "added by itself)");
	desc.bounds = many;
	desc.nbounds = METADATA_BUCKETS_MAX + 1;
	assert_refused(desc, "h: more than 256 buckets");
}

static void assert_disagree(struct metadata_desc a, struct metadata_desc b,
			    const char *text)
{
	struct metadata *x = made(a), *y = made(b);
	struct err err = { 0 };

	assert_false(metadata_agree(x, y, &err));
	assert_string_equal(err.text, text);
	assert_false(metadata_agree(y, x, NULL));
	metadata_unref(x);
	metadata_unref(y);
}

static void what_differs_is_named(void **state)
{
	static const double one[] = { 1, 2 }, two[] = { 1, 3 };
	static const char *const up[] = { "up" }, *const down[] = { "down" };
	struct metadata_desc a = { .name = "a", .type = METRIC_GAUGE }, b = a;

	(void)state;
	b.type = METRIC_COUNTER;
	assert_disagree(a, b, "a: declared as gauge and as counter");
	b = a;
	b.help = "x";
	assert_disagree(a, b, "a: declared with different help texts");
	b = a;
	b.unit = "x";
	assert_disagree(a, b, "a: declared with different units");
	a.type = METRIC_HISTOGRAM;
	a.bounds = one;
	a.nbounds = 2;
	b = a;
	b.bounds = two;
	assert_disagree(a, b, "a: declared with different buckets");
	b = a;
	b.nbounds = 1;
	assert_disagree(a, b, "a: declared with different buckets");
	a = (struct metadata_desc){
		.name = "a", .type = METRIC_STATESET, .states = up, .nstates = 1
	};
	b = a;
	b.timestamps = true;
	assert_disagree(a, b, "a: declared with different timestamps");
	b = a;
	b.states = down;
	assert_disagree(a, b, "a: declared with different states");
}

static void new_kinds_of_numbers_differ_too(void **state)
{
	static const double one[] = { 0.5 }, two[] = { 0.5, 0.9 };
	static const struct native_options native = { 3, 0, 0 };
	struct metadata_desc a = { .name = "a", .type = METRIC_SUMMARY }, b = a;

	(void)state;
	a.quantiles = one;
	a.nquantiles = 1;
	b.quantiles = two;
	b.nquantiles = 2;
	assert_disagree(a, b, "a: declared with different quantiles");
	a.type = b.type = METRIC_HISTOGRAM;
	b.native = &native;
	assert_disagree(a, b, "a: declared with different kinds of buckets");
	a.native = &native;
	a.bounds = one;
	a.nbounds = 1;
	assert_disagree(a, b, "a: declared with different kinds of buckets");
}

static void equal_declarations_agree(void **state)
{
	static const double bounds[] = { 0.5, 1 };
	struct metadata_desc desc = { .name = "a",
				      .type = METRIC_HISTOGRAM,
				      .help = "x",
				      .bounds = bounds,
				      .nbounds = 2 };
	struct metadata *x = made(desc), *y = made(desc);

	(void)state;
	assert_true(metadata_agree(x, y, NULL));
	assert_true(metadata_agree(x, x, NULL));
	assert_ptr_equal(metadata_ref(x), x);
	metadata_unref(x);
	metadata_unref(x);
	metadata_unref(y);
	metadata_unref(NULL);
}

/* What is said of a page with both, in either order; NULL: nothing. */
static void assert_apart(const char *a, enum metric_type a_type, const char *b,
			 enum metric_type b_type, const char *said)
{
	struct metadata *x =
		made((struct metadata_desc){ .name = a, .type = a_type });
	struct metadata *y =
		made((struct metadata_desc){ .name = b, .type = b_type });

	for (int i = 0; i < 2; i++) {
		struct err err = { 0 };

		assert_int_equal(metadata_apart(i ? y : x, i ? x : y, &err),
				 said == NULL);
		assert_string_equal(err.text, said ? said : "");
	}
	metadata_unref(x);
	metadata_unref(y);
}

static void families_whose_samples_meet_are_named(void **state)
{
	(void)state;
	assert_apart("a", METRIC_GAUGE, "a", METRIC_COUNTER,
		     "a: declared twice");
	assert_apart("a", METRIC_HISTOGRAM, "a_bucket", METRIC_GAUGE,
		     "a_bucket: belongs to the histogram 'a'");
	assert_apart("a", METRIC_SUMMARY, "a_count", METRIC_SUMMARY,
		     "a_count: belongs to the summary 'a'");
	assert_apart("a", METRIC_SUMMARY, "a_bucket", METRIC_GAUGE, NULL);
	assert_apart("a", METRIC_GAUGE, "a_sum", METRIC_SUMMARY, NULL);
	assert_apart("a", METRIC_HISTOGRAM, "a_sums", METRIC_GAUGE, NULL);
	assert_apart("a", METRIC_GAUGEHISTOGRAM, "a_gcount", METRIC_GAUGE,
		     "a_gcount: belongs to the gaugehistogram 'a'");
	assert_apart("a", METRIC_GAUGEHISTOGRAM, "a_count", METRIC_GAUGE, NULL);
	/* These meet in OpenMetrics alone. */
	assert_apart("a", METRIC_GAUGE, "a_total", METRIC_COUNTER, NULL);
	assert_apart("a_created", METRIC_GAUGE, "a_total", METRIC_COUNTER,
		     NULL);
	assert_apart("a_sum", METRIC_HISTOGRAM, "b_sum", METRIC_GAUGE, NULL);
}

/* A few pieces, so that names often are nearly the same. */
static void any_name(char *name)
{
	static const char *const pieces[] = {
		"a", "b", "_", ".", "dot", "_sum", "U__", "\303\251"
	};

	strcpy(name, rand() % 2 ? "a" : "a.");
	for (int n = rand() % 5; n; n--)
		strcat(name, pieces[rand() % 8]);
}

static bool begins_with_suffix(const struct metadata *a, const char *x,
			       const char *y)
{
	const char *const *suffix = metric_type_suffixes(a->type);
	size_t len = strlen(x);

	if (strncmp(x, y, len) != 0)
		return false;
	while (*suffix && strcmp(y + len, *suffix) != 0)
		suffix++;
	return *suffix;
}

static bool apart_by_writing(const struct metadata *a, const struct metadata *b,
			     enum escaping scheme)
{
	struct buf x, y;
	bool apart;

	buf_init(&x, 1000);
	buf_init(&y, 1000);
	name_escape(&x, (struct str){ a->name, a->name_len }, scheme);
	name_escape(&y, (struct str){ b->name, b->name_len }, scheme);
	apart = strcmp(buf_text(&x), buf_text(&y)) != 0 &&
		!begins_with_suffix(a, buf_text(&x), buf_text(&y)) &&
		!begins_with_suffix(b, buf_text(&y), buf_text(&x));
	buf_release(&x);
	buf_release(&y);
	return apart;
}

static void names_are_apart_as_they_are_written(void **state)
{
	int together = 0;

	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		char one[64], other[64];
		struct metadata *a, *b;
		bool apart = true;

		any_name(one);
		any_name(other);
		a = made((struct metadata_desc){ .type = METRIC_SUMMARY,
						 .name = one });
		b = made((struct metadata_desc){ .type = METRIC_GAUGE,
						 .name = other });
		for (int scheme = 0; scheme <= ESCAPING_NONE; scheme++)
			apart &= apart_by_writing(a, b, (enum escaping)scheme);
		if (metadata_apart(a, b, NULL) != apart)
			fail_msg("'%s' and '%s'", one, other);
		together += !apart;
		metadata_unref(a);
		metadata_unref(b);
	}
	assert_in_range(together, 500, 15000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(a_declaration_is_copied),
		cmocka_unit_test(absent_texts_are_empty),
		cmocka_unit_test(a_histogram_has_a_bound_more_than_given),
		cmocka_unit_test(
			a_histogram_without_bounds_counts_all_together),
		cmocka_unit_test(a_state_is_found_by_its_name),
		cmocka_unit_test(bounds_have_a_second_spelling),
		cmocka_unit_test(quantiles_have_two_spellings_too),
		cmocka_unit_test(a_histogram_may_be_native),
		cmocka_unit_test(wrong_native_buckets_are_refused),
		cmocka_unit_test(wrong_quantiles_are_refused),
		cmocka_unit_test(new_kinds_of_numbers_differ_too),
		cmocka_unit_test(wrong_names_and_texts_are_refused),
		cmocka_unit_test(a_name_that_is_not_legacy_is_quoted),
		cmocka_unit_test(names_that_escaping_makes_equal_are_not_apart),
		cmocka_unit_test(names_are_apart_as_they_are_written),
		cmocka_unit_test(wrong_states_are_refused),
		cmocka_unit_test(wrong_buckets_are_refused),
		cmocka_unit_test(what_differs_is_named),
		cmocka_unit_test(equal_declarations_agree),
		cmocka_unit_test(families_whose_samples_meet_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
