/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxml2, opened when the first document is read: a program whose scripts
 * have no XML does not load it. Its functions are members of a table and have
 * the library's own names and types. Nothing global of the library is set, and
 * the table stays until the process ends. Any thread.
 */
#ifndef CORE_XML2_H
#define CORE_XML2_H

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include "core/err.h"

#define XML2_FUNCTIONS(X)                                                      \
	X(inputPush)                                                           \
	X(xmlCtxtUseOptions)                                                   \
	X(xmlDictCreate)                                                       \
	X(xmlFreeDoc)                                                          \
	X(xmlFreeParserCtxt)                                                   \
	X(xmlFreeParserInputBuffer)                                            \
	X(xmlInitParser)                                                       \
	X(xmlNewDoc)                                                           \
	X(xmlNewDocNode)                                                       \
	X(xmlNewDocTextLen)                                                    \
	X(xmlNewIOInputStream)                                                 \
	X(xmlNewNs)                                                            \
	X(xmlNewNsProp)                                                        \
	X(xmlNewParserCtxt)                                                    \
	X(xmlParseDocument)                                                    \
	X(xmlParserInputBufferCreateIO)                                        \
	X(xmlResetError)                                                       \
	X(xmlSAX2EntityDecl)                                                   \
	X(xmlSAX2GetEntity)                                                    \
	X(xmlSAX2InternalSubset)                                               \
	X(xmlSAX2StartDocument)                                                \
	X(xmlXPathCompiledEval)                                                \
	X(xmlXPathCtxtCompile)                                                 \
	X(xmlXPathFreeCompExpr)                                                \
	X(xmlXPathFreeContext)                                                 \
	X(xmlXPathFreeObject)                                                  \
	X(xmlXPathNewContext)                                                  \
	X(xmlXPathNodeSetSort)                                                 \
	X(xmlXPathOrderDocElems)                                               \
	X(xmlXPathRegisterNs)                                                  \
	X(xmlXPathRegisteredNsCleanup)

#define XML2_MEMBER(name) __typeof__(name) *name;
struct xml2 {
	XML2_FUNCTIONS(XML2_MEMBER)
};
#undef XML2_MEMBER

/* The table, or NULL with ERR when the library is not there. */
const struct xml2 *xml2_get(struct err *err);

#endif
