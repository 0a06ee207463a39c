/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sliding windows under a clock that the spec turns, beside a model: the list
 * of all observations with their times. Times are small binary fractions, so
 * that sums of them are exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/window.h"

enum { SECONDS = 10, LENGTH = 2, OBSERVATIONS = 4000 };

struct seen {
	double value, time;
};

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static bool same(double a, double b)
{
	return (a <= b && a >= b) || (isnan(a) && isnan(b));
}

static uint64_t held(const struct window *window)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < WINDOW_SLICES; i++)
		if (window->slices[i])
			count += window->slices[i]->count;
	return count;
}

static bool about(double a, double b)
{
	return fabs(a - b) <= 0.00542 * fabs(b);
}

/* ---- time ---- */

static void an_empty_window_has_no_quantile_and_never_expires(void **state)
{
	struct window *window = window_new(SECONDS, 100);

	(void)state;
	assert_true(isnan(window_quantile(window, 0.5)));
	assert_true(isinf(window_expires(window)));
	assert_false(window_turn(window, 1e9));
	window_unref(window);
}

static void an_observation_lasts_until_its_slice_comes_round(void **state)
{
	struct window *window = window_new(SECONDS, 100);

	(void)state;
	window_observe(window, 7, 100); /* the slice ends at 102 */
	window_observe(window, 7, 101);
	assert_true(same(window_expires(window), 110));
	window_observe(window, 9, 102);
	assert_true(same(window_expires(window), 110));
	assert_false(window_turn(window, 109.75));
	assert_int_equal(held(window), 3);
	assert_true(window_turn(window, 110));
	assert_int_equal(held(window), 1);
	assert_true(about(window_quantile(window, 0), 9));
	assert_true(same(window_expires(window), 112));
	assert_true(window_turn(window, 112));
	assert_true(isinf(window_expires(window)));
	assert_true(isnan(window_quantile(window, 0)));
	window_unref(window);
}

static void a_long_silence_empties_everything(void **state)
{
	struct window *window = window_new(SECONDS, 0);

	(void)state;
	for (double now = 0; now < 10; now++)
		window_observe(window, 1, now);
	assert_true(window_turn(window, 1e12 + 0.5));
	assert_int_equal(held(window), 0);
	window_observe(window, 5, 1e12 + 1);
	assert_int_equal(held(window), 1);
	assert_true(window_expires(window) > 1e12 + 9 &&
		    window_expires(window) <= 1e12 + 12);
	window_unref(window);
}

/* Is what was seen at TIME still there at NOW? Slices begin at even times. */
static bool lasts(double time, double now)
{
	return floor(now / LENGTH) - floor(time / LENGTH) < WINDOW_SLICES;
}

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void check(struct window *window, const struct seen *seen, size_t n,
		  double now)
{
	static double values[OBSERVATIONS];
	double expires = INFINITY;
	size_t here = 0;

	for (size_t i = 0; i < n; i++) {
		double end =
			(floor(seen[i].time / LENGTH) + WINDOW_SLICES) * LENGTH;

		if (!lasts(seen[i].time, now))
			continue;
		values[here++] = seen[i].value;
		expires = fmin(expires, end);
	}
	qsort(values, here, sizeof *values, rising);
	assert_int_equal(held(window), here);
	assert_true(same(window_expires(window), expires));
	for (double q = 0; q <= 1; q += 0.125) {
		double rank = fmax(ceil(q * (double)here), 1);
		double got = window_quantile(window, q);

		assert_true(here ? about(got, values[(size_t)rank - 1])
				 : isnan(got));
	}
}

static void a_window_holds_what_the_model_says(void **state)
{
	static struct seen seen[OBSERVATIONS];
	struct window *window = window_new(SECONDS, 0);
	double now = 0;

	(void)state;
	seed = 9;
	for (size_t i = 0; i < OBSERVATIONS; i++) {
		now += (double)(draw() % 5) / 8;
		if (draw() % 100 == 0)
			now += (double)(draw() % 60) / 4;
		if (draw() % 4 == 0) {
			window_turn(window, now);
			check(window, seen, i, now);
		}
		seen[i].time = now;
		seen[i].value = exp((double)(draw() % 1000) / 100 - 5);
		window_observe(window, seen[i].value, now);
	}
	window_unref(window);
}

/* What expires says is just when turn has something to do. */
static void turning_does_something_just_when_it_was_foretold(void **state)
{
	struct window *window = window_new(SECONDS, 0);
	double now = 0;
	int turned = 0;

	(void)state;
	seed = 10;
	for (int i = 0; i < 4000; i++) {
		bool due;

		now += (double)(draw() % 9) / 8;
		due = now >= window_expires(window);
		assert_true(window_turn(window, now) == due);
		turned += due;
		if (draw() % 16 == 0)
			window_observe(window, 1, now);
	}
	assert_true(turned > 100);
	window_unref(window);
}

/* ---- sharing ---- */

static void a_shared_window_is_copied_before_it_changes(void **state)
{
	struct window *window = window_new(SECONDS, 0), *shown;

	(void)state;
	window_observe(window, 1, 0);
	assert_true(about(window_quantile(window, 0.5), 1));
	assert_ptr_equal(window_own(&window), window);
	shown = window_ref(window);
	assert_ptr_not_equal(window_own(&window), shown);
	window_observe(window, 100, 1);
	window_observe(window, 100, 3);
	assert_int_equal(held(shown), 1);
	assert_int_equal(held(window), 3);
	assert_true(about(window_quantile(window, 1), 100));
	window_turn(window, 11);
	assert_int_equal(held(window), 1);
	assert_int_equal(held(shown), 1);
	window_unref(shown);
	window_unref(window);
}

/* ---- sums ---- */

static void an_empty_window_goes_on_where_the_other_was(void **state)
{
	struct window *from = window_new(SECONDS, 0);
	struct window *window = window_new(SECONDS, 3);

	(void)state;
	for (double now = 0; now < 8; now += 0.5)
		window_observe(from, 1 + now, now);
	window_add(window, from, 8.5);
	assert_int_equal(held(window), held(from));
	assert_true(same(window_expires(window), window_expires(from)));
	window_observe(window, 3, 9);
	assert_int_equal(held(window), held(from) + 1);
	window_turn(from, 13);
	window_turn(window, 13);
	assert_int_equal(held(window), held(from) + 1);
	window_unref(from);
	window_unref(window);
}

static void what_is_added_goes_at_its_time_or_a_slice_before(void **state)
{
	(void)state;
	for (double begun = 0; begun < 4; begun += 0.25)
		for (double seen = 0; seen < 10; seen += 0.5) {
			struct window *from = window_new(SECONDS, 0);
			struct window *window = window_new(SECONDS, begun);
			double expires;

			window_observe(from, 1, seen);
			window_observe(window, 5, fmax(begun, 9));
			expires = window_expires(from);
			window_add(window, from, 10);
			assert_int_equal(held(window), expires > 10 ? 2 : 1);
			if (held(window) == 2) {
				assert_true(window_expires(window) <= expires);
				assert_true(window_expires(window) >
					    expires - LENGTH);
			}
			window_unref(from);
			window_unref(window);
		}
}

static void what_is_too_old_is_not_added(void **state)
{
	struct window *from = window_new(SECONDS, 0);
	struct window *window = window_new(SECONDS, 0);

	(void)state;
	window_observe(from, 1, 0);
	window_add(window, from, 10);
	assert_int_equal(held(window), 0);
	assert_true(isnan(window_quantile(window, 0.5)));
	window_unref(from);
	window_unref(window);
}

static void windows_of_other_lengths_may_be_added(void **state)
{
	struct window *from = window_new(100, 0);
	struct window *window = window_new(SECONDS, 0);

	(void)state;
	window_observe(from, 1, 0);
	window_observe(from, 2, 50);
	window_add(window, from, 60);
	assert_int_equal(held(window), 2);
	assert_true(window_expires(window) <= 70);
	window_unref(from);
	window_unref(window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_empty_window_has_no_quantile_and_never_expires),
		cmocka_unit_test(
			an_observation_lasts_until_its_slice_comes_round),
		cmocka_unit_test(a_long_silence_empties_everything),
		cmocka_unit_test(a_window_holds_what_the_model_says),
		cmocka_unit_test(
			turning_does_something_just_when_it_was_foretold),
		cmocka_unit_test(a_shared_window_is_copied_before_it_changes),
		cmocka_unit_test(an_empty_window_goes_on_where_the_other_was),
		cmocka_unit_test(
			what_is_added_goes_at_its_time_or_a_slice_before),
		cmocka_unit_test(what_is_too_old_is_not_added),
		cmocka_unit_test(windows_of_other_lengths_may_be_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
