/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd copies the list of pieces into the memory of each connection
 * that sends it, and that is small (REQUEST_MEMORY). A longer list is sent
 * through a reader, which copies the bytes; so huge pages cost a memcpy more.
 */
#include "web/response.h"

#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "core/log.h"
#include "core/mem.h"

enum { PIECES_MAX = 1024, READER_BLOCK = 64 * 1024 };

struct response {
	unsigned refs;
	struct MHD_Response *mhd;
};

/* ---- more pieces than a connection can hold ---- */

struct reader {
	void (*release)(void *owner);
	void *owner;
	size_t n;
	size_t at;	/* the piece where the last read ended, and */
	uint64_t start; /* the position of its first byte */
	struct iovec pieces[];
};

/* Several connections may read at different places, so the place is found anew
 * when it is not where the last read ended. */
static void reader_seek(struct reader *reader, uint64_t pos)
{
	if (pos < reader->start) {
		reader->at = 0;
		reader->start = 0;
	}
	while (pos - reader->start >= reader->pieces[reader->at].iov_len)
		reader->start += reader->pieces[reader->at++].iov_len;
}

static ssize_t reader_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct reader *reader = arg;
	size_t done = 0;

	reader_seek(reader, pos);
	for (size_t i = reader->at; done < max && i < reader->n; i++) {
		size_t from =
			i == reader->at ? (size_t)(pos - reader->start) : 0;
		size_t len = reader->pieces[i].iov_len - from;

		if (len > max - done)
			len = max - done;
		memcpy(out + done, (char *)reader->pieces[i].iov_base + from,
		       len);
		done += len;
	}
	return (ssize_t)done;
}

static void reader_free(void *arg)
{
	struct reader *reader = arg;

	if (reader->release)
		reader->release(reader->owner);
	free(reader);
}

static struct MHD_Response *read_pieces(const struct iovec *iov, size_t n,
					void (*release)(void *owner),
					void *owner)
{
	struct reader *reader =
		mem_alloc(sizeof *reader + n * sizeof *reader->pieces);
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += iov[i].iov_len;
	memcpy(reader->pieces, iov, n * sizeof *iov);
	reader->n = n;
	reader->release = release;
	reader->owner = owner;
	return MHD_create_response_from_callback(
		total, READER_BLOCK, reader_read, reader, reader_free);
}

/* ---- the usual case ---- */

_Static_assert(sizeof(struct MHD_IoVec) == sizeof(struct iovec), "same layout");

static void release_nothing(void *owner)
{
	(void)owner;
}

static struct MHD_Response *make(const struct iovec *iov, size_t n,
				 void (*release)(void *owner), void *owner)
{
	if (n > PIECES_MAX)
		return read_pieces(iov, n, release, owner);
	return MHD_create_response_from_iovec(
		(const struct MHD_IoVec *)iov, (unsigned)n,
		release ? release : release_nothing, owner);
}

static void add_headers(struct MHD_Response *mhd, const char *const *headers)
{
	for (; headers && headers[0]; headers += 2)
		if (!MHD_add_response_header(mhd, headers[0], headers[1]))
			log_warn("response header refused", "name", headers[0]);
}

struct response *response_new(const struct iovec *iov, size_t n,
			      void (*release)(void *owner), void *owner,
			      const char *const *headers)
{
	struct response *response = mem_alloc(sizeof *response);

	response->refs = 1;
	response->mhd = make(iov, n, release, owner);
	if (!response->mhd) {
		/* Only memory can be missing, and that ends the process. */
		log_error("cannot make a response");
		abort();
	}
	add_headers(response->mhd, headers);
	return response;
}

struct response *response_text(const char *content_type, const char *text,
			       const char *const *headers)
{
	char *copy = mem_string(text);
	struct iovec iov = { copy, strlen(copy) };
	struct response *response = response_new(&iov, 1, free, copy, headers);

	MHD_add_response_header(response->mhd, "Content-Type", content_type);
	return response;
}

struct response *response_ref(struct response *response)
{
	response->refs++;
	return response;
}

void response_unref(struct response *response)
{
	if (!response || --response->refs)
		return;
	/* Connections that still send it have their own references. */
	MHD_destroy_response(response->mhd);
	free(response);
}

struct MHD_Response *response_mhd(const struct response *response)
{
	return response->mhd;
}
