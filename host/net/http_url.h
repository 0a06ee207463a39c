/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs as messages may show them. Any text is accepted, and whatever cannot be
 * told apart for sure is left out. Any thread.
 */
#ifndef NET_HTTP_URL_H
#define NET_HTTP_URL_H

#include "core/buf.h"

enum { HTTP_URL_SHOWN = 300 }; /* more bytes than this are "..." */

/* Adds URL without user, password, fragment and the values of its query
 * ("?key=..."): fit for a log, printable ASCII only. */
void http_url_redact(struct buf *out, const char *url);

/* "host:port" of an absolute URL, without user and password. Borrowed. */
struct str http_url_authority(const char *url);

#endif
