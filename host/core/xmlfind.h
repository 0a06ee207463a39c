/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XPath 1.0 over a document, by libxml2, for which a tree of its own is built;
 * it is large (120 bytes a node), so only documents that are asked need one. It
 * does not refer to the document once it is built. One thread at a time.
 */
#ifndef CORE_XMLFIND_H
#define CORE_XMLFIND_H

#include "core/xmldoc.h"

enum {
	XMLFIND_NODES = 500000,	  /* of the tree: elements, texts, attributes */
	XMLFIND_STEPS = 10000000, /* of one expression */
	XMLFIND_EXPRESSION = 4096 /* bytes */
};

enum xmlfind_kind {
	XMLFIND_NODES_FOUND,
	XMLFIND_BOOLEAN,
	XMLFIND_NUMBER,
	XMLFIND_STRING,
};

/* The answer to an expression. */
struct xmlfind_result {
	enum xmlfind_kind kind;
	size_t count; /* of nodes, in the order of the document */
	bool boolean;
	double number;
	struct str string;
};

struct xmlfind;

/* NULL with ERR: the document has too many nodes, or there is no libxml2. */
struct xmlfind *xmlfind_new(const struct xmldoc *doc, struct err *err);

/* NULL is fine. */
void xmlfind_free(struct xmlfind *find);

/* The memory it takes, roughly, in bytes. */
size_t xmlfind_size(const struct xmlfind *find);

/* Forgets the prefixes of the last expression. */
void xmlfind_clear(struct xmlfind *find);

/* What PREFIX means in the next expressions. False: there is no such prefix. */
bool xmlfind_prefix(struct xmlfind *find, const char *prefix, const char *uri);

/*
 * Evaluates EXPRESSION at an element. False with ERR_USAGE: it is wrong, and
 * the message says why; with ERR_LIMIT: it took too many steps. The result is
 * the tree's, valid until the next call.
 */
bool xmlfind_run(struct xmlfind *find, uint32_t element, const char *expression,
		 struct xmlfind_result *result, struct err *err);

/* Node I of the last result: an element, or XMLDOC_NONE and the text of an
 * attribute, a text node or a namespace. */
uint32_t xmlfind_node(const struct xmlfind *find, size_t i, struct str *text);

#endif
