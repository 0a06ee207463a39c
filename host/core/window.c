/* SPDX-License-Identifier: Apache-2.0 */
#include "core/window.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"

static const struct native_options slice_options = { .schema = WINDOW_SCHEMA,
						     .max_buckets =
							     WINDOW_BUCKETS };

static double slice_length(const struct window *window)
{
	return window->seconds / WINDOW_SLICES;
}

/* When the slice that NOW falls into ends. Slices of all windows of one length
 * begin together: so the page changes when they do, and not at a moment of
 * each series' own. */
static double end_of_slice(const struct window *window, double now)
{
	double length = slice_length(window);
	double end = (floor(now / length) + 1) * length;

	return end > now ? end : now + length; /* rounded */
}

/* The slice that is BACK older than the present one. */
static unsigned slice_back(const struct window *window, unsigned back)
{
	return (window->at + WINDOW_SLICES - back) % WINDOW_SLICES;
}

static void forget_all(struct window *window)
{
	native_unref(window->all);
	window->all = NULL;
}

/* ---- life ---- */

struct window *window_new(double seconds, double now)
{
	struct window *window = mem_alloc(sizeof *window);

	window->refs = 1;
	window->seconds = seconds;
	window->next = end_of_slice(window, now);
	return window;
}

struct window *window_ref(struct window *window)
{
	atomic_fetch_add_explicit(&window->refs, 1, memory_order_relaxed);
	return window;
}

void window_unref(struct window *window)
{
	if (!window || atomic_fetch_sub_explicit(&window->refs, 1,
						 memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < WINDOW_SLICES; i++)
		native_unref(window->slices[i]);
	forget_all(window);
	free(window);
}

/* Slices are shared until they change. */
static void take_slices(struct window *window, const struct window *from)
{
	window->next = from->next;
	window->at = from->at;
	for (unsigned i = 0; i < WINDOW_SLICES; i++)
		if (from->slices[i])
			window->slices[i] = native_ref(from->slices[i]);
}

struct window *window_own(struct window **window)
{
	struct window *own;

	if (atomic_load_explicit(&(*window)->refs, memory_order_acquire) == 1)
		return *window;
	own = window_new((*window)->seconds, 0);
	take_slices(own, *window);
	window_unref(*window);
	return *window = own;
}

/* ---- time ---- */

static bool drop_slice(struct window *window, unsigned i)
{
	bool held = window->slices[i];

	native_unref(window->slices[i]);
	window->slices[i] = NULL;
	return held;
}

bool window_turn(struct window *window, double now)
{
	double turns;
	bool held = false;

	if (now < window->next)
		return false;
	turns = floor((now - window->next) / slice_length(window)) + 1;
	for (unsigned i = 0; i < WINDOW_SLICES && i < turns; i++) {
		window->at = (window->at + 1) % WINDOW_SLICES;
		held |= drop_slice(window, window->at);
	}
	window->next = end_of_slice(window, now);
	if (held)
		forget_all(window);
	return held;
}

/* The slice that is BACK older goes when the one that takes its place begins.
 */
static double slice_expires(const struct window *window, unsigned back)
{
	return window->next + (WINDOW_SLICES - 1 - back) * slice_length(window);
}

double window_expires(const struct window *window)
{
	for (unsigned back = WINDOW_SLICES; back-- > 0;)
		if (window->slices[slice_back(window, back)])
			return slice_expires(window, back);
	return INFINITY;
}

/* ---- observations ---- */

/* Slice number I, which may be changed. */
static struct native *slice_own(struct window *window, unsigned i)
{
	if (!window->slices[i])
		window->slices[i] = native_new(&slice_options);
	forget_all(window);
	return native_own(&window->slices[i]);
}

void window_observe(struct window *window, double value, double now)
{
	window_turn(window, now);
	native_observe(slice_own(window, window->at), value);
}

/* The oldest slice of WINDOW that lasts no longer than until EXPIRES;
 * WINDOW_SLICES: none. */
static unsigned slice_until(const struct window *window, double expires)
{
	unsigned back = 0;

	while (back < WINDOW_SLICES && slice_expires(window, back) > expires)
		back++;
	return back;
}

void window_add(struct window *window, const struct window *from, double now)
{
	window_turn(window, now);
	if (isinf(window_expires(window)) && window->seconds >= from->seconds &&
	    window->seconds <= from->seconds) {
		take_slices(window, from);
		forget_all(window);
		window_turn(window, now);
		return;
	}
	for (unsigned back = 0; back < WINDOW_SLICES; back++) {
		struct native *slice = from->slices[slice_back(from, back)];
		unsigned to = slice_until(window, slice_expires(from, back));

		if (slice && to < WINDOW_SLICES)
			native_add(slice_own(window, slice_back(window, to)),
				   slice);
	}
}

/* The slice that BEFORE had for the time of slice BACK of AFTER, or NULL. */
static const struct native *former_slice(const struct window *before,
					 const struct window *after,
					 unsigned back)
{
	double expires = slice_expires(after, back);

	for (unsigned i = 0; i < WINDOW_SLICES; i++)
		if (fabs(slice_expires(before, i) - expires) <
		    slice_length(after) / 2)
			return before->slices[slice_back(before, i)];
	return NULL;
}

void window_add_difference(struct window *window, const struct window *before,
			   const struct window *after, double now)
{
	struct window *more = window_new(after->seconds, 0);

	take_slices(more, after);
	for (unsigned back = 0; back < WINDOW_SLICES; back++) {
		unsigned i = slice_back(after, back);
		const struct native *was = former_slice(before, after, back);

		if (!after->slices[i] || !was)
			continue;
		drop_slice(more, i);
		if (was != after->slices[i])
			native_add_difference(slice_own(more, i), was,
					      after->slices[i]);
	}
	window_add(window, more, now);
	window_unref(more);
}

/* ---- quantiles ---- */

static struct native *sum(const struct window *window)
{
	struct native *all = native_new(&slice_options);

	for (unsigned i = 0; i < WINDOW_SLICES; i++)
		if (window->slices[i])
			native_add(all, window->slices[i]);
	return all;
}

double window_quantile(struct window *window, double q)
{
	if (!window->all)
		window->all = sum(window);
	return native_quantile(window->all, q);
}
