/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xmldoc.h"

#include <stdalign.h>
#include <sys/random.h>

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t power_of_two(size_t n)
{
	size_t power = 16;

	while (power < n)
		power *= 2;
	return power;
}

static size_t grown(size_t n, const struct xmlscan *scan)
{
	return n + (scan->entities ? XMLDOC_ENTITY_BYTES : 0);
}

/* What the arrays of a document hold; names for elements, attributes, and the
 * two of each namespace. */
static struct xmldoc capacities(const struct xmlscan *scan)
{
	size_t names = smaller(scan->elements + 3 * scan->attributes + 1,
			       XMLDOC_NAMES_MAX);

	return (struct xmldoc){
		.elements_cap = (uint32_t)scan->elements,
		.attributes_cap = (uint32_t)scan->attributes,
		.names_cap = (uint32_t)names,
		.slots_mask = (uint32_t)power_of_two(2 * names) - 1,
		.text_cap = (uint32_t)grown(scan->text, scan),
		.values_cap = (uint32_t)grown(scan->values, scan),
		.bytes_cap = (uint32_t)smaller(grown(scan->tags, scan) + 64,
					       XMLDOC_NAMES_BYTES),
	};
}

/* The place of SIZE bytes in the block; advances. */
static void *place(char *block, size_t *at, size_t size)
{
	size_t mask = alignof(max_align_t) - 1, begin = *at;

	*at = (begin + size + mask) & ~mask;
	return block ? block + begin : NULL;
}

/* Returns the size of the block. */
static size_t lay_out(struct xmldoc *doc, char *block)
{
	size_t at = 0;

	place(block, &at, sizeof *doc);
	doc->elements =
		place(block, &at,
		      ((size_t)doc->elements_cap + 1) * sizeof *doc->elements);
	doc->attributes = place(block, &at,
				doc->attributes_cap * sizeof *doc->attributes);
	doc->names = place(block, &at, doc->names_cap * sizeof *doc->names);
	doc->spaces = place(
		block, &at,
		(size_t)smaller(doc->attributes_cap + 1, XMLDOC_SPACES_MAX) *
			sizeof *doc->spaces);
	doc->slots = place(block, &at,
			   ((size_t)doc->slots_mask + 1) * sizeof *doc->slots);
	doc->text = place(block, &at, doc->text_cap);
	doc->values = place(block, &at, doc->values_cap);
	doc->bytes = place(block, &at, doc->bytes_cap);
	return at;
}

size_t xmldoc_size(const struct xmlscan *scan)
{
	struct xmldoc doc = capacities(scan);

	return lay_out(&doc, NULL);
}

/* Whoever writes a document must not know which names share a slot. */
static uint32_t random_seed(void)
{
	uint32_t seed = 0;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		seed = (uint32_t)((uintptr_t)&seed >> 4);
	return seed;
}

void xmldoc_init(struct xmldoc *doc, const struct xmlscan *scan)
{
	*doc = capacities(scan);
	doc->seed = random_seed();
	lay_out(doc, (char *)doc);
	memset(doc->slots, 0,
	       ((size_t)doc->slots_mask + 1) * sizeof *doc->slots);
}

/* ---- names -------------------------------------------------------------- */

/* FNV-1a */
static uint32_t hash_of(const struct xmldoc *doc, struct str name)
{
	uint32_t hash = 2166136261u ^ doc->seed;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
	return hash;
}

/* The slot that holds NAME, or the empty one where it would be. */
static uint32_t *find_slot(const struct xmldoc *doc, struct str name,
			   uint32_t hash)
{
	const struct xmldoc_name *at;
	uint32_t i = hash & doc->slots_mask;

	for (; doc->slots[i]; i = (i + 1) & doc->slots_mask) {
		at = &doc->names[doc->slots[i] - 1];
		if (at->hash == hash && at->len == name.len &&
		    memcmp(doc->bytes + at->at, name.data, name.len) == 0)
			break;
	}
	return &doc->slots[i];
}

uint32_t xmldoc_name_find(const struct xmldoc *doc, struct str name)
{
	return *find_slot(doc, name, hash_of(doc, name)) - 1;
}

uint32_t xmldoc_name_add(struct xmldoc *doc, struct str name)
{
	uint32_t hash = hash_of(doc, name), *slot = find_slot(doc, name, hash);

	if (*slot)
		return *slot - 1;
	if (doc->nnames == doc->names_cap ||
	    name.len > doc->bytes_cap - doc->bytes_len)
		return XMLDOC_NONE;
	memcpy(doc->bytes + doc->bytes_len, name.data, name.len);
	doc->names[doc->nnames] = (struct xmldoc_name){
		.at = doc->bytes_len, .len = (uint32_t)name.len, .hash = hash
	};
	doc->bytes_len += (uint32_t)name.len;
	*slot = ++doc->nnames;
	return doc->nnames - 1;
}
