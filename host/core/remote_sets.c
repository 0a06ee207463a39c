/* SPDX-License-Identifier: Apache-2.0 */
#include "core/remote_sets.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static bool same_rows(const struct rows *a, const struct rows *b)
{
	return a == b || (a->count == b->count &&
			  memcmp(a->labels, b->labels,
				 a->count * sizeof *a->labels) == 0);
}

/* The label sets of FAMILY, without those of chunks that stand at the same
 * place in OTHER (NULL: none do). */
static struct remote_sets sets_of(const struct page_family *family,
				  const struct page_family *other)
{
	uint32_t common = other ? other->nchunks : 0;
	struct remote_sets sets = { 0 };
	size_t room = 0;

	for (uint32_t c = 0; c < family->nchunks; c++)
		room += family->chunks[c]->shown;
	sets.labels = mem_array(room, sizeof *sets.labels);
	for (uint32_t c = 0; c < family->nchunks; c++) {
		const struct rows *rows = family->chunks[c]->rows;

		if (c < common && same_rows(rows, other->chunks[c]->rows))
			continue;
		for (uint32_t i = 0; i < rows->count; i++)
			if (rows->labels[i])
				sets.labels[sets.count++] = rows->labels[i];
	}
	return sets;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (struct labels *const *)a;
	uintptr_t y = (uintptr_t) * (struct labels *const *)b;

	return (x > y) - (x < y);
}

static int by_text(const void *a, const void *b)
{
	const struct labels *x = *(struct labels *const *)a;
	const struct labels *y = *(struct labels *const *)b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Takes out of both what is in both. No hash: outsiders choose the texts. */
static void part(struct remote_sets *a, struct remote_sets *b,
		 int (*order)(const void *, const void *))
{
	size_t i = 0, j = 0, left_a = 0, left_b = 0;

	qsort(a->labels, a->count, sizeof *a->labels, order);
	qsort(b->labels, b->count, sizeof *b->labels, order);
	while (i < a->count && j < b->count) {
		int c = order(&a->labels[i], &b->labels[j]);

		if (c < 0)
			a->labels[left_a++] = a->labels[i++];
		else if (c > 0)
			b->labels[left_b++] = b->labels[j++];
		else
			i++, j++;
	}
	while (i < a->count)
		a->labels[left_a++] = a->labels[i++];
	while (j < b->count)
		b->labels[left_b++] = b->labels[j++];
	a->count = left_a;
	b->count = left_b;
}

struct remote_sets remote_sets_gone(const struct page_family *before,
				    const struct page_family *after)
{
	struct remote_sets gone = sets_of(before, after), come;

	if (!after)
		return gone;
	come = sets_of(after, before);
	part(&gone, &come, by_address);
	part(&gone, &come, by_text);
	free(come.labels);
	return gone;
}

struct remote_sets remote_sets_staying(const struct page_family *before,
				       struct remote_sets *gone)
{
	struct remote_sets sets = sets_of(before, NULL);

	part(&sets, gone, by_text);
	return sets;
}
