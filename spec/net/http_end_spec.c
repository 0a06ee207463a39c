/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that end on our side, and what is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "site.h"

#define RUN(test) cmocka_unit_test_setup_teardown(test, site_start, site_stop)

/* Answers everything, as long as the client wants to. */
static void hello(struct peer *peer)
{
	while (peer_read(peer) && peer_answer(peer, "", "hello"))
		;
}

/* Reads requests and never answers. */
static void silent(struct peer *peer)
{
	while (peer_read(peer))
		;
}

/* ---- ends on our side ---- */

/* A listener that never accepts: the first connection is made by the system,
 * then its queue is full. */
static int full_listener(char *url, size_t size)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(0, bind(fd, (struct sockaddr *)&address, len));
	assert_int_equal(0, listen(fd, 0));
	getsockname(fd, (struct sockaddr *)&address, &len);
	snprintf(url, size, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	return fd;
}

static void half(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
	peer_hold(peer);
}

/* Begins a transfer and turns until UNTIL says so. */
static struct http_transfer *bring(const char *url, struct site *site,
				   bool (*until)(struct site *site))
{
	static struct answer never;
	struct http_transfer *transfer;

	transfer = begin((struct http_request){ .url = url }, &never);
	assert_non_null(transfer);
	while (!until(site))
		turn();
	assert_int_equal(0, never.calls);
	return transfer;
}

static bool at_once(struct site *site)
{
	(void)site;
	return true;
}

static bool after_a_turn(struct site *site)
{
	static bool second;

	(void)site;
	second = !second;
	return !second;
}

static bool requested(struct site *site)
{
	return site_requests(site) > 0;
}

static bool looked_up(struct site *site)
{
	(void)site;
	return slow_lookups() > 0;
}

static bool half_sent(struct site *site)
{
	return site_sent(site) > 40;
}

static void end_in_each_phase(void (*end)(struct http_transfer *transfer))
{
	char connecting[64];
	int fd = full_listener(connecting, sizeof connecting);
	struct site *site = site_open(half, NULL);

	end(bring(site_url(site, "/"), site, at_once));
	end(bring("http://" SLOW_NAME "/", site, looked_up));
	end(bring(connecting, site, after_a_turn));
	end(bring(connecting, site, after_a_turn));
	end(bring(connecting, site, after_a_turn));
	end(bring(site_url(site, "/"), site, requested));
	end(bring(site_url(site, "/"), site, half_sent));
	site_close(site);
	site = site_open(silent, NULL);
	end(bring(site_url(site, "/"), site, requested));
	site_close(site);
	close(fd);
}

static void cancel(struct http_transfer *transfer)
{
	http_cancel(transfer);
	assert_int_equal(0, http_client_transfers(client));
	turn();
}

static void can_be_cancelled_in_each_phase(void **state)
{
	struct site *site;

	(void)state;
	end_in_each_phase(cancel);
	site = site_open(hello, NULL);
	assert_string_equal("hello", get(site_url(site, "/"))->body);
	site_close(site);
}

static void free_client(struct http_transfer *transfer)
{
	(void)transfer;
	use(wide(0));
	turn();
}

static void a_client_can_be_freed_in_each_phase(void **state)
{
	(void)state;
	end_in_each_phase(free_client);
}

static void frees_a_client_with_many_in_flight(void **state)
{
	struct site *site = site_open(silent, NULL);
	struct answer answers[100] = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		begin((struct http_request){ .url = site_url(site, "/") },
		      &answers[i]);
	while (site_requests(site) < HTTP_HOST_CONNECTIONS)
		turn();
	assert_int_equal(100, http_client_transfers(client));
	use(wide(0));
	for (int i = 0; i < 100; i++)
		assert_int_equal(0, answers[i].calls);
	site_close(site);
}

static struct http_transfer *others[2];
static unsigned firsts;

static void on_first_cancels(void *arg, const struct http_response *response,
			     const struct err *err)
{
	struct http_transfer **other = arg;

	(void)response;
	(void)err;
	firsts++;
	http_cancel(*other);
	*other = NULL;
}

/* Both have ended before either is told. */
static void one_end_may_cancel_the_other(void **state)
{
	char url[] = "http://127.0.0.1:1/";
	struct http_request request = { .url = url, .timeout = 5 };

	(void)state;
	firsts = 0;
	others[0] = http_start(client, &request, on_first_cancels, &others[1],
			       NULL);
	others[1] = http_start(client, &request, on_first_cancels, &others[0],
			       NULL);
	while (http_client_transfers(client))
		turn();
	assert_int_equal(1, firsts);
}

static void on_end_frees(void *arg, const struct http_response *response,
			 const struct err *err)
{
	unsigned *calls = arg;

	++*calls;
	http_client_free(client);
	client = NULL;
	/* What was told is still there. */
	assert_true(err ? strlen(err->text) > 0
			: response->body.len == 5 &&
				    !strcmp(response->body.data, "hello"));
}

static void the_client_may_be_freed_when_an_end_is_told(void **state)
{
	struct site *site = site_open(hello, NULL);
	const char *urls[] = { site_url(site, "/"), "http://127.0.0.1:1/" };
	unsigned calls;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct http_request request = { .url = urls[i], .timeout = 5 };

		calls = 0;
		for (int j = 0; j < 5; j++)
			http_start(client, &request, on_end_frees, &calls,
				   NULL);
		while (client)
			turn();
		assert_int_equal(1, calls);
		client = wide(0);
	}
	site_close(site);
}

static void on_timeout_frees(void *arg, const struct http_response *response,
			     const struct err *err)
{
	on_end_frees(arg, response, err);
	assert_int_equal(ERR_TIMEOUT, err->code);
}

static void the_client_may_be_freed_at_a_deadline(void **state)
{
	struct site *site = site_open(silent, NULL);
	struct http_request request = { .url = site_url(site, "/"),
					.timeout = 0.02 };
	unsigned calls = 0;

	(void)state;
	for (int j = 0; j < 5; j++)
		http_start(client, &request, on_timeout_frees, &calls, NULL);
	while (client)
		turn();
	assert_int_equal(1, calls);
	site_close(site);
}

/* ---- long runs ---- */

static void moody(struct peer *peer)
{
	while (peer_read(peer)) {
		if (strstr(peer->path, "reset")) {
			peer_say(peer, "HTTP/1.1 200 OK\r\n"
				       "Content-Length: 100\r\n\r\nhalf");
			peer_reset(peer);
			break;
		}
		if (strstr(peer->path, "close"))
			break;
		if (strstr(peer->path, "silent"))
			continue;
		peer_answer(peer, "", "hello");
	}
}

static void leaves_no_descriptor_behind_over_2000_requests(void **state)
{
	static const char *paths[] = { "/", "/reset", "/", "/close",
				       "/silent" };
	struct site *site = site_open(moody, NULL);
	unsigned before;

	(void)state;
	get(site_url(site, "/"));
	before = open_descriptors();
	for (int i = 0; i < 2000; i++) {
		const char *url = site_url(site, paths[i % 5]);
		struct http_request request = { .url = url };

		if (i % 5 == 4)
			request.timeout = 0.001;
		fetch(request);
	}
	get(site_url(site, "/"));
	assert_true(open_descriptors() <= before + 4);
	site_close(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(can_be_cancelled_in_each_phase),
		RUN(a_client_can_be_freed_in_each_phase),
		RUN(frees_a_client_with_many_in_flight),
		RUN(one_end_may_cancel_the_other),
		RUN(the_client_may_be_freed_when_an_end_is_told),
		RUN(the_client_may_be_freed_at_a_deadline),
		RUN(leaves_no_descriptor_behind_over_2000_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
