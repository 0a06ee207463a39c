/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to a document, in two steps, so that the caller provides the memory of
 * the document in between:
 *
 *     xmlparse_init(&parse);
 *     if (xmlparse_prepare(&parse, text, &limits, &err)) {
 *             doc = memory of parse.size bytes;
 *             ok = xmlparse_run(&parse, doc, &err);
 *     }
 *     xmlparse_release(&parse);
 *
 * Nothing is fetched: no external entity, no external DTD, no network. Internal
 * entities are replaced if they hold plain text, up to a ceiling. The library
 * (core/xml2.h) writes nothing and prints nothing. Any thread.
 */
#ifndef CORE_XMLPARSE_H
#define CORE_XMLPARSE_H

#include "core/xmldoc.h"

enum {
	XMLPARSE_SIZE = 16 << 20, /* defaults of the limits */
	XMLPARSE_NODES = 1000000,
	XMLPARSE_ENTITIES = 10000,   /* references to entities */
	XMLPARSE_SPACES_OPEN = 256,  /* namespaces declared around a place */
	XMLPARSE_DEFAULTED = 100000, /* attributes by default of the DTD */
};

struct xmlparse_limits {
	size_t size;  /* bytes, as they came and as UTF-8; 0: the default */
	size_t nodes; /* elements and attributes; 0: the default */
};

struct xmlparse {
	size_t size; /* of the document's block, once prepared */
	/* private */
	struct str text;
	struct buf converted;
	struct xmlscan scan;
};

/* No allocation. */
void xmlparse_init(struct xmlparse *parse);

/* Frees; the parse is as after xmlparse_init. */
void xmlparse_release(struct xmlparse *parse);

/* Keeps TEXT until xmlparse_run; it has to stay. */
bool xmlparse_prepare(struct xmlparse *parse, struct str text,
		      const struct xmlparse_limits *limits, struct err *err);

/* Fills the block at DOC. False: it is not usable, and the message says
 * "xml: line 3: Opening and ending tag mismatch: a line 1 and b". */
bool xmlparse_run(struct xmlparse *parse, struct xmldoc *doc, struct err *err);

#endif
