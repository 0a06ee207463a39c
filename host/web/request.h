/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request: what the client asks for, and the one answer to it. It lives in
 * its connection and is used again for the next request of it, so a handler has
 * it only until it has answered. One thread: that of the server's loop.
 */
#ifndef WEB_REQUEST_H
#define WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "net/loop.h"
#include "web/response.h"

struct request;
struct MHD_Connection;

/* Bytes of memory for one connection: its request line and headers together
 * must fit, and the headers of the answer. */
enum { REQUEST_MEMORY = 32 * 1024 };

/* ---- for handlers ---- */

const char *request_method(const struct request *request);
const char *request_path(const struct request *request);
/* The same as it was sent: for path_matches() and path_parameters(). */
const char *request_sent_path(const struct request *request);
/* Headers by case-insensitive name, the first one; NULL when absent. */
const char *request_header(const struct request *request, const char *name);
/* Calls EACH for every header of that name, in order. */
void request_headers(const struct request *request, const char *name,
		     void (*each)(void *arg, const char *value), void *arg);
/* Calls EACH for every header, in order. */
void request_all_headers(const struct request *request,
			 void (*each)(void *arg, const char *name,
				      const char *value),
			 void *arg);
/* The decoded query parameter, the first one of that name; NULL when absent, ""
 * when it stands there without a value. */
const char *request_query(const struct request *request, const char *name);
/* Calls EACH for every query parameter of that name (of any, if it is NULL), in
 * order. */
void request_queries(const struct request *request, const char *name,
		     void (*each)(void *arg, const char *name,
				  const char *value),
		     void *arg);
struct str request_body(const struct request *request);
/* The body becomes the caller's, to be freed. */
char *request_take_body(struct request *request, size_t *len);
/* "192.0.2.1:40312" */
const char *request_peer(struct request *request);

/*
 * Answers: sends RESPONSE with STATUS and gives up the caller's use of REQUEST
 * (not its reference to RESPONSE). Must be called exactly once for a request,
 * in the handler or, if it was suspended, later.
 */
void request_answer(struct request *request, unsigned status,
		    struct response *response);
/* The same for a short text, which is copied. */
void request_answer_text(struct request *request, unsigned status,
			 const char *content_type, const char *text);

/*
 * Suspends REQUEST: the handler may return without an answer. EXPIRED is called
 * after SECONDS unless it was answered before, and must answer, or suspend it
 * again. It is called too when the server stops (then request_stopping() is
 * true, and it must answer). One that is suspended already gets another
 * deadline. While suspended a connection notices no disconnect, so the deadline
 * always is the caller's.
 */
void request_suspend(struct request *request, double seconds,
		     void (*expired)(struct request *request, void *arg),
		     void *arg);
bool request_stopping(const struct request *request);

/* ---- for the server ---- */

/* What the requests of a server share. */
struct request_shared {
	struct loop *loop;
	struct request *suspended; /* list of those that wait */
	struct timer resume;	   /* started when one of them was answered */
};

/* One for each connection. */
struct request *request_new(struct request_shared *shared,
			    struct MHD_Connection *mhd);
void request_free(struct request *request);

/* The first line of a request has arrived; URI is what it asks for, still
 * escaped, and is copied. */
void request_set_uri(struct request *request, const char *uri);
/* The headers of a request have arrived. METHOD and PATH live as long as it. */
void request_begin(struct request *request, const char *method,
		   const char *path, size_t body_max);
/* It says that its body is too large, and sends it only if told to. */
bool request_asks_too_much(const struct request *request);
/* Adds to the body; what is too much is dropped. False when even dropping it
 * would take too long. */
bool request_receive(struct request *request, const char *data, size_t len);
bool request_too_large(const struct request *request);

/* The handler has returned: suspends the connection if it wants to answer
 * later. */
void request_settle(struct request *request);
/* Ends the wait of a suspended request, because the server stops or (not
 * STOPPING) because its time is over. */
void request_expire(struct request *request, bool stopping);
/* The request is over: frees what belonged to it alone. */
void request_end(struct request *request);

/* 0 as long as there is no answer. */
unsigned request_status(const struct request *request);
/* loop_now() when its headers had arrived. */
double request_started(const struct request *request);
/* The name of what handles it, copied; NULL as long as it has none. */
void request_set_handler(struct request *request, const char *handler);
const char *request_handler(const struct request *request);

#endif
