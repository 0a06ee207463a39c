/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: libmicrohttpd without threads of its own, driven by a loop
 * (its epoll descriptor is watched, MHD_get_timeout is a timer). Everything
 * here belongs to the loop's thread, so a suspended connection, its deadline
 * and its answer never race. No Lua, no registry: it answers with bytes.
 *
 * The server does what no handler should have to: 404 for an unknown path, 405
 * with Allow (every method of the path) for a wrong method, HEAD for every GET,
 * refusal of bodies that are too large, limits on connections, idle time and
 * header size, and telling `finished` about every answer. SIGPIPE must be
 * ignored by the process.
 */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/loop.h"
#include "web/request.h"
#include "web/response.h"

struct server;

enum { SERVER_GET = 1, SERVER_POST = 2, SERVER_PUT = 4, SERVER_DELETE = 8 };

/* The number of the method of that name and length; that of GET for HEAD, 0 for
 * one that no route can have. */
unsigned server_method(const char *name, size_t len);

/* What `finished` gets for a request that was given up before its answer. */
enum { SERVER_CLIENT_GONE = 499 };

struct route {
	const char *path;    /* or a pattern: see path.h. The nearest one wins;
				several may have the same, with other methods */
	unsigned methods;    /* SERVER_GET allows HEAD too */
	const char *handler; /* name for `finished`, "other" for 404 */
	void (*handle)(struct request *request, void *arg);
	void *arg;
};

struct server_options {
	struct loop *loop;
	const char *const *addresses; /* see listen.h; NULL-terminated */
	const struct route *routes;   /* see server_set_routes(); NULL: none yet
				       */
	size_t body_max;	      /* of a request; 0: 1 MiB */
	unsigned connections_max;     /* for each address; 0: 512. An eighth of
					 them is kept from any single client
					 address */
	double idle_seconds;	      /* 0: 60; in whole seconds */
	/* After the last byte of an answer, or when the connection broke; the
	 * seconds since the request's headers were read. May be NULL. */
	void (*finished)(void *arg, const char *handler, unsigned status,
			 double seconds);
	void *arg;
};

/* Binds and listens at once; the sentence of a failure names the address:
 * "listen :8000: address already in use". Requests are accepted when the loop
 * runs. */
struct server *server_new(const struct server_options *options,
			  struct err *err);

/*
 * Replaces the table of routes. ROUTES, ended by a NULL path, is copied; its
 * strings and arguments are not: they must be good until the next call, and
 * those of the former table are not looked at any more when this returns,
 * whatever is open. For a request is handled by the table that is there when
 * its last byte has arrived, and afterwards needs none: what a handler keeps
 * for one that it suspended is the handler's business. Not from inside a
 * handler. The last table must outlive the server.
 */
void server_set_routes(struct server *server, const struct route *routes);

/* Stops accepting, answers every suspended request with 503 (its `expired` may
 * say better), waits at most GRACE seconds for answers that are being sent, and
 * closes the rest. Requests that come meanwhile get 503. Calls DONE in the
 * loop, not from inside this call; only after it may server_free() be called.
 */
void server_stop(struct server *server, double grace, void (*done)(void *arg),
		 void *arg);

/* The server must be stopped. NULL is allowed. */
void server_free(struct server *server);

/* "127.0.0.1:8000" with the port really bound, for address number I (NULL
 * behind the last). An empty host stays empty: ":8000". */
const char *server_address(const struct server *server, size_t i);

#endif
