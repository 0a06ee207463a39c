/* SPDX-License-Identifier: Apache-2.0 */
#include "core/native.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/native_bounds.h"

enum { BUCKETS_FIRST = 8 };

/* ---- bounds and indices ---- */

int native_schema_for(double factor)
{
	double octaves = floor(log2(log2(factor)));

	if (octaves <= -NATIVE_SCHEMA_MAX)
		return NATIVE_SCHEMA_MAX;
	if (octaves >= -NATIVE_SCHEMA_MIN)
		return NATIVE_SCHEMA_MIN;
	return -(int)octaves;
}

/* INDEX of the schema that is TIMES coarser: half, rounded up, so often. The
 * compiler's shift of negative numbers keeps the sign. */
static int32_t coarser(int32_t index, int times)
{
	return (int32_t)(((int64_t)index + (1 << times) - 1) >> times);
}

/* How many bounds of SCHEMA, 1 or finer, are less than FRAC, 0.5 to 1. */
static int32_t bounds_below(int schema, double frac)
{
	unsigned shift = NATIVE_BOUNDS_SHIFT - (unsigned)schema, n = 0;

	for (unsigned step = 1u << schema >> 1; step; step >>= 1)
		n += native_bounds[(n + step - 1) << shift] < frac ? step : 0;
	return (int32_t)n + (native_bounds[n << shift] < frac);
}

/* The bucket of VALUE, which is positive, perhaps +Inf. */
static int32_t index_of(int schema, double value)
{
	bool infinite = value > DBL_MAX;
	int32_t index;
	double frac;
	int exp;

	frac = frexp(infinite ? DBL_MAX : value, &exp);
	if (schema > 0)
		index = bounds_below(schema, frac) + (exp - 1) * (1 << schema);
	else
		index = coarser(frac > 0.5 ? exp : exp - 1, -schema);
	return index + infinite;
}

double native_bound(int schema, int32_t index)
{
	double frac = 0.5;
	int64_t exp;

	if (schema <= 0) {
		exp = (int64_t)index * (1 << -schema) + 1;
	} else {
		unsigned place = (unsigned)index & ((1u << schema) - 1);

		frac = native_bounds[place << (NATIVE_BOUNDS_SHIFT - schema)];
		exp = (index >> schema) + 1;
	}
	if (exp == DBL_MAX_EXP + 1 && frac <= 0.5)
		return DBL_MAX;
	if (exp > DBL_MAX_EXP)
		return INFINITY;
	return exp < -2000 ? 0 : ldexp(frac, (int)exp);
}

/* ---- life ---- */

struct native *native_new(const struct native_options *options)
{
	struct native *native = mem_alloc(sizeof *native);

	native->refs = 1;
	native_clear(native, options);
	return native;
}

struct native *native_ref(struct native *native)
{
	atomic_fetch_add_explicit(&native->refs, 1, memory_order_relaxed);
	return native;
}

void native_unref(struct native *native)
{
	if (!native || atomic_fetch_sub_explicit(&native->refs, 1,
						 memory_order_acq_rel) != 1)
		return;
	free(native->positive.buckets);
	free(native->negative.buckets);
	free(native);
}

static void side_copy(struct native_side *to, const struct native_side *from)
{
	*to = (struct native_side){ 0 };
	if (!from->n)
		return;
	to->buckets = mem_array(from->n, sizeof *to->buckets);
	memcpy(to->buckets, from->buckets, from->n * sizeof *to->buckets);
	to->n = to->cap = from->n;
}

static struct native *copy(const struct native *from)
{
	struct native *native = mem_alloc(sizeof *native);

	native->refs = 1;
	native->schema = from->schema;
	native->max_buckets = from->max_buckets;
	native->zero_threshold = from->zero_threshold;
	native->zero_count = from->zero_count;
	native->count = from->count;
	native->sum = from->sum;
	side_copy(&native->positive, &from->positive);
	side_copy(&native->negative, &from->negative);
	return native;
}

struct native *native_own(struct native **native)
{
	struct native *own;

	if (atomic_load_explicit(&(*native)->refs, memory_order_acquire) == 1)
		return *native;
	own = copy(*native);
	native_unref(*native);
	return *native = own;
}

void native_clear(struct native *native, const struct native_options *options)
{
	native->schema = options->schema;
	native->max_buckets = options->max_buckets;
	native->zero_threshold = options->zero_threshold;
	native->zero_count = native->count = 0;
	native->sum = 0;
	native->positive.n = native->negative.n = 0;
}

/* ---- observations ---- */

static void side_insert(struct native_side *side, uint32_t at, int32_t index)
{
	struct native_bucket *place;

	if (side->n == side->cap) {
		side->cap = side->cap ? 2 * side->cap : BUCKETS_FIRST;
		side->buckets = mem_realloc(side->buckets,
					    side->cap * sizeof *side->buckets);
	}
	place = side->buckets + at;
	memmove(place + 1, place, (side->n - at) * sizeof *place);
	*place = (struct native_bucket){ index, 0 };
	side->n++;
}

/* The first bucket with an index that is not less. */
static uint32_t side_find(const struct native_side *side, int32_t index)
{
	uint32_t low = 0, n = side->n;

	while (n) {
		uint32_t half = n / 2;

		if (side->buckets[low + half].index < index) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

/* True when that made a bucket. */
static bool side_count(struct native_side *side, int32_t index)
{
	uint32_t at = side_find(side, index);
	bool made = at == side->n || side->buckets[at].index != index;

	if (made)
		side_insert(side, at, index);
	side->buckets[at].count++;
	return made;
}

static void side_reduce(struct native_side *side, int times)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < side->n; i++) {
		struct native_bucket bucket = side->buckets[i];

		bucket.index = coarser(bucket.index, times);
		if (n && side->buckets[n - 1].index == bucket.index)
			side->buckets[n - 1].count += bucket.count;
		else
			side->buckets[n++] = bucket;
	}
	side->n = n;
}

static void reduce(struct native *native, int schema)
{
	side_reduce(&native->positive, native->schema - schema);
	side_reduce(&native->negative, native->schema - schema);
	native->schema = schema;
}

static void limit(struct native *native)
{
	while (native->max_buckets && native->schema > NATIVE_SCHEMA_MIN &&
	       native->positive.n + native->negative.n > native->max_buckets)
		reduce(native, native->schema - 1);
}

void native_observe(struct native *native, double value)
{
	struct native_side *side =
		value > 0 ? &native->positive : &native->negative;

	native->count++;
	native->sum += value;
	if (isnan(value))
		return;
	if (fabs(value) <= native->zero_threshold)
		native->zero_count++;
	else if (side_count(side, index_of(native->schema, fabs(value))))
		limit(native);
}

/* ---- the zero bucket ---- */

/* THRESHOLD, or the upper bound of the bucket that it cuts. */
static double side_uncut(const struct native_side *side, int schema,
			 double threshold)
{
	for (uint32_t i = 0; i < side->n; i++) {
		const struct native_bucket *bucket = &side->buckets[i];

		if (native_bound(schema, bucket->index - 1) >= threshold)
			break;
		if (bucket->count)
			threshold = fmax(threshold,
					 native_bound(schema, bucket->index));
	}
	return threshold;
}

/* Takes the buckets below THRESHOLD away; what was in them. */
static uint64_t side_shed(struct native_side *side, int schema,
			  double threshold)
{
	uint64_t count = 0;
	uint32_t n = 0;

	while (n < side->n &&
	       native_bound(schema, side->buckets[n].index - 1) < threshold)
		count += side->buckets[n++].count;
	side->n -= n;
	if (n)
		memmove(side->buckets, side->buckets + n,
			side->n * sizeof *side->buckets);
	return count;
}

/* Bounds are the same on both sides: what one of them asks for cuts nothing of
 * the other. */
static void widen(struct native *native, double threshold)
{
	threshold = side_uncut(&native->positive, native->schema, threshold);
	threshold = side_uncut(&native->negative, native->schema, threshold);
	native->zero_count +=
		side_shed(&native->positive, native->schema, threshold);
	native->zero_count +=
		side_shed(&native->negative, native->schema, threshold);
	native->zero_threshold = threshold;
}

/* ---- sums and differences ---- */

static void push(struct native_side *side, int32_t index, uint64_t count)
{
	if (!count)
		return;
	if (!side->n || side->buckets[side->n - 1].index != index)
		side->buckets[side->n++] = (struct native_bucket){ index, 0 };
	side->buckets[side->n - 1].count += count;
}

/* FROM is TIMES finer. */
static void side_add(struct native_side *side, const struct native_side *from,
		     int times)
{
	struct native_side sum = { 0, side->n + from->n, NULL };
	uint32_t i = 0;

	if (!from->n)
		return;
	sum.buckets = mem_array(sum.cap, sizeof *sum.buckets);
	for (uint32_t j = 0; j < from->n; j++) {
		int32_t index = coarser(from->buckets[j].index, times);

		for (; i < side->n && side->buckets[i].index <= index; i++)
			push(&sum, side->buckets[i].index,
			     side->buckets[i].count);
		push(&sum, index, from->buckets[j].count);
	}
	for (; i < side->n; i++)
		push(&sum, side->buckets[i].index, side->buckets[i].count);
	free(side->buckets);
	*side = sum;
}

/* FROM has a zero bucket of the same width. */
static void add(struct native *native, const struct native *from)
{
	int times;

	if (native->schema > from->schema)
		reduce(native, from->schema);
	times = from->schema - native->schema;
	side_add(&native->positive, &from->positive, times);
	side_add(&native->negative, &from->negative, times);
	native->zero_count += from->zero_count;
	native->count += from->count;
	native->sum += from->sum;
	limit(native);
}

void native_add(struct native *native, const struct native *from)
{
	struct native *wide = NULL;

	while (native->zero_threshold < from->zero_threshold ||
	       native->zero_threshold > from->zero_threshold) {
		if (native->zero_threshold < from->zero_threshold) {
			widen(native, from->zero_threshold);
		} else {
			from = wide = wide ? wide : copy(from);
			widen(wide, native->zero_threshold);
		}
	}
	add(native, from);
	native_unref(wide);
}

/* False when something in FROM is more. */
static bool side_subtract(struct native_side *side,
			  const struct native_side *from)
{
	for (uint32_t j = 0; j < from->n; j++) {
		uint32_t at = side_find(side, from->buckets[j].index);

		if (!from->buckets[j].count)
			continue;
		if (at == side->n ||
		    side->buckets[at].index != from->buckets[j].index ||
		    side->buckets[at].count < from->buckets[j].count)
			return false;
		side->buckets[at].count -= from->buckets[j].count;
	}
	return true;
}

static bool subtract(struct native *native, const struct native *from)
{
	if (native->count < from->count ||
	    native->zero_count < from->zero_count ||
	    !side_subtract(&native->positive, &from->positive) ||
	    !side_subtract(&native->negative, &from->negative))
		return false;
	native->count -= from->count;
	native->zero_count -= from->zero_count;
	/* the same infinity twice is no difference */
	if (native->sum < from->sum || native->sum > from->sum ||
	    isnan(native->sum) || isnan(from->sum))
		native->sum -= from->sum;
	else
		native->sum = 0;
	return true;
}

/* BEFORE becomes what it would be with the buckets of AFTER. False when it
 * cannot have been the same histogram. */
static bool follow(struct native *before, const struct native *after)
{
	if (after->schema > before->schema ||
	    after->zero_threshold < before->zero_threshold)
		return false;
	if (after->zero_threshold > before->zero_threshold)
		widen(before, after->zero_threshold);
	reduce(before, after->schema);
	return before->zero_threshold <= after->zero_threshold;
}

void native_add_difference(struct native *native, const struct native *before,
			   const struct native *after)
{
	struct native *former = copy(before), *more = copy(after);

	native_add(native, follow(former, after) && subtract(more, former)
				   ? more
				   : after);
	native_unref(former);
	native_unref(more);
}
