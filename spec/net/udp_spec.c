/* SPDX-License-Identifier: Apache-2.0 */
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

#include "beat.h"
#include "net/address.h"
#include "net/udp.h"

/* ---- a loop, and waiting on it ---- */

static struct loop *loop;

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static int start(void **state)
{
	(void)state;
	alarm(60);
	loop = loop_new();
	beat_start(loop);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

struct outcome {
	unsigned calls;
	struct err err; /* ERR_NONE: it went well */
	struct udp *victim;
};

static void on_done(void *arg, const struct err *err)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->err = err ? *err : (struct err){ 0 };
	udp_free(outcome->victim);
}

static struct udp *connected(const char *host, unsigned port)
{
	union address address;
	struct err err = { 0 };
	struct udp *udp;

	assert_true(address_number(&address, host));
	udp = udp_connect(loop, host, &address, 1, port, &err);
	if (!udp)
		fail_msg("%s", err.text);
	return udp;
}

static struct udp *listening(const char *host)
{
	struct err err;
	struct udp *udp = udp_listen(loop, NULL, host, 0, &err);

	if (!udp)
		fail_msg("%s", err.text);
	return udp;
}

static void send_text(struct udp *udp, const char *text)
{
	struct err err;

	if (!udp_send(udp, text, strlen(text), &err))
		fail_msg("%s", err.text);
}

static struct err wait_for(struct udp *udp)
{
	struct outcome outcome = { 0 };

	udp_wait(udp, on_done, &outcome);
	assert_int_equal(0, outcome.calls);
	while (!outcome.calls)
		turn();
	assert_int_equal(1, outcome.calls);
	return outcome.err;
}

/* Waits for one datagram, which must be TEXT, and forgets its address. */
static struct sockaddr_storage expect(struct udp *udp, const char *text)
{
	struct udp_datagram datagram;
	struct err err;

	while (!udp_take(udp, &datagram)) {
		err = wait_for(udp);
		assert_string_equal("", err.text);
	}
	assert_int_equal(strlen(text), datagram.len);
	assert_memory_equal(text, datagram.data, datagram.len);
	assert_true(datagram.time <= loop_now(loop));
	free(datagram.data);
	return datagram.from;
}

static void send_back(struct udp *udp, const struct sockaddr_storage *to,
		      const char *text)
{
	struct err err;

	if (!udp_send_to(udp, (const struct sockaddr *)to, text, strlen(text),
			 &err))
		fail_msg("%s", err.text);
}

/* ---- exchanges ---- */

static void asks_and_is_answered(void **state)
{
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct sockaddr_storage from;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	send_text(client, "question");
	from = expect(server, "question");
	address_text((struct sockaddr *)&from, text);
	assert_string_equal(udp_name(client), text);
	assert_string_equal(udp_name(server), udp_peer(client));
	assert_string_equal(udp_name(server), udp_label(client));
	send_back(server, &from, "answer");
	expect(client, "answer");
	udp_free(client);
	udp_free(server);
}

static void carries_empty_and_large_datagrams(void **state)
{
	static char large[60001];
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));

	(void)state;
	memset(large, 'L', sizeof large - 1);
	send_text(client, "");
	send_text(client, large);
	expect(server, "");
	expect(server, large);
	udp_free(client);
	udp_free(server);
}

static void a_socket_for_all_addresses_answers_ipv4(void **state)
{
	struct udp *server = listening("");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct sockaddr_storage from, parsed;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	send_text(client, "hello");
	from = expect(server, "hello");
	send_back(server, &from, "one");
	expect(client, "one");
	/* And by what the address looks like. */
	address_text((struct sockaddr *)&from, text);
	assert_memory_equal("127.0.0.1:", text, 10);
	assert_true(address_parse(&parsed, text));
	send_back(server, &parsed, "two");
	expect(client, "two");
	udp_free(client);
	udp_free(server);
}

/* The first may be the one that this host has no way to: a link-local address
 * without its interface. */
static void the_first_address_with_a_way_is_taken(void **state)
{
	struct udp *server = listening("");
	union address addresses[2];
	char label[64];
	struct udp *client;
	struct err err = { 0 };

	(void)state;
	assert_true(address_number(&addresses[0], "fe80::1"));
	assert_true(address_number(&addresses[1], "127.0.0.1"));
	client = udp_connect(loop, "meter.lan", addresses, 2, udp_port(server),
			     &err);
	assert_non_null(client);
	snprintf(label, sizeof label, "meter.lan:%u", udp_port(server));
	assert_string_equal(label, udp_label(client));
	send_text(client, "hello");
	expect(server, "hello");
	udp_free(client);
	snprintf(label, sizeof label, "udp meter.lan:%u: invalid argument",
		 udp_port(server));
	assert_null(udp_connect(loop, "meter.lan", addresses, 1,
				udp_port(server), &err));
	assert_string_equal(label, err.text);
	udp_free(server);
}

static void a_connected_socket_hears_only_its_peer(void **state)
{
	struct udp *server = listening("127.0.0.1");
	struct udp *stranger = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct sockaddr_storage own;

	(void)state;
	assert_true(address_parse(&own, udp_name(client)));
	send_back(stranger, &own, "foreign");
	send_back(server, &own, "right");
	expect(client, "right");
	assert_int_equal(0, udp_drain(client));
	udp_free(client);
	udp_free(stranger);
	udp_free(server);
}

/* ---- what arrives at the wrong time ---- */

static void draining_drops_what_came_before(void **state)
{
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct sockaddr_storage own;

	(void)state;
	assert_true(address_parse(&own, udp_name(client)));
	send_back(server, &own, "late one");
	assert_string_equal("", wait_for(client).text);
	/* One in the queue, two in the kernel. */
	send_back(server, &own, "late two");
	send_back(server, &own, "");
	assert_int_equal(3, udp_drain(client));
	send_back(server, &own, "answer");
	expect(client, "answer");
	udp_free(client);
	udp_free(server);
}

static void a_full_queue_drops_the_newest_and_counts(void **state)
{
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct udp_datagram datagram;
	char text[16];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < UDP_QUEUE_DATAGRAMS + 10; i++) {
		snprintf(text, sizeof text, "%u", i);
		send_text(client, text);
		/* Never more in the kernel than its buffer holds. */
		if (i % 16 == 15)
			turn();
	}
	while (udp_dropped(server) < 10)
		turn();
	for (; udp_take(server, &datagram); n++) {
		snprintf(text, sizeof text, "%u", n);
		assert_int_equal(strlen(text), datagram.len);
		assert_memory_equal(text, datagram.data, datagram.len);
		free(datagram.data);
	}
	assert_int_equal(UDP_QUEUE_DATAGRAMS, n);
	assert_int_equal(10, udp_dropped(server));
	/* There is room again. */
	send_text(client, "more");
	expect(server, "more");
	udp_free(client);
	udp_free(server);
}

static void waiting_again_tells_what_is_queued(void **state)
{
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct outcome forgotten = { 0 };

	(void)state;
	send_text(client, "a");
	assert_string_equal("", wait_for(server).text);
	udp_wait(server, on_done, &forgotten);
	udp_forget(server);
	assert_string_equal("", wait_for(server).text);
	assert_int_equal(0, forgotten.calls);
	expect(server, "a");
	udp_free(client);
	udp_free(server);
}

/* ---- failures ---- */

/* A port that nobody listens on. */
static unsigned closed_port(void)
{
	struct udp *udp = listening("127.0.0.1");
	unsigned port = udp_port(udp);

	udp_free(udp);
	return port;
}

static void nobody_there_is_refused(void **state)
{
	unsigned port = closed_port();
	struct udp *client = connected("127.0.0.1", port);
	struct err err;
	char text[80];

	(void)state;
	snprintf(text, sizeof text, "udp 127.0.0.1:%u: connection refused",
		 port);
	send_text(client, "x");
	err = wait_for(client);
	assert_string_equal(text, err.text);
	assert_int_equal(ERR_IO, err.code);
	/* The next refusal is told as well, and in between it is sent. */
	send_text(client, "x");
	send_text(client, "x");
	assert_string_equal(text, wait_for(client).text);
	udp_free(client);
}

static void a_refusal_of_the_past_is_forgotten(void **state)
{
	unsigned port = closed_port();
	struct udp *client = connected("127.0.0.1", port);
	struct udp *server;
	struct err err;

	(void)state;
	send_text(client, "x");
	server = udp_listen(loop, NULL, "127.0.0.1", port, &err);
	assert_non_null(server);
	send_text(client, "y");
	expect(server, "y");
	udp_free(server);
	send_text(client, "x");
	server = udp_listen(loop, NULL, "127.0.0.1", port, &err);
	assert_non_null(server);
	assert_int_equal(0, udp_drain(client));
	send_text(client, "z");
	expect(server, "z");
	udp_free(client);
	udp_free(server);
}

static void may_be_freed_by_who_is_told(void **state)
{
	struct outcome outcome = { 0 };

	(void)state;
	outcome.victim = connected("127.0.0.1", closed_port());
	send_text(outcome.victim, "x");
	udp_wait(outcome.victim, on_done, &outcome);
	while (outcome.calls < 1)
		turn();
}

static void wrong_arguments_are_refused_at_once(void **state)
{
	union address address;
	struct err err;

	(void)state;
	assert_true(address_number(&address, "127.0.0.1"));
	assert_null(udp_connect(loop, "h", &address, 1, 0, &err));
	assert_string_equal("udp h: port 0 is not from 1 to 65535", err.text);
	assert_null(udp_connect(loop, "h", &address, 1, 65536, &err));
	assert_null(udp_listen(loop, NULL, "meter.lan", 5, &err));
	assert_string_equal(
		"udp listen meter.lan:5: the host is not an IP address",
		err.text);
	assert_null(udp_listen(loop, NULL, "", 65536, &err));
}

static void a_port_in_use_is_named(void **state)
{
	struct udp *first = listening("127.0.0.1");
	char expected[80];
	struct err err;

	(void)state;
	assert_null(udp_listen(loop, NULL, "127.0.0.1", udp_port(first), &err));
	snprintf(expected, sizeof expected,
		 "udp listen 127.0.0.1:%u: address already in use",
		 udp_port(first));
	assert_string_equal(expected, err.text);
	udp_free(first);
}

static void a_datagram_that_is_too_large_is_not_sent(void **state)
{
	static char large[65536];
	struct udp *server = listening("127.0.0.1");
	struct udp *client = connected("127.0.0.1", udp_port(server));
	struct err err;

	(void)state;
	assert_false(udp_send(client, large, sizeof large, &err));
	assert_non_null(strstr(err.text, "too long"));
	udp_free(client);
	udp_free(server);
}

/* ---- addresses ---- */

static void addresses_read_back_as_they_are_written(void **state)
{
	static const char *const texts[] = { "192.0.2.1:5000", "0.0.0.0:0",
					     "[2001:db8::1]:65535", "[::]:1" };
	struct sockaddr_storage address;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_true(address_parse(&address, texts[i]));
		address_text((struct sockaddr *)&address, text);
		assert_string_equal(texts[i], text);
		address_map(&address);
		address_text((struct sockaddr *)&address, text);
		assert_string_equal(texts[i], text);
		assert_int_equal(AF_INET6, address.ss_family);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	   ":",		 "1.2.3.4",    "1.2.3.4:",
		"a:5",	   "1.2.3.4:-1", "1.2.3.4:x",  "1.2.3.4:65536",
		"::1:80",  "[::1]",	 "[::1]:",     "[::1:80",
		"[]:80",   ":80",	 "1.2.3.4:5 ", "1.2.3.4:000080",
		"[1.2:80",
	};
	struct sockaddr_storage address;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (address_parse(&address, texts[i]))
			fail_msg("%s was taken", texts[i]);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(asks_and_is_answered),
		test(carries_empty_and_large_datagrams),
		test(a_socket_for_all_addresses_answers_ipv4),
		test(the_first_address_with_a_way_is_taken),
		test(a_connected_socket_hears_only_its_peer),
		test(draining_drops_what_came_before),
		test(a_full_queue_drops_the_newest_and_counts),
		test(waiting_again_tells_what_is_queued),
		test(nobody_there_is_refused),
		test(a_refusal_of_the_past_is_forgotten),
		test(may_be_freed_by_who_is_told),
		test(wrong_arguments_are_refused_at_once),
		test(a_port_in_use_is_named),
		test(a_datagram_that_is_too_large_is_not_sent),
		cmocka_unit_test(addresses_read_back_as_they_are_written),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
