/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages are read in batches. A datagram socket tells of errors by its error
 * queue (and by failing a call that has nothing to do with them); a raw socket
 * gets them as messages.
 *
 * The kernel stamps an arrival on the wall clock, which may be set; everything
 * else here is on the monotonic clock. So a stamp is taken over by how long ago
 * it was when it was read. What was set in between shows as a time before the
 * socket was last found empty, or as one in the future, and then the distance
 * of the clocks at that time is the better one.
 */
#include "net/icmp_socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/icmp_filter.h"

enum {
	BATCH_MAX = 64,
	BATCH_BYTES = 1 << 20,
	/* An error has at most 576 bytes, or 1280 by IPv6; but who knows. */
	MESSAGE_MIN = 1536,
	HEADERS_MAX = 60 + ICMP_PACKET_HEADER,
	CONTROL_MAX = 256,
	ROUNDS_MAX = 128, /* so that a flood cannot hold the loop */
	TRIES_MAX = 4,
	RECEIVE_BUFFER = 4 << 20,
	CLOCK_TRIES = 3,
	CLOCK_NARROW = 2000, /* nanoseconds */
	/* From the stamp to the socket's buffer, where that is long. */
	DELIVERY_MAX = 50000000,
};

struct batch {
	size_t stride; /* bytes for a message */
	unsigned n;
	uint8_t *bytes;
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX];
	union address names[BATCH_MAX];
	_Alignas(struct cmsghdr) char control[BATCH_MAX][CONTROL_MAX];
};

/* Nanoseconds: seconds as a double are too coarse for the wall clock. */
struct clocks {
	int64_t now;	/* monotonic */
	int64_t offset; /* the wall clock is that much ahead */
};

struct icmp_socket {
	uv_poll_t poll;
	struct icmp_socket_user user;
	int fd; /* -1 until opened */
	int family;
	bool raw;
	bool polled;   /* `poll` was initialised */
	bool writable; /* is watched for that, too */
	uint16_t id;
	/* How the last echo was sent; -1: as a new socket does. */
	int ttl, dont_fragment;
	size_t size; /* of `request` */
	uint8_t *request;
	struct clocks clocks; /* when it was last read */
	int64_t empty;	      /* when there was nothing to read */
	struct batch batch;
};

/* ---- clocks ---- */

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static int64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return nanoseconds(&now);
}

static double seconds(int64_t time)
{
	return (double)time / 1e9;
}

/* The wall clock between two looks at the other, unless the thread was put
 * aside in between. */
static struct clocks read_clocks(void)
{
	struct clocks best = { 0 };
	int64_t before, wall, after, width = INT64_MAX;

	for (int i = 0; i < CLOCK_TRIES && width > CLOCK_NARROW; i++) {
		before = clock_now(CLOCK_MONOTONIC);
		wall = clock_now(CLOCK_REALTIME);
		after = clock_now(CLOCK_MONOTONIC);
		if (after - before >= width)
			continue;
		width = after - before;
		best.now = after;
		best.offset = wall - (before + width / 2);
	}
	return best;
}

/* WALL, of a message that was just read, on the monotonic clock. */
static int64_t arrival_time(const struct icmp_socket *socket,
			    const struct clocks *clocks, int64_t wall)
{
	int64_t first = socket->empty - DELIVERY_MAX;
	int64_t time = wall - clocks->offset;

	if (time >= first && time <= clocks->now)
		return time;
	time = wall - socket->clocks.offset;
	if (time >= first && time <= clocks->now)
		return time;
	return clocks->now;
}

/* ---- receiving ---- */

static void prepare_batch(struct batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		batch->parts[i] = (struct iovec){
			.iov_base = batch->bytes + i * batch->stride,
			.iov_len = batch->stride,
		};
		batch->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &batch->names[i],
			.msg_namelen = sizeof batch->names[i],
			.msg_iov = &batch->parts[i],
			.msg_iovlen = 1,
			.msg_control = batch->control[i],
			.msg_controllen = CONTROL_MAX,
		};
	}
}

/* Room for messages of SIZE bytes. Pages that are not written cost nothing. */
static void size_batch(struct icmp_socket *socket, size_t size)
{
	struct batch *batch = &socket->batch;

	if (size <= batch->stride)
		return;
	free(batch->bytes);
	batch->stride = size;
	batch->n = BATCH_BYTES / (unsigned)size;
	if (batch->n > BATCH_MAX)
		batch->n = BATCH_MAX;
	batch->bytes = mem_array(batch->n, batch->stride);
	prepare_batch(batch);
}

/* What is beside a message. */
struct control {
	int64_t wall; /* 0: no time */
	int ttl;
	const struct sock_extended_err *error;
};

static struct control read_control(struct msghdr *header)
{
	struct control control = { 0 };
	struct timespec time;
	struct cmsghdr *at;

	for (at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
		int level = at->cmsg_level, type = at->cmsg_type;

		if (level == SOL_SOCKET && type == SCM_TIMESTAMPNS) {
			memcpy(&time, CMSG_DATA(at), sizeof time);
			control.wall = nanoseconds(&time);
		} else if ((level == IPPROTO_IP && type == IP_TTL) ||
			   (level == IPPROTO_IPV6 && type == IPV6_HOPLIMIT)) {
			memcpy(&control.ttl, CMSG_DATA(at), sizeof(int));
		} else if ((level == IPPROTO_IP && type == IP_RECVERR) ||
			   (level == IPPROTO_IPV6 && type == IPV6_RECVERR)) {
			control.error = (const void *)CMSG_DATA(at);
		}
	}
	return control;
}

/* An entry of the error queue: the echo, without IP header, and beside it where
 * it was sent and what happened. */
static bool read_error(const struct icmp_socket *socket,
		       struct icmp_arrival *arrival,
		       const struct mmsghdr *message,
		       const struct sock_extended_err *error)
{
	const struct sockaddr *by = SO_EE_OFFENDER(error);
	const struct msghdr *header = &message->msg_hdr;

	if (!icmp_packet_quote(&arrival->packet, socket->family,
			       header->msg_iov->iov_base, message->msg_len) ||
	    !icmp_packet_error(&arrival->packet, socket->family, error->ee_type,
			       error->ee_code, error->ee_info))
		return false;
	memcpy(&arrival->packet.to, header->msg_name, sizeof(union address));
	if (by->sa_family == socket->family)
		memcpy(&arrival->from, by, address_len(by));
	return true;
}

static bool read_message(const struct icmp_socket *socket,
			 struct icmp_arrival *arrival,
			 const struct mmsghdr *message)
{
	const struct msghdr *header = &message->msg_hdr;

	memcpy(&arrival->from, header->msg_name, sizeof(union address));
	/* Longer than all that we sent. */
	if (header->msg_flags & MSG_TRUNC)
		return false;
	return icmp_packet_read(&arrival->packet, socket->family,
				header->msg_iov->iov_base, message->msg_len,
				socket->raw && socket->family == AF_INET);
}

static void take_message(struct icmp_socket *socket,
			 const struct clocks *clocks, struct mmsghdr *message)
{
	struct control control = read_control(&message->msg_hdr);
	struct icmp_arrival arrival = {
		.ttl = (uint8_t)control.ttl,
		.time = seconds(arrival_time(socket, clocks, control.wall)),
		.latest = seconds(clocks->now),
	};
	const struct sock_extended_err *error = control.error;
	bool known;

	/* That we could not send was told by the call that tried. */
	if (error && error->ee_origin == SO_EE_ORIGIN_LOCAL)
		return;
	known = error ? read_error(socket, &arrival, message, error)
		      : read_message(socket, &arrival, message);
	socket->user.arrived(socket->user.arg, known ? &arrival : NULL);
}

/* Makes the parts of a message that the kernel has written new again. */
static void reuse(struct batch *batch, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		batch->messages[i].msg_hdr.msg_namelen = sizeof(union address);
		batch->messages[i].msg_hdr.msg_controllen = CONTROL_MAX;
	}
}

/* One batch; false when there may be no more. */
static bool read_batch(struct icmp_socket *socket, int flags)
{
	struct batch *batch = &socket->batch;
	struct clocks clocks;
	int n = recvmmsg(socket->fd, batch->messages, batch->n,
			 flags | MSG_DONTWAIT, NULL);

	/* Of a datagram socket it is the error of an echo: it is in the queue
	 * of errors as well. */
	if (n < 0)
		return errno != EAGAIN;
	clocks = read_clocks();
	for (int i = 0; i < n; i++)
		take_message(socket, &clocks, &batch->messages[i]);
	reuse(batch, (unsigned)n);
	socket->clocks = clocks;
	return (unsigned)n == batch->n;
}

static bool read_all(struct icmp_socket *socket, int flags)
{
	for (int i = 0; i < ROUNDS_MAX; i++)
		if (!read_batch(socket, flags))
			return true;
	return false;
}

void icmp_socket_read(struct icmp_socket *socket)
{
	int64_t now = clock_now(CLOCK_MONOTONIC);
	bool all = read_all(socket, 0);

	if (!socket->raw)
		all = read_all(socket, MSG_ERRQUEUE) && all;
	if (all)
		socket->empty = now;
}

/* ---- the loop ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct icmp_socket *socket = poll->data;

	/* uv stops to watch a socket that had an error. */
	if (status < 0)
		icmp_socket_watch(socket, socket->writable);
	socket->user.turned(socket->user.arg,
			    status >= 0 && (events & UV_WRITABLE));
}

void icmp_socket_watch(struct icmp_socket *socket, bool writable)
{
	socket->writable = writable;
	uv_poll_start(&socket->poll, UV_READABLE | (writable ? UV_WRITABLE : 0),
		      on_poll);
}

/* ---- sending ---- */

static bool set_int(int fd, int level, int name, int value)
{
	return !setsockopt(fd, level, name, &value, sizeof value);
}

static bool set_ttl(const struct icmp_socket *socket, int ttl)
{
	if (socket->family == AF_INET)
		return set_int(socket->fd, IPPROTO_IP, IP_TTL, ttl) &&
		       set_int(socket->fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	return set_int(socket->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl) &&
	       set_int(socket->fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
}

/* Else IPv4 routers may fragment it. In IPv6 only the sender can, and does. */
static bool set_dont_fragment(const struct icmp_socket *socket, bool on)
{
	if (socket->family == AF_INET)
		return set_int(socket->fd, IPPROTO_IP, IP_MTU_DISCOVER,
			       on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	return set_int(socket->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
		       on ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT) &&
	       set_int(socket->fd, IPPROTO_IPV6, IPV6_DONTFRAG, on);
}

static bool set_options(struct icmp_socket *socket,
			const struct icmp_shape *shape)
{
	int ttl = shape->ttl ? (int)shape->ttl : -1;

	if (ttl != socket->ttl) {
		if (!set_ttl(socket, ttl))
			return false;
		socket->ttl = ttl;
	}
	if (shape->dont_fragment != socket->dont_fragment) {
		if (!set_dont_fragment(socket, shape->dont_fragment))
			return false;
		socket->dont_fragment = shape->dont_fragment;
	}
	return true;
}

/* Room for a payload of SIZE bytes, there and back. */
static void size_request(struct icmp_socket *socket, size_t size)
{
	if (size <= socket->size)
		return;
	socket->request =
		mem_realloc(socket->request, ICMP_PACKET_HEADER + size);
	for (size_t i = socket->size; i < size; i++)
		socket->request[ICMP_PACKET_HEADER + i] = (uint8_t)i;
	socket->size = size;
	size_batch(socket, size + HEADERS_MAX);
}

/* The source address beside the message. */
static void *add_source(struct msghdr *header, const union address *source)
{
	struct cmsghdr *at = CMSG_FIRSTHDR(header);
	struct in_pktinfo four = { .ipi_spec_dst = source->v4.sin_addr };
	struct in6_pktinfo six = { .ipi6_addr = source->v6.sin6_addr,
				   .ipi6_ifindex = source->v6.sin6_scope_id };

	if (source->any.sa_family == AF_INET) {
		at->cmsg_level = IPPROTO_IP;
		at->cmsg_type = IP_PKTINFO;
		at->cmsg_len = CMSG_LEN(sizeof four);
		header->msg_controllen = CMSG_SPACE(sizeof four);
		return memcpy(CMSG_DATA(at), &four, sizeof four);
	}
	at->cmsg_level = IPPROTO_IPV6;
	at->cmsg_type = IPV6_PKTINFO;
	at->cmsg_len = CMSG_LEN(sizeof six);
	header->msg_controllen = CMSG_SPACE(sizeof six);
	return memcpy(CMSG_DATA(at), &six, sizeof six);
}

static ssize_t transmit(const struct icmp_socket *socket,
			const struct icmp_shape *shape, const union address *to,
			double *sent)
{
	_Alignas(struct cmsghdr) char
		control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = { 0 };
	struct iovec part = { .iov_base = socket->request,
			      .iov_len = ICMP_PACKET_HEADER + shape->size };
	struct msghdr header = {
		.msg_name = (void *)&to->any,
		.msg_namelen = address_len(&to->any),
		.msg_iov = &part,
		.msg_iovlen = 1,
	};

	if (shape->source.any.sa_family == socket->family) {
		header.msg_control = control;
		header.msg_controllen = sizeof control;
		add_source(&header, &shape->source);
	}
	/* Must stay next to each other: what is between them is measured. */
	*sent = seconds(clock_now(CLOCK_MONOTONIC));
	return sendmsg(socket->fd, &header, MSG_DONTWAIT);
}

int icmp_socket_send(struct icmp_socket *socket, const struct icmp_shape *shape,
		     const union address *to, uint16_t sequence,
		     uint64_t cookie, double *sent)
{
	if (shape->size < ICMP_SIZE_MIN || shape->size > ICMP_SIZE_MAX)
		return EINVAL;
	size_request(socket, shape->size);
	icmp_packet_write(socket->request, socket->family, socket->id, sequence,
			  cookie, shape->size);
	if (!set_options(socket, shape))
		return errno;
	/* A datagram socket fails with the errors of earlier echoes: once each,
	 * or once for all of them when the queue of errors was read. */
	for (int i = 0; transmit(socket, shape, to, sent) < 0; i++) {
		int error = errno;

		/* How a raw socket says that its buffer is full; what a queue
		 * of the network drops is not told to it. */
		if (error == ENOBUFS && socket->raw)
			return EAGAIN;
		if (error == EAGAIN || socket->raw || i == TRIES_MAX)
			return error;
		read_all(socket, MSG_ERRQUEUE);
	}
	return 0;
}

/* ---- opening ---- */

/* The kernel chooses the identifier of a datagram socket. */
static bool begin_datagram(struct icmp_socket *socket)
{
	union address own = { .any = { (sa_family_t)socket->family, { 0 } } };
	socklen_t size = sizeof own;
	int level = socket->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int name = socket->family == AF_INET ? IP_RECVERR : IPV6_RECVERR;

	if (bind(socket->fd, &own.any, address_len(&own.any)) ||
	    getsockname(socket->fd, &own.any, &size))
		return false;
	socket->id = (uint16_t)address_port(&own.any);
	return set_int(socket->fd, level, name, 1);
}

/* Not the same twice in this process. */
static uint16_t next_id(void)
{
	static atomic_uint last;
	static atomic_flag begun = ATOMIC_FLAG_INIT;
	uint16_t start = 0;

	if (!atomic_flag_test_and_set(&begun) &&
	    getrandom(&start, sizeof start, 0) == sizeof start)
		atomic_fetch_add(&last, start);
	return (uint16_t)atomic_fetch_add(&last, 1);
}

static bool begin_raw(struct icmp_socket *socket)
{
	socket->id = next_id();
	return icmp_filter_attach(socket->fd, socket->family, socket->id);
}

static bool begin(struct icmp_socket *socket)
{
	int one = 1, bytes = RECEIVE_BUFFER;
	bool four = socket->family == AF_INET;

	/* The first needs CAP_NET_ADMIN, the second is cut to what is
	 * allowed. */
	if (!set_int(socket->fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes))
		set_int(socket->fd, SOL_SOCKET, SO_RCVBUF, bytes);
	return (socket->raw ? begin_raw(socket) : begin_datagram(socket)) &&
	       set_int(socket->fd, SOL_SOCKET, SO_TIMESTAMPNS, one) &&
	       set_int(socket->fd, four ? IPPROTO_IP : IPPROTO_IPV6,
		       four ? IP_RECVTTL : IPV6_RECVHOPLIMIT, one);
}

static bool is_denial(int error)
{
	return error == EACCES || error == EPERM;
}

static bool fail(struct icmp_socket *socket, struct err *err, int error)
{
	char program[256] = "lunex";
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	unsigned group = (unsigned)getegid();

	icmp_socket_free(socket);
	if (!is_denial(error))
		return err_set(err, ERR_IO, "icmp: %s",
			       uv_strerror(uv_translate_sys_error(error)));
	if (n > 0)
		program[n] = '\0';
	return err_set(err, ERR_DENIED,
		       "icmp: not allowed to ping: either open datagram "
		       "sockets to the group with `sysctl -w "
		       "net.ipv4.ping_group_range=\"%u %u\"`, or raw sockets "
		       "to the program with `setcap cap_net_raw+ep %s`",
		       group, group, program);
}

static int open_kind(int family, int type)
{
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		      family == AF_INET ? (int)IPPROTO_ICMP
					: (int)IPPROTO_ICMPV6);
}

/* Returns 0 or an errno. */
static int open_any(struct icmp_socket *socket)
{
	int error;

	socket->fd = open_kind(socket->family, SOCK_DGRAM);
	if (socket->fd >= 0)
		return begin(socket) ? 0 : errno;
	error = errno;
	/* What a kernel without datagram sockets for it says, too. */
	if (!is_denial(error) && error != EPROTONOSUPPORT)
		return error;
	socket->raw = true;
	socket->fd = open_kind(socket->family, SOCK_RAW);
	if (socket->fd < 0)
		return errno;
	return begin(socket) ? 0 : errno;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void icmp_socket_free(struct icmp_socket *socket)
{
	if (!socket)
		return;
	if (socket->polled)
		uv_close((uv_handle_t *)&socket->poll, on_closed);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->request);
	free(socket->batch.bytes);
	if (!socket->polled)
		free(socket);
}

struct icmp_socket *icmp_socket_new(struct loop *loop, int family,
				    const struct icmp_socket_user *user,
				    struct err *err)
{
	struct icmp_socket *socket = mem_alloc(sizeof *socket);
	int error;

	socket->user = *user;
	socket->family = family;
	socket->ttl = -1;
	socket->dont_fragment = -1;
	error = open_any(socket);
	if (!error && uv_poll_init(loop_uv(loop), &socket->poll, socket->fd))
		error = errno;
	if (error) {
		fail(socket, err, error);
		return NULL;
	}
	socket->polled = true;
	socket->poll.data = socket;
	size_batch(socket, MESSAGE_MIN);
	socket->clocks = read_clocks();
	socket->empty = socket->clocks.now;
	icmp_socket_watch(socket, false);
	return socket;
}

uint16_t icmp_socket_id(const struct icmp_socket *socket)
{
	return socket->id;
}

unsigned icmp_socket_room(const struct icmp_socket *socket)
{
	int bytes = 0;
	socklen_t size = sizeof bytes;

	getsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
	return (unsigned)bytes;
}

unsigned icmp_socket_mtu(const union address *to)
{
	bool four = to->any.sa_family == AF_INET;
	union address peer = *to;
	int mtu = 0;
	socklen_t size = sizeof mtu;
	int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	/* A UDP socket is connected to any port without sending anything. */
	peer.v4.sin_port = htons(7);
	if (connect(fd, &peer.any, address_len(&peer.any)) ||
	    getsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6,
		       four ? IP_MTU : IPV6_MTU, &mtu, &size))
		mtu = 0;
	close(fd);
	return (unsigned)mtu;
}
