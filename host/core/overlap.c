/* SPDX-License-Identifier: Apache-2.0 */
#include "core/overlap.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct overlap {
	unsigned refs;
	size_t n;
	struct labels **constant; /* of each page; NULL: none */
	bool *shared;		  /* n * n */
};

static bool differ(const struct str *a, const struct str *b)
{
	size_t name = label_name_text(*a).len;

	return name == label_name_text(*b).len &&
	       memcmp(a->data, b->data, name) == 0 &&
	       (a->len != b->len || memcmp(a->data, b->data, a->len) != 0);
}

/* Have both sets a label of the same name with another value? */
static bool told_apart(const struct labels *a, const struct labels *b)
{
	struct str p, q;
	size_t i = 0, k;

	if (!a || !b || a == b)
		return false;
	while (labels_next(a, &i, &p))
		for (k = 0; labels_next(b, &k, &q);)
			if (differ(&p, &q))
				return true;
	return false;
}

static bool holds(const struct overlap *overlap, struct page *const *pages,
		  size_t n)
{
	if (!overlap || overlap->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (overlap->constant[i] != pages[i]->constant)
			return false;
	return true;
}

static void compare(struct overlap *overlap, size_t a, size_t b)
{
	bool shared = !told_apart(overlap->constant[a], overlap->constant[b]);

	overlap->shared[a * overlap->n + b] = shared;
	overlap->shared[b * overlap->n + a] = shared;
}

struct overlap *overlap_new(struct page *const *pages, size_t n,
			    struct overlap *previous)
{
	struct overlap *overlap;

	if (holds(previous, pages, n)) {
		previous->refs++;
		return previous;
	}
	overlap = mem_alloc(sizeof *overlap);
	overlap->refs = 1;
	overlap->n = n;
	overlap->constant = mem_array(n, sizeof(struct labels *));
	overlap->shared = mem_array(n * n, sizeof *overlap->shared);
	for (size_t i = 0; i < n; i++) {
		if (pages[i]->constant)
			overlap->constant[i] = labels_ref(pages[i]->constant);
		for (size_t k = 0; k < i; k++)
			compare(overlap, k, i);
	}
	return overlap;
}

void overlap_unref(struct overlap *overlap)
{
	if (!overlap || --overlap->refs)
		return;
	for (size_t i = 0; i < overlap->n; i++)
		labels_unref(overlap->constant[i]);
	free(overlap->constant);
	free(overlap->shared);
	free(overlap);
}

bool overlap_any(const struct overlap *overlap, size_t a, const size_t *others,
		 size_t n)
{
	const bool *shared = overlap->shared + a * overlap->n;

	for (size_t i = 0; i < n; i++)
		if (shared[others[i]])
			return true;
	return false;
}
