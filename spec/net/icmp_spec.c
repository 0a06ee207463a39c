/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echoes in a network namespace of the spec's own, over both kinds of socket
 * and both families: the same must hold for all four.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/address.h"
#include "net/icmp.h"

/* ---- the world ---- */

enum { ID_AT = 4, SEQUENCE_AT = 6, COOKIE_AT = 8 };

struct world {
	bool raw;
	int family;
	const char *self, *other; /* both are this host */
};

static const struct world worlds[] = {
	{ false, AF_INET, "127.0.0.1", "127.0.0.2" },
	{ true, AF_INET, "127.0.0.1", "127.0.0.2" },
	{ false, AF_INET6, "::1", "2001:db8::2" },
	{ true, AF_INET6, "::1", "2001:db8::2" },
};

static const struct world *world;
static struct loop *loop;
static struct icmp *icmp;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static void set_sysctl(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	write_file(path, value);
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("a command failed");
}

static void allow_datagram_sockets(bool yes)
{
	set_sysctl("ipv4/ping_group_range", yes ? "0 0" : "1 0");
}

/* Whether this host answers echoes by itself. */
static void answer_echoes(bool yes)
{
	set_sysctl("ipv4/icmp_echo_ignore_all", yes ? "0" : "1");
	set_sysctl("ipv6/icmp/echo_ignore_all", yes ? "0" : "1");
}

static union address address_of(const char *text)
{
	union address address;

	if (!address_number(&address, text))
		fail_msg("%s is no address", text);
	return address;
}

static uv_timer_t beat;

static void on_beat(uv_timer_t *timer)
{
	(void)timer;
}

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_ONCE);
}

static int start(void **state)
{
	world = *state;
	alarm(60);
	if (unshare(CLONE_NEWNET))
		fail_msg("a network namespace: %s", strerror(errno));
	run("ip link set lo up && ip addr add 2001:db8::2/128 dev lo");
	allow_datagram_sockets(!world->raw);
	loop = loop_new();
	/* UV_RUN_ONCE runs timers first and then waits for something else. */
	uv_timer_init(loop_uv(loop), &beat);
	uv_timer_start(&beat, on_beat, 5, 5);
	icmp = icmp_new(loop);
	return 0;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int stop(void **state)
{
	(void)state;
	icmp_free(icmp);
	loop_free(loop);
	return 0;
}

/* ---- echoes ---- */

static unsigned told;

static void on_done(struct icmp_echo *echo)
{
	assert_int_not_equal(ICMP_WAITING, echo->outcome);
	told++;
}

static struct icmp_echo echo_to(const char *target)
{
	return (struct icmp_echo){
		.to = address_of(target),
		.timeout = 5,
		.done = on_done,
	};
}

static void start_echo(struct icmp_echo *echo)
{
	struct err err;

	if (!icmp_send(icmp, echo, &err))
		fail_msg("%s", err.text);
	assert_int_equal(0, told);
}

static void wait_for(unsigned n)
{
	while (told < n)
		turn();
	assert_int_equal(n, told);
	told = 0;
}

static struct icmp_echo ping(const char *target)
{
	struct icmp_echo echo = echo_to(target);

	start_echo(&echo);
	wait_for(1);
	icmp_forget(icmp, &echo);
	return echo;
}

static void assert_outcome(enum icmp_outcome outcome,
			   const struct icmp_echo *echo)
{
	struct err err;

	icmp_explain(echo, &err);
	if (echo->outcome != outcome)
		fail_msg("outcome %d, not %d: %s", echo->outcome, outcome,
			 err.text);
}

static void assert_address(const char *text, const union address *address)
{
	char found[ADDRESS_TEXT_MAX];

	address_host_text(&address->any, found);
	assert_string_equal(text, found);
}

static void a_host_that_is_there_answers(void **state)
{
	struct icmp_echo echo = ping(world->self);

	(void)state;
	assert_outcome(ICMP_REPLY, &echo);
	assert_address(world->self, &echo.from);
	assert_int_equal(ICMP_SIZE_DEFAULT, echo.size);
	assert_int_equal(64, echo.ttl);
	assert_true(echo.rtt > 0 && echo.rtt < 0.1);
	assert_int_equal(1, icmp_counts(icmp).sent);
	assert_int_equal(1, icmp_counts(icmp).replies);
	assert_int_equal(0, icmp_counts(icmp).foreign);
}

static void no_answer_is_a_timeout(void **state)
{
	struct icmp_echo echo = echo_to(world->self);
	double begun = loop_now(loop);
	struct err err;

	(void)state;
	answer_echoes(false);
	echo.timeout = 0.05;
	start_echo(&echo);
	wait_for(1);
	assert_outcome(ICMP_TIMED_OUT, &echo);
	assert_true(loop_now(loop) >= begun + 0.05);
	icmp_explain(&echo, &err);
	assert_string_equal("no answer within 0.05 s", err.text);
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
	ping(world->self);
	assert_int_equal(!world->raw, sockets(four ? "icmp" : "icmp6"));
	assert_int_equal(world->raw, sockets(four ? "raw" : "raw6"));
	/* The next echo has the same socket. */
	ping(world->other);
	assert_int_equal(1, sockets(four ? "icmp" : "icmp6") +
				    sockets(four ? "raw" : "raw6"));
}

/* ---- behind a router ---- */

static pid_t router;

/* A second namespace, which lasts as long as a process in it. */
static pid_t start_namespace(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(0, pipe(ready));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!unshare(CLONE_NEWNET) && write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(1, read(ready[0], &byte, 1));
	close(ready[0]);
	return pid;
}

/* Networks 1: the link to it; 2: behind it, nobody there, 1400 bytes; 3:
 * unreachable; 4: prohibited. */
static const char router_script[] =
	"set -e; far() { nsenter -t $router -n \"$@\"; }\n"
	"ip link add near type veth peer name far netns $router\n"
	"ip addr add 10.1.0.1/24 dev near\n"
	"ip addr add 2001:db8:1::1/64 dev near nodad\n"
	"far ip addr add 10.1.0.254/24 dev far\n"
	"far ip addr add 2001:db8:1::fe/64 dev far nodad\n"
	"far ip link add behind type veth peer name nowhere\n"
	"far ip link set behind mtu 1400 arp off\n"
	"far ip addr add 10.2.0.1/24 dev behind\n"
	"far ip addr add 2001:db8:2::1/64 dev behind nodad\n"
	"for i in lo far behind nowhere; do far ip link set $i up; done\n"
	"ip link set near up\n"
	"far sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n"
	"far sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0\n"
	"far ip route add unreachable 10.3.0.0/24\n"
	"far ip route add prohibit 10.4.0.0/24\n"
	"far ip route add unreachable 2001:db8:3::/64\n"
	"far ip route add prohibit 2001:db8:4::/64\n"
	"ip route add default via 10.1.0.254\n"
	"ip route add default via 2001:db8:1::fe dev near\n";

static int start_routed(void **state)
{
	char number[16];

	start(state);
	router = start_namespace();
	snprintf(number, sizeof number, "%d", (int)router);
	setenv("router", number, 1);
	run(router_script);
	return 0;
}

static int stop_routed(void **state)
{
	kill(router, SIGKILL);
	waitpid(router, NULL, 0);
	return stop(state);
}

/* A host of network N. */
static const char *host_in(unsigned n)
{
	static char text[ADDRESS_TEXT_MAX];

	snprintf(text, sizeof text,
		 world->family == AF_INET ? "10.%u.0.9" : "2001:db8:%u::9", n);
	return text;
}

static const char *router_text(void)
{
	return world->family == AF_INET ? "10.1.0.254" : "2001:db8:1::fe";
}

static void assert_explained(const char *format, const struct icmp_echo *echo)
{
	char expected[256];
	struct err err;

	snprintf(expected, sizeof expected, "%s %s", format, router_text());
	icmp_explain(echo, &err);
	assert_string_equal(expected, err.text);
}

static struct icmp_echo ping_shaped(const char *target,
				    const struct icmp_shape *shape)
{
	struct icmp_echo echo = echo_to(target);

	echo.shape = shape;
	start_echo(&echo);
	wait_for(1);
	icmp_forget(icmp, &echo);
	return echo;
}

static void who_lets_the_ttl_expire_is_told(void **state)
{
	struct icmp_shape shape = { .size = 56, .ttl = 1 };
	struct icmp_echo echo = ping_shaped(host_in(2), &shape);

	(void)state;
	assert_outcome(ICMP_TTL_EXCEEDED, &echo);
	assert_address(router_text(), &echo.from);
	assert_explained("TTL exceeded at", &echo);
	assert_true(echo.rtt > 0 && echo.rtt < 0.1);
	assert_int_equal(1, icmp_counts(icmp).errors);
	/* It holds for that echo alone. */
	echo = ping(router_text());
	assert_outcome(ICMP_REPLY, &echo);
}

static void who_says_unreachable_is_told(void **state)
{
	bool four = world->family == AF_INET;
	struct icmp_echo echo = ping(host_in(3));

	(void)state;
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_int_equal(four ? 1 : 0, echo.code);
	assert_explained(four ? "host unreachable, says" : "no route, says",
			 &echo);
	echo = ping(host_in(4));
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_int_equal(four ? 13 : 1, echo.code);
	assert_explained("prohibited by a filter, says", &echo);
	assert_int_equal(0, icmp_counts(icmp).foreign);
}

static void too_big_for_the_path_tells_its_size(void **state)
{
	struct icmp_shape shape = { .size = 1380, .dont_fragment = true };
	struct icmp_echo echo = ping_shaped(host_in(2), &shape);
	char text[128];
	struct err err;

	(void)state;
	assert_outcome(ICMP_TOO_BIG, &echo);
	assert_int_equal(1400, echo.mtu);
	assert_address(router_text(), &echo.from);
	snprintf(text, sizeof text, "too big for %s, which takes 1400 bytes",
		 router_text());
	icmp_explain(&echo, &err);
	assert_string_equal(text, err.text);
	/* Now this host knows, too. */
	echo = ping_shaped(host_in(2), &shape);
	assert_outcome(ICMP_TOO_BIG, &echo);
	assert_int_equal(1400, echo.mtu);
	icmp_explain(&echo, &err);
	assert_string_equal("too big for the path, which takes 1400 bytes",
			    err.text);
}

/* A datagram socket fails at the next call, whatever it is about. */
static void an_error_spoils_no_other_echo(void **state)
{
	struct icmp_shape shape = { .size = 56, .ttl = 1 };
	struct icmp_echo bad[20], good[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		bad[i] = echo_to(host_in(2));
		bad[i].shape = &shape;
		good[i] = echo_to(router_text());
		start_echo(&bad[i]);
		start_echo(&good[i]);
	}
	wait_for(40);
	for (int i = 0; i < 20; i++) {
		assert_outcome(ICMP_TTL_EXCEEDED, &bad[i]);
		assert_outcome(ICMP_REPLY, &good[i]);
		icmp_forget(icmp, &bad[i]);
		icmp_forget(icmp, &good[i]);
	}
	assert_int_equal(40, icmp_counts(icmp).sent);
	assert_int_equal(20, icmp_counts(icmp).errors);
}

static void no_descriptor_is_left(void **state)
{
	unsigned before = descriptors();

	(void)state;
	ping(world->self);
	assert_int_equal(before + 1, descriptors());
	icmp_free(icmp);
	icmp = NULL;
	assert_int_equal(before, descriptors());
}

#define EACH(function, start, stop)                                            \
	{ "datagram, IPv4: " #function, function, start, stop,                 \
	  (void *)&worlds[0] },                                                \
		{ "raw, IPv4: " #function, function, start, stop,              \
		  (void *)&worlds[1] },                                        \
		{ "datagram, IPv6: " #function, function, start, stop,         \
		  (void *)&worlds[2] },                                        \
	{                                                                      \
		"raw, IPv6: " #function, function, start, stop,                \
			(void *)&worlds[3]                                     \
	}

#define each(function) EACH(function, start, stop)
#define each_routed(function) EACH(function, start_routed, stop_routed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(a_host_that_is_there_answers),
		each(no_answer_is_a_timeout),
		each(the_kind_of_socket_is_what_is_allowed),
		each(no_descriptor_is_left),
		each_routed(who_lets_the_ttl_expire_is_told),
		each_routed(who_says_unreachable_is_told),
		each_routed(too_big_for_the_path_tells_its_size),
		each_routed(an_error_spoils_no_other_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
