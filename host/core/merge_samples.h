/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families of several pages whose samples would have one name: a histogram
 * `size` here, a gauge `size_sum` there. A registry refuses that; where two
 * pages do it, the first of them has the name, and the other's family is left
 * out. One thread.
 */
#ifndef CORE_MERGE_SAMPLES_H
#define CORE_MERGE_SAMPLES_H

#include <stddef.h>

#include "core/merge.h"
#include "core/merge_names.h"

/* Closes the gaps among the N families, which are sorted by name, and counts
 * those that go in CONFLICTS. How many are left. */
size_t merge_samples(struct merged_family *families, size_t n,
		     struct left_out *conflicts);

#endif
