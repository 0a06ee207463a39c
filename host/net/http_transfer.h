/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One easy handle of libcurl and what an answer leaves in it. Used by
 * net/http_client.c alone, which owns the handle's way through the multi
 * handle. A transfer is used for many requests, one after the other: making a
 * handle costs more than a request.
 */
#ifndef NET_HTTP_TRANSFER_H
#define NET_HTTP_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/curl.h"
#include "net/http_client.h"

/* What `done` is shown, by itself: the handle may be in use again by then. */
struct http_outcome {
	struct err err; /* ERR_NONE: there is an answer */
	struct http_response response;
	struct buf head; /* name NUL value NUL ... */
	struct buf body;
	char *url;
	struct http_header *headers;
};

struct http_transfer {
	struct http_client *client;
	struct http_transfer *prev, *next; /* in one of the client's lists */
	CURLcode code;			   /* with which it ended */
	struct http_host *host;		   /* net/http_hosts.h */
	bool queued;			   /* waits for a place there */
	bool ended;			   /* waits to be told */
	http_done done;
	void *arg;
	struct timer deadline;
	const struct allow *allow; /* NULL: goes everywhere */
	bool cookies;	/* are kept; may be set before http_transfer_begin */
	unsigned baked; /* Set-Cookie lines of this request */

	/* private to http_transfer.c, http_options.c and http_error.c */
	struct loop *loop;
	const struct curl *curl;
	CURL *easy;
	CURLSH *share;
	CURLcode refused; /* the first option that curl did not take */
	struct curl_slist *headers, *connect_to;
	struct http_outcome outcome;
	char error[CURL_ERROR_SIZE];
	struct err denied;   /* where it was about to go, if it may not */
	char *method, *url;  /* as asked */
	char *alias, *named; /* the URL's host, and server_name in its place */
	unsigned alias_port; /* at which it is */
	size_t body_max;
	bool *body_met;		/* or NULL */
	struct http_pool *pool; /* or NULL */
	size_t pooled;		/* bytes of it that are ours */
	size_t head_bytes;
	double timeout;
	double started;	   /* loop_now() */
	double first_byte; /* the same, of the last answer */
	int redirects;
	unsigned status;
	bool own_ca;	   /* not the system's */
	bool local;	   /* through a unix socket */
	bool follows;	   /* redirects */
	bool moved;	   /* this answer has a Location */
	bool resolving;	   /* asked for an address */
	bool handshaking;  /* TLS has begun */
	bool receiving;	   /* an answer that is the last as far as we know */
	bool headers_done; /* what comes now is the body, or trailers */
	bool headers_full;
};

struct http_list {
	struct http_transfer *first, *last;
};

void http_list_add(struct http_list *list, struct http_transfer *transfer);
void http_list_remove(struct http_list *list, struct http_transfer *transfer);
struct http_transfer *http_list_take(struct http_list *list);

/* SHARE may be NULL. NULL when libcurl has no memory. */
struct http_transfer *http_transfer_new(const struct curl *curl, CURLSH *share,
					struct loop *loop);
void http_transfer_free(struct http_transfer *transfer);

/* Prepares the handle, which then may be added to the multi handle. False and
 * ERR_USAGE as http_start() says. */
bool http_transfer_begin(struct http_transfer *transfer,
			 const struct http_request *request, struct err *err);

/* The handle has ended with CODE and left the multi handle: what there is to
 * tell. The caller releases it. */
void http_transfer_take(struct http_transfer *transfer, CURLcode code,
			struct http_outcome *outcome);

/* Forgets the request; the handle may be used again. */
void http_transfer_clear(struct http_transfer *transfer);

void http_outcome_release(struct http_outcome *outcome);

#endif
