/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call: one request for a route of a script, on its way from the web thread
 * to the exporter's and back. It carries copies, so that neither side looks
 * into what the other owns: the request may be gone when the answer comes.
 */
#ifndef RUN_CALL_H
#define RUN_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"
#include "run/declaration.h"
#include "run/exporter.h"
#include "run/pairs.h"
#include "run/roster.h"
#include "web/request.h"

enum {
	CALL_HEADERS_MAX = 8 << 10, /* bytes of those of an answer */
	CALL_BODY_MAX = 16 << 20,   /* of an answer */
	CALLS_MAX = 256,	    /* open at the same time, per exporter */
};

struct call {
	struct message message; /* private */
	struct exporter *exporter;
	struct loop *asker;
	/* Runs in the loop ASKER, once, always. */
	void (*answered)(struct call *call);
	double seconds; /* for the route */
	const struct declared_route *route;

	char *method, *path, *peer;
	struct pairs params, query, headers; /* every pair, in order */
	char *body;
	size_t body_len;

	/* The answer. */
	unsigned status;
	struct pairs answer_headers;
	char *answer_body;
	size_t answer_len;
};

/* Fills what belongs to the request; its body moves into the call. */
void call_init(struct call *call, struct request *request,
	       const struct declared_route *route);
void call_release(struct call *call);

/* Instead of whatever answer there is: a line of text. */
void call_set_text(struct call *call, unsigned status, const char *text);

/* ---- in the web thread ---- */

/* What `handle` gets as its argument, one for each route of an exporter. Nobody
 * looks at it when call_handle() has returned. */
struct call_route {
	struct loop *loop;     /* of the web thread */
	struct roster *roster; /* that names the exporter: a call holds it
				  until its answer has come */
	struct exporter *exporter;
	const struct declared_route *route;
};

/* Handler of every route of scripts; ARG is the call_route. */
void call_handle(struct request *request, void *arg);

#endif
