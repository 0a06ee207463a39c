/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carry.h"
#include "core/text.h"

enum { PART = 1, MANY = 2000 };

/* ---- versions of an exporter ---- */

struct version {
	struct registry *registry;
	struct family *counter, *histogram, *summary, *gauge;
};

static const char *const path_code[] = { "path", "code" };
static const char *const code_path[] = { "code", "path" };
static const double bounds[] = { 1, 2.5 };

static struct family *add(struct registry *registry, struct metadata_desc desc,
			  const char *const *labels, unsigned nlabels)
{
	struct family_options options = { .metadata = desc,
					  .labels = labels,
					  .nlabels = nlabels };
	struct err err = { 0 };
	struct family *family = registry_add(registry, &options, &err);

	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static struct metadata_desc counter_named(const char *name)
{
	return (struct metadata_desc){ .type = METRIC_COUNTER, .name = name };
}

static struct version begin_as(const struct registry_options *options)
{
	struct version v = { .registry = registry_new(options) };
	struct metadata_desc histogram = { .type = METRIC_HISTOGRAM,
					   .name = "seconds",
					   .bounds = bounds,
					   .nbounds = 2 };
	struct metadata_desc summary = { .type = METRIC_SUMMARY,
					 .name = "bytes" };
	struct metadata_desc gauge = { .type = METRIC_GAUGE, .name = "depth" };

	v.counter = add(v.registry, counter_named("calls_total"), path_code, 2);
	v.histogram = add(v.registry, histogram, path_code, 1);
	v.summary = add(v.registry, summary, NULL, 0);
	v.gauge = add(v.registry, gauge, path_code, 1);
	return v;
}

static struct version begin(void)
{
	return begin_as(&(struct registry_options){ 0 });
}

static void end(struct version *v)
{
	registry_free(v->registry);
}

static uint32_t row(struct family *family, const char *a, const char *b)
{
	struct str values[] = { { a, a ? strlen(a) : 0 },
				{ b, b ? strlen(b) : 0 } };
	struct err err;
	uint32_t row;

	if (!family_row(family, values, &row, &err))
		fail_msg("%s", err.text);
	return row;
}

static void count(struct version *v, const char *path, const char *code,
		  double by)
{
	family_inc(v->counter, row(v->counter, path, code), by);
}

static void set(struct version *v, const char *path, const char *code,
		unsigned part, double value)
{
	family_set(v->counter, row(v->counter, path, code), part, value, 0);
}

static bool remove_series(struct version *v, const char *path, const char *code)
{
	struct str values[] = { { path, strlen(path) },
				{ code, strlen(code) } };

	return family_remove(v->counter, values);
}

/* ---- what they show ---- */

static void check_page(struct version *v, const char *want)
{
	struct page *page = registry_publish(v->registry, 0);
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		for (uint32_t c = 0; c < page->families[f].nchunks; c++)
			text_chunk(&out, page->families[f].metadata,
				   page->families[f].chunks[c]);
	assert_string_equal(buf_text(&out), want);
	buf_release(&out);
	page_unref(page);
}

static size_t carry(struct version *from, struct version *to,
		    struct carry_left *left)
{
	struct page *page = registry_publish(from->registry, 0);
	size_t taken = registry_carry(to->registry, NULL, page, 0, left);

	page_unref(page);
	return taken;
}

/* FROM counts on behind BEFORE, which is released. */
static size_t carry_rest(struct version *from, struct version *to,
			 struct page *before)
{
	struct page *last = registry_publish(from->registry, 0);
	size_t taken = registry_carry(to->registry, before, last, 0, NULL);

	page_unref(before);
	page_unref(last);
	return taken;
}

/* OLD carries over to NEW, which must then show WANT. Ends both. */
static void check_carry(struct version *old, struct version *new, size_t taken,
			const char *want)
{
	struct carry_left left;

	assert_int_equal(carry(old, new, &left), taken);
	assert_int_equal(left.full, 0);
	check_page(new, want);
	end(old);
	end(new);
}

/* ---- what carries ---- */

static void counters_histograms_and_summaries_go_on(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	count(&old, "/", "200", 3);
	count(&old, "/", "404", 0);
	family_observe(old.histogram, row(old.histogram, "/", NULL),
		       REGISTRY_LIVE, 2, 0);
	family_observe(old.histogram, row(old.histogram, "/", NULL),
		       REGISTRY_LIVE, 7, 0);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       100, 0);
	check_carry(&old, &new, 4,
		    "bytes_sum 100\nbytes_count 1\n"
		    "calls_total{path=\"/\",code=\"200\"} 3\n"
		    "calls_total{path=\"/\",code=\"404\"} 0\n"
		    "seconds_bucket{path=\"/\",le=\"1\"} 0\n"
		    "seconds_bucket{path=\"/\",le=\"2.5\"} 1\n"
		    "seconds_bucket{path=\"/\",le=\"+Inf\"} 2\n"
		    "seconds_sum{path=\"/\"} 9\n"
		    "seconds_count{path=\"/\"} 2\n");
}

static double wall;

static double wall_clock(void)
{
	return wall;
}

static void check_created(struct version *v, double want)
{
	struct page *page = registry_publish(v->registry, 0);
	const struct page_family *family = page_find(page, "calls_total");
	double created = family->chunks[0]->values[1];

	assert_true(created >= want && created <= want);
	page_unref(page);
}

static void counting_began_in_the_old_version(void **state)
{
	struct registry_options options = { .clock = wall_clock };
	struct version old = begin_as(&options), new = begin_as(&options);
	struct page *swap;

	(void)state;
	wall = 100;
	count(&old, "/", "200", 3);
	wall = 200;
	count(&new, "/", "200", 4);
	check_created(&new, 200);
	swap = registry_publish(old.registry, 0);
	carry(&old, &new, NULL);
	check_created(&new, 100);
	wall = 300;
	count(&old, "/", "200", 1);
	carry_rest(&old, &new, swap);
	check_created(&new, 100);
	end(&old);
	old = begin_as(&options);
	carry(&new, &old, NULL);
	check_created(&old, 100);
	check_carry(&new, &old, 1, "calls_total{path=\"/\",code=\"200\"} 16\n");
}

static void what_the_trial_counted_is_added(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	count(&old, "/", "200", 3);
	family_observe(old.histogram, row(old.histogram, "/", NULL),
		       REGISTRY_LIVE, 2, 0);
	count(&new, "/", "200", 4);
	count(&new, "/new", "200", 1);
	family_observe(new.histogram, row(new.histogram, "/", NULL),
		       REGISTRY_LIVE, 0.5, 0);
	check_carry(&old, &new, 2,
		    "calls_total{path=\"/\",code=\"200\"} 7\n"
		    "calls_total{path=\"/new\",code=\"200\"} 1\n"
		    "seconds_bucket{path=\"/\",le=\"1\"} 1\n"
		    "seconds_bucket{path=\"/\",le=\"2.5\"} 2\n"
		    "seconds_bucket{path=\"/\",le=\"+Inf\"} 2\n"
		    "seconds_sum{path=\"/\"} 2.5\n"
		    "seconds_count{path=\"/\"} 2\n");
}

static void what_runs_in_flight_counted_is_added_once(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	count(&old, "/", "200", 3);
	count(&old, "/b", "200", 30);
	swap = registry_publish(old.registry, 0);
	assert_int_equal(registry_carry(new.registry, NULL, swap, 0, NULL), 2);
	count(&old, "/", "200", 2);
	count(&old, "/a", "500", 1);
	count(&new, "/", "200", 10);
	assert_int_equal(carry_rest(&old, &new, swap), 2);
	check_page(&new, "calls_total{path=\"/\",code=\"200\"} 15\n"
			 "calls_total{path=\"/a\",code=\"500\"} 1\n"
			 "calls_total{path=\"/b\",code=\"200\"} 30\n");
	end(&old);
	end(&new);
}

static void nothing_more_was_counted(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	count(&old, "/", "200", 3);
	count(&old, "/", "404", 0);
	swap = registry_publish(old.registry, 0);
	assert_int_equal(registry_carry(new.registry, NULL, swap, 0, NULL), 2);
	remove_series(&new, "/", "200");
	set(&old, "/set", "200", REGISTRY_LIVE, 1);
	assert_int_equal(carry_rest(&old, &new, swap), 0);
	check_page(&new, "calls_total{path=\"/\",code=\"404\"} 0\n");
	end(&old);
	end(&new);
}

static struct version begin_swapped(void)
{
	struct version v = { 0 };

	v.registry = registry_new(&(struct registry_options){ 0 });
	v.counter = add(v.registry, counter_named("calls_total"), code_path, 2);
	return v;
}

static void check_same_chunk(const struct version *a, const struct version *b)
{
	struct page *pages[] = { registry_publish(a->registry, 0),
				 registry_publish(b->registry, 0) };
	const struct chunk *x = pages[0]->families[0].chunks[0];
	const struct chunk *y = pages[1]->families[0].chunks[0];

	assert_int_equal(pages[0]->families[0].nchunks, 1);
	assert_int_equal(x->rows->count, y->rows->count);
	for (uint32_t i = 0; i < x->rows->count; i++) {
		assert_true(
			labels_same(x->rows->labels[i], y->rows->labels[i]));
		assert_int_equal(x->values[i], y->values[i]);
	}
	page_unref(pages[0]);
	page_unref(pages[1]);
}

/* Into one whose labels have another order, too, and back. */
static void label_values_survive(void **state)
{
	static const char *const hostile[] = {
		"",    "\"",	   "\\",
		"\n",  "\\n",	   "a=b",
		"a,b", "x\",c=\"", "\xC3\xA9\xF0\x9F\x98\x80",
		"\xFF"
	};
	enum { N = sizeof hostile / sizeof *hostile };
	struct version old = begin(), new = begin(), same = begin();
	struct version swapped = begin_swapped(), back = begin();

	(void)state;
	for (int i = 0; i < N * N; i++) {
		count(&old, hostile[i / N], hostile[i % N], i);
		count(&new, hostile[i / N], hostile[i % N], 1000);
		count(&same, hostile[i / N], hostile[i % N], i + 1000);
	}
	assert_int_equal(carry(&old, &new, NULL), N * N);
	check_same_chunk(&new, &same);
	assert_int_equal(carry(&new, &swapped, NULL), N * N);
	assert_int_equal(carry(&swapped, &back, NULL), N * N);
	check_same_chunk(&back, &same);
	end(&old);
	end(&new);
	end(&same);
	end(&swapped);
	end(&back);
}

static void labels_in_another_order_are_the_same(void **state)
{
	struct version old = begin(), new = begin_swapped();

	(void)state;
	count(&old, "/\"", "200", 3);
	count(&old, "/", "404", 4);
	count(&new, "404", "/", 5);
	check_carry(&old, &new, 2,
		    "calls_total{code=\"200\",path=\"/\\\"\"} 3\n"
		    "calls_total{code=\"404\",path=\"/\"} 9\n");
}

static struct family *quoted(struct version *v, bool swapped)
{
	static const char *const names[] = { "a=\"", "a", "a=\"" };

	return add(v->registry, counter_named("quoted.calls"), names + swapped,
		   2);
}

static void labels_with_quoted_names_are_told_apart_too(void **state)
{
	struct version old = begin(), new = begin();
	struct family *from = quoted(&old, false), *to = quoted(&new, true);
	struct page *page;

	(void)state;
	family_inc(from, row(from, "1=\"", "2"), 3);
	family_inc(to, row(to, "2", "1=\""), 4);
	assert_int_equal(carry(&old, &new, NULL), 1);
	page = registry_publish(new.registry, 0);
	assert_true(page_find(page, "quoted.calls")->chunks[0]->values[0] > 6);
	assert_int_equal(page->series, 1);
	page_unref(page);
	end(&old);
	end(&new);
}

static void infinite_sums_stay_what_they_are(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       INFINITY, 0);
	swap = registry_publish(old.registry, 0);
	assert_int_equal(registry_carry(new.registry, NULL, swap, 0, NULL), 1);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       1, 0);
	assert_int_equal(carry_rest(&old, &new, swap), 1);
	check_page(&new, "bytes_sum +Inf\nbytes_count 2\n");
	end(&old);
	end(&new);
}

static void a_sum_that_is_no_number_does_not_change(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       NAN, 0);
	swap = registry_publish(old.registry, 0);
	assert_int_equal(registry_carry(new.registry, NULL, swap, 0, NULL), 1);
	count(&old, "/", "200", 1);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       1, 0);
	assert_int_equal(carry_rest(&old, &new, swap), 2);
	check_page(&new, "bytes_sum NaN\nbytes_count 2\n"
			 "calls_total{path=\"/\",code=\"200\"} 1\n");
	swap = registry_publish(old.registry, 0);
	family_set(old.gauge, row(old.gauge, "/", NULL), REGISTRY_LIVE, 1, 0);
	assert_int_equal(carry_rest(&old, &new, swap), 0);
	end(&old);
	end(&new);
}

static void a_sum_may_go_down(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       10, 0);
	swap = registry_publish(old.registry, 0);
	registry_carry(new.registry, NULL, swap, 0, NULL);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       -4, 0);
	assert_int_equal(carry_rest(&old, &new, swap), 1);
	check_page(&new, "bytes_sum 6\nbytes_count 2\n");
	end(&old);
	end(&new);
}

static void a_series_that_began_anew_is_added_whole(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	count(&old, "/", "200", 10);
	count(&old, "/set", "200", 10);
	set(&old, "/set", "200", REGISTRY_LIVE, 10);
	swap = registry_publish(old.registry, 0);
	registry_carry(new.registry, NULL, swap, 0, NULL);
	remove_series(&old, "/", "200");
	remove_series(&old, "/set", "200");
	count(&old, "/", "200", 3);
	count(&old, "/set", "200", 12);
	assert_int_equal(carry_rest(&old, &new, swap), 2);
	check_page(&new, "calls_total{path=\"/\",code=\"200\"} 13\n"
			 "calls_total{path=\"/set\",code=\"200\"} 12\n");
	end(&old);
	end(&new);
}

static void series_that_moved_are_found(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap, *page;
	double sum = 0;
	char path[16];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "%06d", i * 2);
		count(&old, path, "200", i);
	}
	swap = registry_publish(old.registry, 0);
	registry_carry(new.registry, NULL, swap, 0, NULL);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "%06d", i * 2 + 1);
		count(&old, path, "200", 1);
		snprintf(path, sizeof path, "%06d", i * 2);
		if (i % 3 == 0)
			remove_series(&old, path, "200");
		else
			count(&old, path, "200", 1);
	}
	carry_rest(&old, &new, swap);
	page = registry_publish(new.registry, 0);
	assert_int_equal(page->series, 2 * MANY);
	for (uint32_t c = 0; c < page->families[0].nchunks; c++)
		for (uint32_t i = 0; i < page->families[0].chunks[c]->shown;
		     i++)
			sum += page->families[0].chunks[c]->values[i * 2];
	assert_int_equal(sum, MANY * (MANY - 1) / 2 + MANY +
				      (MANY - (MANY + 2) / 3));
	page_unref(page);
	end(&old);
	end(&new);
}

/* ---- what does not ---- */

static void what_was_set_does_not_carry(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	set(&old, "/live", "200", REGISTRY_LIVE, 5);
	set(&old, "/part", "200", PART, 5);
	count(&old, "/counted then set", "200", 5);
	set(&old, "/counted then set", "200", REGISTRY_LIVE, 5);
	set(&old, "/set then counted", "200", REGISTRY_LIVE, 5);
	count(&old, "/set then counted", "200", 1);
	count(&old, "/counted then committed", "200", 5);
	set(&old, "/counted then committed", "200", PART, 6);
	registry_commit(old.registry, PART, 0);
	count(&old, "/part", "200", 1);
	family_inc(old.gauge, row(old.gauge, "/", NULL), 5);
	check_carry(&old, &new, 0, "");
}

static void setting_the_same_value_is_setting(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	count(&old, "/", "200", 5);
	count(&old, "/", "404", 5);
	page_unref(registry_publish(old.registry, 0));
	set(&old, "/", "200", REGISTRY_LIVE, 5);
	set(&old, "/", "404", PART, 5);
	registry_commit(old.registry, PART, 0);
	check_carry(&old, &new, 0, "");
}

static void a_series_that_was_removed_may_be_counted_again(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	set(&old, "/", "200", REGISTRY_LIVE, 5);
	remove_series(&old, "/", "200");
	count(&old, "/", "200", 2);
	check_carry(&old, &new, 1, "calls_total{path=\"/\",code=\"200\"} 2\n");
}

static void what_the_new_version_set_stays(void **state)
{
	struct version old = begin(), new = begin();

	(void)state;
	count(&old, "/", "200", 5);
	count(&old, "/", "404", 5);
	set(&new, "/", "200", REGISTRY_LIVE, 2);
	set(&new, "/", "404", PART, 3);
	registry_commit(new.registry, PART, 0);
	check_carry(&old, &new, 0,
		    "calls_total{path=\"/\",code=\"200\"} 2\n"
		    "calls_total{path=\"/\",code=\"404\"} 3\n");
}

static void families_that_are_not_alike_are_left_out(void **state)
{
	static const double others[] = { 1, 2.6 };
	struct metadata_desc histogram = { .type = METRIC_HISTOGRAM,
					   .name = "seconds",
					   .bounds = others,
					   .nbounds = 2 };
	struct metadata_desc bytes = { .type = METRIC_COUNTER,
				       .name = "bytes",
				       .help = "Another type." };
	struct version old = begin(), new = { 0 };
	struct carry_left left;

	(void)state;
	new.registry = registry_new(&(struct registry_options){ 0 });
	add(new.registry, histogram, path_code, 1);
	add(new.registry, bytes, NULL, 0);
	add(new.registry, counter_named("calls_total"), path_code, 1);
	count(&old, "/", "200", 5);
	count(&old, "/", "404", 5);
	family_observe(old.histogram, row(old.histogram, "/", NULL),
		       REGISTRY_LIVE, 2, 0);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       2, 0);
	assert_int_equal(carry(&old, &new, &left), 0);
	assert_int_equal(left.unlike, 4);
	check_page(&new, "");
	end(&old);
	end(&new);
}

static void label_names_must_be_the_same(void **state)
{
	static const char *const names[] = { "pat", "code" };
	struct version old = begin(), new = { 0 };
	struct carry_left left;

	(void)state;
	new.registry = registry_new(&(struct registry_options){ 0 });
	add(new.registry, counter_named("calls_total"), names, 2);
	count(&old, "/", "200", 5);
	assert_int_equal(carry(&old, &new, &left), 0);
	assert_int_equal(left.unlike, 1);
	check_page(&new, "");
	end(&old);
	end(&new);
}

static void the_help_may_change(void **state)
{
	struct metadata_desc desc = { .type = METRIC_COUNTER,
				      .name = "calls_total",
				      .help = "Calls." };
	struct version old = begin(), new = { 0 };

	(void)state;
	new.registry = registry_new(&(struct registry_options){ 0 });
	new.counter = add(new.registry, desc, path_code, 2);
	count(&old, "/", "200", 5);
	check_carry(&old, &new, 1, "calls_total{path=\"/\",code=\"200\"} 5\n");
}

static struct version begin_with(const struct label_pair *labels, unsigned n)
{
	struct registry_options options = { .labels = labels, .nlabels = n };

	return begin_as(&options);
}

static void other_constant_labels_are_other_series(void **state)
{
	static const struct label_pair a[] = { { "site", "a" } },
				       b[] = { { "site", "b" } },
				       more[] = { { "site", "a" },
						  { "rack", "1" } };
	static const struct {
		const struct label_pair *old, *new;
		unsigned nold, nnew;
	} pairs[] = { { a, b, 1, 1 },
		      { a, more, 1, 2 },
		      { more, a, 2, 1 },
		      { NULL, a, 0, 1 },
		      { a, NULL, 1, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct version old = begin_with(pairs[i].old, pairs[i].nold);
		struct version new = begin_with(pairs[i].new, pairs[i].nnew);
		struct carry_left left;

		count(&old, "/", "200", 5);
		assert_int_equal(carry(&old, &new, &left), 0);
		assert_int_equal(left.unlike, 1);
		check_page(&new, "");
		end(&old);
		end(&new);
	}
}

static void constant_labels_may_change_their_order(void **state)
{
	static const struct label_pair a[] = { { "site", "a\"" },
					       { "rack", "1" } },
				       b[] = { { "rack", "1" },
					       { "site", "a\"" } };
	struct version old = begin_with(a, 2), new = begin_with(b, 2);

	(void)state;
	count(&old, "/", "200", 5);
	family_observe(old.summary, row(old.summary, NULL, NULL), REGISTRY_LIVE,
		       2, 0);
	check_carry(&old, &new, 2,
		    "bytes_sum{rack=\"1\",site=\"a\\\"\"} 2\n"
		    "bytes_count{rack=\"1\",site=\"a\\\"\"} 1\n"
		    "calls_total{path=\"/\",code=\"200\",rack=\"1\","
		    "site=\"a\\\"\"} 5\n");
}

static void the_limit_of_series_holds(void **state)
{
	struct registry_options options = { .series_max = 3 };
	struct version old = begin(), new = begin_as(&options);
	struct carry_left left;

	(void)state;
	for (char path[] = "a"; *path <= 'f'; path[0]++)
		count(&old, path, "200", 1);
	count(&new, "f", "200", 1);
	assert_int_equal(carry(&old, &new, &left), 3);
	assert_int_equal(left.full, 3);
	assert_int_equal(left.unlike, 0);
	check_page(&new, "calls_total{path=\"a\",code=\"200\"} 1\n"
			 "calls_total{path=\"b\",code=\"200\"} 1\n"
			 "calls_total{path=\"f\",code=\"200\"} 2\n");
	end(&old);
	end(&new);
}

/* ---- staged values ---- */

static void a_staged_value_hides_no_count_of_the_old_version(void **state)
{
	struct version old = begin(), new = begin();
	struct page *swap;

	(void)state;
	count(&old, "/", "200", 5);
	set(&old, "/", "200", PART, 100);
	count(&old, "/", "200", 1);
	set(&old, "/staged", "200", PART, 100);
	swap = registry_publish(old.registry, 0);
	assert_int_equal(registry_carry(new.registry, NULL, swap, 0, NULL), 1);
	registry_drop(old.registry, PART, 0);
	count(&old, "/", "200", 2);
	assert_int_equal(carry_rest(&old, &new, swap), 1);
	check_page(&new, "calls_total{path=\"/\",code=\"200\"} 7\n");
	end(&old);
	end(&new);
}

/* NEW has a collection under way when what was counted comes. */
static void carry_into_staged(struct version *new, bool commit)
{
	struct version old = begin();

	count(&old, "/a", "200", 5);
	count(&old, "/b", "200", 5);
	count(&new[0], "/a", "200", 2);
	set(new, "/a", "200", PART, 100);
	set(new, "/b", "200", PART, 100);
	set(new, "/c", "200", PART, 100);
	assert_int_equal(carry(&old, new, NULL), 2);
	check_page(new, "calls_total{path=\"/a\",code=\"200\"} 7\n"
			"calls_total{path=\"/b\",code=\"200\"} 5\n");
	if (commit)
		registry_commit(new->registry, PART, 0);
	else
		registry_drop(new->registry, PART, 0);
	end(&old);
}

static void what_was_counted_is_there_when_a_part_is_dropped(void **state)
{
	struct version new = begin(), next = begin();

	(void)state;
	carry_into_staged(&new, false);
	check_carry(&new, &next, 2,
		    "calls_total{path=\"/a\",code=\"200\"} 7\n"
		    "calls_total{path=\"/b\",code=\"200\"} 5\n");
}

static void what_was_counted_is_gone_when_a_part_sets_it(void **state)
{
	struct version new = begin(), next = begin();

	(void)state;
	carry_into_staged(&new, true);
	check_page(&new, "calls_total{path=\"/a\",code=\"200\"} 100\n"
			 "calls_total{path=\"/b\",code=\"200\"} 100\n"
			 "calls_total{path=\"/c\",code=\"200\"} 100\n");
	check_carry(&new, &next, 0, "");
}

/* ---- threads ---- */

struct stream {
	struct page_slot slot;
	_Atomic bool over;
	double counted;
};

enum { ROUNDS = 3000 };

static void *count_and_publish(void *data)
{
	struct stream *stream = data;
	struct version old = begin();
	char path[16];

	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < 5; k++) {
			snprintf(path, sizeof path, "/%d",
				 (i * 7 + k * 131) % 1200);
			count(&old, path, "200", k);
			stream->counted += k;
		}
		page_slot_set(&stream->slot, registry_publish(old.registry, 0));
	}
	end(&old);
	atomic_store(&stream->over, true);
	return NULL;
}

/* Every page that is seen is carried, beyond the one before. */
static void pages_come_from_another_thread(void **state)
{
	struct stream stream = { .counted = 0 };
	struct version new = begin();
	struct page *before = NULL, *page;
	double sum = 0;
	pthread_t thread;
	bool over;

	(void)state;
	assert_int_equal(
		pthread_create(&thread, NULL, count_and_publish, &stream), 0);
	do {
		over = atomic_load(&stream.over);
		page = page_slot_get(&stream.slot);
		if (page)
			registry_carry(new.registry, before, page, 0, NULL);
		page_unref(before);
		before = page;
	} while (!over);
	pthread_join(thread, NULL);
	page_unref(before);
	page_slot_set(&stream.slot, NULL);
	page = registry_publish(new.registry, 0);
	for (uint32_t c = 0; c < page->families[0].nchunks; c++)
		for (uint32_t i = 0; i < page->families[0].chunks[c]->shown;
		     i++)
			sum += page->families[0].chunks[c]->values[i * 2];
	assert_true(sum >= stream.counted && sum <= stream.counted);
	page_unref(page);
	end(&new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_histograms_and_summaries_go_on),
		cmocka_unit_test(counting_began_in_the_old_version),
		cmocka_unit_test(what_the_trial_counted_is_added),
		cmocka_unit_test(what_runs_in_flight_counted_is_added_once),
		cmocka_unit_test(nothing_more_was_counted),
		cmocka_unit_test(label_values_survive),
		cmocka_unit_test(labels_in_another_order_are_the_same),
		cmocka_unit_test(labels_with_quoted_names_are_told_apart_too),
		cmocka_unit_test(infinite_sums_stay_what_they_are),
		cmocka_unit_test(a_sum_that_is_no_number_does_not_change),
		cmocka_unit_test(a_sum_may_go_down),
		cmocka_unit_test(a_series_that_began_anew_is_added_whole),
		cmocka_unit_test(series_that_moved_are_found),
		cmocka_unit_test(what_was_set_does_not_carry),
		cmocka_unit_test(setting_the_same_value_is_setting),
		cmocka_unit_test(
			a_series_that_was_removed_may_be_counted_again),
		cmocka_unit_test(what_the_new_version_set_stays),
		cmocka_unit_test(families_that_are_not_alike_are_left_out),
		cmocka_unit_test(label_names_must_be_the_same),
		cmocka_unit_test(the_help_may_change),
		cmocka_unit_test(other_constant_labels_are_other_series),
		cmocka_unit_test(constant_labels_may_change_their_order),
		cmocka_unit_test(the_limit_of_series_holds),
		cmocka_unit_test(
			a_staged_value_hides_no_count_of_the_old_version),
		cmocka_unit_test(
			what_was_counted_is_there_when_a_part_is_dropped),
		cmocka_unit_test(what_was_counted_is_gone_when_a_part_sets_it),
		cmocka_unit_test(pages_come_from_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
