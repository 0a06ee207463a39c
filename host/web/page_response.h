/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses made from an exposition: its blocks, or their deflate pieces, are
 * sent as they are, without a copy. A response holds what it is made of until
 * it was sent. In the web thread.
 */
#ifndef WEB_PAGE_RESPONSE_H
#define WEB_PAGE_RESPONSE_H

#include "core/deflate.h"
#include "core/exposition.h"
#include "web/response.h"

/* One reference each. */
struct response *page_response_text(struct exposition *exposition);
struct response *page_response_gzip(struct exposition *exposition,
				    struct deflate *deflate);

#endif
