/* SPDX-License-Identifier: Apache-2.0 */
#include "site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "beat.h"
#include "core/mem.h"

/* ---- the server's side ---- */

struct site {
	site_script script;
	SSL_CTX *tls;
	int fd;
	unsigned port;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	bool closing, gate;
	struct peer *peers;
	unsigned open, most, accepts, requests;
	size_t sent;
	char last[1 << 16];
};

static void enter(struct site *site)
{
	pthread_mutex_lock(&site->lock);
}

static void leave(struct site *site)
{
	pthread_mutex_unlock(&site->lock);
}

static ssize_t receive(struct peer *peer, char *data, size_t size)
{
	if (!peer->tls)
		return recv(peer->fd, data, size, 0);
	return SSL_read(peer->tls, data, (int)size);
}

/* How many bytes of body follow the headers, which are complete. */
static size_t body_length(const char *request)
{
	const char *line = strcasestr(request, "\r\nContent-Length:");

	return line ? strtoul(line + 17, NULL, 10) : 0;
}

static bool complete(const char *request, size_t len)
{
	const char *end = strstr(request, "\r\n\r\n");

	return end && len - (size_t)(end + 4 - request) >= body_length(request);
}

static void note_request(struct peer *peer)
{
	const char *path = strchr(peer->request, ' ');
	size_t len = path ? strcspn(++path, " ") : 0;

	snprintf(peer->path, sizeof peer->path, "%.*s", (int)len,
		 path ? path : "");
	enter(peer->site);
	peer->site->requests++;
	memcpy(peer->site->last, peer->request, sizeof peer->request);
	leave(peer->site);
}

bool peer_read(struct peer *peer)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = receive(peer, peer->request + len,
			    sizeof peer->request - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		peer->request[len] = '\0';
	} while (!complete(peer->request, len));
	note_request(peer);
	return true;
}

bool peer_send(struct peer *peer, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = peer->tls ? SSL_write(peer->tls, at, (int)len)
				      : send(peer->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		enter(peer->site);
		peer->site->sent += (size_t)n;
		leave(peer->site);
	}
	return true;
}

bool peer_say(struct peer *peer, const char *text)
{
	return peer_send(peer, text, strlen(text));
}

bool peer_answer(struct peer *peer, const char *headers, const char *body)
{
	char head[4096];

	snprintf(head, sizeof head,
		 "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", headers,
		 strlen(body));
	return peer_say(peer, head) && peer_say(peer, body);
}

void peer_hold(struct peer *peer)
{
	char data[4096];

	while (receive(peer, data, sizeof data) > 0)
		;
}

void peer_wait(struct peer *peer)
{
	struct site *site = peer->site;

	enter(site);
	while (!site->gate && !site->closing)
		pthread_cond_wait(&site->changed, &site->lock);
	site->gate = false;
	leave(site);
}

void site_go(struct site *site)
{
	enter(site);
	site->gate = true;
	pthread_cond_broadcast(&site->changed);
	leave(site);
}

void peer_reset(struct peer *peer)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static bool shake_hands(struct peer *peer)
{
	if (!peer->site->tls)
		return true;
	peer->tls = SSL_new(peer->site->tls);
	SSL_set_fd(peer->tls, peer->fd);
	if (SSL_accept(peer->tls) == 1)
		return true;
	/* To close now would be a reset, which overtakes the reason. */
	shutdown(peer->fd, SHUT_WR);
	while (recv(peer->fd, peer->request, sizeof peer->request, 0) > 0)
		;
	return false;
}

static void forget(struct peer *peer)
{
	struct site *site = peer->site;
	struct peer **at = &site->peers;

	enter(site);
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	close(peer->fd);
	site->open--;
	pthread_cond_broadcast(&site->changed);
	leave(site);
	free(peer);
}

static void *serve(void *arg)
{
	struct peer *peer = arg;

	if (shake_hands(peer))
		peer->site->script(peer);
	if (peer->tls) {
		SSL_shutdown(peer->tls);
		SSL_free(peer->tls);
	}
	forget(peer);
	return NULL;
}

static void welcome(struct site *site, int fd)
{
	struct peer *peer = mem_alloc(sizeof *peer);
	pthread_attr_t detached;
	pthread_t thread;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	peer->site = site;
	peer->fd = fd;
	peer->next = site->peers;
	site->peers = peer;
	site->accepts++;
	if (++site->open > site->most)
		site->most = site->open;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, serve, peer))
		abort();
	pthread_attr_destroy(&detached);
}

static void *accept_all(void *arg)
{
	struct site *site = arg;
	int fd;

	while ((fd = accept4(site->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		enter(site);
		if (site->closing)
			close(fd);
		else
			welcome(site, fd);
		leave(site);
	}
	return NULL;
}

static struct site *open_at(site_script script, SSL_CTX *tls,
			    const struct sockaddr *address, socklen_t size)
{
	struct site *site = mem_alloc(sizeof *site);
	struct sockaddr_in own = { 0 };
	socklen_t len = sizeof own;

	site->script = script;
	site->tls = tls;
	pthread_mutex_init(&site->lock, NULL);
	pthread_cond_init(&site->changed, NULL);
	site->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(site->fd, address, size));
	assert_int_equal(0, listen(site->fd, 512));
	if (address->sa_family == AF_INET) {
		getsockname(site->fd, (struct sockaddr *)&own, &len);
		site->port = ntohs(own.sin_port);
	}
	assert_int_equal(0,
			 pthread_create(&site->thread, NULL, accept_all, site));
	return site;
}

struct site *site_open(site_script script, SSL_CTX *tls)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return open_at(script, tls, (struct sockaddr *)&address,
		       sizeof address);
}

struct site *site_open_unix(site_script script, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	return open_at(script, NULL, (struct sockaddr *)&address,
		       sizeof address);
}

void site_close(struct site *site)
{
	enter(site);
	site->closing = true;
	pthread_cond_broadcast(&site->changed);
	shutdown(site->fd, SHUT_RDWR);
	for (struct peer *peer = site->peers; peer; peer = peer->next)
		shutdown(peer->fd, SHUT_RDWR);
	while (site->open)
		pthread_cond_wait(&site->changed, &site->lock);
	leave(site);
	pthread_join(site->thread, NULL);
	close(site->fd);
	pthread_mutex_destroy(&site->lock);
	pthread_cond_destroy(&site->changed);
	free(site);
}

const char *site_url_as(const struct site *site, const char *scheme_and_host,
			const char *path)
{
	static char urls[8][512];
	static unsigned next;
	char *url = urls[next++ % 8];

	snprintf(url, sizeof urls[0], "%s:%u%s", scheme_and_host, site->port,
		 path);
	return url;
}

const char *site_url(const struct site *site, const char *path)
{
	return site_url_as(site,
			   site->tls ? "https://127.0.0.1" : "http://127.0.0.1",
			   path);
}

unsigned site_port(const struct site *site)
{
	return site->port;
}

#define LOCKED(site, type, expression)                                         \
	struct site *open = (struct site *)(site);                             \
	type value;                                                            \
                                                                               \
	enter(open);                                                           \
	value = (expression);                                                  \
	leave(open);                                                           \
	return value

unsigned site_accepts(const struct site *site)
{
	LOCKED(site, unsigned, site->accepts);
}

unsigned site_most(const struct site *site)
{
	LOCKED(site, unsigned, site->most);
}

unsigned site_requests(const struct site *site)
{
	LOCKED(site, unsigned, site->requests);
}

size_t site_sent(const struct site *site)
{
	LOCKED(site, size_t, site->sent);
}

const char *site_last(const struct site *site)
{
	static char last[sizeof site->last];
	struct site *open = (struct site *)site;

	enter(open);
	memcpy(last, site->last, sizeof last);
	leave(open);
	return last;
}

/* ---- names ---- */

static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slow_changed = PTHREAD_COND_INITIALIZER;
static unsigned slow_begun, slow_busy;
static bool slow_over;

static void wait_long(void)
{
	pthread_mutex_lock(&slow_lock);
	slow_begun++;
	slow_busy++;
	while (!slow_over)
		pthread_cond_wait(&slow_changed, &slow_lock);
	slow_busy--;
	pthread_cond_broadcast(&slow_changed);
	pthread_mutex_unlock(&slow_lock);
}

/* Takes the place of the C library's, also for libcurl. */
int getaddrinfo(const char *name, const char *service,
		const struct addrinfo *hints, struct addrinfo **result)
{
	__typeof__(getaddrinfo) *real;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (name && !strcmp(name, SLOW_NAME)) {
		wait_long();
		return EAI_NONAME;
	}
	return real(name, service, hints, result);
}

unsigned slow_lookups(void)
{
	unsigned n;

	pthread_mutex_lock(&slow_lock);
	n = slow_begun;
	pthread_mutex_unlock(&slow_lock);
	return n;
}

static void begin_slow(void)
{
	pthread_mutex_lock(&slow_lock);
	slow_over = false;
	slow_begun = 0;
	pthread_mutex_unlock(&slow_lock);
}

static void end_slow(void)
{
	pthread_mutex_lock(&slow_lock);
	slow_over = true;
	pthread_cond_broadcast(&slow_changed);
	while (slow_busy)
		pthread_cond_wait(&slow_changed, &slow_lock);
	pthread_mutex_unlock(&slow_lock);
}

/* ---- the client's side ---- */

struct loop *loop;
struct http_client *client;
static unsigned descriptors;

unsigned open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

int site_start(void **state)
{
	struct http_client_options options = { .cookies = true };
	struct err err;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	/* The first loop of a process opens what all of them share. */
	loop_free(loop_new());
	begin_slow();
	descriptors = open_descriptors();
	options.loop = loop = loop_new();
	beat_start(loop);
	client = http_client_new(&options, &err);
	if (!client)
		fail_msg("%s", err.text);
	return 0;
}

int site_stop(void **state)
{
	(void)state;
	http_client_free(client);
	assert_true(loop_free(loop));
	end_slow();
	/* A thread of libcurl that looks a name up closes what it has when it
	 * is done. */
	for (int i = 0; i < 500 && open_descriptors() != descriptors; i++)
		usleep(10000);
	assert_int_equal(descriptors, open_descriptors());
	return 0;
}

struct http_client *wide(unsigned connections)
{
	struct http_client_options options = { .loop = loop,
					       .host_connections =
						       connections };
	struct http_client *other = http_client_new(&options, NULL);

	assert_non_null(other);
	return other;
}

void use(struct http_client *other)
{
	http_client_free(client);
	client = other;
}

static char *join_headers(const struct http_response *response)
{
	struct buf text;
	size_t len;

	buf_init(&text, 1 << 20);
	buf_addstr(&text, "");
	for (size_t i = 0; i < response->nheaders; i++)
		buf_addf(&text, "%s: %s\n", response->headers[i].name,
			 response->headers[i].value);
	return buf_take(&text, &len);
}

void answer_take(void *arg, const struct http_response *response,
		 const struct err *err)
{
	struct answer *answer = arg;

	answer->calls++;
	assert_true(!response != !err);
	if (err) {
		answer->err = *err;
		return;
	}
	answer->status = response->status;
	answer->url = mem_string(response->url);
	answer->headers = join_headers(response);
	answer->body = mem_copy(response->body.data, response->body.len);
	answer->len = response->body.len;
	answer->timings = response->timings;
	answer->expiry = response->certificate_expiry;
}

void answer_release(struct answer *answer)
{
	free(answer->url);
	free(answer->headers);
	free(answer->body);
	*answer = (struct answer){ 0 };
}

struct http_transfer *begin(struct http_request request, struct answer *answer)
{
	struct http_transfer *transfer;
	struct err err;

	if (request.timeout == 0)
		request.timeout = 30;
	if (request.redirects == 0)
		request.redirects = -1;
	else if (request.redirects == NO_REDIRECTS)
		request.redirects = 0;
	transfer = http_start(client, &request, answer_take, answer, &err);
	if (!transfer)
		answer->err = err;
	assert_int_equal(0, answer->calls);
	return transfer;
}

void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

void finish(struct answer *answer)
{
	while (!answer->calls)
		turn();
	assert_int_equal(1, answer->calls);
}

struct answer *fetch(struct http_request request)
{
	static struct answer answer;

	answer_release(&answer);
	if (begin(request, &answer))
		finish(&answer);
	return &answer;
}

struct answer *get(const char *url)
{
	struct answer *answer = fetch((struct http_request){ .url = url });

	if (answer->err.code)
		fail_msg("%s", answer->err.text);
	return answer;
}

const char *failure(struct http_request request, enum err_code code)
{
	struct answer *answer = fetch(request);

	if (answer->err.code != code)
		fail_msg("status %u, error %d: %s", answer->status,
			 answer->err.code, answer->err.text);
	assert_int_equal(code == ERR_USAGE ? 0 : 1, answer->calls);
	return answer->err.text;
}

const char *get_failure(const char *url, enum err_code code)
{
	return failure((struct http_request){ .url = url }, code);
}

void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in:\n%s", part, text);
}
