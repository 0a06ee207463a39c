/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as scripts write them. Pure, any thread. */
#ifndef CORE_DURATION_H
#define CORE_DURATION_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds from a bare number, or from numbers with units (ms, s, m, h, d):
 * "500ms", "15s", "1m30s". False for anything else. */
bool duration_parse(const char *s, size_t len, double *seconds)
	__attribute__((warn_unused_result));

#endif
