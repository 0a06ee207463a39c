/* SPDX-License-Identifier: Apache-2.0 */
#include "core/duplicate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/escape.h"
#include "core/label_text.h"
#include "core/mem.h"

struct seen {
	const struct labels *labels; /* borrowed from a page; NULL: free */
	uint32_t hash;
	uint32_t page;
};

struct duplicate_finder {
	const struct metadata *family;
	enum escaping scheme;
	struct duplicates *duplicates;
	uint64_t seed; /* nobody outside can prepare collisions */
	struct seen *slots;
	size_t size;	 /* a power of two */
	struct buf a, b; /* for names as the scheme has them */
};

/* ---- sets ---- */

/* The text of LABELS as readers get it; it may be in ROOM. */
static struct str shown(const struct labels *labels, enum escaping scheme,
			struct buf *room)
{
	if (!labels->quoted || scheme == ESCAPING_NONE)
		return (struct str){ labels->text, labels->len };
	buf_clear(room);
	label_text_escape(room, (struct str){ labels->text, labels->len },
			  scheme);
	return (struct str){ buf_text(room), room->len };
}

/* The next label with a value: its text, up to the quote that ends it. */
static bool next_valued(struct str text, size_t *at, struct str *pair)
{
	struct label_text label;

	while (label_text_next(text, at, &label)) {
		pair->data = label.name.data - label.quoted;
		pair->len = (size_t)(label.value.data + label.value.len -
				     pair->data);
		if (label.value.len)
			return true;
	}
	return false;
}

static uint64_t hash_of(struct str text, uint64_t seed)
{
	uint64_t hash = 0;
	struct str pair;

	for (size_t at = 0; next_valued(text, &at, &pair);)
		hash += label_hash(seed, &pair, 1);
	return hash ? hash : 1;
}

static bool has(struct str text, const struct str *wanted)
{
	struct str pair;

	for (size_t at = 0; next_valued(text, &at, &pair);)
		if (pair.len == wanted->len &&
		    memcmp(pair.data, wanted->data, pair.len) == 0)
			return true;
	return false;
}

static bool is_subset(struct str a, struct str b)
{
	struct str pair;

	for (size_t at = 0; next_valued(a, &at, &pair);)
		if (!has(b, &pair))
			return false;
	return true;
}

static bool same_text(struct str a, struct str b)
{
	if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0)
		return true;
	return is_subset(a, b) && is_subset(b, a);
}

static bool same_set(struct duplicate_finder *finder, const struct labels *a,
		     const struct labels *b, enum escaping scheme)
{
	return same_text(shown(a, scheme, &finder->a),
			 shown(b, scheme, &finder->b));
}

/* ---- the table ---- */

static struct seen *find(struct duplicate_finder *finder, uint64_t hash,
			 const struct labels *labels)
{
	for (size_t i = hash;; i++) {
		struct seen *slot = &finder->slots[i & (finder->size - 1)];

		if (!slot->labels ||
		    (slot->hash == (uint32_t)hash &&
		     same_set(finder, slot->labels, labels, finder->scheme)))
			return slot;
	}
}

/* The series of another page that LABELS are, too; or NULL. */
static const struct seen *again(struct duplicate_finder *finder,
				const struct labels *labels, size_t page)
{
	struct str text = shown(labels, finder->scheme, &finder->a);
	uint64_t hash = hash_of(text, finder->seed);
	struct seen *slot = find(finder, hash, labels);

	if (slot->labels)
		return slot->page != page ? slot : NULL;
	*slot = (struct seen){ labels, (uint32_t)hash, (uint32_t)page };
	return NULL;
}

/* ---- chunks ---- */

/* As a reader has it for whom SCHEME is. */
static void add_series(struct buf *out, const struct metadata *family,
		       struct str labels, enum escaping scheme)
{
	struct str name = { family->name, family->name_len };
	bool quoted = family->quoted && scheme == ESCAPING_NONE;
	bool braces = quoted || labels.len;

	if (!quoted)
		name_escape(out, name, scheme);
	buf_addstr(out, braces ? "{" : "");
	if (quoted) {
		name_quote(out, name);
		buf_addstr(out, labels.len ? "," : "");
	}
	buf_add(out, labels.data, labels.len);
	buf_addstr(out, braces ? "}" : "");
}

/* Series are told of with their own names, unless they are the same by other
 * names alone. */
static void count(struct duplicate_finder *finder, const struct labels *labels,
		  const struct seen *first, size_t page)
{
	struct duplicates *duplicates = finder->duplicates;
	enum escaping scheme = ESCAPING_NONE;
	struct buf text;

	if (duplicates->count++)
		return;
	duplicates->escaped = !same_set(finder, first->labels, labels, scheme);
	if (duplicates->escaped)
		scheme = finder->scheme;
	buf_init(&text, SIZE_MAX / 2);
	add_series(&text, finder->family, shown(labels, scheme, &finder->a),
		   scheme);
	duplicates->series = buf_take(&text, NULL);
	duplicates->first = first->page;
	duplicates->again = page;
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

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		const struct labels *labels = chunk->rows->labels[i];
		const struct seen *first;

		first = labels ? again(finder, labels, page) : NULL;
		if (!first)
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
					      enum escaping scheme,
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
	finder->scheme = scheme;
	buf_init(&finder->a, SIZE_MAX / 2);
	buf_init(&finder->b, SIZE_MAX / 2);
	finder->duplicates = duplicates;
	finder->seed =
		((uint64_t)now.tv_nsec << 32) ^ (uint64_t)(uintptr_t)finder;
	return finder;
}

void duplicate_finder_free(struct duplicate_finder *finder)
{
	buf_release(&finder->a);
	buf_release(&finder->b);
	free(finder->slots);
	free(finder);
}
