/* SPDX-License-Identifier: Apache-2.0 */
/* What others read off a native histogram: whether it is the same as another,
 * quantiles, spans. */
#include <float.h>
#include <math.h>

#include "core/native.h"

/* ---- comparison ---- */

static bool same_number(double a, double b)
{
	return (a <= b && a >= b) || (isnan(a) && isnan(b));
}

/* The next bucket from I on that is not empty; side->n: none. */
static uint32_t filled(const struct native_side *side, uint32_t i)
{
	while (i < side->n && !side->buckets[i].count)
		i++;
	return i;
}

static bool side_same(const struct native_side *a, const struct native_side *b)
{
	uint32_t i = filled(a, 0), j = filled(b, 0);

	while (i < a->n && j < b->n) {
		if (a->buckets[i].index != b->buckets[j].index ||
		    a->buckets[i].count != b->buckets[j].count)
			return false;
		i = filled(a, i + 1);
		j = filled(b, j + 1);
	}
	return i == a->n && j == b->n;
}

bool native_same(const struct native *a, const struct native *b)
{
	return a->schema == b->schema && a->count == b->count &&
	       a->zero_count == b->zero_count &&
	       same_number(a->zero_threshold, b->zero_threshold) &&
	       same_number(a->sum, b->sum) &&
	       side_same(&a->positive, &b->positive) &&
	       side_same(&a->negative, &b->negative);
}

/* ---- quantiles ---- */

/* The estimate that is relatively as far from both bounds of a bucket. */
static double middle(int schema, int32_t index)
{
	double base = exp2(ldexp(1, -schema));
	double lower = native_bound(schema, index - 1);

	if (isinf(native_bound(schema, index)))
		return INFINITY;
	return fmax(lower * (2 * base / (base + 1)), DBL_TRUE_MIN);
}

static uint64_t side_total(const struct native_side *side)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < side->n; i++)
		total += side->buckets[i].count;
	return total;
}

/* The bucket in which observation number RANK of the side is, from 0, counted
 * from the lowest index. */
static int32_t side_rank(const struct native_side *side, uint64_t rank)
{
	uint32_t i = 0;

	while (rank >= side->buckets[i].count)
		rank -= side->buckets[i++].count;
	return side->buckets[i].index;
}

double native_quantile(const struct native *native, double q)
{
	uint64_t below = side_total(&native->negative);
	uint64_t above = side_total(&native->positive);
	uint64_t zero = native->zero_count, n = below + zero + above, rank;

	if (!n || isnan(q))
		return NAN;
	q = ceil(fmin(fmax(q, 0), 1) * (double)n);
	rank = q < 1 ? 0 : q >= (double)n ? n - 1 : (uint64_t)q - 1;
	if (rank < below)
		return -middle(native->schema,
			       side_rank(&native->negative, below - 1 - rank));
	if (rank < below + zero)
		return 0;
	return middle(native->schema,
		      side_rank(&native->positive, rank - below - zero));
}

/* ---- spans ---- */

enum { GAP_BRIDGED = 2 };

/* The last bucket of the run that begins with bucket FIRST. */
static uint32_t run_end(const struct native_side *side, uint32_t first)
{
	uint32_t last = first, next;

	while ((next = filled(side, last + 1)) < side->n &&
	       side->buckets[next].index - side->buckets[last].index <=
		       GAP_BRIDGED + 1)
		last = next;
	return last;
}

static void show_run(const struct native_side *side, uint32_t first,
		     uint32_t last, void (*bucket)(void *arg, uint64_t count),
		     void *arg)
{
	int32_t index = side->buckets[first].index;

	for (uint32_t i = first; i <= last; i = filled(side, i + 1)) {
		for (; index < side->buckets[i].index; index++)
			bucket(arg, 0);
		bucket(arg, side->buckets[i].count);
		index++;
	}
}

void native_spans(const struct native_side *side,
		  void (*span)(void *arg, int32_t offset, uint32_t length),
		  void (*bucket)(void *arg, uint64_t count), void *arg)
{
	int32_t end = 0;
	uint32_t last;

	for (uint32_t i = filled(side, 0); i < side->n;
	     i = filled(side, last + 1)) {
		int32_t first = side->buckets[i].index;

		last = run_end(side, i);
		if (span)
			span(arg, first - end,
			     (uint32_t)(side->buckets[last].index - first + 1));
		if (bucket)
			show_run(side, i, last, bucket, arg);
		end = side->buckets[last].index + 1;
	}
}
