/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A response: immutable, counted, may answer many requests at the same time.
 * One thread: that of the server's loop.
 */
#ifndef WEB_RESPONSE_H
#define WEB_RESPONSE_H

#include <stddef.h>
#include <sys/uio.h>

struct response;
struct MHD_Response;

/*
 * A response whose body is the N pieces of IOV, sent without a copy (IOV itself
 * is copied). RELEASE (may be NULL) is called once with OWNER when the last use
 * has ended: no reference left and nothing being sent. Headers are name, value
 * pairs ended by NULL, copied; NULL for none.
 */
struct response *response_new(const struct iovec *iov, size_t n,
			      void (*release)(void *owner), void *owner,
			      const char *const *headers);

/* A response that owns a copy of TEXT. */
struct response *response_text(const char *content_type, const char *text,
			       const char *const *headers);

struct response *response_ref(struct response *response);
void response_unref(struct response *response);

/* Borrowed, for the server. */
struct MHD_Response *response_mhd(const struct response *response);

#endif
