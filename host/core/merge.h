/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges pages into the items of an exposition, in the order in which they are
 * shown: families by name, each once, with the series of every page that has
 * it. In steps, because a million series take a while.
 *
 * Where two pages disagree about a family, the first page has it and the family
 * of the other is left out; so is a series that an earlier page shows, too.
 *
 * One thread.
 */
#ifndef CORE_MERGE_H
#define CORE_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/block.h"
#include "core/duplicate.h"
#include "core/err.h"
#include "core/form.h"
#include "core/merge_checked.h"
#include "core/overlap.h"
#include "core/page.h"

struct merge;

/* Families that were left out: how many, and the first of them. */
struct left_out {
	unsigned count;
	struct err why; /* begins with its name */
	size_t first;	/* number of the page that has the name */
	size_t again;	/* of the page that shows it no more */
};

/* All of it outlives the merge. */
struct merge_source {
	struct page *const *pages;
	size_t n;
	struct form form;
	const struct overlap *overlap;
	struct block *const *former; /* whose items have sizes already */
	size_t nformer;
	struct checked *checked; /* of the merge before; may be NULL */
};

struct merge *merge_new(const struct merge_source *source);
void merge_free(struct merge *merge);

/* Does a part of it, a fraction of a millisecond; false when all is done. */
bool merge_step(struct merge *merge);

/* The result, when it is done. Items are borrowed, chunks that are no page's
 * among them: they live as long as the merge. */
const struct item *merge_items(const struct merge *merge, size_t *n);

/* Families left out: because pages disagree about them, and because another one
 * is shown under the same name in this form. Borrowed. */
const struct left_out *merge_conflicts(const struct merge *merge);
const struct left_out *merge_homonyms(const struct merge *merge);

/* Chunks whose size nobody knew. */
size_t merge_measured(const struct merge *merge);

/* Series left out because an earlier page shows them; their text becomes the
 * caller's. Once. */
struct duplicates merge_take_duplicates(struct merge *merge);

/* What was looked at for that; it becomes the caller's, and lives as long as
 * the pages. Once. */
struct checked *merge_take_checked(struct merge *merge);

#endif
