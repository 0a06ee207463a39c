/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sliding window of observations, for the quantiles of summaries: slices of
 * equal time, of which the oldest is emptied when a new one begins. So it
 * covers between (slices - 1) / slices and all of its length.
 *
 * A slice is a histogram of schema 6 (native.h), whose quantiles are wrong by
 * 0.54 % at most. It has 2048 buckets at most: observations that span more than
 * 32 powers of two, such as a microsecond beside two hours, make the schema
 * coarser, and the error 1.1 %.
 *
 * A window belongs to one thread. A shared one does not change, but for what is
 * private to that thread; others may only read the slices, with window_add().
 */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include "core/native.h"

enum { WINDOW_SLICES = 5, WINDOW_SCHEMA = 6, WINDOW_BUCKETS = 2048 };

struct window {
	_Atomic uint32_t refs;
	double seconds;			      /* of the window */
	double next;			      /* when the present slice ends */
	unsigned at;			      /* number of the present slice */
	struct native *slices[WINDOW_SLICES]; /* NULL: nothing */
	struct native *all; /* private: their sum, while it holds; or NULL */
};

/* Empty. SECONDS is positive. NOW, here and below: seconds of any monotonic
 * clock, the same in all calls. One reference. */
struct window *window_new(double seconds, double now);
struct window *window_ref(struct window *window);
void window_unref(struct window *window);	   /* NULL is allowed */
struct window *window_own(struct window **window); /* as native_own */

/* The window must not be shared, nor in window_turn() and window_add(). */
void window_observe(struct window *window, double value, double now);

/* Lets go of what is too old; true when that was something. */
bool window_turn(struct window *window, double now);

/* Adds what FROM, of another registry of the same clock, still holds. Where
 * both have begun their slices at other times, it goes up to a slice earlier
 * than it would there. */
void window_add(struct window *window, const struct window *from, double now);

/* The same with what AFTER holds and BEFORE, a former state of it, did not. */
void window_add_difference(struct window *window, const struct window *before,
			   const struct window *after, double now);

/* When window_turn() will have something to do; INFINITY: nothing is in it. */
double window_expires(const struct window *window);

/* As native_quantile(), of what the last turn left. */
double window_quantile(struct window *window, double q);

#endif
