/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 client on a loop: libcurl's multi interface, driven by the loop's
 * descriptors and timers. libcurl is loaded when the first client is made
 * (net/curl.h): a host that never asks the web does not pay for it. One
 * thread: the loop's. SIGPIPE must be ignored by the process.
 *
 * A client is what shares connections, cookies and a limit for each host. A
 * transfer is one request with its redirects: everything about it (name,
 * connection, TLS, sending, waiting, the body) happens inside its timeout. Its
 * end is told in the next round of the loop, never from inside a call here and
 * never from inside libcurl, so `done` may start and cancel transfers and free
 * the client.
 *
 * Whatever a server sends has a ceiling: the body (body_max), the headers
 * (HTTP_HEADERS_MAX), redirects. Error sentences begin with method and URL,
 * "GET https://host/path: ...", from which credentials, and every value of the
 * query, were removed; they never contain a header or a body of the request.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "net/allow.h"
#include "net/http_url.h"
#include "net/loop.h"

struct http_client;
struct http_transfer;

enum {
	HTTP_BODY_MAX = 16 << 20,     /* default of body_max */
	HTTP_HEADERS_MAX = 256 << 10, /* bytes of the headers of one answer */
	HTTP_COOKIES_MAX = 1000,    /* in a client; above, all are forgotten */
	HTTP_REDIRECTS = 10,	    /* default of redirects */
	HTTP_HOST_CONNECTIONS = 16, /* default of host_connections */
};

struct http_client_options {
	struct loop *loop;
	const struct allow *allow; /* where requests may go, redirects as well;
				      outlives the client. NULL: everywhere.
				      Otherwise without files, proxies and unix
				      sockets */
	bool cookies;		   /* keep and send them */
	unsigned host_connections; /* transfers, and so connections, at the
				      same time to one host and port; 0: the
				      default. What is more waits in turn,
				      inside its timeout. A redirect counts
				      where it began */
};

/* Bytes of the bodies that a script's transfers hold at the same time. */
struct http_pool {
	size_t used, max;
};

struct http_header {
	const char *name, *value;
};

/* Strings are copied when the transfer starts. NULL where nothing was said. */
struct http_request {
	const char *method; /* NULL: GET */
	const char *url;    /* http or https, absolute */
	const struct http_header *headers;
	size_t nheaders;
	struct str body;	     /* data NULL: none */
	const char *user, *password; /* basic authentication */
	const char *bearer; /* a header Authorization wins, user loses */
	double timeout;	    /* seconds over everything; must be above 0 */
	size_t body_max;    /* 0: HTTP_BODY_MAX */
	bool *body_met;	    /* set when the body is larger; or NULL. It outlives
			       the transfer */
	struct http_pool *pool; /* counts the body's bytes until the transfer is
				   over, and ends one that is too many; or NULL.
				   It outlives the client */
	int redirects;	   /* how many are followed; -1: HTTP_REDIRECTS, 0: a
			      redirect is the answer, as it always is for other
			      methods than GET, HEAD and POST. Credentials and
			      custom Authorization or Cookie headers stay with
			      the first host, port and scheme */
	const char *proxy; /* NULL: as the environment says; "": none */
	const char *unix_socket;
	const char *ca_file; /* instead of the system's */
	const char *cert_file, *key_file;
	const char *server_name; /* for SNI and verification, instead of the
				    URL's host; the connection and the Host
				    header stay with the URL. A redirect to
				    another host is verified by its own */
	bool insecure;		 /* the peer is not verified */
};

/* Seconds since http_start() at which each was over, the wait for a connection
 * included; those that did not happen (a kept connection) are 0. Redirects are
 * in it. */
struct http_timings {
	double resolve, connect, tls, first_byte, total;
};

struct http_response {
	unsigned status;
	const char *url; /* where the answer came from, without credentials */
	const struct http_header *headers; /* of the last answer, names in lower
					      case, in the order of arrival */
	size_t nheaders;
	struct str body; /* decoded: gzip, deflate, br, zstd */
	struct http_timings timings;
	double certificate_expiry; /* of the peer's own, seconds since the
				      epoch; 0: no TLS */
};

/*
 * Called once in the loop's thread unless the transfer was cancelled. Either
 * RESPONSE (valid during the call) or ERR: ERR_TIMEOUT, ERR_LIMIT (the body or
 * the headers are too large), ERR_IO (all else). Any status is a response.
 */
typedef void (*http_done)(void *arg, const struct http_response *response,
			  const struct err *err);

/* NULL and ERR when libcurl cannot be loaded. */
struct http_client *http_client_new(const struct http_client_options *options,
				    struct err *err);

/* Cancels every transfer; their `done` is not called. NULL is allowed. */
void http_client_free(struct http_client *client);

/* NULL and ERR_USAGE when the request cannot be right: no http(s) URL, a line
 * break in a header, a file that is not there. */
struct http_transfer *http_start(struct http_client *client,
				 const struct http_request *request,
				 http_done done, void *arg, struct err *err);

/* Ends it; `done` is not called. After `done` the transfer is gone. */
void http_cancel(struct http_transfer *transfer);

/* Forgets all cookies. */
void http_client_clear_cookies(struct http_client *client);

/* Transfers that have not ended. */
size_t http_client_transfers(const struct http_client *client);

#endif
