/* SPDX-License-Identifier: Apache-2.0 */
#include "web/page_response.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "core/mem.h"

struct body {
	unsigned char trailer[DEFLATE_TRAILER_SIZE];
	size_t n;
	struct bytes *parts[];
};

static void release(void *owner)
{
	struct body *body = owner;

	for (size_t i = 0; i < body->n; i++)
		bytes_unref(body->parts[i]);
	free(body);
}

static struct body *body_new(const struct exposition *exposition,
			     enum encoding encoding)
{
	size_t n = exposition_blocks(exposition);
	struct body *body = mem_alloc(sizeof *body + n * sizeof *body->parts);

	body->n = n;
	for (size_t i = 0; i < n; i++)
		body->parts[i] =
			bytes_ref(exposition_part(exposition, encoding, i));
	if (encoding == ENCODING_GZIP)
		exposition_gzip_trailer(exposition, body->trailer);
	return body;
}

static struct iovec span(const void *data, size_t len)
{
	return (struct iovec){ (void *)(uintptr_t)data, len };
}

/* Fills IOV, which has room for two more than there are parts. */
static size_t list(const struct body *body, enum encoding encoding,
		   struct iovec *iov)
{
	size_t n = 0;

	if (encoding == ENCODING_GZIP)
		iov[n++] = span(deflate_gzip_header, DEFLATE_HEADER_SIZE);
	if (encoding == ENCODING_ZSTD && !body->n)
		iov[n++] = span(zstd_empty, ZSTD_EMPTY_SIZE);
	for (size_t i = 0; i < body->n; i++)
		if (body->parts[i]->len)
			iov[n++] =
				span(body->parts[i]->data, body->parts[i]->len);
	if (encoding == ENCODING_GZIP)
		iov[n++] = span(body->trailer, DEFLATE_TRAILER_SIZE);
	return n;
}

struct response *page_response(const struct exposition *exposition,
			       enum encoding encoding, const char *content_type)
{
	static const char *const names[] = { NULL, "gzip", "zstd" };
	const char *const headers[] = { "Content-Type",
					content_type,
					"Vary",
					"Accept, Accept-Encoding",
					names[encoding] ? "Content-Encoding"
							: NULL,
					names[encoding],
					NULL };
	struct body *body = body_new(exposition, encoding);
	struct iovec *iov = mem_array(body->n + 2, sizeof *iov);
	size_t n = list(body, encoding, iov);
	struct response *response =
		response_new(iov, n, release, body, headers);

	free(iov);
	return response;
}
