/* SPDX-License-Identifier: Apache-2.0 */
#include "web/page_response.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "core/mem.h"
#include "core/text.h"

static struct response *response_of(const struct iovec *iov, size_t n,
				    void (*release)(void *), void *owner,
				    const char *encoding)
{
	const char *headers[] = { "Content-Type",
				  TEXT_CONTENT_TYPE,
				  "Vary",
				  "Accept-Encoding",
				  "Content-Encoding",
				  encoding,
				  NULL };

	if (!encoding)
		headers[4] = NULL;
	return response_new(iov, n, release, owner, headers);
}

struct texts {
	size_t n;
	struct bytes *texts[];
};

static void release_texts(void *owner)
{
	struct texts *texts = owner;

	for (size_t i = 0; i < texts->n; i++)
		bytes_unref(texts->texts[i]);
	free(texts);
}

struct response *page_response_text(struct exposition *exposition)
{
	size_t n = exposition_blocks(exposition);
	struct texts *texts =
		mem_alloc(sizeof *texts + n * sizeof texts->texts[0]);
	struct iovec *iov = mem_array(n, sizeof *iov);
	struct response *response;

	texts->n = n;
	for (size_t i = 0; i < n; i++) {
		texts->texts[i] = exposition_text(exposition, i);
		iov[i].iov_base = texts->texts[i]->data;
		iov[i].iov_len = texts->texts[i]->len;
	}
	response = response_of(iov, n, release_texts, texts, NULL);
	free(iov);
	return response;
}

struct gzip_body {
	struct exposition *exposition;
	unsigned char trailer[DEFLATE_TRAILER_SIZE];
};

static void release_gzip(void *owner)
{
	struct gzip_body *body = owner;

	exposition_unref(body->exposition);
	free(body);
}

struct response *page_response_gzip(struct exposition *exposition,
				    struct deflate *deflate)
{
	size_t n = exposition_blocks(exposition);
	const struct deflate_piece **pieces = mem_array(n, sizeof *pieces);
	struct iovec *iov = mem_array(n + 2, sizeof *iov);
	struct gzip_body *body = mem_alloc(sizeof *body);
	struct response *response;

	exposition_compress(exposition, deflate);
	body->exposition = exposition_ref(exposition);
	iov[0].iov_base = (void *)(uintptr_t)deflate_gzip_header;
	iov[0].iov_len = DEFLATE_HEADER_SIZE;
	for (size_t i = 0; i < n; i++) {
		pieces[i] = exposition_piece(exposition, i);
		iov[i + 1].iov_base = pieces[i]->data;
		iov[i + 1].iov_len = pieces[i]->size;
	}
	deflate_gzip_trailer(pieces, n, body->trailer);
	iov[n + 1].iov_base = body->trailer;
	iov[n + 1].iov_len = DEFLATE_TRAILER_SIZE;
	response = response_of(iov, n + 2, release_gzip, body, "gzip");
	free(iov);
	free(pieces);
	return response;
}
