/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_transfer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "net/http_allow.h"
#include "net/http_error.h"
#include "net/http_options.h"
#include "net/http_request.h"

/* ---- lists ---- */

void http_list_add(struct http_list *list, struct http_transfer *t)
{
	t->next = NULL;
	t->prev = list->last;
	if (t->prev)
		t->prev->next = t;
	else
		list->first = t;
	list->last = t;
}

void http_list_remove(struct http_list *list, struct http_transfer *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		list->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else
		list->last = t->prev;
}

struct http_transfer *http_list_take(struct http_list *list)
{
	struct http_transfer *t = list->first;

	if (t)
		http_list_remove(list, t);
	return t;
}

/* ---- the answer arrives ---- */

static void on_status(struct http_transfer *t, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);

	t->first_byte = loop_now(t->loop);
	t->status = 0;
	for (size_t i = 0; space && i < 3; i++)
		if (space + 1 + i < line + len && space[1 + i] >= '0' &&
		    space[1 + i] <= '9')
			t->status =
				t->status * 10 + (unsigned)(space[1 + i] - '0');
	t->head_bytes = 0;
	t->moved = false;
	t->headers_done = false;
	t->receiving = true;
	buf_clear(&t->outcome.head);
	t->outcome.response.nheaders = 0;
}

/* Interim answers and redirects are followed by another one. */
static void on_headers_end(struct http_transfer *t)
{
	t->headers_done = true;
	if (t->status < 200 || (t->follows && t->moved && t->status / 100 == 3))
		t->receiving = false;
}

static void add_field(struct http_transfer *t, const char *line, size_t name,
		      size_t len)
{
	struct buf *head = &t->outcome.head;
	size_t from = name + 1;

	while (from < len && (line[from] == ' ' || line[from] == '\t'))
		from++;
	for (size_t i = 0; i < name; i++)
		buf_addch(head, line[i] >= 'A' && line[i] <= 'Z'
					? (char)(line[i] + 32)
					: line[i]);
	buf_addch(head, '\0');
	if (from < len)
		buf_add(head, line + from, len - from);
	buf_addch(head, '\0');
	t->outcome.response.nheaders++;
	if (name == 8 && from < len && !strncasecmp(line, "location", 8))
		t->moved = true;
	if (name == 10 && !strncasecmp(line, "set-cookie", 10))
		t->baked++;
}

/* A line that goes on with the value before it, an old way to write. */
static void add_more(struct http_transfer *t, const char *line, size_t len)
{
	struct buf *head = &t->outcome.head;

	if (!head->len)
		return;
	head->len--;
	buf_addch(head, ' ');
	while (len && (*line == ' ' || *line == '\t'))
		line++, len--;
	buf_add(head, line, len);
	buf_addch(head, '\0');
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	size_t all = size * count, len = all;
	const char *colon;

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r' ||
		       line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
		on_status(t, line, len);
		return all;
	}
	t->head_bytes += all;
	if (t->head_bytes > HTTP_HEADERS_MAX) {
		t->headers_full = true;
		return 0;
	}
	colon = memchr(line, ':', len);
	if (t->headers_done)
		return all;
	if (!len)
		on_headers_end(t);
	else if (*line == ' ' || *line == '\t')
		add_more(t, line, len);
	else if (colon)
		add_field(t, line, (size_t)(colon - line), len);
	return all;
}

/* Takes N bytes from the pool of all transfers of the script. */
static bool take_room(struct http_transfer *t, size_t n)
{
	if (!t->pool)
		return true;
	if (t->pool->used + n > t->pool->max)
		return err_set(&t->denied, ERR_LIMIT,
			       "more than %zu bytes of bodies at the same time",
			       t->pool->max);
	t->pool->used += n;
	t->pooled += n;
	return true;
}

static void give_room_back(struct http_transfer *t)
{
	if (t->pool)
		t->pool->used -= t->pooled;
	t->pool = NULL;
	t->pooled = 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_transfer *t = arg;
	size_t n = size * count;

	return take_room(t, n) && buf_add(&t->outcome.body, data, n) ? n : 0;
}

static int on_resolve(void *state, void *reserved, void *arg)
{
	struct http_transfer *t = arg;

	(void)state;
	(void)reserved;
	t->resolving = true;
	return http_allow_lookup(t) ? 0 : 1;
}

static CURLcode on_handshake(CURL *easy, void *tls, void *arg)
{
	struct http_transfer *t = arg;

	(void)easy;
	(void)tls;
	t->handshaking = true;
	return CURLE_OK;
}

/* ---- a request begins ---- */

/* Pointers are always taken. */
static void set_callbacks(struct http_transfer *t)
{
	const struct curl *curl = t->curl;
	CURL *easy = t->easy;

	curl->easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
	curl->easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl->easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl->easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, t);
	curl->easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	curl->easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
	curl->easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_handshake);
}

static void remember(struct http_transfer *t, const struct http_request *r)
{
	t->method = mem_string(r->method ? r->method : "GET");
	t->url = mem_string(r->url);
	t->body_max = r->body_max ? r->body_max : HTTP_BODY_MAX;
	t->body_met = r->body_met;
	t->pool = r->pool;
	t->redirects = r->redirects < 0 ? HTTP_REDIRECTS : r->redirects;
	t->timeout = r->timeout;
	t->own_ca = r->ca_file;
	t->started = loop_now(t->loop);
	buf_init(&t->outcome.body, t->body_max);
	buf_init(&t->outcome.head, 2 * HTTP_HEADERS_MAX);
}

static bool begin(struct http_transfer *t, const struct http_request *r,
		  CURLU *parser, struct err *err)
{
	if (!http_allow_options(t->allow, r, err) ||
	    !http_request_check(r, t->curl, parser, err) ||
	    !http_allow_request(t->allow, r, t->curl, parser, err))
		return false;
	remember(t, r);
	if (!take_room(t, r->body.len)) /* libcurl gets a copy */
		return http_error_set(err, t->denied.code, t->method, t->url,
				      "%s", t->denied.text);
	set_callbacks(t);
	if (http_options_set(t, r, parser) && http_allow_set(t))
		return true;
	return http_error_set(err, ERR_USAGE, t->method, t->url,
			      "the request cannot be made: %s",
			      t->curl->easy_strerror(t->refused));
}

bool http_transfer_begin(struct http_transfer *t,
			 const struct http_request *request, struct err *err)
{
	CURLU *parser = t->curl->url();
	bool good = parser && begin(t, request, parser, err);

	t->curl->url_cleanup(parser);
	return good;
}

/* ---- a result is taken ---- */

static double seconds(const struct http_transfer *t, CURLINFO info)
{
	curl_off_t micro = 0;

	t->curl->easy_getinfo(t->easy, info, &micro);
	return (double)micro / 1e6;
}

/* libcurl counts from when it took the request up; we from the start. */
static void take_timings(const struct http_transfer *t,
			 struct http_timings *timings)
{
	double start, first = t->first_byte - t->started;
	long connects = 0;

	t->curl->easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
	timings->first_byte = first;
	timings->total = loop_now(t->loop) - t->started;
	if (connects < 1)
		return;
	start = fmax(first - seconds(t, CURLINFO_STARTTRANSFER_TIME_T), 0);
	timings->resolve = start + seconds(t, CURLINFO_NAMELOOKUP_TIME_T);
	timings->connect = start + seconds(t, CURLINFO_CONNECT_TIME_T);
	timings->tls = seconds(t, CURLINFO_APPCONNECT_TIME_T);
	if (timings->tls > 0)
		timings->tls += start;
}

/* The first certificate of the list is the peer's own. */
static double expiry(const struct http_transfer *t)
{
	static const char LABEL[] = "Expire date:";
	struct curl_certinfo *certs = NULL;
	struct curl_slist *line;

	t->curl->easy_getinfo(t->easy, CURLINFO_CERTINFO, &certs);
	line = certs && certs->num_of_certs ? certs->certinfo[0] : NULL;
	for (; line; line = line->next)
		if (!strncmp(line->data, LABEL, sizeof LABEL - 1))
			return (double)t->curl->getdate(
				line->data + sizeof LABEL - 1, NULL);
	return 0;
}

/* The URL of the answer as a script may see it. */
static char *clean_url(const struct http_transfer *t, const char *url)
{
	CURLU *parser;
	char *host, *clean = NULL, *result;

	if (!t->named && !strpbrk(url, "@#"))
		return mem_string(url);
	parser = t->curl->url();
	if (parser && !t->curl->url_set(parser, CURLUPART_URL, url, 0)) {
		host = curl_url_text(t->curl, parser, CURLUPART_HOST, 0);
		if (t->named && host && !strcasecmp(host, t->named))
			t->curl->url_set(parser, CURLUPART_HOST, t->alias, 0);
		t->curl->free(host);
		t->curl->url_set(parser, CURLUPART_USER, NULL, 0);
		t->curl->url_set(parser, CURLUPART_PASSWORD, NULL, 0);
		t->curl->url_set(parser, CURLUPART_FRAGMENT, NULL, 0);
		clean = curl_url_text(t->curl, parser, CURLUPART_URL, 0);
	}
	result = mem_string(clean ? clean : "");
	t->curl->free(clean);
	t->curl->url_cleanup(parser);
	return result;
}

static void take_headers(struct http_outcome *o)
{
	const char *at = o->head.data;

	o->headers = mem_array(o->response.nheaders + 1, sizeof *o->headers);
	for (size_t i = 0; i < o->response.nheaders; i++) {
		o->headers[i].name = at;
		at += strlen(at) + 1;
		o->headers[i].value = at;
		at += strlen(at) + 1;
	}
	o->response.headers = o->headers;
}

static void take_response(struct http_transfer *t)
{
	struct http_outcome *o = &t->outcome;
	char *url = NULL;
	long status = 0;

	t->curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	o->url = clean_url(t, url ? url : t->url);
	o->response.url = o->url;
	o->response.status = (unsigned)status;
	o->response.body = (struct str){ buf_text(&o->body), o->body.len };
	o->response.certificate_expiry = expiry(t);
	take_timings(t, &o->response.timings);
	take_headers(o);
}

void http_transfer_take(struct http_transfer *t, CURLcode code,
			struct http_outcome *outcome)
{
	/* libcurl does not mind when the headers are cut. */
	if (!code && !(t->receiving && t->headers_done))
		code = CURLE_PARTIAL_FILE;
	if (code)
		http_error_curl(&t->outcome.err, t, code);
	else
		take_response(t);
	*outcome = t->outcome;
	t->outcome = (struct http_outcome){ 0 };
}

void http_outcome_release(struct http_outcome *outcome)
{
	buf_release(&outcome->head);
	buf_release(&outcome->body);
	free(outcome->url);
	free(outcome->headers);
}

/* ---- its life ---- */

static bool share(struct http_transfer *t)
{
	return !t->curl->easy_setopt(t->easy, CURLOPT_SHARE, t->share);
}

struct http_transfer *http_transfer_new(const struct curl *curl, CURLSH *common,
					struct loop *loop)
{
	struct http_transfer *t = mem_alloc(sizeof *t);

	t->curl = curl;
	t->loop = loop;
	t->share = common;
	t->easy = curl->easy_init();
	if (t->easy && share(t))
		return t;
	curl->easy_cleanup(t->easy);
	free(t);
	return NULL;
}

/* easy_reset() leaks the list of cookie files; to drop that ends the handle's
 * part in the common cookies. */
static void reset(struct http_transfer *t)
{
	if (t->cookies)
		t->curl->easy_setopt(t->easy, CURLOPT_COOKIEFILE, NULL);
	t->curl->easy_reset(t->easy);
	if (t->cookies)
		share(t);
}

void http_transfer_clear(struct http_transfer *t)
{
	reset(t);
	give_room_back(t);
	t->curl->slist_free_all(t->headers);
	t->curl->slist_free_all(t->connect_to);
	t->headers = t->connect_to = NULL;
	http_outcome_release(&t->outcome);
	t->outcome = (struct http_outcome){ 0 };
	free(t->method);
	free(t->url);
	free(t->alias);
	free(t->named);
	t->method = t->url = t->alias = t->named = NULL;
	t->error[0] = '\0';
	t->denied = (struct err){ ERR_NONE, "" };
	t->refused = CURLE_OK;
	t->first_byte = 0;
	t->status = t->baked = 0;
	t->ended = t->handshaking = t->follows = t->moved = t->resolving =
		t->receiving = t->headers_done = t->headers_full = false;
}

void http_transfer_free(struct http_transfer *t)
{
	if (!t)
		return;
	http_transfer_clear(t);
	t->curl->easy_cleanup(t->easy);
	free(t);
}
