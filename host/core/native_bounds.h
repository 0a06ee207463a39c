/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind the buckets of native histograms (native.h). Immutable, any
 * thread.
 */
#ifndef CORE_NATIVE_BOUNDS_H
#define CORE_NATIVE_BOUNDS_H

enum { NATIVE_BOUNDS_SHIFT = 8, NATIVE_BOUNDS = 1 << NATIVE_BOUNDS_SHIFT };

/* Number I is 2^(I/256 - 1), so 0.5 to just below 1; of schema S, which is
 * coarser, every 2^(8 - S)th counts. */
extern const double native_bounds[NATIVE_BOUNDS];

#endif
