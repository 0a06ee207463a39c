/* SPDX-License-Identifier: Apache-2.0 */
/* Echoes over both kinds of socket and in both families: the same must hold for
 * all four. */
#include "icmp_world.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of an echo that was sent after BEGUN; the clocks of two are compared. */
static void assert_round_trip(double begun, const struct icmp_echo *echo)
{
	assert_true(echo->rtt > 0);
	assert_true(echo->rtt < loop_now(loop) - begun + 0.001);
}

static void a_host_that_is_there_answers(void **state)
{
	double begun = loop_now(loop);
	struct icmp_echo echo = world_ping(world->self, NULL);

	(void)state;
	assert_outcome(ICMP_REPLY, &echo);
	assert_address(world->self, &echo.from);
	assert_int_equal(ICMP_SIZE_DEFAULT, echo.size);
	assert_int_equal(64, echo.ttl);
	assert_round_trip(begun, &echo);
	assert_int_equal(1, icmp_counts(icmp).sent);
	assert_int_equal(1, icmp_counts(icmp).replies);
	assert_int_equal(0, icmp_counts(icmp).foreign);
}

static void no_answer_is_a_timeout(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	double begun = loop_now(loop);

	(void)state;
	world_answer(false);
	echo.timeout = 0.05;
	world_send(&echo);
	world_wait(1);
	assert_outcome(ICMP_TIMED_OUT, &echo);
	assert_true(loop_now(loop) >= begun + 0.05);
	assert_explained("no answer within 0.05 s", &echo);
}

static void echoes_time_out_in_the_order_of_their_deadlines(void **state)
{
	struct icmp_echo slow = world_echo(world->self);
	struct icmp_echo quick = world_echo(world->self);

	(void)state;
	world_answer(false);
	slow.timeout = 30;
	quick.timeout = 0.02;
	world_send(&slow);
	world_send(&quick);
	world_wait(1);
	assert_outcome(ICMP_TIMED_OUT, &quick);
	assert_outcome(ICMP_WAITING, &slow);
}

/* As many lines has /proc/net/NAME below its head. */
static unsigned sockets(const char *name)
{
	char path[64], line[512];
	unsigned n = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/thread-self/net/%s", name);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		n++;
	fclose(file);
	return n - 1;
}

static void the_kind_of_socket_is_what_is_allowed(void **state)
{
	bool four = world->family == AF_INET;

	(void)state;
	world_ping(world->self, NULL);
	assert_int_equal(!world->raw, sockets(four ? "icmp" : "icmp6"));
	assert_int_equal(world->raw, sockets(four ? "raw" : "raw6"));
	/* The next echo has the same socket. */
	world_ping(world->other, NULL);
	assert_int_equal(1, sockets(four ? "icmp" : "icmp6") +
				    sockets(four ? "raw" : "raw6"));
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void no_descriptor_is_left(void **state)
{
	unsigned before = descriptors();
	struct icmp_echo echo = world_echo(world->self);

	(void)state;
	world_ping(world->self, NULL);
	assert_int_equal(before + 1, descriptors());
	world_send(&echo);
	icmp_free(icmp);
	icmp = NULL;
	assert_int_equal(before, descriptors());
}

/* ---- many ---- */

enum { MANY = 10000 };

/* More than any socket's buffer holds, and no turn of the loop in between. */
static void every_answer_of_ten_thousand_is_taken(void **state)
{
	struct icmp_echo *echoes = calloc(MANY, sizeof *echoes);
	char target[ADDRESS_TEXT_MAX];
	double begun = loop_now(loop);

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(target, sizeof target, world->many, i / 100, i % 100);
		echoes[i] = world_echo(target);
		world_send(&echoes[i]);
	}
	world_burn(0.05);
	world_wait(MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_outcome(ICMP_REPLY, &echoes[i]);
		assert_true(address_same_host(&echoes[i].to, &echoes[i].from));
		icmp_forget(icmp, &echoes[i]);
	}
	assert_true(loop_now(loop) - begun < 5);
	assert_int_equal(MANY, icmp_counts(icmp).replies);
	assert_int_equal(0, icmp_counts(icmp).foreign);
	free(echoes);
}

/* Larger than what a buffer holds of small ones. */
static void large_answers_are_taken_in_between(void **state)
{
	struct icmp_shape shape = { .size = 60000 };
	struct icmp_echo echoes[300];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		echoes[i] = world_echo(world->self);
		echoes[i].shape = &shape;
		world_send(&echoes[i]);
	}
	world_wait(300);
	for (unsigned i = 0; i < 300; i++)
		assert_outcome(ICMP_REPLY, &echoes[i]);
}

static double round_trip_while_busy(void)
{
	struct icmp_echo echo = world_echo(world->self);

	world_send(&echo);
	world_burn(0.1);
	world_wait(1);
	assert_outcome(ICMP_REPLY, &echo);
	icmp_forget(icmp, &echo);
	return echo.rtt;
}

/* The thread does something else while the answer is there. What the machine
 * does besides is no fault: the best of five. */
static void a_busy_thread_is_no_latency(void **state)
{
	double best = round_trip_while_busy();

	(void)state;
	for (int i = 1; i < 5 && best >= 0.05; i++)
		best = fmin(best, round_trip_while_busy());
	assert_true(best < 0.05);
}

/* ---- how echoes look ---- */

static void payloads_of_all_sizes_come_back(void **state)
{
	static const unsigned sizes[] = { ICMP_SIZE_MIN, 17, 1472, 1473, 9000,
					  ICMP_SIZE_MAX, 56 };
	struct icmp_shape shape = { 0 };
	struct icmp_echo echo;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		shape.size = sizes[i];
		echo = world_ping(world->self, &shape);
		assert_outcome(ICMP_REPLY, &echo);
		assert_int_equal(sizes[i], echo.size);
	}
}

static void the_source_address_can_be_chosen(void **state)
{
	struct icmp_shape shape = { .size = 56,
				    .source = world_address(world->other) };
	struct peer *peer = peer_new();
	struct peer_message request;
	struct icmp_echo echo = world_ping(world->self, &shape);

	(void)state;
	assert_outcome(ICMP_REPLY, &echo);
	request = peer_request(peer);
	assert_address(world->other, &request.from);
	/* It holds for that echo alone. */
	echo = world_ping(world->self, NULL);
	assert_outcome(ICMP_REPLY, &echo);
	request = peer_request(peer);
	assert_address(world->self, &request.from);
	peer_free(peer);
}

static void a_source_address_of_others_is_refused(void **state)
{
	struct icmp_shape shape = { .size = 56,
				    .source = world_address(world->unreached) };
	struct icmp_echo echo = world_ping(world->self, &shape);
	char text[128];

	(void)state;
	assert_outcome(ICMP_FAILED, &echo);
	snprintf(text, sizeof text,
		 "not sent: %s is not an address of this host",
		 world->unreached);
	assert_explained(text, &echo);
}

/* ---- what the kernel refuses ---- */

static void no_route_is_an_outcome(void **state)
{
	struct icmp_echo echo = world_ping(world->unreached, NULL);

	(void)state;
	assert_outcome(ICMP_FAILED, &echo);
	assert_int_equal(ENETUNREACH, echo.error);
	assert_explained("not sent: no route", &echo);
	assert_int_equal(0, icmp_counts(icmp).sent);
}

static void a_broadcast_is_refused(void **state)
{
	struct icmp_echo echo;

	(void)state;
	if (world->family != AF_INET)
		return;
	echo = world_ping("127.255.255.255", NULL);
	assert_outcome(ICMP_FAILED, &echo);
	assert_int_equal(EACCES, echo.error);
	assert_explained(
		"not sent: a broadcast address, or prohibited by a route",
		&echo);
}

static void too_big_for_the_interface_tells_its_size(void **state)
{
	struct icmp_shape shape = { .size = 1473, .dont_fragment = true };
	struct icmp_echo echo;

	(void)state;
	world_run("ip link set lo mtu 1500");
	echo = world_ping(world->self, &shape);
	assert_outcome(ICMP_TOO_BIG, &echo);
	assert_int_equal(1500, echo.mtu);
	assert_explained("too big for the path, which takes 1500 bytes", &echo);
	shape.dont_fragment = false;
	echo = world_ping(world->self, &shape);
	assert_outcome(ICMP_REPLY, &echo);
	shape.size = world->family == AF_INET ? 1472 : 1452;
	shape.dont_fragment = true;
	echo = world_ping(world->self, &shape);
	assert_outcome(ICMP_REPLY, &echo);
}

static void the_any_address_is_this_host(void **state)
{
	struct icmp_echo echo = world_ping(world->any, NULL);

	(void)state;
	assert_outcome(ICMP_REPLY, &echo);
	assert_address(world->self, &echo.from);
}

static void a_link_local_address_needs_its_interface(void **state)
{
	struct icmp_echo echo = world_ping("fe80::1", NULL);

	(void)state;
	assert_outcome(ICMP_FAILED, &echo);
	assert_explained(
		"not sent: the interface is missing, as in fe80::1%eth0",
		&echo);
}

static void a_mapped_address_is_that_of_ipv4(void **state)
{
	struct icmp_echo echo = world_ping("::ffff:127.0.0.1", NULL);

	(void)state;
	assert_outcome(ICMP_REPLY, &echo);
	assert_int_equal(AF_INET, echo.from.any.sa_family);
	assert_int_equal(AF_INET, echo.to.any.sa_family);
	assert_address("127.0.0.1", &echo.from);
}

static void an_address_of_no_family_is_refused(void **state)
{
	struct icmp_echo echo = { 0 };
	struct err err;

	(void)state;
	assert_false(icmp_send(icmp, &echo, &err));
	assert_string_equal("icmp: neither an IPv4 nor an IPv6 address",
			    err.text);
	icmp_forget(icmp, &echo);
}

/* In a process of its own, which gives up what it may. */
static void try_without_rights(int out)
{
	struct err err = { 0 };

	if (setgid(65533) || setuid(65534))
		_exit(2);
	if (icmp_open(icmp, world->family, &err))
		_exit(3);
	_exit(write(out, err.text, strlen(err.text)) < 0);
}

static void without_rights_both_remedies_are_told(void **state)
{
	char text[sizeof(struct err)] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(0, pipe(ends));
	pid = fork();
	if (pid == 0)
		try_without_rights(ends[1]);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_int_equal(0, status);
	assert_true(read(ends[0], text, sizeof text - 1) > 0);
	if (!strstr(text, "ping_group_range='65533 65533'") ||
	    !strstr(text, "setcap cap_net_raw+ep /") || strchr(text, '\n'))
		fail_msg("%s", text);
	close(ends[0]);
	close(ends[1]);
}

/* ---- behind a router ---- */

static void explain_router(const char *before, const char *behind,
			   const struct icmp_echo *echo)
{
	char expected[256];

	snprintf(expected, sizeof expected, "%s%s%s", before, world->router,
		 behind);
	assert_explained(expected, echo);
}

static void who_lets_the_ttl_expire_is_told(void **state)
{
	struct icmp_shape shape = { .size = 56, .ttl = 1 };
	double begun = loop_now(loop);
	struct icmp_echo echo = world_ping(world_host(2), &shape);

	(void)state;
	assert_outcome(ICMP_TTL_EXCEEDED, &echo);
	assert_address(world->router, &echo.from);
	explain_router("TTL exceeded at ", "", &echo);
	assert_round_trip(begun, &echo);
	assert_int_equal(1, icmp_counts(icmp).errors);
	/* It holds for that echo alone. */
	echo = world_echo(world_host(2));
	echo.timeout = 0.05;
	world_send(&echo);
	world_wait(1);
	assert_outcome(ICMP_TIMED_OUT, &echo);
}

static void who_says_unreachable_is_told(void **state)
{
	bool four = world->family == AF_INET;
	struct icmp_echo echo = world_ping(world_host(3), NULL);

	(void)state;
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_int_equal(four ? 1 : 0, echo.code);
	explain_router(four ? "host unreachable, says " : "no route, says ", "",
		       &echo);
	echo = world_ping(world_host(4), NULL);
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_int_equal(four ? 13 : 1, echo.code);
	explain_router("prohibited by a filter, says ", "", &echo);
	assert_int_equal(0, icmp_counts(icmp).foreign);
}

static void too_big_for_the_path_tells_its_size(void **state)
{
	struct icmp_shape shape = { .size = 1380, .dont_fragment = true };
	struct icmp_echo echo = world_ping(world_host(2), &shape);

	(void)state;
	assert_outcome(ICMP_TOO_BIG, &echo);
	assert_int_equal(1400, echo.mtu);
	assert_address(world->router, &echo.from);
	explain_router("too big for ", ", which takes 1400 bytes", &echo);
	/* Now this host knows, too. */
	echo = world_ping(world_host(2), &shape);
	assert_outcome(ICMP_TOO_BIG, &echo);
	assert_int_equal(1400, echo.mtu);
	assert_explained("too big for the path, which takes 1400 bytes", &echo);
}

/* In IPv6 its first fragment is quoted, which has a header more. */
static void an_error_about_a_fragment_is_understood(void **state)
{
	struct icmp_shape shape = { .size = 4000, .ttl = 1 };
	struct icmp_echo echo = world_ping(world_host(2), &shape);

	(void)state;
	assert_outcome(ICMP_TTL_EXCEEDED, &echo);
	assert_address(world->router, &echo.from);
}

/* A datagram socket fails at the next call, whatever it is about. */
static void an_error_spoils_no_other_echo(void **state)
{
	struct icmp_shape shape = { .size = 56, .ttl = 1 };
	struct icmp_echo bad[20], good[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		bad[i] = world_echo(world_host(2));
		bad[i].shape = &shape;
		good[i] = world_echo(world->router);
		world_send(&bad[i]);
		world_send(&good[i]);
	}
	world_wait(40);
	for (int i = 0; i < 20; i++) {
		assert_outcome(ICMP_TTL_EXCEEDED, &bad[i]);
		assert_outcome(ICMP_REPLY, &good[i]);
	}
	assert_int_equal(40, icmp_counts(icmp).sent);
	assert_int_equal(20, icmp_counts(icmp).errors);
}

/* Of the engine's socket, which is the only one of its protocol. */
static void shrink_send_buffer(void)
{
	int protocol, bytes = 1;
	socklen_t size;

	for (int fd = 0; fd < 256; fd++) {
		size = sizeof protocol;
		if (!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol,
				&size) &&
		    (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6))
			assert_int_equal(0,
					 setsockopt(fd, SOL_SOCKET, SO_SNDBUF,
						    &bytes, sizeof bytes));
	}
}

static const char *nobody(void)
{
	return world->family == AF_INET ? "10.1.0.77" : "2001:db8:1::77";
}

/* Packets to a neighbour that is still looked for fill the send buffer. */
static void a_full_send_buffer_is_waited_for(void **state)
{
	struct icmp_echo echoes[30];

	(void)state;
	world_sysctl("ipv4/neigh/near/retrans_time_ms", "20");
	world_sysctl("ipv6/neigh/near/retrans_time_ms", "20");
	world_ping(world->router, NULL);
	shrink_send_buffer();
	for (int i = 0; i < 30; i++) {
		echoes[i] = world_echo(nobody());
		world_send(&echoes[i]);
	}
	assert_true(icmp_counts(icmp).sent < 30);
	world_wait(30);
	for (int i = 0; i < 30; i++)
		assert_outcome(ICMP_UNREACHABLE, &echoes[i]);
	assert_int_equal(31, icmp_counts(icmp).sent);
}

static void what_waits_for_too_long_is_not_sent(void **state)
{
	struct icmp_echo echoes[30];
	unsigned unsent = 0;

	(void)state;
	world_ping(world->router, NULL);
	shrink_send_buffer();
	for (int i = 0; i < 30; i++) {
		echoes[i] = world_echo(nobody());
		echoes[i].timeout = 0.05;
		world_send(&echoes[i]);
	}
	/* In the queue, too. */
	icmp_forget(icmp, &echoes[29]);
	world_wait(29);
	for (int i = 0; i < 29; i++)
		if (echoes[i].outcome == ICMP_FAILED) {
			assert_explained("not sent: the send buffer is full",
					 &echoes[i]);
			unsent++;
		}
	assert_int_equal(30, icmp_counts(icmp).sent + unsent);
	assert_outcome(ICMP_WAITING, &echoes[29]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_host_that_is_there_answers),
		world_test(no_answer_is_a_timeout),
		world_test(echoes_time_out_in_the_order_of_their_deadlines),
		world_test(the_kind_of_socket_is_what_is_allowed),
		world_test(no_descriptor_is_left),
		world_test(every_answer_of_ten_thousand_is_taken),
		world_test(large_answers_are_taken_in_between),
		world_test(a_busy_thread_is_no_latency),
		world_test(payloads_of_all_sizes_come_back),
		world_test(the_source_address_can_be_chosen),
		world_test(a_source_address_of_others_is_refused),
		world_test(no_route_is_an_outcome),
		world_test(a_broadcast_is_refused),
		world_test(too_big_for_the_interface_tells_its_size),
		world_test(the_any_address_is_this_host),
		world_test(a_link_local_address_needs_its_interface),
		world_test(a_mapped_address_is_that_of_ipv4),
		world_test(an_address_of_no_family_is_refused),
		world_test(without_rights_both_remedies_are_told),
		routed_test(who_lets_the_ttl_expire_is_told),
		routed_test(who_says_unreachable_is_told),
		routed_test(too_big_for_the_path_tells_its_size),
		routed_test(an_error_about_a_fragment_is_understood),
		routed_test(an_error_spoils_no_other_echo),
		routed_test(a_full_send_buffer_is_waited_for),
		routed_test(what_waits_for_too_long_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
