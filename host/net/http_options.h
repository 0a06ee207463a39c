/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as options of libcurl. Used by net/http_transfer.c alone.
 */
#ifndef NET_HTTP_OPTIONS_H
#define NET_HTTP_OPTIONS_H

#include "net/http_transfer.h"

/* PARSER has the request's URL. False when libcurl does not take an option,
 * transfer->refused. */
bool http_options_set(struct http_transfer *transfer,
		      const struct http_request *request, CURLU *parser);

#endif
