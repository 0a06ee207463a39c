/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What series have beside their numbers: native buckets, windows of quantiles,
 * exemplars. Everything is looked at on pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/carry.h"
#include "core/registry.h"

enum { LIVE = REGISTRY_LIVE, PART = 1 };

static const double bounds[] = { 1, 2 };
static const double quantiles[] = { 0.5, 1 };
static const struct native_options options = { 3, 0, 0 };

/* ---- a registry and its page ---- */

static struct registry *registry;
static struct page *page; /* the last one */
static double now;

static int begin(void **state)
{
	(void)state;
	registry = registry_new(&(struct registry_options){ 0 });
	page = NULL;
	now = 1000;
	return 0;
}

static int end(void **state)
{
	(void)state;
	registry_free(registry);
	page_unref(page);
	return 0;
}

static struct family *add_to(struct registry *to, struct metadata_desc metadata)
{
	static const char *const labels[] = { "n" };
	struct family_options family = { .metadata = metadata,
					 .labels = labels,
					 .nlabels = 1 };
	struct err err = { 0 };
	struct family *added;

	family.metadata.name = "f";
	added = registry_add(to, &family, &err);
	if (!added)
		fail_msg("%s", err.text);
	return added;
}

static struct family *add(struct metadata_desc metadata)
{
	return add_to(registry, metadata);
}

static const struct metadata_desc counter = { .type = METRIC_COUNTER };
static const struct metadata_desc native = { .type = METRIC_HISTOGRAM,
					     .native = &options };
static const struct metadata_desc both = { .type = METRIC_HISTOGRAM,
					   .native = &options,
					   .bounds = bounds,
					   .nbounds = 2 };
static const struct metadata_desc summary = { .type = METRIC_SUMMARY,
					      .quantiles = quantiles,
					      .nquantiles = 2,
					      .window = 10 };

static uint32_t row(struct family *family, const char *n)
{
	struct str value = { n, strlen(n) };
	uint32_t row;

	assert_true(family_row(family, &value, &row, NULL));
	return row;
}

static void observe(struct family *family, const char *n, double value)
{
	family_observe(family, row(family, n), PART, value, now);
}

static void set_numbers(struct family *family, const char *n, unsigned part)
{
	static const double numbers[8] = { 7, 3 };

	family_set_numbers(family, row(family, n), part, numbers, now);
}

static void exemplify(struct family *family, const char *n, double value,
		      double time)
{
	struct exemplar *exemplar = exemplar_new(NULL, 0, value, time, NULL);

	family_exemplify(family, row(family, n), value, exemplar);
}

/* The chunk that a new page shows of the first rows. */
static const struct chunk *shown(void)
{
	page_unref(page);
	page = registry_publish(registry, now);
	assert_int_equal(page->nfamilies, 1);
	return page->families[0].chunks[0];
}

static void assert_count(const struct chunk *chunk, uint32_t i, uint64_t count)
{
	if (!chunk->natives || !chunk->natives[i]) {
		assert_int_equal(count, 0);
		return;
	}
	assert_int_equal(chunk->natives[i]->count, count);
}

static void assert_near(double value, double want)
{
	if (isnan(want) ? !isnan(value) : !(fabs(value / want - 1) < 0.006))
		fail_msg("%g, not %g", value, want);
}

/* The median and the greatest of row I. */
static void assert_quantiles(const struct chunk *chunk, uint32_t i,
			     double median, double greatest)
{
	const double *values = chunk->values + i * 5;

	assert_near(values[2], median);
	assert_near(values[3], greatest);
}

static void assert_exemplar(const struct chunk *chunk, uint32_t i,
			    uint32_t slot, double value)
{
	assert_non_null(chunk->exemplars);
	assert_non_null(chunk->exemplars[i]);
	assert_non_null(chunk->exemplars[i]->slots[slot]);
	assert_near(chunk->exemplars[i]->slots[slot]->value, value);
}

static double clock_of_seven(void)
{
	return 7;
}

static void counting_begins_no_later_than_an_exemplar_of_it(void **state)
{
	struct family *f;

	(void)state;
	registry_free(registry);
	registry = registry_new(
		&(struct registry_options){ .clock = clock_of_seven });
	f = add(counter);
	family_inc(f, row(f, "a"), 1);
	exemplify(f, "a", 1, 6.5);
	family_inc(f, row(f, "b"), 1);
	exemplify(f, "b", 1, 7.5);
	family_set(f, row(f, "c"), REGISTRY_LIVE, 1, now);
	family_set_times(f, row(f, "c"), 9, 0);
	exemplify(f, "c", 1, 8);
	assert_true(shown()->values[1] == 6.5);
	assert_true(shown()->values[3] == 7);
	assert_true(shown()->values[5] == 9);
}

/* ---- native buckets ---- */

static void observations_go_into_native_buckets(void **state)
{
	struct family *f = add(both);
	const struct chunk *chunk;

	(void)state;
	observe(f, "a", 0.5);
	observe(f, "a", 3);
	observe(f, "b", 3);
	chunk = shown();
	assert_count(chunk, 0, 2);
	assert_count(chunk, 1, 1);
	assert_true(chunk->values[0] == 3.5 && chunk->values[1] == 1 &&
		    chunk->values[3] == 1);
	assert_int_equal(chunk->natives[0]->schema, 3);
}

static void a_page_keeps_the_buckets_that_it_showed(void **state)
{
	struct family *f = add(native);
	const struct chunk *chunk;
	struct page *old;

	(void)state;
	observe(f, "a", 1);
	observe(f, "b", 1);
	shown();
	old = page_ref(page);
	observe(f, "a", 1);
	chunk = shown();
	assert_count(chunk, 0, 2);
	assert_count(old->families[0].chunks[0], 0, 1);
	assert_ptr_equal(chunk->natives[1],
			 old->families[0].chunks[0]->natives[1]);
	page_unref(old);
}

static void what_is_mirrored_has_no_native_buckets(void **state)
{
	struct family *f = add(native);

	(void)state;
	observe(f, "a", 1);
	set_numbers(f, "a", PART);
	assert_count(shown(), 0, 1);
	registry_drop(registry, PART, now);
	observe(f, "a", 1);
	assert_count(shown(), 0, 2);
	set_numbers(f, "a", PART);
	observe(f, "a", 1);
	registry_commit(registry, PART, now);
	assert_count(shown(), 0, 0);
	assert_true(shown()->values[1] == 4);
	observe(f, "a", 1);
	assert_count(shown(), 0, 0);
	family_remove(f, &(struct str){ "a", 1 });
	observe(f, "a", 1);
	assert_count(shown(), 0, 1);
	set_numbers(f, "a", LIVE);
	assert_count(shown(), 0, 0);
}

static void buckets_move_with_their_rows(void **state)
{
	struct family *f = add(native);
	const struct chunk *chunk;
	char n[16];

	(void)state;
	for (int i = 40; i > 0; i--) {
		snprintf(n, sizeof n, "%02d", i);
		for (int k = 0; k < i; k++)
			observe(f, n, 1);
		if (i % 7 == 0)
			shown();
	}
	family_remove(f, &(struct str){ "03", 2 });
	chunk = shown();
	assert_int_equal(chunk->shown, 39);
	for (uint32_t i = 0; i < 39; i++)
		assert_count(chunk, i, i + 1 + (i >= 2));
}

/* ---- windows ---- */

static void quantiles_are_those_of_the_window(void **state)
{
	struct family *f = add(summary);

	(void)state;
	observe(f, "a", 1);
	observe(f, "a", 2);
	observe(f, "a", 3);
	assert_quantiles(shown(), 0, 2, 3);
	assert_true(shown()->values[0] == 6 && shown()->values[1] == 3);
	now += 9;
	observe(f, "a", 10);
	assert_quantiles(shown(), 0, 2, 10);
	now += 5;
	assert_true(registry_changed(registry, now));
	assert_quantiles(shown(), 0, 10, 10);
	assert_false(registry_changed(registry, now));
	now += 10;
	assert_quantiles(shown(), 0, NAN, NAN);
	assert_true(shown()->values[0] == 16 && shown()->values[1] == 4);
	now += 100;
	assert_false(registry_changed(registry, now));
}

static void a_window_turns_beneath_a_staged_value(void **state)
{
	struct family *f = add(summary);

	(void)state;
	observe(f, "a", 1);
	assert_quantiles(shown(), 0, 1, 1);
	set_numbers(f, "a", PART);
	now += 20;
	shown();
	registry_drop(registry, PART, now);
	assert_true(registry_changed(registry, now));
	assert_quantiles(shown(), 0, NAN, NAN);
}

static void mirrored_quantiles_are_the_sources(void **state)
{
	static const double numbers[] = { 9, 3, 2.5, 4.5 };
	struct family *f = add(summary);

	(void)state;
	observe(f, "a", 1);
	family_set_numbers(f, row(f, "a"), PART, numbers, now);
	observe(f, "a", 1);
	registry_commit(registry, PART, now);
	now += 100;
	assert_quantiles(shown(), 0, 2.5, 4.5);
	observe(f, "a", 100);
	assert_quantiles(shown(), 0, 2.5, 4.5);
	assert_true(shown()->values[1] == 5);
}

/* ---- exemplars ---- */

static void a_counter_shows_its_last_exemplar(void **state)
{
	struct family *f = add(counter);
	struct page *old;

	(void)state;
	family_inc(f, row(f, "a"), 1);
	family_inc(f, row(f, "b"), 1);
	assert_null(shown()->exemplars);
	exemplify(f, "b", 1, 5);
	assert_exemplar(shown(), 1, 0, 1);
	assert_null(shown()->exemplars[0]);
	old = page_ref(page);
	exemplify(f, "b", 2, 6);
	assert_exemplar(shown(), 1, 0, 2);
	assert_exemplar(old->families[0].chunks[0], 1, 0, 1);
	page_unref(old);
}

static void a_histogram_has_one_for_each_bucket(void **state)
{
	struct family *f = add(both);

	(void)state;
	observe(f, "a", 0.5);
	exemplify(f, "a", 0.5, 1);
	exemplify(f, "a", 2, 2);
	exemplify(f, "a", 5, 3);
	exemplify(f, "a", 0.7, 4);
	assert_int_equal(shown()->exemplars[0]->n, 3);
	assert_exemplar(shown(), 0, 0, 0.7);
	assert_exemplar(shown(), 0, 1, 2);
	assert_exemplar(shown(), 0, 2, 5);
}

static void native_buckets_alone_have_the_last_ten(void **state)
{
	struct family *f = add(native);
	double sum = 0;

	(void)state;
	for (int i = 1; i <= 25; i++) {
		observe(f, "a", i);
		exemplify(f, "a", i, i);
	}
	assert_int_equal(shown()->exemplars[0]->n, 10);
	for (uint32_t i = 0; i < 10; i++)
		sum += shown()->exemplars[0]->slots[i]->value;
	assert_true(sum == 16 + 17 + 18 + 19 + 20 + 21 + 22 + 23 + 24 + 25);
}

static void exemplars_go_when_the_value_is_set(void **state)
{
	struct family *f = add(counter);

	(void)state;
	family_inc(f, row(f, "a"), 1);
	exemplify(f, "a", 1, 1);
	family_set(f, row(f, "a"), PART, 3, now);
	assert_exemplar(shown(), 0, 0, 1);
	exemplify(f, "a", 2, 1);
	assert_exemplar(shown(), 0, 0, 1);
	registry_drop(registry, PART, now);
	assert_exemplar(shown(), 0, 0, 1);
	family_set(f, row(f, "a"), PART, 3, now);
	exemplify(f, "a", 2, 1);
	registry_commit(registry, PART, now);
	assert_exemplar(shown(), 0, 0, 2);
	family_set(f, row(f, "a"), LIVE, 3, now);
	assert_null(shown()->exemplars);
}

/* ---- carrying over ---- */

static struct registry *other;

/* What OTHER shows goes on here; the page, to be released. */
static struct page *carry(const struct page *before)
{
	struct page *after = registry_publish(other, now);

	registry_carry(registry, before, after, now, NULL);
	return after;
}

static void buckets_and_exemplars_go_on(void **state)
{
	struct family *f = add(both), *old;
	struct page *swap;

	(void)state;
	other = registry_new(&(struct registry_options){ 0 });
	old = add_to(other, both);
	observe(old, "a", 1);
	exemplify(old, "a", 1, 10);
	exemplify(old, "a", 2, 10);
	observe(f, "a", 1);
	exemplify(f, "a", 0.5, 20);
	swap = carry(NULL);
	assert_count(shown(), 0, 2);
	assert_exemplar(shown(), 0, 0, 0.5);
	assert_exemplar(shown(), 0, 1, 2);
	observe(old, "a", 5);
	exemplify(old, "a", 5, 10);
	page_unref(carry(swap));
	assert_count(shown(), 0, 3);
	assert_true(shown()->values[3] == 1);
	assert_exemplar(shown(), 0, 0, 0.5);
	assert_exemplar(shown(), 0, 2, 5);
	page_unref(swap);
	registry_free(other);
}

/* Nothing is in the window twice. */
static void windows_go_on(void **state)
{
	struct family *f = add(summary), *old;
	struct page *swap;

	(void)state;
	other = registry_new(&(struct registry_options){ 0 });
	old = add_to(other, summary);
	observe(old, "a", 1);
	now += 3;
	observe(old, "a", 2);
	swap = carry(NULL);
	assert_quantiles(shown(), 0, 1, 2);
	now += 3;
	observe(old, "a", 3);
	observe(f, "a", 4);
	page_unref(carry(swap));
	/* 1 2 3 4; twice it would be 1 1 2 2 3 4 */
	assert_quantiles(shown(), 0, 2, 4);
	observe(f, "a", 5);
	assert_quantiles(shown(), 0, 3, 5);
	now += 5;
	/* 1 is gone: 2 3 4 5 */
	observe(f, "a", 6);
	assert_quantiles(shown(), 0, 4, 6);
	page_unref(swap);
	registry_free(other);
}

static void what_began_anew_is_added_whole(void **state)
{
	struct family *f = add(native), *old;
	struct page *swap;

	(void)state;
	other = registry_new(&(struct registry_options){ 0 });
	old = add_to(other, native);
	observe(old, "a", 1);
	observe(old, "a", 1);
	swap = carry(NULL);
	family_remove(old, &(struct str){ "a", 1 });
	observe(old, "a", 1);
	page_unref(carry(swap));
	assert_count(shown(), 0, 3);
	(void)f;
	page_unref(swap);
	registry_free(other);
}

static void other_quantiles_are_another_family(void **state)
{
	struct metadata_desc fewer = summary;
	struct carry_left left;
	struct page *old;

	(void)state;
	add(summary);
	other = registry_new(&(struct registry_options){ 0 });
	fewer.nquantiles = 1;
	observe(add_to(other, fewer), "a", 1);
	old = registry_publish(other, now);
	assert_int_equal(registry_carry(registry, NULL, old, now, &left), 0);
	assert_int_equal(left.unlike, 1);
	page_unref(old);
	registry_free(other);
}

/* ---- limits ---- */

/* It outlives the registry. */
static struct series_limit limit;

/* A registry with room for MAX series beside the family. */
static void begin_limited(size_t max)
{
	limit = (struct series_limit){ .max = max + 1 };
	registry_free(registry);
	registry = registry_new(&(struct registry_options){ .limit = &limit });
}

static bool has_room(struct family *family, const char *n, struct err *err)
{
	return family_has_room(family, row(family, n), NULL, err);
}

/* Windows count when there are some. */
static void mirrored_summaries_count_as_one(void **state)
{
	struct err err = { 0 };
	struct family *f;
	char n[12];

	(void)state;
	begin_limited(1000);
	f = add(summary);
	for (int i = 0; i < 900; i++) {
		snprintf(n, sizeof n, "%d", i);
		set_numbers(f, n, PART);
	}
	registry_commit(registry, PART, now);
	assert_int_equal(limit.used, 1 + 900);
	assert_true(has_room(f, "a", &err));
	observe(f, "a", 1);
	assert_int_equal(limit.used, 1 + 901 + 192);
	assert_true(has_room(f, "0", &err)); /* mirrored, it stays so */
	assert_true(has_room(f, "a", &err)); /* it has what it wants */
	assert_false(
		family_row(f, &(struct str){ "b", 1 }, &(uint32_t){ 0 }, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text,
			    "f: the limit of 1001 series is reached (one with "
			    "quantiles counts as 193)");
	family_remove(f, &(struct str){ "a", 1 });
	assert_int_equal(limit.used, 1 + 900);
	assert_true(has_room(f, "b", &err));
}

static void what_is_observed_meets_the_limit(void **state)
{
	struct err err = { 0 };
	struct family *f;

	(void)state;
	begin_limited(200);
	f = add(summary);
	set_numbers(f, "a", LIVE);
	set_numbers(f, "b", LIVE);
	row(f, "d");
	observe(f, "c", 1);
	assert_int_equal(limit.used, 1 + 4 + 192);
	row(f, "e");
	assert_true(has_room(f, "d", &err));
	observe(f, "d", 1);
	assert_false(has_room(f, "e", &err));
	assert_string_equal(err.text,
			    "f: the limit of 201 series is reached (one with "
			    "quantiles counts as 193)");
	set_numbers(f, "c", LIVE); /* nothing is counted any more */
	assert_int_equal(limit.used, 1 + 5 + 192);
	assert_true(has_room(f, "e", &err));
}

/* What a drop brings back counts meanwhile. */
static void what_is_hidden_counts(void **state)
{
	struct family *f;

	(void)state;
	begin_limited(1000);
	f = add(summary);
	observe(f, "a", 1);
	set_numbers(f, "a", PART);
	assert_int_equal(limit.used, 2 + 192);
	set_numbers(f, "a", PART);
	registry_drop(registry, PART, now);
	assert_int_equal(limit.used, 2 + 192);
	assert_quantiles(shown(), 0, 1, 1);
	set_numbers(f, "a", PART);
	registry_commit(registry, PART, now);
	assert_int_equal(limit.used, 2);
	registry_free(registry);
	registry = NULL;
	assert_int_equal(limit.used, 0);
}

static void carrying_keeps_to_the_limit(void **state)
{
	struct carry_left left;
	struct family *old;
	struct page *swap;

	(void)state;
	begin_limited(300);
	add(summary);
	other = registry_new(&(struct registry_options){ 0 });
	old = add_to(other, summary);
	observe(old, "a", 1);
	observe(old, "b", 1);
	observe(old, "c", 1);
	swap = registry_publish(other, now);
	assert_int_equal(registry_carry(registry, NULL, swap, now, &left), 2);
	assert_int_equal(left.full, 1);
	assert_int_equal(limit.used, 1 + 2 + 2 * 192);
	observe(old, "a", 2);
	page_unref(carry(swap));
	assert_quantiles(shown(), 0, 1, 2);
	assert_int_equal(limit.used, 1 + 2 + 2 * 192);
	page_unref(swap);
	registry_free(other);
	registry_free(registry);
	registry = NULL;
	assert_int_equal(limit.used, 0);
}

static struct exemplar *explanation(const char *value)
{
	const struct exemplar_label label = { "trace_id",
					      { value, strlen(value) } };

	return exemplar_new(&label, 1, 1, 1, NULL);
}

static bool explain(struct family *family, const char *n, const char *value,
		    struct err *err)
{
	struct exemplar *exemplar = explanation(value);
	uint32_t at = row(family, n);

	family_inc(family, at, 1);
	if (!family_has_room(family, at, exemplar, err)) {
		exemplar_unref(exemplar);
		return false;
	}
	family_exemplify(family, at, 1, exemplar);
	return true;
}

/* 1 MiB is the least that labels have; 1024 series have it, too. */
static void exemplars_count_as_labels(void **state)
{
	static const char text[] =
		"0123456789012345678901234567890123456789012345678901234567890"
		"1234567890123456789012345678901234567890";
	struct err err = { 0 };
	struct family *f;
	char n[8];
	int i = 0;

	(void)state;
	begin_limited(1023);
	f = add(counter);
	do
		snprintf(n, sizeof n, "%d", i % 1000);
	while (explain(f, n, i < 1000 ? text : "", &err) && ++i < 2000);
	assert_int_equal(i, 2000); /* each has one, the last */
	assert_in_range(limit.bytes, 1000 * 60, 1000 * 80);
	limit.bytes += 1 << 20;			/* as if others had that much */
	assert_true(explain(f, "7", "", &err)); /* takes no more than it did */
	assert_false(explain(f, "7", "x", &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.text,
			    "f: the labels of all series and exemplars take "
			    "more than 1048576 bytes");
	limit.bytes -= 1 << 20;
	assert_true(explain(f, "7", "x", &err));
	set_numbers(f, "7", LIVE); /* forgets it */
	registry_free(registry);
	registry = NULL;
	assert_int_equal(limit.bytes, 0);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(counting_begins_no_later_than_an_exemplar_of_it),
		SPEC(observations_go_into_native_buckets),
		SPEC(a_page_keeps_the_buckets_that_it_showed),
		SPEC(what_is_mirrored_has_no_native_buckets),
		SPEC(buckets_move_with_their_rows),
		SPEC(quantiles_are_those_of_the_window),
		SPEC(a_window_turns_beneath_a_staged_value),
		SPEC(mirrored_quantiles_are_the_sources),
		SPEC(a_counter_shows_its_last_exemplar),
		SPEC(a_histogram_has_one_for_each_bucket),
		SPEC(native_buckets_alone_have_the_last_ten),
		SPEC(exemplars_go_when_the_value_is_set),
		SPEC(buckets_and_exemplars_go_on),
		SPEC(windows_go_on),
		SPEC(what_began_anew_is_added_whole),
		SPEC(other_quantiles_are_another_family),
		SPEC(mirrored_summaries_count_as_one),
		SPEC(what_is_observed_meets_the_limit),
		SPEC(what_is_hidden_counts),
		SPEC(carrying_keeps_to_the_limit),
		SPEC(exemplars_count_as_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
