/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native histograms beside a model that is obviously right: the list of all
 * observations. Which bucket an observation belongs to is found by comparing it
 * with native_bound(), which is compared with powers computed in long double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/native.h"

enum { OBSERVATIONS = 3000, BUCKETS = 4096 };

struct model {
	double values[OBSERVATIONS];
	size_t n;
};

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Between 0 and 1, neither of them. */
static double uniform(void)
{
	return ((double)(draw() >> 11) + 0.5) * 0x1p-53;
}

static struct native *make(int schema, unsigned max_buckets, double threshold)
{
	struct native_options options = { schema, max_buckets, threshold };

	return native_new(&options);
}

static bool same(double a, double b)
{
	return a <= b && a >= b;
}

/* ---- distributions ---- */

static double draw_uniform(void)
{
	return uniform() * 100;
}

static double draw_exponential(void)
{
	return -0.05 * log(uniform());
}

static double draw_normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double draw_log_normal(void)
{
	return exp(3 * draw_normal());
}

static double draw_constant(void)
{
	return 0.25;
}

static double draw_negative(void)
{
	return -draw_exponential();
}

static double draw_both(void)
{
	return draw() % 10 ? draw_normal() : 0;
}

/* Any bits that are a number. */
static double draw_bits(void)
{
	double value;
	uint64_t bits;

	do {
		bits = draw();
		memcpy(&value, &bits, sizeof value);
	} while (isnan(value));
	return value;
}

/* Bounds of buckets and their neighbours. */
static double draw_bound(void)
{
	int schema = (int)(draw() % 13) - 4;
	double value = native_bound(
		schema,
		(int32_t)((draw() % 64) << (schema > 0 ? schema : 0)) - 32);

	switch (draw() % 4) {
	case 0: return nextafter(value, 0);
	case 1: return nextafter(value, INFINITY);
	case 2: return -value;
	default: return value;
	}
}

static double (*const distributions[])(void) = {
	draw_uniform,  draw_exponential, draw_log_normal, draw_constant,
	draw_negative, draw_both,	 draw_bits,	  draw_bound,
};

enum { DISTRIBUTIONS = sizeof distributions / sizeof *distributions };

/* ---- the model ---- */

/* The bucket of MAGNITUDE, by comparison alone. Bounds among the subnormal
 * numbers are rounded; 64 powers of two above they are not. */
static int32_t index_by_bounds(int schema, double magnitude)
{
	int32_t low = -70000 * 6, high = 70000 * 6;

	if (isinf(magnitude))
		return index_by_bounds(schema, DBL_MAX) + 1;
	if (magnitude < DBL_MIN)
		return index_by_bounds(schema, magnitude * 0x1p64) -
		       (int32_t)ldexp(64, schema);
	while (high - low > 1) {
		int32_t middle = low + (high - low) / 2;

		if (native_bound(schema, middle) < magnitude)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static uint64_t expected(const struct model *model, int schema,
			 double threshold, bool negative, int32_t index)
{
	uint64_t count = 0;

	for (size_t i = 0; i < model->n; i++) {
		double value = negative ? -model->values[i] : model->values[i];

		count += value > threshold &&
			 index_by_bounds(schema, value) == index;
	}
	return count;
}

static uint64_t check_side(const struct model *model,
			   const struct native *native, bool negative)
{
	const struct native_side *side =
		negative ? &native->negative : &native->positive;
	uint64_t total = 0;

	for (uint32_t i = 0; i < side->n; i++) {
		if (i)
			assert_true(side->buckets[i - 1].index <
				    side->buckets[i].index);
		assert_int_equal(side->buckets[i].count,
				 expected(model, native->schema,
					  native->zero_threshold, negative,
					  side->buckets[i].index));
		total += side->buckets[i].count;
	}
	return total;
}

/* Each bucket that is there is right, and together they hold everything: so
 * none is missing. */
static void check(const struct model *model, const struct native *native)
{
	uint64_t zeros = 0, numbers = 0;

	for (size_t i = 0; i < model->n; i++) {
		numbers += isnan(model->values[i]) ? 0 : 1;
		zeros += fabs(model->values[i]) <= native->zero_threshold;
	}
	assert_int_equal(native->count, model->n);
	assert_int_equal(native->zero_count, zeros);
	assert_int_equal(check_side(model, native, false) +
				 check_side(model, native, true) + zeros,
			 numbers);
}

static void observe(struct model *model, struct native *native, double value)
{
	model->values[model->n++] = value;
	native_observe(native, value);
}

/* Observations of two distributions of the eight in turn, now and then one that
 * is no finite number. */
static double draw_any(unsigned kind)
{
	static const double strange[] = { NAN,	    INFINITY, -INFINITY,
					  0,	    -0.0,     DBL_MAX,
					  -DBL_MAX, DBL_MIN,  DBL_TRUE_MIN };

	if (draw() % 50 == 0)
		return strange[draw() % (sizeof strange / sizeof *strange)];
	return distributions[kind % DISTRIBUTIONS]();
}

/* ---- bounds ---- */

static void bounds_are_powers(void **state)
{
	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX;
	     schema++) {
		double step = ldexp(1, -schema);

		for (int32_t i = (int32_t)(-1020 / step); i < 1024 / step;
		     i++) {
			long double power = exp2l((long double)i * step);
			double bound = native_bound(schema, i);

			assert_true(fabsl(bound / power - 1) < 1e-15L);
			if (same(fmod(i * step, 1), 0))
				assert_true(same(bound, exp2(i * step)));
		}
	}
}

static void bounds_of_schemas_are_the_same_numbers(void **state)
{
	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema < NATIVE_SCHEMA_MAX;
	     schema++)
		for (int32_t i = -600; i < 600; i++)
			assert_true(same(native_bound(schema, i),
					 native_bound(schema + 1, 2 * i)));
}

/* As client_golang's table has them, which no computation gives. */
static void bounds_have_the_usual_digits(void **state)
{
	(void)state;
	assert_true(same(native_bound(1, -1), 0.7071067811865475));
	assert_true(same(native_bound(3, -1), 0.9170040432046711));
	assert_true(same(native_bound(8, -255), 0.5013556375251013));
	assert_true(same(native_bound(8, -1), 0.9972960560854698));
	assert_true(same(native_bound(0, 0), 1));
	assert_true(same(native_bound(-4, 1), 65536));
}

static void the_last_bounds_are_the_largest_double_and_infinity(void **state)
{
	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX;
	     schema++) {
		int32_t last = (int32_t)ldexp(1024, schema);

		assert_true(native_bound(schema, last - 1) < DBL_MAX);
		assert_true(same(native_bound(schema, last), DBL_MAX));
		assert_true(isinf(native_bound(schema, last + 1)));
		assert_true(isinf(native_bound(schema, INT32_MAX)));
		assert_true(same(native_bound(schema, INT32_MIN), 0));
	}
}

static void a_factor_chooses_the_schema(void **state)
{
	static const struct {
		double factor;
		int schema;
	} cases[] = {
		{ 1.0000001, 8 }, { 1.0027, 8 },    { 1.00272, 8 },
		{ 1.1, 3 },	  { 1.5, 1 },	    { 2, 0 },
		{ 3.999, 0 },	  { 4, -1 },	    { 16, -2 },
		{ 256, -3 },	  { 65535, -3 },    { 65536, -4 },
		{ 1e300, -4 },	  { INFINITY, -4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(native_schema_for(cases[i].factor),
				 cases[i].schema);
}

/* ---- buckets ---- */

static int32_t only_index(int schema, double value)
{
	struct native *native = make(schema, 0, 0);
	const struct native_side *side =
		value > 0 ? &native->positive : &native->negative;
	int32_t index;

	native_observe(native, value);
	assert_int_equal(side->n, 1);
	assert_int_equal(side->buckets[0].count, 1);
	index = side->buckets[0].index;
	native_unref(native);
	return index;
}

static void a_value_on_a_bound_is_in_the_lower_bucket(void **state)
{
	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX;
	     schema++) {
		int32_t far = schema > 0 ? 1 << schema << 3 : 8;

		for (int32_t i = -far; i <= far; i++) {
			double bound = native_bound(schema, i);

			assert_int_equal(only_index(schema, bound), i);
			assert_int_equal(only_index(schema, -bound), i);
			assert_int_equal(
				only_index(schema, nextafter(bound, 0)), i);
			assert_int_equal(
				only_index(schema, nextafter(bound, INFINITY)),
				i + 1);
		}
	}
}

static void infinity_is_behind_the_largest_double(void **state)
{
	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX;
	     schema++) {
		int32_t last = (int32_t)ldexp(1024, schema);

		assert_int_equal(only_index(schema, DBL_MAX), last);
		assert_int_equal(only_index(schema, -DBL_MAX), last);
		assert_int_equal(only_index(schema, INFINITY), last + 1);
		assert_int_equal(only_index(schema, -INFINITY), last + 1);
		assert_int_equal(only_index(schema, DBL_TRUE_MIN),
				 index_by_bounds(schema, DBL_TRUE_MIN));
	}
}

static void not_a_number_counts_without_a_bucket(void **state)
{
	struct native *native = make(3, 0, 0);

	(void)state;
	native_observe(native, 1);
	native_observe(native, NAN);
	assert_int_equal(native->count, 2);
	assert_int_equal(native->zero_count, 0);
	assert_int_equal(native->positive.n, 1);
	assert_int_equal(native->negative.n, 0);
	assert_true(isnan(native->sum));
	native_unref(native);
}

static void the_zero_bucket_holds_its_threshold(void **state)
{
	struct native *native = make(3, 0, 0.1);

	(void)state;
	native_observe(native, 0.1);
	native_observe(native, -0.1);
	native_observe(native, 0);
	native_observe(native, nextafter(0.1, 1));
	native_observe(native, nextafter(-0.1, -1));
	assert_int_equal(native->zero_count, 3);
	assert_int_equal(native->positive.n, 1);
	assert_int_equal(native->negative.n, 1);
	native_unref(native);
}

static void random_observations_fall_where_the_bounds_say(void **state)
{
	static const double thresholds[] = { 0, 0x1p-128, 0.3 };

	(void)state;
	seed = 1;
	for (unsigned round = 0; round < 78; round++) {
		struct model model = { .n = 0 };
		int schema = (int)(round % 13) - 4;
		struct native *native = make(schema, 0, thresholds[round % 3]);

		for (int i = 0; i < 100; i++)
			observe(&model, native, draw_any(round));
		assert_int_equal(native->schema, schema);
		check(&model, native);
		native_unref(native);
	}
}

/* ---- the ceiling ---- */

/* How many buckets the observations need of SCHEMA. */
static unsigned needed(const struct model *model, int schema)
{
	struct native *native = make(schema, 0, 0);
	unsigned n;

	for (size_t i = 0; i < model->n; i++)
		native_observe(native, model->values[i]);
	n = native->positive.n + native->negative.n;
	native_unref(native);
	return n;
}

static void too_many_buckets_reduce_the_schema_no_more_than_need_be(
	void **state)
{
	static const unsigned ceilings[] = { 1, 3, 20, 160 };

	(void)state;
	seed = 2;
	for (unsigned round = 0; round < 64; round++) {
		struct model model = { .n = 0 };
		unsigned max = ceilings[round % 4];
		struct native *native = make(8, max, 0);

		for (int i = 0; i < 150; i++)
			observe(&model, native, draw_any(round / 4));
		check(&model, native);
		if (native->schema > NATIVE_SCHEMA_MIN)
			assert_true(native->positive.n + native->negative.n <=
				    max);
		if (native->schema < 8)
			assert_true(needed(&model, native->schema + 1) > max);
		native_unref(native);
	}
}

/* client_golang: an index greater than 0 is raised by one, then halved towards
 * 0. So -3 becomes -1, -2 too, -1 and 0 become 0, 1 and 2 become 1. */
static void negative_indices_are_halved_upwards(void **state)
{
	static const int32_t before[] = { -4, -3, -2, -1, 0, 1, 2, 3 };
	struct native *native = make(1, 5, 0);

	(void)state;
	for (size_t i = 0; i < 8; i++)
		native_observe(native, native_bound(1, before[i]));
	assert_int_equal(native->schema, 0);
	assert_int_equal(native->positive.n, 5);
	for (int32_t i = -2; i <= 2; i++) {
		assert_int_equal(native->positive.buckets[i + 2].index, i);
		assert_int_equal(native->positive.buckets[i + 2].count,
				 i == -2 || i == 2 ? 1 : 2);
	}
	native_unref(native);
}

/* ---- quantiles ---- */

static int rising(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double exact(struct model *sorted, double q)
{
	double rank = ceil(q * (double)sorted->n);

	return sorted->values[rank < 1 ? 0 : (size_t)rank - 1];
}

static void quantiles_keep_their_error(void **state)
{
	static const double ranks[] = { 0,    0.001, 0.01, 0.1,	  0.25, 0.5,
					0.75, 0.9,   0.99, 0.999, 1 };

	(void)state;
	seed = 3;
	for (unsigned round = 0; round < 80; round++) {
		struct model model = { .n = 0 };
		int schema = (int)(round % 11) - 2;
		double base = exp2(ldexp(1, -schema));
		double error = (base - 1) / (base + 1) + 1e-12;
		struct native *native = make(schema, 0, 0);
		size_t n = 1 + draw() % OBSERVATIONS;

		while (model.n < n)
			observe(&model, native,
				distributions[round % DISTRIBUTIONS]());
		qsort(model.values, model.n, sizeof *model.values, rising);
		for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
			double want = exact(&model, ranks[i]);
			double got = native_quantile(native, ranks[i]);

			if (isinf(want) || fabs(want) <= 0)
				assert_true(same(got, want));
			else if (fabs(want) >= DBL_MIN)
				assert_true(fabs(got - want) <=
					    error * fabs(want));
		}
		native_unref(native);
	}
}

static void a_quantile_of_nothing_is_not_a_number(void **state)
{
	struct native *native = make(6, 0, 0);

	(void)state;
	assert_true(isnan(native_quantile(native, 0.5)));
	native_observe(native, NAN);
	assert_true(isnan(native_quantile(native, 0.5)));
	native_observe(native, 1);
	assert_true(native_quantile(native, 0.5) > 0.99);
	assert_true(isnan(native_quantile(native, NAN)));
	native_unref(native);
}

static void quantiles_of_the_least_and_the_largest_are_finite(void **state)
{
	static const double values[] = { DBL_MIN, 0x1p-1000, DBL_MAX,
					 DBL_TRUE_MIN };

	(void)state;
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX;
	     schema++)
		for (size_t i = 0; i < 4; i++) {
			struct native *native = make(schema, 0, 0);
			double base = exp2(ldexp(1, -schema)), got;

			native_observe(native, values[i]);
			got = native_quantile(native, 1);
			assert_true(got > 0 && isfinite(got));
			assert_true(fabs(got - values[i]) <=
				    ((base - 1) / (base + 1) + 1e-12) *
					    values[i]);
			native_unref(native);
		}
}

static void infinite_observations_have_infinite_quantiles(void **state)
{
	struct native *native = make(6, 0, 0);

	(void)state;
	native_observe(native, -INFINITY);
	native_observe(native, 1);
	native_observe(native, INFINITY);
	assert_true(same(native_quantile(native, 0), -INFINITY));
	assert_true(same(native_quantile(native, 1), INFINITY));
	assert_true(fabs(native_quantile(native, 0.5) - 1) < 0.0055);
	native_unref(native);
}

/* ---- sums and differences ---- */

static void random_model(struct model *model, struct native *native,
			 unsigned kind, size_t n)
{
	for (size_t i = 0; i < n; i++)
		observe(model, native, draw_any(kind));
}

static void adding_is_as_observing_both(void **state)
{
	(void)state;
	seed = 4;
	for (unsigned round = 0; round < 130; round++) {
		struct model model = { .n = 0 }, other = { .n = 0 };
		unsigned max = round % 2 ? 0 : 40;
		struct native *native = make((int)(round % 13) - 4, max, 0.01);
		struct native *from = make((int)(draw() % 13) - 4, 0, 0.01);
		int schema;

		random_model(&model, native, round, draw() % 80);
		random_model(&other, from, round / 8, draw() % 80);
		schema = native->schema < from->schema ? native->schema
						       : from->schema;
		native_add(native, from);
		memcpy(model.values + model.n, other.values,
		       other.n * sizeof *other.values);
		model.n += other.n;
		check(&model, native);
		assert_true(max ? native->schema <= schema
				: native->schema == schema);
		check(&other, from);
		native_unref(native);
		native_unref(from);
	}
}

/* A bucket that the wider zero bucket of the other cuts goes into it whole. */
static void the_wider_zero_bucket_wins(void **state)
{
	struct native *narrow = make(0, 0, 0.125), *wide = make(0, 0, 3);
	struct native *other;

	(void)state;
	native_observe(narrow, 0.1);
	native_observe(narrow, 2.5); /* in (2, 4], which 3 cuts */
	native_observe(narrow, -5);
	native_observe(wide, 1);
	native_observe(wide, 3.5);
	native_observe(wide, 6);
	other = native_ref(wide);
	other = native_own(&other);
	native_add(wide, narrow);
	native_add(narrow, other);
	assert_true(native_same(wide, narrow));
	assert_true(same(wide->zero_threshold, 4));
	assert_int_equal(wide->zero_count, 4);
	assert_int_equal(wide->count, 6);
	assert_int_equal(wide->positive.n, 1);
	assert_int_equal(wide->positive.buckets[0].index, 3);
	assert_int_equal(wide->negative.n, 1);
	native_unref(other);
	native_unref(wide);
	native_unref(narrow);
}

static void a_wider_zero_bucket_keeps_all_counts(void **state)
{
	(void)state;
	seed = 5;
	for (unsigned round = 0; round < 200; round++) {
		struct model model = { .n = 0 }, other = { .n = 0 };
		struct native *native =
			make((int)(draw() % 13) - 4, 0, exp(draw_normal() * 2));
		struct native *from =
			make((int)(draw() % 13) - 4, 0, exp(draw_normal() * 2));
		double threshold =
			fmax(native->zero_threshold, from->zero_threshold);

		random_model(&model, native, round, 60);
		random_model(&other, from, round / 8, 60);
		native_add(native, from);
		memcpy(model.values + model.n, other.values,
		       other.n * sizeof *other.values);
		model.n += other.n;
		assert_true(native->zero_threshold >= threshold);
		check(&model, native);
		native_unref(native);
		native_unref(from);
	}
}

static void a_difference_is_what_came_behind(void **state)
{
	(void)state;
	seed = 6;
	for (unsigned round = 0; round < 104; round++) {
		struct model model = { .n = 0 }, more = { .n = 0 };
		unsigned max = round % 2 ? 30 : 0;
		struct native *native = make(8, 0, 0), *after, *before;

		after = make((int)(round % 13) - 4, max, 0);
		random_model(&model, after, round, draw() % 80);
		before = native_ref(after);
		after = native_own(&after);
		random_model(&more, after, round / 8, draw() % 80);
		native_add_difference(native, before, after);
		check(&more, native);
		native_unref(native);
		native_unref(before);
		native_unref(after);
	}
}

static void what_began_anew_counts_from_nothing(void **state)
{
	static const double former[] = { 1, 0, -1, 2 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct native *native = make(3, 0, 0), *before = make(3, 0, 0);
		struct native *after = make(3, 0, 0);

		native_observe(before, former[i]);
		native_observe(before, former[i]);
		for (double value = -1; value <= 1; value++)
			native_observe(after, value);
		native_add_difference(native, before, after);
		assert_true(native_same(native, after));
		native_unref(native);
		native_unref(before);
		native_unref(after);
	}
}

static void the_same_infinite_sum_is_no_difference(void **state)
{
	struct native *native = make(3, 0, 0), *before = make(3, 0, 0);

	(void)state;
	native_observe(before, INFINITY);
	native_add_difference(native, before, before);
	assert_int_equal(native->count, 0);
	assert_true(same(native->sum, 0));
	native_unref(native);
	native_unref(before);
}

/* ---- sharing ---- */

static void a_shared_histogram_is_copied_before_it_changes(void **state)
{
	struct native *native = make(3, 2, 0), *shown;

	(void)state;
	native_observe(native, 1);
	native_observe(native, -1);
	assert_ptr_equal(native_own(&native), native);
	shown = native_ref(native);
	assert_ptr_not_equal(native_own(&native), shown);
	assert_true(native_same(native, shown));
	native_observe(native, 2);
	assert_false(native_same(native, shown));
	assert_int_equal(shown->count, 2);
	native_unref(shown);
	native_unref(native);
}

static void empty_buckets_make_no_difference(void **state)
{
	struct native_bucket with[] = {
		{ -2, 0 }, { 1, 3 }, { 2, 0 }, { 5, 1 }, { 9, 0 }
	};
	struct native_bucket without[] = { { 1, 3 }, { 5, 1 } };
	struct native a = { .positive = { 5, 5, with } };
	struct native b = { .positive = { 2, 2, without } };

	(void)state;
	assert_true(native_same(&a, &b));
	assert_true(native_same(&b, &a));
	with[4].count = 1;
	assert_false(native_same(&a, &b));
	assert_false(native_same(&b, &a));
}

static void cleared_is_as_new(void **state)
{
	struct native_options options = { 8, 4, 0.5 };
	struct native *native = native_new(&options), *fresh;

	(void)state;
	seed = 7;
	for (int i = 0; i < 100; i++)
		native_observe(native, draw_normal());
	assert_true(native->schema < 8);
	native_clear(native, &options);
	fresh = native_new(&options);
	assert_true(native_same(native, fresh));
	native_unref(native);
	native_unref(fresh);
}

/* ---- spans ---- */

struct shown {
	uint64_t counts[BUCKETS];
	uint32_t spans, buckets, wanted;
	int32_t offsets[BUCKETS], end;
	uint32_t lengths[BUCKETS];
};

static void show_span(void *arg, int32_t offset, uint32_t length)
{
	struct shown *shown = arg;

	assert_int_equal(shown->buckets, shown->wanted);
	shown->offsets[shown->spans] = offset;
	shown->lengths[shown->spans++] = length;
	shown->wanted += length;
}

static void show_bucket(void *arg, uint64_t count)
{
	struct shown *shown = arg;

	assert_true(shown->buckets < shown->wanted);
	shown->counts[shown->buckets++] = count;
}

/* Indices and lengths of the runs, as makeBuckets of client_golang gives. */
static void spans_bridge_gaps_of_two(void **state)
{
	struct native_bucket buckets[] = {
		{ -7, 0 }, { -5, 1 }, { -2, 2 }, { 0, 0 },  { 2, 3 },
		{ 3, 4 },  { 4, 5 },  { 9, 0 },	 { 99, 6 },
	};
	struct native_side side = { 9, 9, buckets };
	struct shown shown = { 0 };

	(void)state;
	native_spans(&side, show_span, show_bucket, &shown);
	assert_int_equal(shown.spans, 3);
	assert_int_equal(shown.offsets[0], -5);
	assert_int_equal(shown.lengths[0], 4); /* -5 0 0 -2 */
	assert_int_equal(shown.offsets[1], 3); /* -1 0 1 are empty */
	assert_int_equal(shown.lengths[1], 3);
	assert_int_equal(shown.offsets[2], 94);
	assert_int_equal(shown.lengths[2], 1);
	assert_int_equal(shown.buckets, 8);
	assert_memory_equal(shown.counts,
			    ((uint64_t[]){ 1, 0, 0, 2, 3, 4, 5, 6 }),
			    8 * sizeof *shown.counts);
	native_spans(&side, NULL, NULL, NULL);
}

static void an_empty_side_has_no_spans(void **state)
{
	struct native_bucket buckets[] = { { 3, 0 } };
	struct native_side none = { 0 }, empty = { 1, 1, buckets };
	struct shown shown = { 0 };

	(void)state;
	native_spans(&none, show_span, show_bucket, &shown);
	native_spans(&empty, show_span, show_bucket, &shown);
	assert_int_equal(shown.spans, 0);
	assert_int_equal(shown.buckets, 0);
}

/* Reading the spans gives the side back. */
static void spans_lose_nothing(void **state)
{
	struct shown *shown = malloc(sizeof *shown);

	(void)state;
	seed = 8;
	for (unsigned round = 0; round < 64; round++) {
		struct native *native = make((int)(draw() % 9), 0, 0);
		const struct native_side *side = &native->positive;
		uint32_t bucket = 0, at = 0;
		int32_t index = 0;

		for (int i = 0; i < 60; i++)
			native_observe(native, fabs(draw_any(round)));
		*shown = (struct shown){ 0 };
		native_spans(side, show_span, show_bucket, shown);
		assert_int_equal(shown->buckets, shown->wanted);
		for (uint32_t s = 0; s < shown->spans; s++) {
			assert_true(s == 0 || shown->offsets[s] > 2);
			index += shown->offsets[s];
			for (uint32_t i = 0; i < shown->lengths[s];
			     i++, index++, at++) {
				if (!shown->counts[at])
					continue;
				assert_int_equal(side->buckets[bucket].index,
						 index);
				assert_int_equal(side->buckets[bucket++].count,
						 shown->counts[at]);
			}
		}
		assert_int_equal(bucket, side->n);
		native_unref(native);
	}
	free(shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_powers),
		cmocka_unit_test(bounds_of_schemas_are_the_same_numbers),
		cmocka_unit_test(bounds_have_the_usual_digits),
		cmocka_unit_test(
			the_last_bounds_are_the_largest_double_and_infinity),
		cmocka_unit_test(a_factor_chooses_the_schema),
		cmocka_unit_test(a_value_on_a_bound_is_in_the_lower_bucket),
		cmocka_unit_test(infinity_is_behind_the_largest_double),
		cmocka_unit_test(not_a_number_counts_without_a_bucket),
		cmocka_unit_test(the_zero_bucket_holds_its_threshold),
		cmocka_unit_test(random_observations_fall_where_the_bounds_say),
		cmocka_unit_test(
			too_many_buckets_reduce_the_schema_no_more_than_need_be),
		cmocka_unit_test(negative_indices_are_halved_upwards),
		cmocka_unit_test(quantiles_keep_their_error),
		cmocka_unit_test(a_quantile_of_nothing_is_not_a_number),
		cmocka_unit_test(
			quantiles_of_the_least_and_the_largest_are_finite),
		cmocka_unit_test(infinite_observations_have_infinite_quantiles),
		cmocka_unit_test(adding_is_as_observing_both),
		cmocka_unit_test(the_wider_zero_bucket_wins),
		cmocka_unit_test(a_wider_zero_bucket_keeps_all_counts),
		cmocka_unit_test(a_difference_is_what_came_behind),
		cmocka_unit_test(what_began_anew_counts_from_nothing),
		cmocka_unit_test(the_same_infinite_sum_is_no_difference),
		cmocka_unit_test(
			a_shared_histogram_is_copied_before_it_changes),
		cmocka_unit_test(empty_buckets_make_no_difference),
		cmocka_unit_test(cleared_is_as_new),
		cmocka_unit_test(spans_bridge_gaps_of_two),
		cmocka_unit_test(an_empty_side_has_no_spans),
		cmocka_unit_test(spans_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
