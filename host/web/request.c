/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer is queued at once. If the connection is suspended by then it is
 * resumed, and a timer makes the loop run the server: nothing is sent from
 * inside request_answer(), so it may be called from anywhere, also from the
 * handler of another request.
 */
#include "web/request.h"

#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "core/log.h"
#include "core/mem.h"
#include "net/address.h"

/* Of a body that is too large so much is read before the connection is given
 * up: a client that still sends does not see an answer. */
enum { DISCARD_MAX = 16 * 1024 * 1024 };

struct request {
	struct timer timer; /* first: on_timer() */
	struct request_shared *shared;
	struct MHD_Connection *mhd;
	const char *method;
	const char *path;
	char *sent_path; /* NULL: the same as the path */
	char *handler;	 /* NULL: none yet */
	double started;
	unsigned status; /* 0: not answered */
	bool wants_wait; /* the handler suspended it */
	bool waits;	 /* and libmicrohttpd did */
	bool stopping;
	struct buf body;
	size_t discarded;
	void (*expired)(struct request *request, void *arg);
	void *arg;
	struct request *next;  /* of those that are suspended */
	struct request **prev; /* NULL: it is not */
	char peer[ADDRESS_TEXT_MAX];
};

/* ---- what it asks for ---- */

const char *request_method(const struct request *request)
{
	return request->method;
}

const char *request_path(const struct request *request)
{
	return request->path;
}

const char *request_sent_path(const struct request *request)
{
	return request->sent_path ? request->sent_path : request->path;
}

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

struct search {
	const char *name;
	void (*each)(void *arg, const char *value);
	void (*each_pair)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result match_header(void *arg, enum MHD_ValueKind kind,
				    const char *name, const char *value)
{
	struct search *search = arg;

	(void)kind;
	if (!strcasecmp(name, search->name))
		search->each(search->arg, value ? value : "");
	return MHD_YES;
}

void request_headers(const struct request *request, const char *name,
		     void (*each)(void *arg, const char *value), void *arg)
{
	struct search search = { .name = name, .each = each, .arg = arg };

	MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, match_header,
				  &search);
}

/* A query parameter, or a header where any of them is wanted. */
static enum MHD_Result match_pair(void *arg, enum MHD_ValueKind kind,
				  const char *name, const char *value)
{
	struct search *search = arg;

	(void)kind;
	if (!search->name || !strcmp(name, search->name))
		search->each_pair(search->arg, name, value ? value : "");
	return MHD_YES;
}

void request_all_headers(const struct request *request,
			 void (*each)(void *arg, const char *name,
				      const char *value),
			 void *arg)
{
	struct search search = { .each_pair = each, .arg = arg };

	MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, match_pair,
				  &search);
}

void request_queries(const struct request *request, const char *name,
		     void (*each)(void *arg, const char *name,
				  const char *value),
		     void *arg)
{
	struct search search = { .name = name, .each_pair = each, .arg = arg };

	MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND,
				  match_pair, &search);
}

static void take_first(void *arg, const char *name, const char *value)
{
	const char **first = arg;

	(void)name;
	if (!*first)
		*first = value;
}

const char *request_query(const struct request *request, const char *name)
{
	const char *first = NULL;

	request_queries(request, name, take_first, &first);
	return first;
}

struct str request_body(const struct request *request)
{
	return (struct str){ buf_text(&request->body), request->body.len };
}

char *request_take_body(struct request *request, size_t *len)
{
	return buf_take(&request->body, len);
}

const char *request_peer(struct request *request)
{
	const union MHD_ConnectionInfo *info;

	if (*request->peer)
		return request->peer;
	info = MHD_get_connection_info(request->mhd,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info && info->client_addr)
		address_text(info->client_addr, request->peer);
	return request->peer;
}

/* ---- waiting and answering ---- */

static void leave_list(struct request *request)
{
	if (!request->prev)
		return;
	*request->prev = request->next;
	if (request->next)
		request->next->prev = request->prev;
	request->prev = NULL;
}

static void enter_list(struct request *request)
{
	request->prev = &request->shared->suspended;
	request->next = *request->prev;
	if (request->next)
		request->next->prev = &request->next;
	*request->prev = request;
}

void request_answer(struct request *request, unsigned status,
		    struct response *response)
{
	if (request->status) {
		log_error("a request was answered twice", "path",
			  request->path);
		return;
	}
	request->status = status;
	timer_stop(&request->timer);
	leave_list(request);
	if (!MHD_queue_response(request->mhd, status, response_mhd(response)))
		log_error("an answer was refused", "path", request->path);
	if (!request->waits)
		return;
	request->waits = false;
	MHD_resume_connection(request->mhd);
	timer_start(&request->shared->resume, 0);
}

void request_answer_text(struct request *request, unsigned status,
			 const char *content_type, const char *text)
{
	struct response *response = response_text(content_type, text, NULL);

	request_answer(request, status, response);
	response_unref(response);
}

static void on_timer(struct timer *timer)
{
	request_expire((struct request *)timer, false);
}

void request_suspend(struct request *request, double seconds,
		     void (*expired)(struct request *request, void *arg),
		     void *arg)
{
	request->wants_wait = true;
	request->expired = expired;
	request->arg = arg;
	if (!request->prev)
		enter_list(request);
	if (!request->timer.handle)
		timer_init(request->shared->loop, &request->timer, on_timer);
	timer_start(&request->timer, seconds);
}

bool request_stopping(const struct request *request)
{
	return request->stopping;
}

void request_settle(struct request *request)
{
	if (request->status)
		return;
	if (request->wants_wait) {
		request->waits = true;
		MHD_suspend_connection(request->mhd);
		return;
	}
	log_error("a handler did not answer", "path", request->path);
	request_answer_text(request, 500, "text/plain; charset=utf-8",
			    "no answer\n");
}

void request_expire(struct request *request, bool stopping)
{
	void (*expired)(struct request *, void *) = request->expired;

	request->stopping = stopping;
	request->expired = NULL;
	expired(request, request->arg);
	if (!request->status && (stopping || !request->expired))
		request_answer_text(request, 503, "text/plain; charset=utf-8",
				    "no answer in time\n");
}

/* ---- its life ---- */

struct request *request_new(struct request_shared *shared,
			    struct MHD_Connection *mhd)
{
	struct request *request = mem_alloc(sizeof *request);

	request->shared = shared;
	request->mhd = mhd;
	return request;
}

void request_free(struct request *request)
{
	request_end(request);
	free(request->sent_path);
	timer_release(&request->timer);
	free(request);
}

void request_set_uri(struct request *request, const char *uri)
{
	size_t len = strcspn(uri, "?");

	free(request->sent_path);
	request->sent_path = memchr(uri, '%', len) ? mem_copy(uri, len) : NULL;
}

void request_begin(struct request *request, const char *method,
		   const char *path, size_t body_max)
{
	request->method = method;
	request->path = path;
	request->started = loop_now(request->shared->loop);
	request->status = 0;
	request->wants_wait = false;
	request->stopping = false;
	request->discarded = 0;
	buf_init(&request->body, body_max);
}

bool request_asks_too_much(const struct request *request)
{
	const char *length = request_header(request, "Content-Length");

	return length && request_header(request, "Expect") &&
	       strtoull(length, NULL, 10) > request->body.max;
}

bool request_receive(struct request *request, const char *data, size_t len)
{
	if (buf_add(&request->body, data, len))
		return true;
	request->discarded += len;
	return request->discarded <= DISCARD_MAX;
}

bool request_too_large(const struct request *request)
{
	return request->body.full;
}

void request_end(struct request *request)
{
	leave_list(request);
	timer_stop(&request->timer);
	buf_release(&request->body);
	free(request->handler);
	request->handler = NULL;
	request->waits = false;
}

unsigned request_status(const struct request *request)
{
	return request->status;
}

double request_started(const struct request *request)
{
	return request->started;
}

void request_set_handler(struct request *request, const char *handler)
{
	free(request->handler);
	request->handler = mem_string(handler);
}

const char *request_handler(const struct request *request)
{
	return request->handler;
}
