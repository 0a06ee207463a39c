/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "net/http_request.h"

/* ---- options: each has one C type, which curl cannot check here ---- */

static void note(struct http_transfer *t, CURLcode code)
{
	if (code && !t->refused)
		t->refused = code;
}

static void set_long(struct http_transfer *t, CURLoption option, long value)
{
	note(t, t->curl->easy_setopt(t->easy, option, value));
}

static void set_size(struct http_transfer *t, CURLoption option, size_t value)
{
	note(t, t->curl->easy_setopt(t->easy, option, (curl_off_t)value));
}

static void set_text(struct http_transfer *t, CURLoption option,
		     const char *value)
{
	note(t, t->curl->easy_setopt(t->easy, option, value));
}

static void append(struct curl_slist **list, const struct curl *curl,
		   const char *text)
{
	struct curl_slist *longer = curl->slist_append(*list, text);

	/* As core/mem.h: what is ours to allocate does not fail. */
	if (!longer)
		abort();
	*list = longer;
}

/* ---- what every request has ---- */

static void set_fixed(struct http_transfer *t)
{
	set_long(t, CURLOPT_NOSIGNAL, 1);
	/* getaddrinfo() cannot be interrupted; nobody waits for it. */
	set_long(t, CURLOPT_QUICK_EXIT, 1);
	set_long(t, CURLOPT_TCP_KEEPALIVE, 1);
	set_long(t, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	set_long(t, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	set_text(t, CURLOPT_PROTOCOLS_STR, "http,https");
	set_text(t, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	set_text(t, CURLOPT_ACCEPT_ENCODING, "");
	set_text(t, CURLOPT_USERAGENT, "lunex/" LUNEX_VERSION);
	if (t->cookies)
		set_text(t, CURLOPT_COOKIEFILE, "");
}

static void set_body(struct http_transfer *t, struct str body)
{
	set_size(t, CURLOPT_POSTFIELDSIZE_LARGE, body.len);
	note(t, t->curl->easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS,
				     body.data ? body.data : ""));
}

/* libcurl turns a redirected POST into a GET but keeps any method of ours, so
 * that a PUT would arrive somewhere without its body. */
static void set_method(struct http_transfer *t, const struct http_request *r)
{
	bool post = http_request_is(r, "POST");
	bool get = http_request_is(r, "GET"), head = http_request_is(r, "HEAD");
	bool sends = post || http_request_is(r, "PUT") ||
		     http_request_is(r, "PATCH");

	if (head)
		set_long(t, CURLOPT_NOBODY, 1);
	if (r->body.data || sends)
		set_body(t, r->body);
	if (!post && !head && (!get || r->body.data))
		set_text(t, CURLOPT_CUSTOMREQUEST,
			 r->method ? r->method : "GET");
	t->follows = t->redirects > 0 && (get || head || post);
	set_long(t, CURLOPT_FOLLOWLOCATION, t->follows);
	set_long(t, CURLOPT_MAXREDIRS, t->redirects);
	if (!head)
		set_size(t, CURLOPT_MAXFILESIZE_LARGE, t->body_max);
}

static void add_header(struct http_transfer *t, const char *name,
		       const char *value)
{
	struct buf line;

	buf_init(&line, SIZE_MAX / 4);
	/* libcurl's way to write a header without a value */
	if (value[strspn(value, " \t")])
		buf_addf(&line, "%s: %s", name, value);
	else
		buf_addf(&line, "%s;", name);
	append(&t->headers, t->curl, buf_text(&line));
	buf_release(&line);
}

static void set_headers(struct http_transfer *t, const struct http_request *r)
{
	struct buf bearer;

	for (size_t i = 0; i < r->nheaders; i++)
		add_header(t, r->headers[i].name, r->headers[i].value);
	/* A second Authorization is an error to many servers. */
	if (r->bearer && !http_request_has(r, "Authorization")) {
		buf_init(&bearer, SIZE_MAX / 4);
		buf_addf(&bearer, "Bearer %s", r->bearer);
		add_header(t, "Authorization", buf_text(&bearer));
		buf_release(&bearer);
	}
	/* What libcurl would add by itself. */
	if (!http_request_has(r, "Expect"))
		append(&t->headers, t->curl, "Expect:");
	if (!http_request_has(r, "Content-Type"))
		append(&t->headers, t->curl, "Content-Type:");
}

static void set_login(struct http_transfer *t, const struct http_request *r)
{
	if (!r->user && !r->password)
		return;
	set_long(t, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	set_text(t, CURLOPT_USERNAME, r->user ? r->user : "");
	set_text(t, CURLOPT_PASSWORD, r->password ? r->password : "");
}

static long milliseconds(double seconds)
{
	return seconds < 1e6 ? (long)ceil(seconds * 1000) : 1000000000L;
}

static void set_connection(struct http_transfer *t,
			   const struct http_request *r)
{
	/* The deadline is ours; this lets libcurl try a second address. */
	set_long(t, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(r->timeout));
	if (r->proxy)
		set_text(t, CURLOPT_PROXY, r->proxy);
	t->local = r->unix_socket != NULL;
	if (t->local)
		set_text(t, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
}

enum { CA_CACHE = 300 }; /* seconds; a ca_file may be replaced */

static void set_tls(struct http_transfer *t, const struct http_request *r)
{
	if (strncasecmp(r->url, "https:", 6) && !t->follows)
		return;
	/* A folder of authorities beside the file would keep libcurl from
	 * reading them once for all connections. */
	set_text(t, CURLOPT_CAPATH, NULL);
	set_long(t, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE);
	set_long(t, CURLOPT_CERTINFO, 1);
	if (r->ca_file)
		set_text(t, CURLOPT_CAINFO, r->ca_file);
	if (r->cert_file) {
		set_text(t, CURLOPT_SSLCERT, r->cert_file);
		set_text(t, CURLOPT_SSLKEY,
			 r->key_file ? r->key_file : r->cert_file);
	}
	if (r->insecure) {
		set_long(t, CURLOPT_SSL_VERIFYPEER, 0);
		set_long(t, CURLOPT_SSL_VERIFYHOST, 0);
	}
}

/* ---- another name for TLS ---- */

/* The URL says NAMED where it said ALIAS; libcurl connects to ALIAS. */
static void set_alias(struct http_transfer *t, CURLU *parser, bool own_host,
		      const char *port)
{
	char *authority, text[2 * 256 + 32];

	snprintf(text, sizeof text, "%s:%s:%s:%s", t->named, port, t->alias,
		 port);
	append(&t->connect_to, t->curl, text);
	note(t,
	     t->curl->easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to));
	if (!own_host) {
		authority = curl_url_text(t->curl, parser, CURLUPART_PORT, 0);
		snprintf(text, sizeof text, "%s%s%s", t->alias,
			 authority ? ":" : "", authority ? authority : "");
		t->curl->free(authority);
		add_header(t, "Host", text);
	}
}

static void set_url(struct http_transfer *t, const struct http_request *r,
		    CURLU *parser)
{
	char *host, *port, *url;

	if (!r->server_name || strncasecmp(r->url, "https:", 6)) {
		set_text(t, CURLOPT_URL, r->url);
		return;
	}
	host = curl_url_text(t->curl, parser, CURLUPART_HOST, 0);
	port = curl_url_text(t->curl, parser, CURLUPART_PORT,
			     CURLU_DEFAULT_PORT);
	t->alias = mem_string(host ? host : "");
	t->named = mem_string(r->server_name);
	t->alias_port = (unsigned)atoi(port ? port : "443");
	set_alias(t, parser, http_request_has(r, "Host"), port ? port : "443");
	t->curl->url_set(parser, CURLUPART_HOST, t->named, 0);
	url = curl_url_text(t->curl, parser, CURLUPART_URL, 0);
	set_text(t, CURLOPT_URL, url ? url : r->url);
	t->curl->free(host);
	t->curl->free(port);
	t->curl->free(url);
}

bool http_options_set(struct http_transfer *t, const struct http_request *r,
		      CURLU *parser)
{
	set_fixed(t);
	set_url(t, r, parser);
	set_method(t, r);
	set_headers(t, r);
	set_login(t, r);
	set_connection(t, r);
	set_tls(t, r);
	note(t, t->curl->easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers));
	return !t->refused;
}
