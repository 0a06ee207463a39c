/* SPDX-License-Identifier: Apache-2.0 */
#include "icmp_world.h"

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

#include "beat.h"
#include "core/mem.h"

/* ---- the world ---- */

#define WORLD4(raw)                                                            \
	{                                                                      \
		raw, AF_INET, "127.0.0.1", "127.0.0.2", "0.0.0.0",             \
			"10.1.0.254", "10.9.0.1", "127.1.%u.%u"                \
	}
#define WORLD6(raw)                                                            \
	{                                                                      \
		raw, AF_INET6, "::1", "2001:db8::2", "::", "2001:db8:1::fe",   \
			"2001:db8:9::1", "2001:db8:5::%u:%u"                   \
	}

const struct world worlds[4] = { WORLD4(false), WORLD4(true), WORLD6(false),
				 WORLD6(true) };
const struct world *world;
struct loop *loop;
struct icmp *icmp;

static unsigned told;
static pid_t router;

void world_sysctl(const char *name, const char *value)
{
	ssize_t len = (ssize_t)strlen(value);
	char path[128];
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, (size_t)len) != len)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

void world_run(const char *command)
{
	if (system(command) != 0)
		fail_msg("a command failed");
}

void world_answer(bool yes)
{
	world_sysctl("ipv4/icmp_echo_ignore_all", yes ? "0" : "1");
	world_sysctl("ipv6/icmp/echo_ignore_all", yes ? "0" : "1");
}

void world_burn(double seconds)
{
	double end = loop_now(loop) + seconds;

	while (loop_now(loop) < end)
		;
}

int world_start(void **state)
{
	world = *state;
	told = 0;
	alarm(60);
	if (unshare(CLONE_NEWNET))
		fail_msg("a network namespace: %s", strerror(errno));
	world_run("ip link set lo up && ip addr add 2001:db8::2/128 dev lo "
		  "nodad && "
		  "ip route add local 2001:db8:5::/64 dev lo");
	world_sysctl("ipv4/ping_group_range", world->raw ? "1 0" : "0 0");
	loop = loop_new();
	beat_start(loop);
	icmp = icmp_new(loop, NULL);
	return 0;
}

int world_stop(void **state)
{
	(void)state;
	icmp_free(icmp);
	assert_true(loop_free(loop));
	return 0;
}

/* ---- a router ---- */

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
	"ip route add 10.0.0.0/13 via 10.1.0.254\n"
	"ip route add 2001:db8::/45 via 2001:db8:1::fe dev near\n";

int world_start_routed(void **state)
{
	char number[16];

	world_start(state);
	router = start_namespace();
	snprintf(number, sizeof number, "%d", (int)router);
	setenv("router", number, 1);
	world_run(router_script);
	return 0;
}

int world_stop_routed(void **state)
{
	kill(router, SIGKILL);
	waitpid(router, NULL, 0);
	return world_stop(state);
}

const char *world_host(unsigned n)
{
	static char text[ADDRESS_TEXT_MAX];

	snprintf(text, sizeof text,
		 world->family == AF_INET ? "10.%u.0.9" : "2001:db8:%u::9", n);
	return text;
}

/* ---- echoes ---- */

union address world_address(const char *text)
{
	union address address;

	if (!address_number(&address, text))
		fail_msg("%s is no address", text);
	return address;
}

static void on_done(struct icmp_echo *echo)
{
	assert_int_not_equal(ICMP_WAITING, echo->outcome);
	told++;
}

struct icmp_echo world_echo(const char *target)
{
	return (struct icmp_echo){
		.to = world_address(target),
		.timeout = 5,
		.done = on_done,
	};
}

void world_send(struct icmp_echo *echo)
{
	unsigned before = told;
	struct err err;

	if (!icmp_send(icmp, echo, &err))
		fail_msg("%s", err.text);
	assert_int_equal(before, told);
}

void world_wait(unsigned n)
{
	while (told < n)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(n, told);
	told = 0;
}

struct icmp_echo world_ping(const char *target, const struct icmp_shape *shape)
{
	struct icmp_echo echo = world_echo(target);

	echo.shape = shape;
	world_send(&echo);
	world_wait(1);
	icmp_forget(icmp, &echo);
	return echo;
}

void assert_outcome(enum icmp_outcome outcome, const struct icmp_echo *echo)
{
	struct err err;

	icmp_explain(echo, &err);
	if (echo->outcome != outcome)
		fail_msg("outcome %d, not %d: %s", echo->outcome, outcome,
			 err.text);
}

void assert_explained(const char *expected, const struct icmp_echo *echo)
{
	struct err err;

	icmp_explain(echo, &err);
	assert_string_equal(expected, err.text);
}

void assert_address(const char *text, const union address *address)
{
	char found[ADDRESS_TEXT_MAX];

	address_host_text(&address->any, found);
	assert_string_equal(text, found);
}

/* ---- the peer ---- */

struct peer {
	int fd;
};

static int open_raw(void)
{
	bool four = world->family == AF_INET;
	int fd = socket(world->family, SOCK_RAW | SOCK_CLOEXEC,
			four ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);

	if (fd < 0)
		fail_msg("a raw socket: %s", strerror(errno));
	return fd;
}

struct peer *peer_new(void)
{
	struct peer *peer = mem_alloc(sizeof *peer);

	peer->fd = open_raw();
	return peer;
}

void peer_free(struct peer *peer)
{
	close(peer->fd);
	free(peer);
}

/* As the kernel would have sent it. */
static void make_header6(struct peer_message *message)
{
	union address to = world_address(world->self);
	uint8_t *p = message->header;

	memset(p, 0, 40);
	p[0] = 0x60;
	p[5] = (uint8_t)message->len;
	p[6] = IPPROTO_ICMPV6;
	p[7] = 64;
	memcpy(p + 8, &message->from.v6.sin6_addr, 16);
	memcpy(p + 24, &to.v6.sin6_addr, 16);
	message->header_len = 40;
}

struct peer_message peer_request(struct peer *peer)
{
	bool four = world->family == AF_INET;
	struct peer_message message;
	uint8_t bytes[PEER_BYTES];
	socklen_t size;
	ssize_t n;

	do {
		size = sizeof message.from;
		n = recvfrom(peer->fd, bytes, sizeof bytes, 0,
			     &message.from.any, &size);
		assert_true(n >= 8);
		message.header_len = four ? (bytes[0] & 15u) * 4 : 0;
	} while (bytes[message.header_len] != (four ? 8 : ICMP6_ECHO_REQUEST));
	message.len = (size_t)n - message.header_len;
	memcpy(message.header, bytes, message.header_len);
	memcpy(message.bytes, bytes + message.header_len, message.len);
	if (!four)
		make_header6(&message);
	return message;
}

unsigned peer_sequence(const struct peer_message *request)
{
	return (unsigned)request->bytes[PEER_SEQUENCE] << 8 |
	       request->bytes[PEER_SEQUENCE + 1];
}

struct peer_message peer_reply(const struct peer_message *request)
{
	struct peer_message reply = *request;

	reply.bytes[0] = world->family == AF_INET ? 0 : ICMP6_ECHO_REPLY;
	return reply;
}

struct peer_message peer_error(const struct peer_message *request,
			       const char *to, size_t n)
{
	bool four = world->family == AF_INET;
	union address address = world_address(to);
	struct peer_message error = { .bytes = { four ? 3 : 1, four ? 1 : 0 },
				      .from = request->from };
	uint8_t *quoted = error.bytes + 8;

	memcpy(quoted, request->header, request->header_len);
	memcpy(quoted + request->header_len, request->bytes, n);
	if (four)
		memcpy(quoted + 16, &address.v4.sin_addr, 4);
	else
		memcpy(quoted + 24, &address.v6.sin6_addr, 16);
	error.len = 8 + request->header_len + n;
	return error;
}

static void set_checksum(struct peer_message *message, unsigned wrong)
{
	unsigned sum = 0;

	message->bytes[2] = message->bytes[3] = 0;
	message->bytes[message->len] = 0;
	for (size_t i = 0; i < message->len; i += 2)
		sum += (unsigned)message->bytes[i] << 8 | message->bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum ^ wrong;
	message->bytes[2] = (uint8_t)(sum >> 8);
	message->bytes[3] = (uint8_t)sum;
}

static void send_from(const struct peer_message *message, const char *from)
{
	union address own = world_address(from);
	int fd = open_raw();

	if (bind(fd, &own.any, address_len(&own.any)) ||
	    sendto(fd, message->bytes, message->len, 0, &message->from.any,
		   address_len(&message->from.any)) < 0)
		fail_msg("sending from %s: %s", from, strerror(errno));
	close(fd);
}

void peer_send(struct peer_message *message, const char *from)
{
	if (world->family == AF_INET)
		set_checksum(message, 0);
	send_from(message, from);
}

void peer_send_spoiled(struct peer_message *message, const char *from)
{
	assert_int_equal(AF_INET, world->family);
	set_checksum(message, 0x0101);
	send_from(message, from);
}
