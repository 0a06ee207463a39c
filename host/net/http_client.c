/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's descriptors are in an epoll set of the client's own, which the loop
 * watches as one descriptor: they come and go with every request, and handles
 * of uv would have to be closed and waited for.
 *
 * libcurl must not be called from its callbacks, and a `done` may do anything,
 * even free the client. So a round has three steps: libcurl works; what has
 * ended is taken from it (collect); the ends are told (tell). Whoever calls
 * tell() must not touch the client afterwards.
 */
#include "net/http_client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/curl.h"
#include "net/http_hosts.h"
#include "net/http_transfer.h"

enum {
	EVENTS = 64,	/* taken at once */
	IDLE_MAX = 128, /* handles kept for later requests */
	KEPT_MIN = 256, /* connections kept, over all hosts */
	ORIGINS = 64,	/* whose certificates are remembered */
};

/* The part that lives until uv has closed its handle. */
struct watch {
	uv_poll_t poll;
	struct http_client *client;
};

struct origin {
	uint64_t hash;
	double expiry;
};

struct http_client {
	struct loop *loop;
	const struct curl *curl;
	CURLM *multi;
	CURLSH *share;
	int epoll;
	struct watch *watch;
	struct timer timer; /* libcurl's */
	struct http_hosts hosts;
	struct http_list running, ended, idle;
	size_t transfers, idles;
	const struct allow *allow;
	bool cookies;
	unsigned baked; /* at most so many cookies */
	bool telling;	/* a `done` may be running: not to be freed yet */
	bool freed;
	struct origin origins[ORIGINS];
	unsigned next_origin;
};

/* ---- hosts, and certificates of their kept connections ---- */

/* FNV-1a; letter case does not matter in names of hosts. */
static uint64_t hash_bytes(uint64_t hash, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)tolower((unsigned char)s[i])) *
		       0x100000001b3;
	return hash;
}

/* Stands for scheme, host and port, and for how they are reached. */
static uint64_t origin_hash(const char *url, const char *way)
{
	struct str authority = http_url_authority(url);
	uint64_t hash = hash_bytes(0xcbf29ce484222325, url, 5);

	hash = hash_bytes(hash, authority.data, authority.len);
	return way ? hash_bytes(hash, way, strlen(way) + 1) : hash;
}

/* libcurl tells a certificate when the connection is made and not again. */
static void recall_certificate(struct http_client *client,
			       const struct http_transfer *t,
			       struct http_response *response)
{
	uint64_t hash;
	unsigned i = 0;

	if (strncasecmp(response->url, "https://", 8))
		return;
	hash = origin_hash(response->url, t->named);
	while (i < ORIGINS && client->origins[i].hash != hash)
		i++;
	if (response->certificate_expiry > 0) {
		if (i == ORIGINS)
			i = client->next_origin++ % ORIGINS;
		client->origins[i] =
			(struct origin){ hash, response->certificate_expiry };
	} else if (i < ORIGINS) {
		response->certificate_expiry = client->origins[i].expiry;
	}
}

/* ---- cookies ---- */

static void clear_cookies(struct http_client *client, struct http_transfer *t)
{
	client->curl->easy_setopt(t->easy, CURLOPT_COOKIELIST, "ALL");
	client->baked = 0;
}

static unsigned count_cookies(struct http_client *client,
			      struct http_transfer *t)
{
	struct curl_slist *list = NULL, *at;
	unsigned n = 0;

	client->curl->easy_getinfo(t->easy, CURLINFO_COOKIELIST, &list);
	for (at = list; at; at = at->next)
		n++;
	client->curl->slist_free_all(list);
	return n;
}

/* Counts when there may be too many. A server that makes up a new name each
 * time loses them all. */
static void limit_cookies(struct http_client *client, struct http_transfer *t)
{
	client->baked += t->baked;
	if (!client->cookies || client->baked < HTTP_COOKIES_MAX)
		return;
	client->baked = count_cookies(client, t);
	if (client->baked >= HTTP_COOKIES_MAX)
		clear_cookies(client, t);
}

/* ---- transfers end ---- */

static void recycle(struct http_client *client, struct http_transfer *t)
{
	if (client->idles == IDLE_MAX) {
		timer_release(&t->deadline);
		http_transfer_free(t);
		return;
	}
	http_transfer_clear(t);
	http_list_add(&client->idle, t);
	client->idles++;
}

/* Gives T to libcurl. */
static void run(struct http_client *client, struct http_transfer *t)
{
	http_list_add(&client->running, t);
	client->curl->multi_add_handle(client->multi, t->easy);
}

/* Takes T back, and gives its place to another one. */
static void leave(struct http_client *client, struct http_transfer *t)
{
	struct http_transfer *next;

	timer_stop(&t->deadline);
	if (!t->queued) {
		client->curl->multi_remove_handle(client->multi, t->easy);
		http_list_remove(&client->running, t);
	}
	next = http_hosts_leave(&client->hosts, t);
	if (next)
		run(client, next);
}

/* Its result waits in T to be told. */
static void end(struct http_client *client, struct http_transfer *t,
		CURLcode code)
{
	leave(client, t);
	t->code = code;
	t->ended = true;
	http_list_add(&client->ended, t);
}

static void collect(struct http_client *client)
{
	struct http_transfer *t;
	struct CURLMsg *message;
	int left;

	while ((message =
			client->curl->multi_info_read(client->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		client->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
		end(client, t, code);
	}
}

static void tell_one(struct http_client *client, struct http_transfer *t)
{
	struct http_outcome outcome;
	http_done done = t->done;
	void *arg = t->arg;

	http_transfer_take(t, t->code, &outcome);
	if (!outcome.err.code)
		recall_certificate(client, t, &outcome.response);
	limit_cookies(client, t);
	client->transfers--;
	recycle(client, t);
	if (outcome.err.code)
		done(arg, NULL, &outcome.err);
	else
		done(arg, &outcome.response, NULL);
	http_outcome_release(&outcome);
}

/* The last use of CLIENT in a callback: it may be gone afterwards. */
static void tell(struct http_client *client)
{
	struct http_transfer *t;

	client->telling = true;
	while (!client->freed && (t = http_list_take(&client->ended)))
		tell_one(client, t);
	client->telling = false;
	if (client->freed)
		http_client_free(client);
}

/* ---- libcurl works ---- */

static void act(struct http_client *client, curl_socket_t socket, int events)
{
	int running;

	client->curl->multi_socket_action(client->multi, socket, events,
					  &running);
}

/* Everything that has arrived, without waiting. */
static void work(struct http_client *client)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(client->epoll, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		int mask = 0;

		if (events[i].events & EPOLLIN)
			mask |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			mask |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			mask |= CURL_CSELECT_ERR;
		act(client, events[i].data.fd, mask);
	}
	collect(client);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;

	(void)status;
	(void)events;
	work(watch->client);
	tell(watch->client);
}

static void on_timer(struct timer *timer)
{
	struct http_client *client =
		(struct http_client *)((char *)timer -
				       offsetof(struct http_client, timer));

	act(client, CURL_SOCKET_TIMEOUT, 0);
	collect(client);
	tell(client);
}

/* When this thread was busy the answer may already be here. */
static void on_deadline(struct timer *timer)
{
	struct http_transfer *t =
		(struct http_transfer *)((char *)timer -
					 offsetof(struct http_transfer,
						  deadline));
	struct http_client *client = t->client;

	work(client);
	if (!t->ended)
		end(client, t, CURLE_OPERATION_TIMEDOUT);
	tell(client);
}

/* ---- what libcurl wants ---- */

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *arg,
		     void *known)
{
	struct http_client *client = arg;
	struct epoll_event event = { .data.fd = socket };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(client->epoll, EPOLL_CTL_DEL, socket, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (known)
		return epoll_ctl(client->epoll, EPOLL_CTL_MOD, socket, &event);
	client->curl->multi_assign(client->multi, socket, client);
	return epoll_ctl(client->epoll, EPOLL_CTL_ADD, socket, &event);
}

static int on_wanted(CURLM *multi, long milliseconds, void *arg)
{
	struct http_client *client = arg;

	(void)multi;
	if (milliseconds < 0)
		timer_stop(&client->timer);
	else
		timer_start(&client->timer, (double)milliseconds / 1000);
	return 0;
}

/* ---- a client's life ---- */

static void open_share(struct http_client *client, bool cookies)
{
	const struct curl *curl = client->curl;

	curl->share_setopt(client->share, CURLSHOPT_SHARE,
			   (int)CURL_LOCK_DATA_SSL_SESSION);
	if (cookies)
		curl->share_setopt(client->share, CURLSHOPT_SHARE,
				   (int)CURL_LOCK_DATA_COOKIE);
}

static void open_multi(struct http_client *client)
{
	const struct curl *curl = client->curl;
	long each = (long)client->hosts.limit;

	curl->multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl->multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl->multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_wanted);
	curl->multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl->multi_setopt(client->multi, CURLMOPT_PIPELINING,
			   (long)CURLPIPE_NOTHING);
	/* By itself libcurl keeps four for each transfer in flight, which
	 * means that the last of many closes what the others left. */
	curl->multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
			   each > KEPT_MIN ? each : (long)KEPT_MIN);
}

static bool open_watch(struct http_client *client)
{
	struct watch *watch = mem_alloc(sizeof *watch);

	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll < 0 ||
	    uv_poll_init(loop_uv(client->loop), &watch->poll, client->epoll)) {
		free(watch);
		return false;
	}
	watch->poll.data = watch;
	watch->client = client;
	client->watch = watch;
	uv_poll_start(&watch->poll, UV_READABLE, on_ready);
	return true;
}

struct http_client *http_client_new(const struct http_client_options *options,
				    struct err *err)
{
	const struct curl *curl = curl_load(err);
	struct http_client *client;
	struct err why;

	if (!curl)
		return NULL;
	client = mem_alloc(sizeof *client);
	client->loop = options->loop;
	client->curl = curl;
	client->epoll = -1;
	client->hosts.limit = options->host_connections
				      ? options->host_connections
				      : HTTP_HOST_CONNECTIONS;
	timer_init(client->loop, &client->timer, on_timer);
	client->multi = curl->multi_init();
	client->share = curl->share_init();
	if (!client->multi || !client->share || !open_watch(client)) {
		err_set(err, ERR_IO, "http: no client: %s",
			uv_strerror(uv_translate_sys_error(errno)));
		http_client_free(client);
		return NULL;
	}
	client->allow = options->allow;
	if (!allow_descriptor(client->allow, client->epoll, &why)) {
		err_set(err, why.code, "http: no client: %s", why.text);
		http_client_free(client);
		return NULL;
	}
	client->cookies = options->cookies;
	open_share(client, options->cookies);
	open_multi(client);
	return client;
}

static void drop(struct http_list *list)
{
	struct http_transfer *t;

	while ((t = http_list_take(list))) {
		timer_release(&t->deadline);
		http_transfer_free(t);
	}
}

/* Those that run or wait become idle. */
static void cancel_all(struct http_client *client)
{
	struct http_transfer *t;

	while ((t = http_hosts_waiting(&client->hosts)))
		http_cancel(t);
	while ((t = client->running.first))
		http_cancel(t);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	client->freed = true;
	cancel_all(client);
	if (client->telling)
		return; /* tell() comes here again */
	drop(&client->ended);
	drop(&client->idle);
	client->curl->multi_cleanup(client->multi);
	client->curl->share_cleanup(client->share);
	timer_release(&client->timer);
	if (client->watch)
		uv_close((uv_handle_t *)&client->watch->poll, on_closed);
	if (client->epoll >= 0)
		close(client->epoll);
	free(client);
}

/* ---- transfers ---- */

static struct http_transfer *take_idle(struct http_client *client)
{
	struct http_transfer *t = http_list_take(&client->idle);

	if (t) {
		client->idles--;
		return t;
	}
	t = http_transfer_new(client->curl, client->share, client->loop);
	if (!t)
		return NULL;
	t->client = client;
	t->cookies = client->cookies;
	t->allow = client->allow;
	timer_init(client->loop, &t->deadline, on_deadline);
	return t;
}

struct http_transfer *http_start(struct http_client *client,
				 const struct http_request *request,
				 http_done done, void *arg, struct err *err)
{
	struct http_transfer *t = take_idle(client);

	if (!t) {
		err_set(err, ERR_IO, "http: libcurl has no memory");
		return NULL;
	}
	if (!http_transfer_begin(t, request, err)) {
		recycle(client, t);
		return NULL;
	}
	t->done = done;
	t->arg = arg;
	client->transfers++;
	timer_start(&t->deadline, request->timeout);
	if (http_hosts_enter(&client->hosts, t,
			     origin_hash(request->url, request->unix_socket)))
		run(client, t);
	return t;
}

void http_cancel(struct http_transfer *t)
{
	struct http_client *client = t->client;

	if (t->ended)
		http_list_remove(&client->ended, t);
	else
		leave(client, t);
	client->transfers--;
	recycle(client, t);
}

/* Any handle of the client reaches the cookies, which all share. */
void http_client_clear_cookies(struct http_client *client)
{
	struct http_transfer *t = take_idle(client);

	if (!t)
		return;
	clear_cookies(client, t);
	recycle(client, t);
}

size_t http_client_transfers(const struct http_client *client)
{
	return client->transfers;
}
