/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed XML document: elements in document order, in one block of memory
 * that the caller owns and that needs no release. An element is 28 bytes, where
 * a tree of libxml2 has 120 and as many again for its text. An element is
 * named by its index; the root is 0.
 *
 * All text is one string, so that of an element with all that is inside is a
 * part of it. Comments and processing instructions are left out. Once built
 * (core/xmlparse.h) a document does not change.
 */
#ifndef CORE_XMLDOC_H
#define CORE_XMLDOC_H

#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/xmlscan.h"

#define XMLDOC_NONE UINT32_MAX

enum {
	XMLDOC_SPACES_MAX = 256,	 /* different namespaces and prefixes */
	XMLDOC_NAMES_MAX = 16 << 10,	 /* different names */
	XMLDOC_NAMES_BYTES = 256 << 10,	 /* all of them together */
	XMLDOC_ENTITY_BYTES = 256 << 10, /* that entities may add */
};

struct xmldoc_name {
	uint32_t at, len, hash;
};

struct xmldoc_space {
	uint32_t prefix, uri; /* names; XMLDOC_NONE: no prefix */
};

struct xmldoc_element {
	uint32_t name;	   /* local */
	uint32_t space;	   /* XMLDOC_NONE: none */
	uint32_t parent;   /* XMLDOC_NONE: the root */
	uint32_t end;	   /* the first element behind it that is not inside */
	uint32_t text;	   /* its first byte of text */
	uint32_t text_end; /* behind its last */
	uint32_t attributes; /* the first; the next element's is the end */
};

struct xmldoc_attribute {
	uint32_t name, space;
	uint32_t value, len; /* a NUL follows */
};

/* Read by everyone, written by core/xmlparse.c alone. Arrays are in the block.
 */
struct xmldoc {
	struct xmldoc_element *elements; /* one more than there are */
	struct xmldoc_attribute *attributes;
	struct xmldoc_name *names;
	struct xmldoc_space *spaces;
	uint32_t *slots; /* of the names: index + 1 by hash */
	char *text, *values, *bytes;
	uint32_t nelements, nattributes, nnames, nspaces;
	uint32_t text_len, values_len, bytes_len;
	uint32_t elements_cap, attributes_cap, names_cap, slots_mask;
	uint32_t text_cap, values_cap, bytes_cap;
	uint32_t seed; /* of the hashes */
};

/* The bytes of the block for a document that was counted. */
size_t xmldoc_size(const struct xmlscan *scan);

/* An empty document in a block of that size, aligned as malloc does. */
void xmldoc_init(struct xmldoc *doc, const struct xmlscan *scan);

/* The index of a name, made when it is new; XMLDOC_NONE when there is no room.
 */
uint32_t xmldoc_name_add(struct xmldoc *doc, struct str name);

/* XMLDOC_NONE: nothing in the document is called so. */
uint32_t xmldoc_name_find(const struct xmldoc *doc, struct str name);

static inline struct str xmldoc_name(const struct xmldoc *doc, uint32_t name)
{
	const struct xmldoc_name *n = &doc->names[name];

	return (struct str){ doc->bytes + n->at, n->len };
}

/* All text of an element, that of elements inside it too. */
static inline struct str xmldoc_text(const struct xmldoc *doc, uint32_t e)
{
	const struct xmldoc_element *element = &doc->elements[e];

	return (struct str){ doc->text + element->text,
			     element->text_end - element->text };
}

/* The first child element; XMLDOC_NONE without one. */
static inline uint32_t xmldoc_first(const struct xmldoc *doc, uint32_t e)
{
	return doc->elements[e].end > e + 1 ? e + 1 : XMLDOC_NONE;
}

/* The next element with the same parent; XMLDOC_NONE behind the last. */
static inline uint32_t xmldoc_next(const struct xmldoc *doc, uint32_t e)
{
	uint32_t parent = doc->elements[e].parent;

	if (parent == XMLDOC_NONE ||
	    doc->elements[e].end == doc->elements[parent].end)
		return XMLDOC_NONE;
	return doc->elements[e].end;
}

/* E or the first behind it with the same parent that is called NAME;
 * XMLDOC_NONE as E or as the answer: none. */
static inline uint32_t xmldoc_named(const struct xmldoc *doc, uint32_t e,
				    uint32_t name)
{
	while (e != XMLDOC_NONE && doc->elements[e].name != name)
		e = xmldoc_next(doc, e);
	return e;
}

#endif
