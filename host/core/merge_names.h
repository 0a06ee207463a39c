/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families by the names under which a form shows them. Two names may be escaped
 * to the same one: then a name that need not be escaped has it, else the first
 * in the order of the names themselves. One may be escaped to the name of a
 * sample of another, m_x_sum of the summary "m.x": then the first page has it.
 * One thread.
 */
#ifndef CORE_MERGE_NAMES_H
#define CORE_MERGE_NAMES_H

#include <stddef.h>

#include "core/err.h"
#include "core/form.h"
#include "core/metadata.h"

/* A family of a merge. */
struct merged_family {
	struct metadata *metadata; /* borrowed */
	size_t first, n;	   /* see merge.c */
	size_t page;		   /* number of the first that has it */
};

/* Two families that are shown under one name, or one as a sample of the other.
 */
struct homonyms {
	struct err why; /* begins with the name of the one that is dropped */
	struct merged_family kept, dropped;
};

/* Puts the N families, which are sorted by name, into the order in which SCHEME
 * shows them. How many are left; the others are dropped, and the first of them
 * is in HOMONYMS, which is untouched when there are none. */
size_t merge_order(struct merged_family *families, size_t n,
		   enum escaping scheme, struct homonyms *homonyms);

/* The N families in the order that they have by then, with the
 * names that SCHEME shows: their own metadata, or what knows the type and the
 * name alone where that is another one. Freed by merge_names_free() before the
 * families are. */
const struct metadata **merge_names(const struct merged_family *families,
				    size_t n, enum escaping scheme);
void merge_names_free(const struct metadata **names,
		      const struct merged_family *families, size_t n);

#endif
