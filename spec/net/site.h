/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that says whatever a spec wants, byte for byte: a thread for each
 * connection runs a script, which may block. And what asks it: a client on a
 * loop, one request at a time or many.
 */
#ifndef SPEC_NET_SITE_H
#define SPEC_NET_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/http_client.h"

struct ssl_ctx_st;
struct ssl_st;

/* ---- the server's side ---- */

struct site;

struct peer {
	struct site *site;
	int fd;
	struct ssl_st *tls;
	char request[1 << 16]; /* the last one, with its body; a string */
	char path[256];
	struct peer *next;
};

typedef void (*site_script)(struct peer *peer);

/* 127.0.0.1 and a free port, or a unix socket at PATH. TLS may be NULL. */
struct site *site_open(site_script script, struct ssl_ctx_st *tls);
struct site *site_open_unix(site_script script, const char *path);

/* Ends all connections and waits for their threads. */
void site_close(struct site *site);

/* "http://127.0.0.1:PORT" and PATH; a static buffer, eight in turn. */
const char *site_url(const struct site *site, const char *path);
const char *site_url_as(const struct site *site, const char *scheme_and_host,
			const char *path);
unsigned site_port(const struct site *site);

unsigned site_accepts(const struct site *site); /* connections so far */
unsigned site_most(const struct site *site);	/* at the same time */
unsigned site_requests(const struct site *site);
size_t site_sent(const struct site *site); /* bytes taken by the system */

/* The last request that any connection read; valid until the next one. */
const char *site_last(const struct site *site);

/* Reads a request; false when the client closed the connection. */
bool peer_read(struct peer *peer);

/* False when nobody listens any more. */
bool peer_say(struct peer *peer, const char *text);
bool peer_send(struct peer *peer, const void *data, size_t len);

/* A whole answer of status 200. */
bool peer_answer(struct peer *peer, const char *headers, const char *body);

/* Waits until the client goes away, or the site is closed. */
void peer_hold(struct peer *peer);

/* Waits for site_go(), or until the site is closed. */
void peer_wait(struct peer *peer);
void site_go(struct site *site);

/* Ends the connection with a reset. */
void peer_reset(struct peer *peer);

/* ---- names ---- */

/* The system takes its time with this one, until the end of the test. */
#define SLOW_NAME "slow.lunex.invalid"

unsigned slow_lookups(void); /* that have begun */

/* ---- the client's side ---- */

extern struct loop *loop;
extern struct http_client *client;

/* cmocka's setup and teardown; the latter also sees that no descriptor is
 * left. */
int site_start(void **state);
int site_stop(void **state);

/* A client without cookies and with so many connections to a host. */
struct http_client *wide(unsigned connections);

/* OTHER becomes `client`, which is freed. */
void use(struct http_client *other);

struct answer {
	unsigned calls;
	struct err err; /* ERR_NONE: there was an answer */
	unsigned status;
	char *url;
	char *headers; /* "name: value\n" ... */
	char *body;
	size_t len;
	struct http_timings timings;
	double expiry;
};

/* An http_done with a struct answer as its argument. */
void answer_take(void *arg, const struct http_response *response,
		 const struct err *err);
void answer_release(struct answer *answer);

enum { NO_REDIRECTS = -2 };

/* Where timeout is 0 it becomes 30 s, and redirects -1. */
struct http_transfer *begin(struct http_request request, struct answer *answer);
void turn(void);
void finish(struct answer *answer); /* turns until it was called */

/* One request from begin to end. The strings live until the next fetch. */
struct answer *fetch(struct http_request request);
struct answer *get(const char *url);

/* The sentence of a request that fails; its code must be CODE. */
const char *failure(struct http_request request, enum err_code code);
const char *get_failure(const char *url, enum err_code code);

void assert_contains(const char *text, const char *part);
void assert_lacks(const char *text, const char *part);

unsigned open_descriptors(void);

#endif
