/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentences of failed requests: "GET https://host/path: connection
 * refused". Any thread.
 */
#ifndef NET_HTTP_ERROR_H
#define NET_HTTP_ERROR_H

#include "core/err.h"
#include "net/http_transfer.h"

/* "METHOD URL: " with the URL redacted, and what FMT says. False. METHOD may
 * be NULL: GET. */
bool http_error_set(struct err *err, enum err_code code, const char *method,
		    const char *url, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Why TRANSFER ended with CODE, which is not CURLE_OK. */
void http_error_curl(struct err *err, struct http_transfer *transfer,
		     CURLcode code);

#endif
