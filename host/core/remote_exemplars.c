/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row mostly stands where it stood: then its former list is looked at. Else,
 * after a reload for one, all exemplars of the family before are.
 */
#include "core/remote_exemplars.h"

#include <stdlib.h>

#include "core/mem.h"

void remote_exemplars_init(struct remote_exemplars *exemplars,
			   const struct page_family *before)
{
	*exemplars = (struct remote_exemplars){ .before = before };
}

void remote_exemplars_release(struct remote_exemplars *exemplars)
{
	free(exemplars->known);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const struct exemplar *const *)a;
	uintptr_t y = (uintptr_t) * (const struct exemplar *const *)b;

	return (x > y) - (x < y);
}

static size_t count_slots(const struct page_family *family)
{
	size_t n = 0;

	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct chunk *chunk = family->chunks[c];

		for (uint32_t i = 0; chunk->exemplars && i < chunk->rows->count;
		     i++)
			n += chunk->exemplars[i] ? chunk->exemplars[i]->n : 0;
	}
	return n;
}

static void list_row(struct remote_exemplars *exemplars,
		     const struct exemplars *list)
{
	for (uint32_t i = 0; list && i < list->n; i++)
		if (list->slots[i])
			exemplars->known[exemplars->nknown++] = list->slots[i];
}

static void list_known(struct remote_exemplars *exemplars)
{
	const struct page_family *family = exemplars->before;

	exemplars->listed = true;
	exemplars->known =
		mem_array(count_slots(family), sizeof(struct exemplar *));
	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct chunk *chunk = family->chunks[c];

		for (uint32_t i = 0; chunk->exemplars && i < chunk->rows->count;
		     i++)
			list_row(exemplars, chunk->exemplars[i]);
	}
	qsort(exemplars->known, exemplars->nknown, sizeof *exemplars->known,
	      by_address);
}

static bool has(const struct exemplars *list, const struct exemplar *exemplar)
{
	for (uint32_t i = 0; list && i < list->n; i++)
		if (list->slots[i] == exemplar)
			return true;
	return false;
}

bool remote_exemplars_is_new(struct remote_exemplars *exemplars,
			     const struct chunk *chunk, uint32_t c,
			     uint32_t row, const struct exemplar *exemplar)
{
	const struct page_family *before = exemplars->before;
	const struct chunk *former;

	if (!before)
		return true;
	former = c < before->nchunks ? before->chunks[c] : NULL;
	if (former == chunk)
		return false;
	if (former && row < former->rows->count &&
	    former->rows->labels[row] == chunk->rows->labels[row])
		return !former->exemplars ||
		       !has(former->exemplars[row], exemplar);
	if (!exemplars->listed)
		list_known(exemplars);
	return !bsearch(&exemplar, exemplars->known, exemplars->nknown,
			sizeof *exemplars->known, by_address);
}
