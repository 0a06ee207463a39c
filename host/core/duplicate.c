/* SPDX-License-Identifier: Apache-2.0 */
#include "core/duplicate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/escape.h"
#include "core/mem.h"

struct seen {
	const struct labels *labels; /* borrowed from a page; NULL: free */
	uint32_t hash;
	uint32_t page;
};

struct duplicate_finder {
	const struct metadata *family;
	struct duplicates *duplicates;
	uint64_t seed; /* nobody outside can prepare collisions */
	struct seen *slots;
	size_t size; /* a power of two */
};

/* ---- sets ---- */

/* The next label with a value. */
static bool next_valued(const struct labels *labels, size_t *at,
			struct str *pair)
{
	while (labels_next(labels, at, pair))
		if (memcmp(pair->data + pair->len - 3, "=\"\"", 3) != 0)
			return true;
	return false;
}

static uint64_t hash_of(const struct labels *labels, uint64_t seed)
{
	uint64_t hash = 0;
	struct str pair;

	for (size_t at = 0; next_valued(labels, &at, &pair);)
		hash += label_hash(seed, &pair, 1);
	return hash ? hash : 1;
}

static bool has(const struct labels *labels, const struct str *wanted)
{
	struct str pair;

	for (size_t at = 0; next_valued(labels, &at, &pair);)
		if (pair.len == wanted->len &&
		    memcmp(pair.data, wanted->data, pair.len) == 0)
			return true;
	return false;
}

static bool is_subset(const struct labels *a, const struct labels *b)
{
	struct str pair;

	for (size_t at = 0; next_valued(a, &at, &pair);)
		if (!has(b, &pair))
			return false;
	return true;
}

static bool same_set(const struct labels *a, const struct labels *b)
{
	if (a->len == b->len && memcmp(a->text, b->text, a->len) == 0)
		return true;
	return is_subset(a, b) && is_subset(b, a);
}

/* ---- the table ---- */

static struct seen *find(const struct duplicate_finder *finder, uint64_t hash,
			 const struct labels *labels)
{
	for (size_t i = hash;; i++) {
		struct seen *slot = &finder->slots[i & (finder->size - 1)];

		if (!slot->labels || (slot->hash == (uint32_t)hash &&
				      same_set(slot->labels, labels)))
			return slot;
	}
}

/* Is the series there already, by another page? */
static bool is_again(struct duplicate_finder *finder,
		     const struct labels *labels, size_t page, size_t *first)
{
	uint64_t hash = hash_of(labels, finder->seed);
	struct seen *slot = find(finder, hash, labels);

	if (slot->labels) {
		*first = slot->page;
		return slot->page != page;
	}
	*slot = (struct seen){ labels, (uint32_t)hash, (uint32_t)page };
	return false;
}

/* ---- chunks ---- */

/* As a reader of UTF-8 names has it. */
static void add_series(struct buf *out, const struct metadata *family,
		       const struct labels *labels)
{
	struct str name = { family->name, family->name_len };
	bool braces = family->quoted || labels->len;

	if (!family->quoted)
		buf_add(out, name.data, name.len);
	buf_addstr(out, braces ? "{" : "");
	if (family->quoted) {
		name_quote(out, name);
		buf_addstr(out, labels->len ? "," : "");
	}
	buf_add(out, labels->text, labels->len);
	buf_addstr(out, braces ? "}" : "");
}

static void count(struct duplicate_finder *finder, const struct labels *labels,
		  size_t first, size_t again)
{
	struct duplicates *duplicates = finder->duplicates;
	struct buf text;

	if (duplicates->count++)
		return;
	buf_init(&text, SIZE_MAX / 2);
	add_series(&text, finder->family, labels);
	duplicates->series = buf_take(&text, NULL);
	duplicates->first = first;
	duplicates->again = again;
}

/* A copy of CHUNK, in which rows can be left out. */
static struct chunk *copy(const struct chunk *chunk, unsigned width)
{
	struct rows *rows = rows_new(chunk->rows->count);
	size_t n = (size_t)rows->count * width;
	double *values = mem_array(n, sizeof *values);
	struct extras from = chunk_extras(chunk), extras = { .n = from.n };
	struct chunk *made;

	memcpy(values, chunk->values, n * sizeof *values);
	for (uint32_t i = 0; i < rows->count; i++)
		if (chunk->rows->labels[i])
			rows->labels[i] = labels_ref(chunk->rows->labels[i]);
	for (uint32_t i = 0; i < from.n; i++)
		extras_copy(&extras, i, &from, i);
	made = chunk_new(rows, values, NULL);
	chunk_take_extras(made, &extras);
	return made;
}

static void leave_out(struct chunk *chunk, uint32_t row)
{
	labels_unref(chunk->rows->labels[row]);
	chunk->rows->labels[row] = NULL;
	chunk->shown--;
}

struct chunk *duplicate_filter(struct duplicate_finder *finder,
			       struct chunk *chunk, size_t page)
{
	struct chunk *left = chunk_ref(chunk);
	size_t first;

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		const struct labels *labels = chunk->rows->labels[i];

		if (!labels || !is_again(finder, labels, page, &first))
			continue;
		count(finder, labels, first, page);
		if (left == chunk) {
			chunk_unref(left);
			left = copy(chunk, finder->family->width);
		}
		leave_out(left, i);
	}
	return left;
}

/* ---- life ---- */

/* The table has its size at once: growing it would take long in one piece. */
struct duplicate_finder *duplicate_finder_new(const struct metadata *family,
					      size_t series,
					      struct duplicates *duplicates)
{
	struct duplicate_finder *finder = mem_alloc(sizeof *finder);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	finder->size = 1;
	while (finder->size < 2 * series + 1)
		finder->size *= 2;
	finder->slots = mem_array(finder->size, sizeof *finder->slots);
	finder->family = family;
	finder->duplicates = duplicates;
	finder->seed =
		((uint64_t)now.tv_nsec << 32) ^ (uint64_t)(uintptr_t)finder;
	return finder;
}

void duplicate_finder_free(struct duplicate_finder *finder)
{
	free(finder->slots);
	free(finder);
}
