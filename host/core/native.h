/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native histograms: sparse buckets whose bounds grow exponentially
 * (https://prometheus.io/docs/specs/native_histograms/). Of schema S, bucket I
 * holds what is greater than base^(I-1) and at most base^I, where base is
 * 2^(2^-S); the negative side mirrors it; what is within the zero threshold is
 * counted apart. When there are more buckets than allowed, the schema is
 * reduced, which joins pairs of buckets and moves no observation into a wrong
 * one. Bounds, indices and reduction are those of client_golang, bit by bit.
 *
 * The same counts answer quantiles with a known error (DDSketch: Masson, Rim,
 * Lee, VLDB 2019): see native_quantile().
 *
 * A histogram belongs to one thread until it is shared; a shared one does not
 * change. Counted, so that chunks (page.h) hold what a series showed.
 */
#ifndef CORE_NATIVE_H
#define CORE_NATIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NATIVE_SCHEMA_MIN = -4, NATIVE_SCHEMA_MAX = 8 };

struct native_options {
	int schema;	       /* the finest */
	unsigned max_buckets;  /* of both sides together; 0: no bound */
	double zero_threshold; /* not negative */
};

struct native_bucket {
	int32_t index;
	uint64_t count;
};

/* Buckets in rising order of their indices; empty ones may be among them. */
struct native_side {
	uint32_t n, cap;
	struct native_bucket *buckets;
};

struct native {
	_Atomic uint32_t refs;
	int schema;
	unsigned max_buckets;
	double zero_threshold;
	uint64_t zero_count;
	uint64_t count; /* all, NaN included, which is in no bucket */
	double sum;
	struct native_side positive, negative;
};

/* The coarsest schema whose base is at most FACTOR, which is greater than 1, as
 * far as there are schemas: client_golang's NativeHistogramBucketFactor. */
int native_schema_for(double factor);

/* Empty. One reference. */
struct native *native_new(const struct native_options *options);
struct native *native_ref(struct native *native);
void native_unref(struct native *native); /* NULL is allowed */

/* *NATIVE with one reference, so that it may be changed: itself, or a copy in
 * its place. */
struct native *native_own(struct native **native);

/* +Inf and -Inf have buckets of their own, behind those of the largest doubles,
 * as client_golang has it. The schema is reduced, to the coarsest if need be,
 * until there are no more buckets than max_buckets. */
void native_observe(struct native *native, double value);

/* Adds all of FROM; the result has the coarser schema of both, or a coarser one
 * still because of max_buckets, and the wider zero bucket, which is widened to
 * the bound of a bucket that it would cut otherwise. */
void native_add(struct native *native, const struct native *from);

/* Adds what AFTER counted beyond BEFORE, a former state of the same histogram;
 * when something in it is less than it was, AFTER began anew and all of it is
 * added. */
void native_add_difference(struct native *native, const struct native *before,
			   const struct native *after);

/* As new, with the options that it was made with. */
void native_clear(struct native *native, const struct native_options *options);

/* Do both hold the same numbers? Empty buckets do not count. */
bool native_same(const struct native *a, const struct native *b);

/* The upper bound of bucket INDEX of the positive side. Of the last one for
 * finite numbers it is the largest of them, of all beyond it +Inf. */
double native_bound(int schema, int32_t index);

/*
 * An estimate of quantile Q, 0 to 1. Of N observations that are numbers, in
 * rising order, it is about the one number ceil(Q * N), counted from 1, at
 * least the first: the one of nearest rank. Q * N is a product of doubles.
 *
 * The estimate and that observation are in the same bucket, and differ by at
 * most the observation times (base - 1) / (base + 1), but for subnormal
 * numbers; of schema 6 that is 0.54 %. In the zero bucket it is 0. NaN when
 * there is no observation, or Q is NaN.
 */
double native_quantile(const struct native *native, double q);

/* Runs of neighbours among the buckets of a side that are not empty, as the
 * exposition wants them: a gap of up to two empty buckets is bridged. Calls
 * SPAN for each with the distance from the end of the one before (the first:
 * its index) and its length, then BUCKET for each of its buckets, with 0 for
 * those that are missing. Either may be NULL. */
void native_spans(const struct native_side *side,
		  void (*span)(void *arg, int32_t offset, uint32_t length),
		  void (*bucket)(void *arg, uint64_t count), void *arg);

#endif
