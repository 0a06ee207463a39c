/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first look at an XML document, before anything is allocated for it: how
 * much it holds, and whether it is one of those that a parser needs very long
 * for. libxml2 compares each attribute of a tag with all the others, each
 * token of an enumeration likewise, and looks through all namespaces in scope
 * for each prefix.
 *
 * What is not well-formed is counted up to there: saying what is wrong is the
 * parser's work, and it reads no further.
 */
#ifndef CORE_XMLSCAN_H
#define CORE_XMLSCAN_H

#include "core/buf.h"
#include "core/err.h"

enum {
	XMLSCAN_DEPTH_MAX = 256,
	XMLSCAN_ATTRIBUTES_MAX = 256,	/* of one tag */
	XMLSCAN_DOCTYPE_MAX = 16 << 10, /* bytes */
};

/* Upper bounds. */
struct xmlscan {
	size_t elements;
	size_t attributes;
	size_t text;   /* bytes between the tags */
	size_t values; /* bytes of attributes, and one for each */
	size_t tags;   /* bytes of start tags */
	bool entities; /* there may be declarations of entities */
};

/* TEXT is UTF-8. False: there are more than NODES elements and attributes, or
 * it is no document to parse. */
bool xmlscan_run(struct str text, size_t nodes, struct xmlscan *scan,
		 struct err *err);

#endif
