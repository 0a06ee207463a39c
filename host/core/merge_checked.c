/* SPDX-License-Identifier: Apache-2.0 */
#include "core/merge_checked.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct known {
	const struct metadata *family;
	size_t first; /* of the rows; they end where the next one begins */
};

struct checked {
	struct known *families;
	size_t n, families_cap;
	const struct rows **rows; /* NULL behind those of each page */
	size_t nrows, rows_cap;
	size_t at; /* where the next family is likely to be */
};

struct checked *checked_new(void)
{
	return mem_alloc(sizeof(struct checked));
}

void checked_free(struct checked *checked)
{
	if (!checked)
		return;
	free(checked->families);
	free(checked->rows);
	free(checked);
}

void checked_begin(struct checked *checked, const struct metadata *family)
{
	if (checked->n == checked->families_cap) {
		checked->families_cap = checked->n ? checked->n * 2 : 16;
		checked->families = mem_realloc(
			checked->families,
			checked->families_cap * sizeof *checked->families);
	}
	checked->families[checked->n++] =
		(struct known){ family, checked->nrows };
}

void checked_add(struct checked *checked, const struct page_family *family)
{
	size_t need = checked->nrows + family->nchunks + 1;

	if (need > checked->rows_cap) {
		checked->rows_cap = need * 2;
		checked->rows =
			mem_realloc(checked->rows,
				    checked->rows_cap * sizeof(struct rows *));
	}
	for (uint32_t i = 0; i < family->nchunks; i++)
		checked->rows[checked->nrows++] = family->chunks[i]->rows;
	checked->rows[checked->nrows++] = NULL;
}

static size_t end_of(const struct checked *checked, size_t i)
{
	return i + 1 < checked->n ? checked->families[i + 1].first
				  : checked->nrows;
}

/* The number of the family NAME, or that behind the last. */
static size_t find(struct checked *checked, const char *name)
{
	for (size_t i = 0; i < checked->n; i++) {
		size_t k = (checked->at + i) % checked->n;

		if (strcmp(checked->families[k].family->name, name) != 0)
			continue;
		checked->at = k + 1;
		return k;
	}
	return checked->n;
}

bool checked_before(const struct checked *checked, struct checked *former)
{
	const struct known *last = &checked->families[checked->n - 1];
	size_t n = checked->nrows - last->first, i, first;

	if (!former)
		return false;
	i = find(former, last->family->name);
	if (i == former->n)
		return false;
	first = former->families[i].first;
	return end_of(former, i) - first == n &&
	       memcmp(former->rows + first, checked->rows + last->first,
		      n * sizeof *checked->rows) == 0;
}

void checked_drop(struct checked *checked)
{
	checked->nrows = checked->families[--checked->n].first;
}
