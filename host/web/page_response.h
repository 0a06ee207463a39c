/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses made from an exposition: its texts, deflate pieces or zstd frames
 * are sent as they are, without a copy. A response holds them, and nothing else
 * of the exposition, until it was sent. In the web thread.
 */
#ifndef WEB_PAGE_RESPONSE_H
#define WEB_PAGE_RESPONSE_H

#include "core/exposition.h"
#include "web/response.h"

/* The body in ENCODING must be made. One reference. */
struct response *page_response(const struct exposition *exposition,
			       enum encoding encoding,
			       const char *content_type);

#endif
