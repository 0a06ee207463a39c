/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server and clients share one loop, so every step waits for what it needs and
 * nothing sleeps. What never comes is ended by alarm().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../net/beat.h"
#include "core/mem.h"
#include "web/server.h"

/* ---- the server and what its handlers saw ---- */

static struct loop *loop;
static struct server *server;

static struct {
	struct request *parked;
	unsigned expired;
	bool stopping;
	char text[512];
	unsigned finished;
	char handler[32];
	unsigned status;
	double seconds;
	bool done;
	unsigned released;
} seen;

static struct response *page;

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static void on_finished(void *arg, const char *handler, unsigned status,
			double seconds)
{
	(void)arg;
	seen.finished++;
	snprintf(seen.handler, sizeof seen.handler, "%s", handler);
	seen.status = status;
	seen.seconds = seconds;
}

static void handle_hello(struct request *request, void *arg)
{
	request_answer_text(request, 200, "text/plain", arg);
}

static void handle_page(struct request *request, void *arg)
{
	(void)arg;
	request_answer(request, 200, page);
}

static void note(void *arg, const char *value)
{
	(void)arg;
	strcat(seen.text, value ? value : "(none)");
	strcat(seen.text, "|");
}

static void note_pair(void *arg, const char *name, const char *value)
{
	note(arg, name);
	note(arg, value);
}

static void handle_look(struct request *request, void *arg)
{
	(void)arg;
	note(NULL, request_method(request));
	note(NULL, request_path(request));
	note(NULL, request_query(request, "target"));
	note(NULL, request_header(request, "X-Absent"));
	note(NULL, request_header(request, "x-one"));
	request_headers(request, "x-many", note, NULL);
	request_queries(request, "c[]", note_pair, NULL);
	request_answer_text(request, 200, "text/plain", request_peer(request));
}

static void handle_echo(struct request *request, void *arg)
{
	struct str body = request_body(request);
	char text[128];

	(void)arg;
	snprintf(text, sizeof text, "%s %zu %.20s", request_method(request),
		 body.len, body.data);
	request_answer_text(request, 200, "text/plain", text);
}

static void on_expired(struct request *request, void *arg)
{
	(void)arg;
	seen.parked = NULL;
	seen.expired++;
	seen.stopping = request_stopping(request);
	request_answer_text(request, seen.stopping ? 503 : 504, "text/plain",
			    "late");
}

/* The time was not enough. */
static void on_first_expired(struct request *request, void *arg)
{
	seen.expired++;
	request_suspend(request, *(double *)arg, on_expired, NULL);
}

static void handle_twice(struct request *request, void *arg)
{
	static double never = 60;

	seen.parked = request;
	request_suspend(request, never, on_expired, NULL);
	request_suspend(request, *(double *)arg, on_first_expired, arg);
}

static void handle_park(struct request *request, void *arg)
{
	seen.parked = request;
	request_suspend(request, *(double *)arg, on_expired, NULL);
}

static void handle_park_and_answer(struct request *request, void *arg)
{
	(void)arg;
	request_suspend(request, 60, on_expired, NULL);
	request_answer_text(request, 200, "text/plain", "at once");
}

static void handle_nothing(struct request *request, void *arg)
{
	(void)request;
	(void)arg;
}

static void handle_sent(struct request *request, void *arg)
{
	(void)arg;
	request_answer_text(request, 200, "text/plain",
			    request_sent_path(request));
}

static void note_all(void *arg, const char *name, const char *value)
{
	if (!strncasecmp(name, "x-", 2))
		note_pair(arg, name, value);
}

static void handle_take(struct request *request, void *arg)
{
	size_t len;
	char *body = request_take_body(request, &len);

	(void)arg;
	request_all_headers(request, note_all, NULL);
	snprintf(seen.text + strlen(seen.text), 100, "%zu %s", len, body);
	free(body);
	assert_int_equal(0, request_body(request).len);
	request_answer_text(request, 200, "text/plain", "taken");
}

static double soon = 0.02, never = 3600;

static const struct route routes[] = {
	{ "/", SERVER_GET, "root", handle_hello, "hello" },
	{ "/page", SERVER_GET, "page", handle_page, NULL },
	{ "/look", SERVER_GET, "look", handle_look, NULL },
	{ "/echo", SERVER_GET | SERVER_POST | SERVER_PUT, "echo", handle_echo,
	  NULL },
	{ "/park", SERVER_GET, "park", handle_park, &never },
	{ "/twice", SERVER_GET, "twice", handle_twice, &soon },
	{ "/soon", SERVER_GET, "soon", handle_park, &soon },
	{ "/both", SERVER_GET, "both", handle_park_and_answer, NULL },
	{ "/nothing", SERVER_GET, "nothing", handle_nothing, NULL },
	{ "/take", SERVER_POST, "take", handle_take, NULL },
	{ "/d/:id", SERVER_GET, "any", handle_hello, "any" },
	{ "/d/:id/sent", SERVER_GET, "sent", handle_sent, NULL },
	{ "/d/one", SERVER_GET, "one", handle_hello, "one" },
	{ "/d/:other", SERVER_DELETE, "gone", handle_hello, "gone" },
	{ "/d/one", SERVER_PUT, "put", handle_hello, "put" },
	{ 0 },
};

static void start_on(const char *const *addresses)
{
	struct server_options options = {
		.loop = loop,
		.addresses = addresses,
		.routes = routes,
		.body_max = 1000,
		.finished = on_finished,
	};
	struct err err;

	memset(&seen, 0, sizeof seen);
	server = server_new(&options, &err);
	if (!server)
		fail_msg("%s", err.text);
}

static int start(void **state)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };

	(void)state;
	alarm(60);
	loop = loop_new();
	beat_start(loop);
	start_on(addresses);
	return 0;
}

static void on_done(void *arg)
{
	(void)arg;
	seen.done = true;
}

static void stop_server(double grace)
{
	server_stop(server, grace, on_done, NULL);
	while (!seen.done)
		turn();
	server_free(server);
	server = NULL;
}

static int stop(void **state)
{
	(void)state;
	if (server)
		stop_server(0);
	response_unref(page);
	page = NULL;
	loop_free(loop);
	return 0;
}

static unsigned port_of(size_t i)
{
	const char *address = server_address(server, i);

	assert_non_null(address);
	return (unsigned)atoi(strrchr(address, ':') + 1);
}

/* ---- clients ---- */

struct client {
	uv_poll_t poll;
	int fd;
	bool ended;
	char *data;
	size_t len;
};

static bool client_read(struct client *client)
{
	char data[65536];
	ssize_t n = recv(client->fd, data, sizeof data, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		client->ended = true;
		uv_poll_stop(&client->poll);
		return false;
	}
	client->data = mem_realloc(client->data, client->len + (size_t)n + 1);
	memcpy(client->data + client->len, data, (size_t)n);
	client->len += (size_t)n;
	client->data[client->len] = '\0';
	return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct client *client = (struct client *)poll;

	(void)events;
	/* After a reset uv watches no more, but what came before is there. */
	while (client_read(client) && status < 0)
		;
}

static struct client *client_to(const struct sockaddr *address, socklen_t size)
{
	struct client *client = mem_alloc(sizeof *client);

	client->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, connect(client->fd, address, size));
	client->data = mem_string("");
	uv_poll_init(loop_uv(loop), &client->poll, client->fd);
	uv_poll_start(&client->poll, UV_READABLE, on_readable);
	return client;
}

static struct client *client_new(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port_of(0)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return client_to((struct sockaddr *)&address, sizeof address);
}

static void on_client_closed(uv_handle_t *handle)
{
	free(handle);
}

static void client_free(struct client *client)
{
	uv_close((uv_handle_t *)&client->poll, on_client_closed);
	close(client->fd);
	free(client->data);
}

static void client_send(struct client *client, const char *text)
{
	assert_int_equal(strlen(text),
			 send(client->fd, text, strlen(text), MSG_NOSIGNAL));
}

/* Bytes of the first answer, 0 while it is not complete. */
static size_t answer_len(const struct client *client, bool body)
{
	char *end = strstr(client->data, "\r\n\r\n");
	char *length = strcasestr(client->data, "\r\nContent-Length: ");
	size_t len;

	if (!end)
		return 0;
	len = (size_t)(end + 4 - client->data);
	if (body && length && length < end)
		len += strtoul(length + 18, NULL, 10);
	return client->len >= len ? len : 0;
}

static unsigned client_wait(struct client *client)
{
	while (!answer_len(client, true)) {
		assert_false(client->ended);
		turn();
	}
	return (unsigned)atoi(client->data + 9);
}

static const char *client_body(const struct client *client)
{
	return strstr(client->data, "\r\n\r\n") + 4;
}

/* Forgets the first answer. */
static void client_next(struct client *client)
{
	size_t len = answer_len(client, true);

	client->len -= len;
	memmove(client->data, client->data + len, client->len + 1);
}

static void client_get(struct client *client, const char *method,
		       const char *path)
{
	char text[512];

	snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method,
		 path);
	client_send(client, text);
}

static void wait_finished(unsigned n)
{
	while (seen.finished < n)
		turn();
}

static void wait_parked(void)
{
	while (!seen.parked)
		turn();
}

/* ---- routes ---- */

static void answers_many_requests_on_one_connection(void **state)
{
	struct client *client = client_new();

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		client_get(client, "GET", "/");
		assert_int_equal(200, client_wait(client));
		assert_string_equal("hello", client_body(client));
		wait_finished(i);
		assert_string_equal("root", seen.handler);
		assert_int_equal(200, seen.status);
		assert_true(seen.seconds >= 0 && seen.seconds < 60);
		client_next(client);
	}
	assert_false(client->ended);
	client_free(client);
}

static void answers_pipelined_requests_in_order(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_send(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET /missing HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET /both HTTP/1.1\r\nHost: h\r\n\r\n"
			    "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(200, client_wait(client));
	client_next(client);
	assert_int_equal(404, client_wait(client));
	client_next(client);
	assert_int_equal(200, client_wait(client));
	assert_non_null(strstr(client->data, "at once"));
	client_next(client);
	assert_int_equal(200, client_wait(client));
	client_free(client);
}

static void an_unknown_path_is_404_and_names_the_root(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/metric");
	assert_int_equal(404, client_wait(client));
	assert_non_null(strstr(client_body(client), "/ "));
	wait_finished(1);
	assert_string_equal("other", seen.handler);
	assert_int_equal(404, seen.status);
	client_free(client);
}

/* The body of the answer to one request. */
static void ask(const char *line, unsigned status, const char *expected)
{
	struct client *client = client_new();
	char text[256];

	snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n\r\n", line);
	client_send(client, text);
	if (client_wait(client) != status || !strstr(client->data, expected))
		fail_msg("%s: %s", line, client->data);
	client_free(client);
}

static void the_nearest_pattern_with_the_method_answers(void **state)
{
	(void)state;
	ask("GET /d/1", 200, "\r\n\r\nany");
	ask("GET /d/one", 200, "\r\n\r\none");
	ask("GET /d/%6Fne", 200, "\r\n\r\none");
	ask("GET /d/one%2Ftwo", 200, "\r\n\r\nany");
	ask("PUT /d/one", 200, "\r\n\r\nput");
	/* The pattern alone has this method. */
	ask("DELETE /d/one", 200, "\r\n\r\ngone");
	ask("GET /d/", 404, "not found");
	ask("GET /d/1/2", 404, "not found");
	ask("GET /d/a%20%2f?b=%2F/sent", 200, "any");
	ask("GET /d/a%20%2f/sent?b=%2F", 200, "\r\n\r\n/d/a%20%2f/sent");
	ask("GET /d/a/sent", 200, "\r\n\r\n/d/a/sent");
}

static void allow_names_every_method_of_a_path(void **state)
{
	(void)state;
	ask("POST /d/one", 405, "\r\nAllow: GET, HEAD, PUT, DELETE\r\n");
	ask("POST /d/two", 405, "\r\nAllow: GET, HEAD, DELETE\r\n");
	ask("PATCH /d/two", 405, "\r\nAllow: GET, HEAD, DELETE\r\n");
	assert_string_equal("any", seen.handler);
}

static void a_handler_may_take_the_body_and_all_headers(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_send(client, "POST /take HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n"
			    "x-b: 2\r\nX-A: 3\r\nContent-Length: 5\r\n\r\n"
			    "hello");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("X-A|1|x-b|2|X-A|3|5 hello", seen.text);
	client_free(client);
}

static void a_wrong_method_is_405_with_allow(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "DELETE", "/");
	assert_int_equal(405, client_wait(client));
	assert_non_null(strstr(client->data, "\r\nAllow: GET, HEAD\r\n"));
	client_next(client);
	client_get(client, "BREW", "/echo");
	assert_int_equal(405, client_wait(client));
	assert_non_null(
		strstr(client->data, "\r\nAllow: GET, HEAD, POST, PUT\r\n"));
	client_free(client);
}

static void head_has_the_headers_and_no_body(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "HEAD", "/");
	while (!answer_len(client, false))
		turn();
	assert_non_null(strstr(client->data, "\r\nContent-Length: 5\r\n"));
	/* The next answer follows the headers at once. */
	client->len = 0;
	client_get(client, "GET", "/");
	assert_int_equal(200, client_wait(client));
	assert_memory_equal("HTTP/1.1 200", client->data, 12);
	client_free(client);
}

static void a_handler_sees_headers_query_and_peer(void **state)
{
	struct client *client = client_new();
	struct sockaddr_in own;
	socklen_t size = sizeof own;
	char peer[64];

	(void)state;
	client_send(client, "GET /look?Target=no&target=a%2Fb+c%20d&target=2"
			    "&c%5B%5D=x&flag&c[]= HTTP/1.1\r\n"
			    "Host: h\r\nX-ONE: first\r\nX-Many: a\r\n"
			    "X-one: second\r\nx-MANY: b\r\n\r\n");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("GET|/look|a/b c d|(none)|first|a|b|"
			    "c[]|x|c[]||",
			    seen.text);
	getsockname(client->fd, (struct sockaddr *)&own, &size);
	snprintf(peer, sizeof peer, "127.0.0.1:%u", ntohs(own.sin_port));
	assert_string_equal(peer, client_body(client));
	client_free(client);
}

static void a_handler_that_does_nothing_is_answered_500(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/nothing");
	assert_int_equal(500, client_wait(client));
	client_free(client);
}

/* ---- request bodies ---- */

static void a_body_arrives_whole_and_the_connection_stays(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 10\r\n\r\n01234");
	turn();
	client_send(client, "56789");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("POST 10 0123456789", client_body(client));
	client_next(client);
	client_send(client, "PUT /echo HTTP/1.1\r\nHost: h\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n"
			    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("PUT 5 abcde", client_body(client));
	client_next(client);
	client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 0\r\n\r\n");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("POST 0 ", client_body(client));
	client_free(client);
}

static void a_body_that_is_too_large_is_413_after_it_was_read(void **state)
{
	struct client *client = client_new();
	char text[1002];

	(void)state;
	memset(text, 'x', sizeof text);
	text[1001] = '\0';
	client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 1001\r\n\r\n");
	client_send(client, text);
	assert_int_equal(413, client_wait(client));
	wait_finished(1);
	assert_int_equal(413, seen.status);
	assert_string_equal("echo", seen.handler);
	client_free(client);
}

static void a_client_that_asks_first_need_not_send_too_much(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\n"
			    "Expect: 100-continue\r\n"
			    "Content-Length: 100000\r\n\r\n");
	assert_int_equal(413, client_wait(client));
	while (!client->ended)
		turn();
	client_free(client);
}

static void a_client_that_leaves_amid_its_body_is_counted(void **state)
{
	struct client *client = client_new();
	struct client *other = client_new();

	(void)state;
	client_send(client, "POST /echo HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 10\r\n\r\n01234");
	/* When this one has its answer, the server has seen the other. */
	client_get(other, "GET", "/");
	assert_int_equal(200, client_wait(other));
	wait_finished(1);
	client_free(client);
	wait_finished(2);
	assert_int_equal(SERVER_CLIENT_GONE, seen.status);
	client_free(other);
}

static void headers_beyond_the_memory_are_refused(void **state)
{
	struct client *client = client_new();
	char text[1001];

	(void)state;
	memset(text, 'x', sizeof text);
	text[1000] = '\0';
	client_send(client, "GET / HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < REQUEST_MEMORY / 1000 + 1; i++) {
		client_send(client, "X-Long: ");
		client_send(client, text);
		client_send(client, "\r\n");
	}
	while (!client->ended)
		turn();
	assert_true(client->len == 0 ||
		    !strncmp(client->data, "HTTP/1.1 4", 10));
	client_free(client);
	client = client_new();
	client_get(client, "GET", "/");
	assert_int_equal(200, client_wait(client));
	client_free(client);
}

/* ---- suspending ---- */

static void a_suspended_request_is_answered_later(void **state)
{
	struct client *parked = client_new();
	struct client *other = client_new();

	(void)state;
	client_get(parked, "GET", "/park");
	wait_parked();
	client_get(other, "GET", "/");
	assert_int_equal(200, client_wait(other));
	assert_int_equal(0, parked->len);
	request_answer_text(seen.parked, 200, "text/plain", "finally");
	assert_int_equal(200, client_wait(parked));
	assert_string_equal("finally", client_body(parked));
	assert_int_equal(0, seen.expired);
	client_next(parked);
	client_get(parked, "GET", "/");
	assert_int_equal(200, client_wait(parked));
	client_free(parked);
	client_free(other);
}

static void the_deadline_ends_a_suspended_request(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/soon");
	assert_int_equal(504, client_wait(client));
	wait_finished(1);
	assert_int_equal(1, seen.expired);
	assert_false(seen.stopping);
	assert_true(seen.seconds >= soon);
	assert_string_equal("soon", seen.handler);
	client_free(client);
}

static void a_suspended_request_can_get_another_deadline(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/twice");
	assert_int_equal(504, client_wait(client));
	wait_finished(1);
	assert_int_equal(2, seen.expired);
	assert_true(seen.seconds >= 2 * soon);
	client_free(client);
}

static void a_client_may_leave_while_it_is_suspended(void **state)
{
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/park");
	wait_parked();
	client_free(client);
	turn();
	assert_int_equal(0, seen.finished);
	request_answer_text(seen.parked, 200, "text/plain", "nobody");
	wait_finished(1);
	assert_int_equal(200, seen.status);
}

static void stopping_answers_the_suspended_and_closes_the_idle(void **state)
{
	struct client *clients[3];
	struct client *idle = client_new();

	(void)state;
	client_get(idle, "GET", "/");
	client_wait(idle);
	for (int i = 0; i < 3; i++) {
		clients[i] = client_new();
		seen.parked = NULL;
		client_get(clients[i], "GET", i ? "/park" : "/soon");
		wait_parked();
	}
	stop_server(60);
	assert_int_equal(3, seen.expired);
	assert_true(seen.stopping);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(503, client_wait(clients[i]));
		client_free(clients[i]);
	}
	while (!idle->ended)
		turn();
	client_free(idle);
}

static void stopping_sends_the_answers_that_are_on_their_way(void **state)
{
	static char text[4 << 20];
	struct iovec piece = { text, sizeof text };
	struct client *client = client_new();

	(void)state;
	page = response_new(&piece, 1, NULL, NULL, NULL);
	client_get(client, "GET", "/page");
	while (!strstr(client->data, "\r\n\r\n"))
		turn();
	assert_true(client->len < sizeof text);
	stop_server(60);
	assert_int_equal(200, client_wait(client));
	client_free(client);
}

static void stopping_does_not_wait_longer_than_its_grace(void **state)
{
	static char text[64 << 20];
	struct iovec piece = { text, sizeof text };
	struct client *client = client_new();

	(void)state;
	page = response_new(&piece, 1, NULL, NULL, NULL);
	client_get(client, "GET", "/page");
	while (!client->len)
		turn();
	/* This one reads no more. */
	uv_poll_stop(&client->poll);
	stop_server(0.02);
	assert_int_equal(1, seen.finished);
	client_free(client);
}

/* ---- responses ---- */

static void count_release(void *owner)
{
	(*(unsigned *)owner)++;
}

/* N pieces of different lengths that together have a known text. */
static char *make_page(size_t n, size_t step, size_t *total)
{
	struct iovec *pieces = mem_array(n, sizeof *pieces);
	static const char *const headers[] = { "Content-Type", "text/x-test",
					       "X-Extra", "yes", NULL };
	char *text;

	*total = 0;
	for (size_t i = 0; i < n; i++)
		*total += pieces[i].iov_len = i % 7 * step;
	text = mem_alloc(*total + 1);
	for (size_t i = 0; i < *total; i++)
		text[i] = (char)('a' + i * 31 % 26 + (i >> 16) % 4);
	for (size_t i = 0, at = 0; i < n; at += pieces[i++].iov_len)
		pieces[i].iov_base = text + at;
	page = response_new(pieces, n, count_release, &seen.released, headers);
	free(pieces);
	return text;
}

static void check_page(size_t n, size_t step)
{
	struct client *clients[2] = { client_new(), client_new() };
	size_t total;
	char *text = make_page(n, step, &total);

	for (int i = 0; i < 2; i++)
		client_get(clients[i], "GET", "/page");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(200, client_wait(clients[i]));
		assert_non_null(strstr(clients[i]->data,
				       "\r\nContent-Type: text/x-test\r\n"));
		assert_non_null(strstr(clients[i]->data, "\r\nX-Extra: yes"));
		assert_int_equal(total, answer_len(clients[i], true) -
						answer_len(clients[i], false));
		assert_memory_equal(text, client_body(clients[i]), total);
	}
	wait_finished(2);
	assert_int_equal(0, seen.released);
	response_unref(page);
	page = NULL;
	assert_int_equal(1, seen.released);
	for (int i = 0; i < 2; i++)
		client_free(clients[i]);
	free(text);
}

static void sends_a_body_of_several_pieces_to_several_clients(void **state)
{
	(void)state;
	check_page(14, 2000);
}

static void sends_a_body_larger_than_any_socket_buffer(void **state)
{
	(void)state;
	check_page(300, 10000);
}

static void sends_more_pieces_than_a_connection_can_hold(void **state)
{
	(void)state;
	check_page(3000, 300);
}

static void sends_an_empty_body(void **state)
{
	(void)state;
	check_page(1, 1);
}

static void releases_a_page_only_when_it_was_sent(void **state)
{
	struct client *client = client_new();
	size_t total;
	char *text = make_page(300, 10000, &total);

	(void)state;
	client_get(client, "GET", "/page");
	while (!client->len)
		turn();
	response_unref(page);
	page = NULL;
	assert_int_equal(0, seen.released);
	assert_int_equal(200, client_wait(client));
	wait_finished(1);
	assert_int_equal(1, seen.released);
	assert_memory_equal(text, client_body(client), total);
	client_free(client);
	free(text);
}

/* ---- addresses ---- */

static const char *failure_of(const char *address)
{
	static struct err err;
	const char *addresses[] = { "127.0.0.1:0", address, NULL };
	struct server_options options = {
		.loop = loop,
		.addresses = addresses,
		.routes = routes,
	};

	assert_null(server_new(&options, &err));
	return err.text;
}

static void a_port_in_use_is_named(void **state)
{
	char expected[128];

	(void)state;
	snprintf(expected, sizeof expected, "listen %s: address already in use",
		 server_address(server, 0));
	assert_string_equal(expected, failure_of(server_address(server, 0)));
}

static void a_bad_address_is_named(void **state)
{
	(void)state;
	assert_string_equal("listen 8000: expected HOST:PORT, :PORT or "
			    "[IPV6]:PORT",
			    failure_of("8000"));
	assert_non_null(strstr(failure_of("127.0.0.1:65536"), "expected"));
	assert_non_null(strstr(failure_of("::1:80"), "expected"));
	assert_string_equal("listen 192.0.2.1:0: address not available",
			    failure_of("192.0.2.1:0"));
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 own = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool ok = fd >= 0 && !bind(fd, (struct sockaddr *)&own, sizeof own);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void serves_several_addresses_of_both_families(void **state)
{
	static const char *const addresses[] = { ":0", "localhost:0", NULL };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct client *client;

	(void)state;
	stop_server(0);
	start_on(addresses);
	assert_memory_equal(":", server_address(server, 0), 1);
	assert_memory_equal("localhost:", server_address(server, 1), 10);
	assert_null(server_address(server, 2));
	four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < 2; i++) {
		four.sin_port = htons((uint16_t)port_of(i));
		client = client_to((struct sockaddr *)&four, sizeof four);
		client_get(client, "GET", "/look");
		assert_int_equal(200, client_wait(client));
		assert_memory_equal("127.0.0.1:", client_body(client), 10);
		client_free(client);
	}
	if (!has_ipv6())
		return;
	six.sin6_port = htons((uint16_t)port_of(0));
	client = client_to((struct sockaddr *)&six, sizeof six);
	client_get(client, "GET", "/look");
	assert_int_equal(200, client_wait(client));
	assert_memory_equal("[::1]:", client_body(client), 6);
	client_free(client);
}

static void idle_connections_are_closed(void **state)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct server_options options = {
		.loop = loop,
		.addresses = addresses,
		.routes = routes,
		.idle_seconds = 0.5,
	};
	struct client *half, *idle;

	(void)state;
	stop_server(0);
	server = server_new(&options, NULL);
	memset(&seen, 0, sizeof seen);
	idle = client_new();
	half = client_new();
	client_get(idle, "GET", "/");
	assert_int_equal(200, client_wait(idle));
	client_send(half, "GET / HT");
	while (!idle->ended || !half->ended)
		turn();
	client_free(idle);
	client_free(half);
}

/* ---- a new table of routes ---- */

/* A table whose strings and arguments are freed when it was replaced, so that a
 * sanitizer sees who looks at them. */
struct own_routes {
	struct route table[4];
	char *strings[3];
};

static struct own_routes *own_routes(const char *path, const char *name,
				     const char *text)
{
	struct own_routes *own = mem_alloc(sizeof *own);

	own->strings[0] = mem_string(path);
	own->strings[1] = mem_string(name);
	own->strings[2] = mem_string(text);
	own->table[0] =
		(struct route){ own->strings[0], SERVER_GET | SERVER_POST,
				own->strings[1], handle_hello,
				own->strings[2] };
	own->table[1] = (struct route){ "/wait", SERVER_GET, own->strings[1],
					handle_park, &never };
	server_set_routes(server, own->table);
	return own;
}

static void replace(struct own_routes *own)
{
	server_set_routes(server, routes);
	for (int i = 0; i < 3; i++)
		free(own->strings[i]);
	free(own);
}

static void a_new_table_answers_on_connections_that_are_open(void **state)
{
	struct client *client = client_new();
	struct own_routes *own;

	(void)state;
	client_get(client, "GET", "/");
	assert_int_equal(200, client_wait(client));
	client_next(client);
	own = own_routes("/new", "fresh", "from the new one");
	client_get(client, "GET", "/new");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("from the new one", client_body(client));
	wait_finished(2);
	assert_string_equal("fresh", seen.handler);
	client_next(client);
	client_get(client, "GET", "/page");
	assert_int_equal(404, client_wait(client));
	client_next(client);
	client_get(client, "DELETE", "/new");
	assert_int_equal(405, client_wait(client));
	assert_non_null(strcasestr(client->data, "\r\nAllow: GET, HEAD, POST"));
	replace(own);
	client_free(client);
}

static void a_body_that_is_still_coming_finds_the_new_table(void **state)
{
	struct own_routes *own = own_routes("/body", "former", "the old one");
	struct own_routes *next;
	struct client *client = client_new(), *other = client_new();

	(void)state;
	client_send(client, "POST /body HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 4\r\n\r\n01");
	client_get(other, "GET", "/body");
	assert_int_equal(200, client_wait(other));
	wait_finished(1);
	replace(own);
	next = own_routes("/body", "latter", "the new one");
	client_send(client, "23");
	assert_int_equal(200, client_wait(client));
	assert_string_equal("the new one", client_body(client));
	wait_finished(2);
	assert_string_equal("latter", seen.handler);
	replace(next);
	client_free(client);
	client_free(other);
}

static void a_suspended_request_outlives_its_table(void **state)
{
	struct own_routes *own = own_routes("/x", "former", "text");
	struct client *client = client_new();

	(void)state;
	client_get(client, "GET", "/wait");
	wait_parked();
	replace(own);
	request_answer_text(seen.parked, 200, "text/plain", "finally");
	assert_int_equal(200, client_wait(client));
	wait_finished(1);
	assert_string_equal("former", seen.handler);
	client_free(client);
}

static void who_leaves_amid_a_body_is_named_by_the_new_table(void **state)
{
	struct own_routes *own = own_routes("/body", "former", "text");
	struct client *client = client_new(), *other = client_new();

	(void)state;
	client_send(client, "POST /body HTTP/1.1\r\nHost: h\r\n"
			    "Content-Length: 4\r\n\r\n01");
	client_get(other, "GET", "/body");
	assert_int_equal(200, client_wait(other));
	wait_finished(1);
	replace(own);
	client_free(client);
	wait_finished(2);
	assert_int_equal(SERVER_CLIENT_GONE, seen.status);
	assert_string_equal("other", seen.handler);
	client_free(other);
}

static void a_server_may_begin_without_routes(void **state)
{
	const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct server_options options = { .loop = loop,
					  .addresses = addresses };
	struct client *client;

	(void)state;
	stop_server(0);
	server = server_new(&options, NULL);
	seen.done = false;
	client = client_new();
	client_get(client, "GET", "/");
	assert_int_equal(404, client_wait(client));
	client_next(client);
	server_set_routes(server, routes);
	client_get(client, "GET", "/");
	assert_int_equal(200, client_wait(client));
	client_free(client);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(answers_many_requests_on_one_connection),
		test(answers_pipelined_requests_in_order),
		test(an_unknown_path_is_404_and_names_the_root),
		test(a_wrong_method_is_405_with_allow),
		test(the_nearest_pattern_with_the_method_answers),
		test(allow_names_every_method_of_a_path),
		test(a_handler_may_take_the_body_and_all_headers),
		test(head_has_the_headers_and_no_body),
		test(a_handler_sees_headers_query_and_peer),
		test(a_handler_that_does_nothing_is_answered_500),
		test(a_body_arrives_whole_and_the_connection_stays),
		test(a_body_that_is_too_large_is_413_after_it_was_read),
		test(a_client_that_asks_first_need_not_send_too_much),
		test(a_client_that_leaves_amid_its_body_is_counted),
		test(headers_beyond_the_memory_are_refused),
		test(a_suspended_request_is_answered_later),
		test(the_deadline_ends_a_suspended_request),
		test(a_suspended_request_can_get_another_deadline),
		test(a_client_may_leave_while_it_is_suspended),
		test(stopping_answers_the_suspended_and_closes_the_idle),
		test(stopping_sends_the_answers_that_are_on_their_way),
		test(stopping_does_not_wait_longer_than_its_grace),
		test(sends_a_body_of_several_pieces_to_several_clients),
		test(sends_a_body_larger_than_any_socket_buffer),
		test(sends_more_pieces_than_a_connection_can_hold),
		test(sends_an_empty_body),
		test(releases_a_page_only_when_it_was_sent),
		test(a_port_in_use_is_named),
		test(a_bad_address_is_named),
		test(serves_several_addresses_of_both_families),
		test(idle_connections_are_closed),
		test(a_new_table_answers_on_connections_that_are_open),
		test(a_body_that_is_still_coming_finds_the_new_table),
		test(a_suspended_request_outlives_its_table),
		test(who_leaves_amid_a_body_is_named_by_the_new_table),
		test(a_server_may_begin_without_routes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
