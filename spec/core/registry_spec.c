/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/family.h"
#include "core/registry.h"
#include "core/text.h"

enum { LIVE = REGISTRY_LIVE };

/* ---- a registry and what its page shows ---- */

static struct registry *registry;

static int make_registry(void **state)
{
	(void)state;
	registry = registry_new(&(struct registry_options){ 0 });
	return 0;
}

static int free_registry(void **state)
{
	(void)state;
	registry_free(registry);
	registry = NULL;
	return 0;
}

static struct family *add_with(struct family_options options)
{
	static const char *const labels[] = { "n" };
	struct err err = { 0 };
	struct family *family;

	options.labels = labels;
	options.nlabels = 1;
	family = registry_add(registry, &options, &err);
	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static struct family *add(const char *name)
{
	return add_with((struct family_options){
		.metadata = { .name = name, .type = METRIC_GAUGE } });
}

static struct family *add_keep(const char *name)
{
	return add_with((struct family_options){
		.metadata = { .name = name, .type = METRIC_GAUGE },
		.keep = true });
}

static struct family *add_ttl(const char *name, double ttl)
{
	return add_with((struct family_options){
		.metadata = { .name = name, .type = METRIC_GAUGE },
		.ttl = ttl });
}

static uint32_t row_of(struct family *family, const char *value)
{
	struct str text = { value, strlen(value) };
	struct err err = { 0 };
	uint32_t row;

	if (!family_row(family, &text, &row, &err))
		fail_msg("%s", err.text);
	return row;
}

static void set_at(struct family *family, const char *value, unsigned part,
		   double number, double now)
{
	family_set(family, row_of(family, value), part, number, now);
}

static void set(struct family *family, const char *value, unsigned part,
		double number)
{
	set_at(family, value, part, number, 0);
}

static void inc(struct family *family, const char *value, double by)
{
	family_inc(family, row_of(family, value), by);
}

static void set_number(struct family *family, int n, unsigned part,
		       double number)
{
	char value[16];

	snprintf(value, sizeof value, "%06d", n);
	set(family, value, part, number);
}

/* The samples of a page, each on a line. */
static char *samples(const struct page *page)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		for (uint32_t i = 0; i < page->families[f].nchunks; i++)
			text_chunk(&out, page->families[f].metadata,
				   page->families[f].chunks[i]);
	return buf_take(&out, NULL);
}

static void assert_shows_at(double now, const char *expected)
{
	struct page *page = registry_publish(registry, now);
	char *text = samples(page);
	size_t lines = 0;

	assert_string_equal(text, expected);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		for (uint32_t i = 0; i < page->families[f].nchunks; i++)
			lines += page->families[f].chunks[i]->shown;
	assert_int_equal(page->series, lines);
	free(text);
	page_unref(page);
}

static void assert_shows(const char *expected)
{
	assert_shows_at(0, expected);
}

/* ---- declarations ---- */

static void assert_refused(struct family_options options, const char *text)
{
	struct err err = { 0 };

	assert_null(registry_add(registry, &options, &err));
	assert_string_equal(err.text, text);
	assert_int_equal(err.code, ERR_USAGE);
}

static void families_are_found_by_name_and_listed_in_order(void **state)
{
	struct family *b = add("b"), *c = add("c"), *a = add("a");
	const char *const *names = registry_names(registry);

	(void)state;
	assert_ptr_equal(registry_find(registry, "a"), a);
	assert_ptr_equal(registry_find(registry, "b"), b);
	assert_ptr_equal(registry_find(registry, "c"), c);
	assert_null(registry_find(registry, "d"));
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	assert_string_equal(names[2], "c");
	assert_null(names[3]);
}

static void a_name_is_declared_once(void **state)
{
	(void)state;
	add("a");
	assert_refused((struct family_options){ .metadata = { .name = "a" } },
		       "a: declared twice");
	assert_refused((struct family_options){ .metadata = { .name = "" } },
		       "the name of a metric is empty");
}

static void the_labels_of_a_type_are_taken(void **state)
{
	static const char *const labels[] = { "a", "le", "quantile", "s" };
	struct family_options options = { .labels = labels, .nlabels = 4 };

	(void)state;
	options.metadata =
		(struct metadata_desc){ .name = "h", .type = METRIC_HISTOGRAM };
	assert_refused(options, "h: a histogram has the label 'le' already");
	options.metadata.type = METRIC_SUMMARY;
	assert_refused(options,
		       "h: a summary has the label 'quantile' already");
	options.metadata.type = METRIC_STATESET;
	options.metadata.name = "s";
	assert_refused(options, "s: a stateset has the label 's' already");
	options.metadata.type = METRIC_GAUGE;
	assert_non_null(registry_add(registry, &options, NULL));
}

static void constant_labels_may_not_be_those_of_a_type_either(void **state)
{
	static const struct label_pair le = { "le", "x" };
	struct registry_options constant = { .labels = &le, .nlabels = 1 };

	(void)state;
	registry_free(registry);
	registry = registry_new(&constant);
	assert_refused((struct family_options){ .metadata = {
							.name = "h",
							.type = METRIC_HISTOGRAM,
						} },
		       "h: a histogram has the label 'le' already");
	add("g");
}

static void sample_names_belong_to_one_family(void **state)
{
	struct family_options h = { .metadata = { .name = "h",
						  .type = METRIC_HISTOGRAM } };
	struct family_options s = { .metadata = { .name = "s",
						  .type = METRIC_SUMMARY } };

	(void)state;
	assert_non_null(registry_add(registry, &h, NULL));
	add("s_count");
	add("s_bucket");
	assert_refused(
		(struct family_options){ .metadata = { .name = "h_sum" } },
		"h_sum: belongs to the histogram 'h'");
	assert_refused(
		(struct family_options){ .metadata = { .name = "h_bucket" } },
		"h_bucket: belongs to the histogram 'h'");
	assert_refused(s, "s: its 's_count' is declared as well");
	add("_count");
	add("x_count");
	add("x");
}

static void constant_labels_are_on_every_series(void **state)
{
	static const struct label_pair site = { "site", "x\"y" };
	struct registry_options constant = { .labels = &site, .nlabels = 1 };

	(void)state;
	registry_free(registry);
	registry = registry_new(&constant);
	set(add("a"), "1", LIVE, 1);
	assert_shows("a{n=\"1\",site=\"x\\\"y\"} 1\n");
}

/* ---- stage, commit, drop ---- */

static void a_new_registry_shows_nothing(void **state)
{
	(void)state;
	assert_true(registry_changed(registry, 0));
	add("a");
	assert_shows("");
	assert_false(registry_changed(registry, 0));
}

static void staged_values_show_at_the_commit(void **state)
{
	struct family *a = add("a"), *b = add("b");

	(void)state;
	set(a, "2", 1, 12);
	set(a, "1", 1, 11);
	assert_shows("");
	set(b, "1", 1, 21);
	assert_shows("");
	registry_commit(registry, 1, 0);
	assert_true(registry_changed(registry, 0));
	assert_shows("a{n=\"1\"} 11\na{n=\"2\"} 12\nb{n=\"1\"} 21\n");
	assert_false(registry_changed(registry, 0));
}

static void a_series_that_was_not_set_again_is_gone(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "2", 1, 2);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "2", 1, 3);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"2\"} 3\n");
	assert_int_equal(registry_series(registry), 1);
	registry_commit(registry, 1, 0);
	assert_shows("");
	assert_int_equal(registry_series(registry), 0);
}

static void a_removed_series_returns(void **state)
{
	struct family *a = add("a");

	(void)state;
	for (int i = 0; i < 10; i++) {
		set(a, "1", 1, 1);
		set(a, "2", 1, 2);
		registry_commit(registry, 1, 0);
		assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
		set(a, "2", 1, 2);
		registry_commit(registry, 1, 0);
		if (i % 2)
			assert_shows("a{n=\"2\"} 2\n");
	}
}

static void a_drop_forgets_the_staged_and_the_former_values(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "2", 1, 2);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "1", 1, 5);
	set(a, "3", 1, 6);
	registry_drop(registry, 1, 0);
	assert_shows("");
	assert_int_equal(registry_series(registry), 0);
}

static void with_keep_a_drop_restores_the_former_values(void **state)
{
	struct family *a = add_keep("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "2", 1, 2);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "1", 1, 5);
	set(a, "3", 1, 6);
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "2", 1, 7);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"2\"} 7\n");
}

static void what_no_page_has_shown_yet_is_restored_too(void **state)
{
	struct family *a = add_keep("a");

	(void)state;
	set(a, "1", 1, 1);
	registry_commit(registry, 1, 0);
	set(a, "1", 1, 2);
	registry_commit(registry, 1, 0);
	set(a, "1", 1, 3);
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 2\n");
}

static void parts_commit_and_fail_apart(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "2", 2, 2);
	set(a, "3", 3, 3);
	registry_commit(registry, 2, 0);
	assert_shows("a{n=\"2\"} 2\n");
	registry_commit(registry, 1, 0);
	registry_drop(registry, 3, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "1", 1, 4);
	set(a, "2", 2, 5);
	registry_drop(registry, 2, 0);
	assert_shows("a{n=\"1\"} 1\n");
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 4\n");
}

static void a_series_belongs_to_the_part_that_set_it_last(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "1", 2, 2);
	registry_commit(registry, 1, 0);
	assert_shows("");
	registry_commit(registry, 2, 0);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 2\n");
	registry_commit(registry, 2, 0);
	assert_shows("");
}

static void a_series_without_a_value_is_not_shown(void **state)
{
	struct family *a = add("a");

	(void)state;
	row_of(a, "1");
	assert_shows("");
	assert_int_equal(registry_series(registry), 1);
	registry_commit(registry, 7, 0);
	assert_int_equal(registry_series(registry), 0);
}

static void series_are_shown_in_the_order_of_their_labels(void **state)
{
	static const char *const values[] = { "b", "", "a", "ab", "\"", "B" };
	struct family *a = add("a");

	(void)state;
	for (int i = 0; i < 6; i++)
		set(a, values[i], 1, i);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"\"} 1\na{n=\"B\"} 5\na{n=\"\\\"\"} 4\n"
		     "a{n=\"a\"} 2\na{n=\"ab\"} 3\na{n=\"b\"} 0\n");
}

/* ---- pages in the middle of a collection ---- */

static void a_page_in_the_middle_shows_the_former_collection(void **state)
{
	struct family *a = add("a"), *other = add("other");
	struct page *before;
	char *text, *again;

	(void)state;
	for (int i = 0; i < 3000; i++)
		set_number(a, i, 1, i);
	registry_commit(registry, 1, 0);
	before = registry_publish(registry, 0);
	text = samples(before);
	for (int i = 0; i < 3000; i++) {
		struct page *page;

		set_number(a, 2 * i, 1, -i);
		if (i % 100)
			continue;
		set(other, "x", i % 200 ? LIVE : 2, i);
		page = registry_publish(registry, 0);
		again = samples(page);
		assert_memory_equal(again, text, strlen(text));
		page_unref(page);
		free(again);
	}
	registry_commit(registry, 1, 0);
	free(text);
	page_unref(before);
	before = registry_publish(registry, 0);
	text = samples(before);
	assert_int_equal(before->series, 3000 + 1);
	assert_non_null(strstr(text, "a{n=\"005998\"} -2999\n"));
	assert_null(strstr(text, "a{n=\"000001\"}"));
	free(text);
	page_unref(before);
}

static void staging_alone_is_no_change(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\n");
	set(a, "1", 1, 2);
	set(a, "2", 1, 2);
	assert_false(registry_changed(registry, 0));
}

static void two_parts_in_one_family_do_not_show_each_other(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "2", 2, 2);
	registry_commit(registry, 1, 0);
	registry_commit(registry, 2, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n");
	set(a, "2", 2, 20);
	set(a, "1", 1, 10);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 10\na{n=\"2\"} 2\n");
	set(a, "4", 1, 4);
	set(a, "3", 2, 3);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"2\"} 2\na{n=\"4\"} 4\n");
	registry_commit(registry, 2, 0);
	assert_shows("a{n=\"2\"} 20\na{n=\"3\"} 3\na{n=\"4\"} 4\n");
}

/* ---- live and own values ---- */

static void a_live_value_shows_at_once_and_stays(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", LIVE, 1);
	assert_shows("a{n=\"1\"} 1\n");
	registry_commit(registry, 1, 0);
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\n");
	set(a, "1", LIVE, 2);
	assert_shows("a{n=\"1\"} 2\n");
}

static void a_live_value_is_shown_until_a_part_commits_over_it(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", LIVE, 1);
	assert_shows("a{n=\"1\"} 1\n");
	set(a, "1", LIVE, 2);
	set(a, "1", 1, 3);
	assert_shows("a{n=\"1\"} 2\n");
	set(a, "2", LIVE, 7);
	assert_shows("a{n=\"1\"} 2\na{n=\"2\"} 7\n");
	set(a, "2", 1, 8);
	registry_commit(registry, 1, 0);
	registry_commit(registry, 1, 0);
	set(a, "1", LIVE, 2);
	set(a, "1", 1, 5);
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 2\n");
	set(a, "1", 1, 4);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 4\n");
	registry_commit(registry, 1, 0);
	assert_shows("");
}

static void a_live_value_that_no_page_has_shown_is_not_lost(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", LIVE, 1);
	set(a, "1", 1, 2);
	set(a, "2", 1, 2);
	assert_shows("a{n=\"1\"} 1\n");
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\n");
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\n");
}

static void a_live_value_replaces_a_staged_one(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 1);
	set(a, "1", LIVE, 2);
	assert_shows("a{n=\"1\"} 2\n");
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 2\n");
}

static void own_values_count_at_once_and_persist(void **state)
{
	struct family *a = add("a");

	(void)state;
	inc(a, "1", 1);
	assert_shows("a{n=\"1\"} 1\n");
	inc(a, "1", 0.5);
	set(a, "2", 1, 9);
	registry_drop(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1.5\n");
	registry_commit(registry, 1, 0);
	inc(a, "1", 1);
	assert_shows("a{n=\"1\"} 2.5\n");
}

static void a_staged_value_that_is_incremented_stays_staged(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 10);
	inc(a, "1", 1);
	assert_shows("");
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 11\n");
	set(a, "1", 1, 20);
	inc(a, "1", 2);
	assert_shows("a{n=\"1\"} 11\n");
	registry_drop(registry, 1, 0);
	assert_shows("");
}

static void an_own_value_comes_back_after_a_drop(void **state)
{
	struct family *a = add("a");

	(void)state;
	inc(a, "1", 3);
	set(a, "1", 1, 10);
	registry_drop(registry, 1, 0);
	registry_drop(registry, 1, 0);
	inc(a, "1", 1);
	assert_shows("a{n=\"1\"} 4\n");
}

static void a_shown_value_that_is_incremented_becomes_own(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "1", 1, 10);
	registry_commit(registry, 1, 0);
	inc(a, "1", 1);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 11\n");
}

/* The numbers of the first series of the family NAME, as it is shown. */
static void assert_row(const char *name, unsigned n, const double *want)
{
	struct page *page = registry_publish(registry, 0);
	const struct page_family *family = page_find(page, name);

	assert_non_null(family);
	assert_int_equal(family->metadata->width, n);
	assert_non_null(family->chunks[0]->rows->labels[0]);
	for (unsigned i = 0; i < n; i++)
		if (family->chunks[0]->values[i] < want[i] ||
		    family->chunks[0]->values[i] > want[i])
			fail_msg("number %u is %g, not %g", i,
				 family->chunks[0]->values[i], want[i]);
	page_unref(page);
}

static void observations_fall_into_buckets(void **state)
{
	static const double bounds[] = { -1, 1, 2 };
	static const double values[] = { -2, -1, 0, 1, 1.5, 2, 3, 3, INFINITY };
	struct family *h = add_with(
		(struct family_options){ .metadata = { .name = "h",
						       .type = METRIC_HISTOGRAM,
						       .bounds = bounds,
						       .nbounds = 3 } });
	uint32_t row = row_of(h, "x");

	(void)state;
	for (int i = 0; i < 8; i++)
		family_observe(h, row, REGISTRY_LIVE, values[i], 0);
	assert_shows("h_bucket{n=\"x\",le=\"-1\"} 2\n"
		     "h_bucket{n=\"x\",le=\"1\"} 4\n"
		     "h_bucket{n=\"x\",le=\"2\"} 6\n"
		     "h_bucket{n=\"x\",le=\"+Inf\"} 8\n"
		     "h_sum{n=\"x\"} 7.5\nh_count{n=\"x\"} 8\n");
	family_observe(h, row_of(h, "x"), REGISTRY_LIVE, values[8], 0);
	family_observe(h, row_of(h, "x"), REGISTRY_LIVE, NAN, 0);
	assert_shows("h_bucket{n=\"x\",le=\"-1\"} 2\n"
		     "h_bucket{n=\"x\",le=\"1\"} 4\n"
		     "h_bucket{n=\"x\",le=\"2\"} 6\n"
		     "h_bucket{n=\"x\",le=\"+Inf\"} 10\n"
		     "h_sum{n=\"x\"} NaN\nh_count{n=\"x\"} 10\n");
}

static void a_summary_has_sum_and_count(void **state)
{
	struct family *s = add_with((struct family_options){
		.metadata = { .name = "s", .type = METRIC_SUMMARY } });

	(void)state;
	family_observe(s, row_of(s, "x"), REGISTRY_LIVE, 2, 0);
	family_observe(s, row_of(s, "x"), REGISTRY_LIVE, 0.25, 0);
	assert_shows("s_sum{n=\"x\"} 2.25\ns_count{n=\"x\"} 2\n");
}

/* ---- what is kept elsewhere ---- */

static struct family *add_buckets(enum metric_type type, bool timestamps)
{
	static const double two[] = { 1, 2 };

	return add_with((struct family_options){
		.metadata = { .name = "h",
			      .type = type,
			      .bounds = two,
			      .nbounds = 2,
			      .timestamps = timestamps } });
}

static void set_buckets(struct family *h, unsigned part, double sum, double a,
			double b, double c)
{
	double numbers[] = { sum, a, b, c };

	family_set_numbers(h, row_of(h, "x"), part, numbers, 0);
}

static void a_histogram_is_mirrored(void **state)
{
	struct family *h = add_buckets(METRIC_HISTOGRAM, false);

	(void)state;
	set_buckets(h, 1, 7, 1, 0, 2);
	assert_shows("");
	registry_commit(registry, 1, 0);
	assert_shows("h_bucket{n=\"x\",le=\"1\"} 1\n"
		     "h_bucket{n=\"x\",le=\"2\"} 1\n"
		     "h_bucket{n=\"x\",le=\"+Inf\"} 3\n"
		     "h_sum{n=\"x\"} 7\nh_count{n=\"x\"} 3\n");
	set_buckets(h, 1, 9, 9, 9, 9);
	registry_drop(registry, 1, 0);
	assert_shows("");
}

static void a_gauge_histogram_is_what_a_part_found(void **state)
{
	struct family *h = add_buckets(METRIC_GAUGEHISTOGRAM, false);

	(void)state;
	for (int i = 0; i < 2; i++) {
		family_observe(h, row_of(h, "x"), 1, 1.5, 0);
		family_observe(h, row_of(h, "x"), 1, 3, 0);
		registry_commit(registry, 1, 0);
		assert_row("h", 4, (double[]){ 4.5, 0, 1, 1 });
	}
	family_observe(h, row_of(h, "x"), 2, 1, 0);
	assert_row("h", 4, (double[]){ 4.5, 0, 1, 1 });
	registry_commit(registry, 2, 0);
	assert_row("h", 4, (double[]){ 1, 1, 0, 0 });
	registry_commit(registry, 2, 0);
	assert_shows("");
}

static void a_gauge_histogram_goes_on_outside_of_collections(void **state)
{
	struct family *h = add_buckets(METRIC_GAUGEHISTOGRAM, false);

	(void)state;
	family_observe(h, row_of(h, "x"), LIVE, 1.5, 0);
	assert_row("h", 4, (double[]){ 1.5, 0, 1, 0 });
	family_observe(h, row_of(h, "x"), LIVE, 3, 0);
	assert_row("h", 4, (double[]){ 4.5, 0, 1, 1 });
	set_buckets(h, 1, 1, 1, 0, 0);
	family_observe(h, row_of(h, "x"), 1, 1, 0);
	assert_row("h", 4, (double[]){ 4.5, 0, 1, 1 });
	registry_commit(registry, 1, 0);
	assert_row("h", 4, (double[]){ 2, 2, 0, 0 });
}

/* ---- times ---- */

static double wall;

static double wall_clock(void)
{
	return wall;
}

static void know_the_time(void)
{
	registry_free(registry);
	registry =
		registry_new(&(struct registry_options){ .clock = wall_clock });
}

static struct family *add_counter(bool timestamps)
{
	return add_with((struct family_options){
		.metadata = { .name = "c_total",
			      .type = METRIC_COUNTER,
			      .timestamps = timestamps } });
}

static void counting_begins_with_the_first_count(void **state)
{
	struct family *c;

	(void)state;
	know_the_time();
	c = add_counter(false);
	wall = 100;
	row_of(c, "x");
	wall = 200;
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 1, 200 });
	wall = 300;
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 2, 200 });
	set(c, "x", 1, 9);
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 2, 200 });
	registry_drop(registry, 1, 0);
	assert_row("c_total", 2, (double[]){ 2, 200 });
	set(c, "x", 1, 9);
	registry_commit(registry, 1, 0);
	assert_row("c_total", 2, (double[]){ 9, 0 });
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 10, 0 });
	family_remove(c, &(struct str){ "x", 1 });
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 1, 300 });
}

static void without_a_clock_nobody_knows_when_it_began(void **state)
{
	struct family *c = add_counter(false);

	(void)state;
	inc(c, "x", 1);
	assert_row("c_total", 2, (double[]){ 1, 0 });
}

static void a_set_may_say_its_times(void **state)
{
	struct family *c;

	(void)state;
	know_the_time();
	c = add_counter(true);
	set(c, "x", LIVE, 9);
	family_set_times(c, row_of(c, "x"), 50, 60.5);
	assert_row("c_total", 3, (double[]){ 9, 50, 60.5 });
	set(c, "x", 1, 10);
	family_set_times(c, row_of(c, "x"), 0, 70);
	assert_row("c_total", 3, (double[]){ 9, 50, 60.5 });
	registry_commit(registry, 1, 0);
	assert_row("c_total", 3, (double[]){ 10, 0, 70 });
	set(c, "x", LIVE, 11);
	assert_row("c_total", 3, (double[]){ 11, 0, 0 });
}

static void times_without_a_place_are_left_out(void **state)
{
	struct family *g = add("g"), *h;

	(void)state;
	set(g, "x", LIVE, 9);
	family_set_times(g, row_of(g, "x"), 50, 60);
	assert_row("g", 1, (double[]){ 9 });
	h = add_buckets(METRIC_GAUGEHISTOGRAM, true);
	set_buckets(h, LIVE, 7, 1, 0, 2);
	family_set_times(h, row_of(h, "x"), 50, 60);
	assert_row("h", 5, (double[]){ 7, 1, 0, 2, 60 });
	set_buckets(h, LIVE, 7, 1, 0, 2);
	assert_row("h", 5, (double[]){ 7, 1, 0, 2, 0 });
}

static void a_stateset_may_have_a_time(void **state)
{
	static const char *const states[] = { "up", "down" };
	struct family *s = add_with(
		(struct family_options){ .metadata = { .name = "s",
						       .type = METRIC_STATESET,
						       .states = states,
						       .nstates = 2,
						       .timestamps = true } });

	(void)state;
	family_set_state(s, row_of(s, "x"), LIVE, 0, 0);
	family_set_times(s, row_of(s, "x"), 0, 60);
	assert_row("s", 3, (double[]){ 1, 0, 60 });
	family_set_state(s, row_of(s, "x"), LIVE, 1, 0);
	assert_row("s", 3, (double[]){ 0, 1, 0 });
}

static void a_stateset_has_one_state_or_none(void **state)
{
	static const char *const states[] = { "up", "down" };
	struct family *s = add_with(
		(struct family_options){ .metadata = { .name = "s",
						       .type = METRIC_STATESET,
						       .states = states,
						       .nstates = 2 },
					 .keep = true });

	(void)state;
	family_set_state(s, row_of(s, "x"), 1, 1, 0);
	registry_commit(registry, 1, 0);
	assert_shows("s{n=\"x\",s=\"up\"} 0\ns{n=\"x\",s=\"down\"} 1\n");
	family_set_state(s, row_of(s, "x"), 1, 0, 0);
	registry_drop(registry, 1, 0);
	assert_shows("s{n=\"x\",s=\"up\"} 0\ns{n=\"x\",s=\"down\"} 1\n");
	family_set_state(s, row_of(s, "x"), 1, -1, 0);
	registry_commit(registry, 1, 0);
	assert_shows("s{n=\"x\",s=\"up\"} 0\ns{n=\"x\",s=\"down\"} 0\n");
}

/* ---- ttl ---- */

static void a_ttl_outlasts_commit_and_drop_but_not_its_time(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	set_at(a, "1", 1, 1, 100);
	registry_commit(registry, 1, 100);
	registry_commit(registry, 1, 101);
	assert_shows_at(101, "a{n=\"1\"} 1\n");
	registry_drop(registry, 1, 105);
	assert_shows_at(109.5, "a{n=\"1\"} 1\n");
	assert_false(registry_changed(registry, 109.5));
	assert_true(registry_changed(registry, 110));
	assert_shows_at(110, "");
	assert_int_equal(registry_series(registry), 0);
}

static void each_commit_begins_the_ttl_anew(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	for (int now = 0; now < 50; now += 5) {
		set_at(a, "1", 1, now, now);
		set_at(a, "old", now ? 9 : 1, now, now);
		registry_commit(registry, 1, now);
	}
	registry_drop(registry, 9, 50);
	assert_shows_at(50, "a{n=\"1\"} 45\n");
	assert_shows_at(54.9, "a{n=\"1\"} 45\n");
	assert_shows_at(55, "");
}

static void a_dropped_set_does_not_prolong_the_ttl(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	set_at(a, "1", 1, 1, 0);
	registry_commit(registry, 1, 0);
	set_at(a, "1", 1, 2, 6);
	registry_drop(registry, 1, 6);
	assert_shows_at(6, "a{n=\"1\"} 1\n");
	assert_shows_at(9, "a{n=\"1\"} 1\n");
	assert_shows_at(10, "");
}

static void what_expires_under_a_staged_value_is_gone(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	set_at(a, "1", 1, 1, 0);
	set_at(a, "2", 1, 1, 0);
	registry_commit(registry, 1, 0);
	set_at(a, "1", 1, 2, 9);
	assert_shows_at(9, "a{n=\"1\"} 1\na{n=\"2\"} 1\n");
	assert_shows_at(10, "");
	registry_commit(registry, 1, 11);
	assert_shows_at(11, "a{n=\"1\"} 2\n");
	set_at(a, "1", 1, 3, 12);
	assert_shows_at(21, "");
	registry_drop(registry, 1, 21);
	assert_shows_at(21, "");
	assert_int_equal(registry_series(registry), 0);
}

static void a_ttl_ends_what_keep_and_live_would_not(void **state)
{
	struct family_options options = {
		.metadata = { .name = "a", .type = METRIC_GAUGE },
		.keep = true,
		.ttl = 10,
	};
	struct family *a = add_with(options);

	(void)state;
	set_at(a, "1", 1, 1, 0);
	set_at(a, "2", LIVE, 2, 5);
	registry_commit(registry, 1, 0);
	set_at(a, "1", 1, 3, 7);
	registry_drop(registry, 1, 12);
	assert_shows_at(12, "a{n=\"2\"} 2\n");
	assert_shows_at(15, "");
}

static void tidying_removes_what_no_page_would_show(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	set_at(a, "1", LIVE, 1, 0);
	set_at(a, "2", LIVE, 2, 5);
	set_at(a, "3", 1, 3, 5);
	row_of(a, "4");
	inc(a, "5", 5);
	registry_tidy(registry, 9);
	assert_int_equal(registry_series(registry), 4);
	registry_tidy(registry, 12);
	assert_int_equal(registry_series(registry), 3);
	registry_commit(registry, 1, 12);
	assert_shows_at(12, "a{n=\"2\"} 2\na{n=\"3\"} 3\na{n=\"5\"} 5\n");
}

static void own_values_do_not_expire(void **state)
{
	struct family *a = add_ttl("a", 10);

	(void)state;
	set_at(a, "1", LIVE, 1, 0);
	inc(a, "1", 1);
	inc(a, "2", 1);
	set_at(a, "3", LIVE, 1, 0);
	assert_shows_at(1000, "a{n=\"1\"} 2\na{n=\"2\"} 1\n");
}

/* ---- kept series ---- */

/* ---- removing ---- */

static bool removed(struct family *family, const char *value)
{
	struct str text = { value, strlen(value) };

	return family_remove(family, &text);
}

static void a_series_is_removed_at_once_with_what_was_counted(void **state)
{
	struct family *f = add("x");

	(void)state;
	inc(f, "a", 3);
	set(f, "b", LIVE, 1);
	assert_shows("x{n=\"a\"} 3\n"
		     "x{n=\"b\"} 1\n");
	assert_true(removed(f, "a"));
	assert_shows("x{n=\"b\"} 1\n");
	inc(f, "a", 1);
	assert_shows("x{n=\"a\"} 1\n"
		     "x{n=\"b\"} 1\n");
}

static void a_removed_series_is_not_committed(void **state)
{
	struct family *f = add("x");

	(void)state;
	set(f, "a", 0, 1);
	set(f, "b", 0, 1);
	assert_true(removed(f, "a"));
	registry_commit(registry, 0, 0);
	assert_shows("x{n=\"b\"} 1\n");
}

static void what_is_not_there_cannot_be_removed(void **state)
{
	struct family *f = add("x");

	(void)state;
	assert_false(removed(f, "a"));
	set(f, "\xEF\xBF\xBD", LIVE, 1);
	assert_int_equal(registry_series(registry), 1);
	assert_false(removed(f, "a"));
	assert_true(removed(f, "\xFF"));
	assert_false(removed(f, "\xFF"));
	assert_int_equal(registry_series(registry), 0);
	assert_shows("");
}

static void set_child(struct child *child, unsigned part, double value)
{
	struct err err = { 0 };
	uint32_t row;

	if (!child_row(child, &row, &err))
		fail_msg("%s", err.text);
	family_set(child->family, row, part, value, 0);
}

static void a_child_outlives_the_removal_of_its_series(void **state)
{
	struct family *a = add("a");
	struct str value = STR("m");
	struct child child;

	(void)state;
	assert_true(child_init(&child, a, &value, NULL));
	set_child(&child, 1, 1);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"m\"} 1\n");
	registry_commit(registry, 1, 0);
	assert_shows("");
	set(a, "z", 1, 8);
	set(a, "b", 1, 9);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"b\"} 9\na{n=\"z\"} 8\n");
	set_child(&child, 1, 2);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"m\"} 2\n");
	child_release(&child);
	child_release(&child);
}

static void a_child_makes_a_removed_series_anew(void **state)
{
	struct family *f = add("x");
	struct str text = STR("a");
	struct child child;
	uint32_t row;

	(void)state;
	assert_true(child_init(&child, f, &text, NULL));
	assert_true(child_row(&child, &row, NULL));
	family_inc(f, row, 5);
	assert_true(removed(f, "a"));
	assert_shows("");
	assert_true(child_row(&child, &row, NULL));
	family_inc(f, row, 1);
	assert_shows("x{n=\"a\"} 1\n");
	child_release(&child);
}

static void a_child_follows_its_series_through_sorting(void **state)
{
	struct family *a = add("a");
	struct str value = STR("002500");
	struct child child;

	(void)state;
	assert_true(child_init(&child, a, &value, NULL));
	set_child(&child, LIVE, 1);
	for (int i = 9999; i >= 0; i--)
		if (i != 2500)
			set_number(a, i, LIVE, -i);
	page_unref(registry_publish(registry, 0));
	set_child(&child, LIVE, 2);
	page_unref(registry_publish(registry, 0));
	assert_int_equal(child.row, 2500);
	assert_int_equal(registry_series(registry), 10000);
	assert_int_equal(row_of(a, "002500"), 2500);
	child_release(&child);
}

static void a_child_and_its_labels_are_one_series(void **state)
{
	struct family *a = add("a");
	struct str value = STR("q\"");
	struct child child;

	(void)state;
	assert_true(child_init(&child, a, &value, NULL));
	for (int i = 0; i < 5; i++) {
		set_child(&child, 1, 1);
		set(a, "q\"", 1, 2);
		registry_commit(registry, 1, 0);
		assert_shows("a{n=\"q\\\"\"} 2\n");
		/* Gone, and its set swept but for the child's reference. */
		for (int k = 0; k < 100; k++)
			set_number(a, 100 * i + k, 1, k);
		registry_commit(registry, 1, 0);
		page_unref(registry_publish(registry, 0));
		registry_commit(registry, 1, 0);
		page_unref(registry_publish(registry, 0));
	}
	child_release(&child);
}

static void a_child_may_be_released_after_its_registry(void **state)
{
	struct family *a = add("a");
	struct str value = STR("1");
	struct child child;

	(void)state;
	assert_true(child_init(&child, a, &value, NULL));
	set_child(&child, LIVE, 1);
	page_unref(registry_publish(registry, 0));
	free_registry(NULL);
	child_release(&child);
}

/* ---- limits and repairs ---- */

static void the_number_of_series_is_limited(void **state)
{
	struct registry_options options = { .series_max = 3 };
	struct str four = STR("4"), one = STR("1");
	struct family *a, *b;
	struct child child;
	struct err err = { 0 };
	uint32_t row;

	(void)state;
	registry_free(registry);
	registry = registry_new(&options);
	a = add("a");
	b = add("b");
	assert_true(child_init(&child, a, &one, &err));
	set_child(&child, 1, 1);
	set(a, "2", 1, 1);
	set(b, "1", 1, 1);
	assert_false(family_row(a, &four, &row, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "a: the limit of 3 series is reached");
	set(a, "1", 1, 2);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 2\na{n=\"2\"} 1\nb{n=\"1\"} 1\n");
	set(a, "2", 1, 2);
	registry_commit(registry, 1, 0);
	set(b, "4", 1, 4);
	set(b, "5", 1, 5);
	assert_false(child_row(&child, &row, &err));
	assert_string_equal(err.text, "a: the limit of 3 series is reached");
	registry_commit(registry, 1, 0);
	set_child(&child, 1, 6);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 6\n");
	child_release(&child);
}

/* A label of nearly the greatest length, which ends in NUMBER. */
static struct str long_label(char *text, int number)
{
	enum { LEN = 60000 };

	memset(text, 'x', LEN);
	return (struct str){ text,
			     LEN + (size_t)sprintf(text + LEN, "%d", number) };
}

/* 100 series at 1 KiB each would be less than the least that there is. */
static void the_bytes_of_labels_are_limited(void **state)
{
	struct registry_options options = { .series_max = 100 };
	static char text[LABELS_TEXT_MAX];
	struct err err = { 0 };
	struct str label;
	struct family *a;
	uint32_t row;
	int n = 0;

	(void)state;
	registry_free(registry);
	registry = registry_new(&options);
	a = add("a");
	for (label = long_label(text, n); family_row(a, &label, &row, &err);
	     label = long_label(text, ++n))
		family_set(a, row, 1, n, 0);
	assert_in_range(n, 17, 18);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "a: the labels of all series take more "
				      "than 1048576 bytes");
	registry_commit(registry, 1, 0);
	label = long_label(text, 0);
	assert_true(family_row(a, &label, &row, &err)); /* it is there */
	family_set(a, row, 1, 1, 0);
	registry_commit(registry, 1, 0); /* the others go */
	page_unref(registry_publish(registry, 0));
	label = long_label(text, 100);
	assert_true(family_row(a, &label, &row, &err));
}

static struct family *add_to(struct registry *to, const char *name,
			     struct err *err)
{
	static const char *const labels[] = { "n" };
	const struct family_options options = {
		.metadata = { .name = name, .type = METRIC_GAUGE },
		.labels = labels,
		.nlabels = 1,
	};

	return registry_add(to, &options, err);
}

static void registries_may_share_a_limit(void **state)
{
	struct series_limit limit = { .max = 5 };
	struct registry_options options = { .limit = &limit };
	struct registry *one = registry_new(&options);
	struct registry *two = registry_new(&options);
	struct str third = STR("3");
	struct err err = { 0 };
	struct family *a, *b;
	uint32_t row;

	(void)state;
	a = add_to(one, "a", &err);
	b = add_to(two, "b", &err);
	set(a, "1", REGISTRY_LIVE, 1);
	set(b, "1", REGISTRY_LIVE, 1);
	assert_null(add_to(two, "b", &err)); /* and takes no place */
	set(b, "2", 1, 1);
	assert_int_equal(limit.used, 5);
	assert_false(family_row(a, &third, &row, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "a: the limit of 5 series is reached");
	assert_null(add_to(one, "c", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text, "c: the limit of 5 series is reached");
	registry_drop(two, 1, 0);
	assert_int_equal(limit.used, 4);
	assert_true(family_row(a, &third, &row, &err));
	registry_free(two);
	assert_int_equal(limit.used, 3);
	registry_free(one);
	assert_int_equal(limit.used, 0);
}

static void an_exempt_family_has_room_beyond_the_limit(void **state)
{
	struct registry_options options = { .series_max = 2 };
	struct str three = STR("3");
	struct family *a, *b;
	struct err err = { 0 };
	uint32_t row;

	(void)state;
	registry_free(registry);
	registry = registry_new(&options);
	a = add("a");
	b = add_with((struct family_options){
		.metadata = { .name = "b", .type = METRIC_GAUGE },
		.exempt = true });
	set(b, "1", REGISTRY_LIVE, 1);
	set(b, "2", 1, 2);
	set(a, "1", 1, 1);
	set(a, "2", 1, 2);
	assert_false(family_row(a, &three, &row, &err));
	set(b, "3", 1, 3);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"1\"} 1\na{n=\"2\"} 2\n"
		     "b{n=\"1\"} 1\nb{n=\"2\"} 2\nb{n=\"3\"} 3\n");
	registry_commit(registry, 1, 0); /* takes them all away again */
	set(a, "1", 1, 1);
	set(a, "2", 1, 2);
	assert_false(family_row(a, &three, &row, &err));
}

static void labels_that_are_too_long_are_refused(void **state)
{
	static char text[LABELS_TEXT_MAX];
	struct str value = { text, sizeof text };
	struct family *a = add("a");
	struct err err = { 0 };
	uint32_t row;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_false(family_row(a, &value, &row, &err));
	assert_string_equal(err.text, "a: the labels of a series are longer "
				      "than 65535 bytes");
	memset(text, 0xFF, sizeof text);
	assert_false(family_row(a, &value, &row, &err));
	assert_string_equal(err.text, "a: the labels of a series are longer "
				      "than 65535 bytes");
	assert_int_equal(registry_series(registry), 0);
}

static void values_that_are_not_utf8_are_repaired_into_one_series(void **state)
{
	struct family *a = add("a");

	(void)state;
	for (int i = 0; i < 3; i++) {
		set(a, "x\xFFy", 1, 1);
		set(a, "x\xFEy", 1, 2);
		set(a, "x\xEF\xBF\xBDy", 1, 3);
		set(a, "\xE2\x82\"", 1, 4);
		registry_commit(registry, 1, 0);
		assert_shows("a{n=\"x\xEF\xBF\xBDy\"} 3\n"
			     "a{n=\"\xEF\xBF\xBD\xEF\xBF\xBD\\\"\"} 4\n");
		assert_int_equal(registry_series(registry), 2);
	}
}

static void values_with_borders_in_them_are_series_of_their_own(void **state)
{
	static const char *const labels[] = { "a", "b" };
	struct family_options options = {
		.metadata = { .name = "m", .type = METRIC_GAUGE },
		.labels = labels,
		.nlabels = 2,
	};
	struct family *m = registry_add(registry, &options, NULL);
	struct str plain[] = { STR("x"), STR("12345678") };
	struct str tricky[] = { STR("x\",b="), STR("5678") };
	uint32_t row, other;

	(void)state;
	assert_true(family_row(m, plain, &row, NULL));
	family_set(m, row, LIVE, 1, 0);
	assert_true(family_row(m, tricky, &other, NULL));
	assert_int_not_equal(row, other);
	family_set(m, other, LIVE, 2, 0);
	assert_shows("m{a=\"x\",b=\"12345678\"} 1\n"
		     "m{a=\"x\\\",b=\",b=\"5678\"} 2\n");
}

/* ---- many series ---- */

enum { MANY = 20000 };

/* Label texts are not terminated: the digits end at a quote. */
static int digits_of(const char *s)
{
	int number = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		number = number * 10 + (*s - '0');
	return number;
}

static void assert_numbers(struct family *family, int step, int from)
{
	struct page *page = registry_publish(registry, 0);
	const struct page_family *shown = &page->families[0];
	char *seen = calloc(MANY, 1);
	int n = 0;

	assert_ptr_equal(shown->metadata, family_metadata(family));
	for (uint32_t i = 0; i < shown->nchunks; i++) {
		const struct chunk *chunk = shown->chunks[i];

		for (uint32_t k = 0; k < chunk->rows->count; k++) {
			const struct labels *labels = chunk->rows->labels[k];
			int number;

			if (!labels)
				continue;
			number = digits_of(labels->text + 3);
			assert_false(seen[number]++);
			assert_int_equal((number - from) % step, 0);
			assert_true(chunk->values[k] == number);
			n++;
		}
	}
	assert_int_equal(n, (MANY - from + step - 1) / step);
	assert_int_equal(page->series, n);
	free(seen);
	page_unref(page);
}

static void large_families_live_with_holes_until_they_are_sorted(void **state)
{
	static const int steps[][2] = { { 1, 0 }, { 1, 2 }, { 1, 300 },
					{ 1, 0 }, { 2, 0 }, { 2, 1 },
					{ 1, 0 }, { 3, 1 }, { 3, 1 },
					{ 3, 2 }, { 1, 0 } };
	struct family *a = add("a");

	(void)state;
	for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
		int step = steps[s][0], from = steps[s][1];

		for (int i = from; i < MANY; i += step)
			set_number(a, i, 1, i);
		registry_commit(registry, 1, 0);
		assert_numbers(a, step, from);
		assert_true(a->rows < 2 * MANY);
		/* The same from behind, so that no row is where the last one
		 * leads to expect it. */
		for (int i = MANY - 1; i >= from; i--)
			if ((i - from) % step == 0)
				set_number(a, i, 1, i);
		registry_commit(registry, 1, 0);
		assert_numbers(a, step, from);
	}
}

static void remove_number(struct family *family, int n)
{
	char value[16];

	snprintf(value, sizeof value, "%06d", n);
	assert_true(
		family_remove(family, &(struct str){ value, strlen(value) }));
}

/* Series that come and go between two pages, if there ever is another. */
static void a_family_that_no_page_shows_does_not_grow(void **state)
{
	struct family *a = add("a");

	(void)state;
	set(a, "kept", REGISTRY_LIVE, 1);
	set(a, "gone", REGISTRY_LIVE, 2);
	assert_shows("a{n=\"gone\"} 2\na{n=\"kept\"} 1\n");
	set(a, "kept", 1, 3);
	family_remove(a, &(struct str){ "gone", 4 });
	for (int i = 0; i < 1000; i++) {
		set_number(a, i, i % 2 ? 2 : REGISTRY_LIVE, i);
		if (i > 1)
			remove_number(a, i - 2);
		assert_in_range(a->rows, 1, 8);
	}
	/* not sorted as long as something is staged */
	assert_shows("a{n=\"kept\"} 1\na{n=\"000998\"} 998\n");
	registry_commit(registry, 2, 0);
	registry_commit(registry, 1, 0);
	assert_shows("a{n=\"000998\"} 998\na{n=\"000999\"} 999\n"
		     "a{n=\"kept\"} 3\n");
	assert_int_equal(registry_series(registry), 3);
}

static void failing_collections_do_not_leave_rows_behind(void **state)
{
	struct family *a = add("a");

	(void)state;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 100; i++)
			set_number(a, 100 * round + i, 1, i);
		registry_drop(registry, 1, 0);
		if (registry_changed(registry, 0))
			page_unref(registry_publish(registry, 0));
	}
	assert_int_equal(registry_series(registry), 0);
	assert_in_range(a->rows, 0, 200);
	assert_in_range(a->pool->sets.used, 0, 200);
}

static void label_sets_that_nobody_needs_are_let_go(void **state)
{
	struct family *a = add("a");

	(void)state;
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 100; i++)
			set_number(a, 100 * round + i, 1, i);
		registry_commit(registry, 1, 0);
		page_unref(registry_publish(registry, 0));
	}
	assert_int_equal(registry_series(registry), 100);
	assert_in_range(a->pool->sets.used, 100, 400);
}

#define SPEC(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_registry, free_registry)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(families_are_found_by_name_and_listed_in_order),
		SPEC(a_name_is_declared_once),
		SPEC(the_labels_of_a_type_are_taken),
		SPEC(constant_labels_may_not_be_those_of_a_type_either),
		SPEC(sample_names_belong_to_one_family),
		SPEC(constant_labels_are_on_every_series),
		SPEC(a_new_registry_shows_nothing),
		SPEC(staged_values_show_at_the_commit),
		SPEC(a_series_that_was_not_set_again_is_gone),
		SPEC(a_removed_series_returns),
		SPEC(a_drop_forgets_the_staged_and_the_former_values),
		SPEC(with_keep_a_drop_restores_the_former_values),
		SPEC(what_no_page_has_shown_yet_is_restored_too),
		SPEC(parts_commit_and_fail_apart),
		SPEC(a_series_belongs_to_the_part_that_set_it_last),
		SPEC(a_series_without_a_value_is_not_shown),
		SPEC(series_are_shown_in_the_order_of_their_labels),
		SPEC(a_page_in_the_middle_shows_the_former_collection),
		SPEC(staging_alone_is_no_change),
		SPEC(two_parts_in_one_family_do_not_show_each_other),
		SPEC(a_live_value_shows_at_once_and_stays),
		SPEC(a_live_value_is_shown_until_a_part_commits_over_it),
		SPEC(a_live_value_that_no_page_has_shown_is_not_lost),
		SPEC(a_live_value_replaces_a_staged_one),
		SPEC(own_values_count_at_once_and_persist),
		SPEC(a_staged_value_that_is_incremented_stays_staged),
		SPEC(an_own_value_comes_back_after_a_drop),
		SPEC(a_shown_value_that_is_incremented_becomes_own),
		SPEC(observations_fall_into_buckets),
		SPEC(a_summary_has_sum_and_count),
		SPEC(a_histogram_is_mirrored),
		SPEC(a_gauge_histogram_is_what_a_part_found),
		SPEC(a_gauge_histogram_goes_on_outside_of_collections),
		SPEC(counting_begins_with_the_first_count),
		SPEC(without_a_clock_nobody_knows_when_it_began),
		SPEC(a_set_may_say_its_times),
		SPEC(times_without_a_place_are_left_out),
		SPEC(a_stateset_may_have_a_time),
		SPEC(a_stateset_has_one_state_or_none),
		SPEC(a_ttl_outlasts_commit_and_drop_but_not_its_time),
		SPEC(each_commit_begins_the_ttl_anew),
		SPEC(a_dropped_set_does_not_prolong_the_ttl),
		SPEC(what_expires_under_a_staged_value_is_gone),
		SPEC(a_ttl_ends_what_keep_and_live_would_not),
		SPEC(tidying_removes_what_no_page_would_show),
		SPEC(own_values_do_not_expire),
		SPEC(a_series_is_removed_at_once_with_what_was_counted),
		SPEC(a_removed_series_is_not_committed),
		SPEC(what_is_not_there_cannot_be_removed),
		SPEC(a_child_outlives_the_removal_of_its_series),
		SPEC(a_child_makes_a_removed_series_anew),
		SPEC(a_child_follows_its_series_through_sorting),
		SPEC(a_child_and_its_labels_are_one_series),
		SPEC(a_child_may_be_released_after_its_registry),
		SPEC(the_number_of_series_is_limited),
		SPEC(the_bytes_of_labels_are_limited),
		SPEC(registries_may_share_a_limit),
		SPEC(an_exempt_family_has_room_beyond_the_limit),
		SPEC(labels_that_are_too_long_are_refused),
		SPEC(values_that_are_not_utf8_are_repaired_into_one_series),
		SPEC(values_with_borders_in_them_are_series_of_their_own),
		SPEC(large_families_live_with_holes_until_they_are_sorted),
		SPEC(a_family_that_no_page_shows_does_not_grow),
		SPEC(failing_collections_do_not_leave_rows_behind),
		SPEC(label_sets_that_nobody_needs_are_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
