/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of an XML document as UTF-8, whatever its byte order mark or its
 * declaration say it is, so that all that follows knows one encoding: UTF-8,
 * US-ASCII, UTF-16, ISO-8859-*, windows-125*. Bytes that are none of it are an
 * error. Well-formed UTF-8 is checked by the parser, not here.
 */
#ifndef CORE_XMLTEXT_H
#define CORE_XMLTEXT_H

#include "core/buf.h"
#include "core/err.h"

/*
 * Leaves in UTF8 either TEXT itself, without its mark, or what was converted
 * into BUF, which the caller has initialised and releases.
 */
bool xmltext_utf8(struct str text, struct buf *buf, struct str *utf8,
		  struct err *err);

#endif
