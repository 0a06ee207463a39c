/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request must not say: whatever libcurl would refuse late or, worse,
 * send. Any thread.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include <stdbool.h>

#include "core/err.h"
#include "net/curl.h"
#include "net/http_client.h"

/* False and ERR_USAGE; PARSER is any handle of curl_url(). */
bool http_request_check(const struct http_request *request,
			const struct curl *curl, CURLU *parser,
			struct err *err);

/* Has the request a header of this name? Letter case does not matter. */
bool http_request_has(const struct http_request *request, const char *name);

/* Is METHOD, which may be NULL, this one? */
bool http_request_is(const struct http_request *request, const char *method);

#endif
