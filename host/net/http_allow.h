/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transfer that may not go everywhere (net/allow.h). libcurl resolves names,
 * makes connections and follows redirects by itself: it is asked about when it
 * is about to look a name up, and when it has an address and is about to make a
 * socket. A connection that is kept was allowed when it was made, to the same
 * host and port. Used by net/http_transfer.c alone.
 */
#ifndef NET_HTTP_ALLOW_H
#define NET_HTTP_ALLOW_H

#include "net/http_transfer.h"

/* Has REQUEST nothing that is not there in a sandbox? To be asked before
 * anything looks at its files. */
bool http_allow_options(const struct allow *allow,
			const struct http_request *request, struct err *err);

/* May it be made at all? PARSER has its URL. */
bool http_allow_request(const struct allow *allow,
			const struct http_request *request,
			const struct curl *curl, CURLU *parser,
			struct err *err);

/* Puts the check into the handle, and takes proxies of the environment out of
 * it. After all other options. False when libcurl does not take it. */
bool http_allow_set(struct http_transfer *transfer);

/* libcurl is about to look up the name of the present URL. False, and
 * transfer->denied. */
bool http_allow_lookup(struct http_transfer *transfer);

#endif
