/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What set takes for a histogram, gauge histogram or summary that is kept
 * elsewhere:
 *
 *	{ sum = 3.5, count = 17, buckets = { [0.1] = 8, [1] = 12 } }
 *	{ sum = 3.5, count = 17, quantiles = { [0.5] = 0.1 } }
 *
 * Counts of buckets are cumulative. Part of the module metric.
 */
#ifndef BIND_METRIC_MIRROR_H
#define BIND_METRIC_MIRROR_H

#include <lua.h>

#include "core/registry.h"

enum { METRIC_NUMBERS_MAX = METADATA_BUCKETS_MAX + 2 };

/* Is it one of the three types? */
bool metric_is_distribution(enum metric_type type);

/* The table at ARG as the numbers of a row of FAMILY, for family_set_numbers().
 * Raises a sentence that begins with the family's name. */
void check_metric_numbers(lua_State *L, int arg, const struct family *family,
			  double *numbers);

#endif
