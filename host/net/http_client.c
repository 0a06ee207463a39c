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

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/curl.h"
#include "net/http_transfer.h"

enum {
	EVENTS = 64,	/* taken at once */
	IDLE_MAX = 128, /* handles kept for later requests */
	KEPT_MIN = 256, /* connections kept, over all hosts */
	ORIGINS = 64,	/* whose certificates are remembered */
};

struct list {
	struct http_transfer *first, *last;
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
	struct list running, ended, idle;
	size_t transfers, idles;
	bool *freed; /* told to whoever is telling */
	struct origin origins[ORIGINS];
	unsigned next_origin;
};

/* ---- lists ---- */

static void list_add(struct list *list, struct http_transfer *t)
{
	t->next = NULL;
	t->prev = list->last;
	if (t->prev)
		t->prev->next = t;
	else
		list->first = t;
	list->last = t;
}

static void list_remove(struct list *list, struct http_transfer *t)
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

static struct http_transfer *list_take(struct list *list)
{
	struct http_transfer *t = list->first;

	if (t)
		list_remove(list, t);
	return t;
}

/* ---- certificates of kept connections ---- */

/* FNV-1a over "https://host:port" and the name that was verified. */
static uint64_t hash_bytes(uint64_t hash, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)s[i]) * 0x100000001b3;
	return hash;
}

static uint64_t origin_hash(const char *url, const char *name)
{
	size_t len = 8 + strcspn(url + 8, "/?#");
	uint64_t hash = hash_bytes(0xcbf29ce484222325, url, len);

	return name ? hash_bytes(hash, name, strlen(name) + 1) : hash;
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

/* ---- transfers end ---- */

static void recycle(struct http_client *client, struct http_transfer *t)
{
	if (client->idles == IDLE_MAX) {
		timer_release(&t->deadline);
		http_transfer_free(t);
		return;
	}
	http_transfer_clear(t);
	list_add(&client->idle, t);
	client->idles++;
}

/* Takes T out of libcurl; its result waits in it. */
static void end(struct http_client *client, struct http_transfer *t,
		CURLcode code)
{
	timer_stop(&t->deadline);
	t->code = code;
	t->ended = true;
	list_remove(&client->running, t);
	list_add(&client->ended, t);
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
		client->curl->multi_remove_handle(client->multi, easy);
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
	bool freed = false;

	client->freed = &freed;
	while (!freed && (t = list_take(&client->ended)))
		tell_one(client, t);
	if (!freed)
		client->freed = NULL;
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
	if (!t->ended) {
		client->curl->multi_remove_handle(client->multi, t->easy);
		end(client, t, CURLE_OPERATION_TIMEDOUT);
	}
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

static void open_multi(struct http_client *client, unsigned connections)
{
	const struct curl *curl = client->curl;
	long each = connections ? (long)connections : HTTP_HOST_CONNECTIONS;

	curl->multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl->multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl->multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_wanted);
	curl->multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl->multi_setopt(client->multi, CURLMOPT_PIPELINING,
			   (long)CURLPIPE_NOTHING);
	curl->multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, each);
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

	if (!curl)
		return NULL;
	client = mem_alloc(sizeof *client);
	client->loop = options->loop;
	client->curl = curl;
	client->epoll = -1;
	timer_init(client->loop, &client->timer, on_timer);
	client->multi = curl->multi_init();
	client->share = curl->share_init();
	if (!client->multi || !client->share || !open_watch(client)) {
		err_set(err, ERR_IO, "http: no client: %s",
			uv_strerror(uv_translate_sys_error(errno)));
		http_client_free(client);
		return NULL;
	}
	open_share(client, options->cookies);
	open_multi(client, options->host_connections);
	return client;
}

static void drop(struct http_client *client, struct list *list)
{
	struct http_transfer *t;

	while ((t = list_take(list))) {
		client->curl->multi_remove_handle(client->multi, t->easy);
		timer_release(&t->deadline);
		http_transfer_free(t);
	}
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	if (client->freed)
		*client->freed = true;
	drop(client, &client->running);
	drop(client, &client->ended);
	drop(client, &client->idle);
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
	struct http_transfer *t = list_take(&client->idle);

	if (t) {
		client->idles--;
		return t;
	}
	t = http_transfer_new(client->curl, client->share, client->loop);
	if (!t)
		return NULL;
	t->client = client;
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
	list_add(&client->running, t);
	client->transfers++;
	timer_start(&t->deadline, request->timeout);
	client->curl->multi_add_handle(client->multi, t->easy);
	return t;
}

void http_cancel(struct http_transfer *t)
{
	struct http_client *client = t->client;

	timer_stop(&t->deadline);
	if (!t->ended)
		client->curl->multi_remove_handle(client->multi, t->easy);
	list_remove(t->ended ? &client->ended : &client->running, t);
	client->transfers--;
	recycle(client, t);
}

/* Any handle of the client reaches the cookies, which all share. */
void http_client_clear_cookies(struct http_client *client)
{
	struct http_transfer *t = take_idle(client);

	if (!t)
		return;
	client->curl->easy_setopt(t->easy, CURLOPT_COOKIELIST, "ALL");
	recycle(client, t);
}

size_t http_client_transfers(const struct http_client *client)
{
	return client->transfers;
}
