/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages are read in batches. A datagram socket tells of errors by its error
 * queue (and by failing a call that has nothing to do with them); a raw socket
 * gets them as messages.
 *
 * A datagram socket of IPv6 takes its source address from what it is bound to,
 * whatever a message says (Linux 6.18 and before). So it has further ones
 * behind it, one for each address that was asked for.
 */
#include "net/icmp_socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/icmp_batch.h"
#include "net/icmp_clock.h"
#include "net/icmp_descriptor.h"

enum {
	/* An error has at most 576 bytes, or 1280 by IPv6; but who knows. */
	MESSAGE_MIN = 1536,
	HEADERS_MAX = 60 + ICMP_PACKET_HEADER,
	ROUNDS_MAX = 128, /* so that a flood cannot hold the loop */
	TRIES_MAX = 4,
	BOUND_MAX = 16,
};

struct icmp_socket {
	uv_poll_t poll;
	struct loop *loop;
	struct icmp_socket_user user;
	struct icmp_socket *bound; /* the next one, bound to `source` */
	union address source;
	int fd; /* -1 until opened */
	int family;
	bool raw;
	bool polled;   /* `poll` was initialised */
	bool writable; /* is watched for that, too: it was full */
	uint16_t id;
	/* How the last echo was sent; -1: as a new socket does. */
	int ttl, dont_fragment;
	size_t size; /* of `request` */
	uint8_t *request;
	struct icmp_clock clock; /* when it was last read */
	int64_t empty;		 /* when there was nothing to read */
	struct icmp_batch batch;
};

/* ---- receiving ---- */

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
			control.wall = icmp_clock_stamp(&time);
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
			 const struct icmp_clock *clock,
			 struct mmsghdr *message)
{
	struct control control = read_control(&message->msg_hdr);
	struct icmp_arrival arrival = {
		.ttl = (uint8_t)control.ttl,
		.time = icmp_clock_seconds(icmp_clock_arrival(
			clock, &socket->clock, socket->empty, control.wall)),
		.latest = icmp_clock_seconds(clock->now),
	};
	const struct sock_extended_err *error = control.error;
	bool known;

	/* That we could not send was told by the call that tried. */
	if (error && error->ee_origin == SO_EE_ORIGIN_LOCAL)
		return;
	known = (error ? read_error(socket, &arrival, message, error)
		       : read_message(socket, &arrival, message)) &&
		arrival.packet.id == socket->id;
	socket->user.arrived(socket->user.arg, known ? &arrival : NULL);
}

/* One batch; false when there may be no more. */
static bool read_batch(struct icmp_socket *socket, int flags)
{
	struct icmp_batch *batch = &socket->batch;
	struct icmp_clock clock;
	int n = icmp_batch_read(batch, socket->fd, flags);

	/* Of a datagram socket it is the error of an echo: it is in the queue
	 * of errors as well. */
	if (n < 0)
		return errno != EAGAIN;
	clock = icmp_clock_read();
	for (int i = 0; i < n; i++)
		take_message(socket, &clock, &batch->messages[i]);
	socket->clock = clock;
	return (unsigned)n == batch->n;
}

static bool read_all(struct icmp_socket *socket, int flags)
{
	for (int i = 0; i < ROUNDS_MAX; i++)
		if (!read_batch(socket, flags))
			return true;
	return false;
}

static void read_one(struct icmp_socket *socket)
{
	int64_t now = icmp_clock_now();
	bool all = read_all(socket, 0);

	if (!socket->raw)
		all = read_all(socket, MSG_ERRQUEUE) && all;
	if (all)
		socket->empty = now;
}

void icmp_socket_read(struct icmp_socket *socket)
{
	for (; socket; socket = socket->bound)
		read_one(socket);
}

/* ---- the loop ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct icmp_socket *socket)
{
	uv_poll_start(&socket->poll,
		      UV_READABLE | (socket->writable ? UV_WRITABLE : 0),
		      on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct icmp_socket *socket = poll->data;

	bool writable = status >= 0 && (events & UV_WRITABLE);

	if (writable)
		socket->writable = false;
	/* uv stops to watch a socket that had an error. */
	if (writable || status < 0)
		watch(socket);
	socket->user.turned(socket->user.arg, writable);
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
	icmp_batch_size(&socket->batch, size + HEADERS_MAX);
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

static ssize_t transmit_from(const struct icmp_socket *socket,
			     const struct icmp_shape *shape,
			     const union address *to, double *sent)
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
		.msg_control = control,
		.msg_controllen = sizeof control,
	};

	add_source(&header, &shape->source);
	*sent = icmp_clock_seconds(icmp_clock_now());
	return sendmsg(socket->fd, &header, MSG_DONTWAIT);
}

/* The time must stay next to the call, here and above: what is between them
 * counts as the network's. */
static ssize_t transmit(const struct icmp_socket *socket,
			const struct icmp_shape *shape, const union address *to,
			double *sent)
{
	if (shape->source.any.sa_family == socket->family)
		return transmit_from(socket, shape, to, sent);
	*sent = icmp_clock_seconds(icmp_clock_now());
	return sendto(socket->fd, socket->request,
		      ICMP_PACKET_HEADER + shape->size, MSG_DONTWAIT, &to->any,
		      address_len(&to->any));
}

/* Is the error of a call that the send buffer is full? Raw sockets have another
 * word for it. */
static bool is_full(const struct icmp_socket *socket, int error)
{
	return error == EAGAIN || (socket->raw && error == ENOBUFS);
}

static int send_by(struct icmp_socket *socket, const struct icmp_shape *shape,
		   const union address *to, uint16_t sequence, uint64_t cookie,
		   double *sent)
{
	size_request(socket, shape->size);
	icmp_packet_write(socket->request, socket->family, socket->id, sequence,
			  cookie, shape->size);
	if (!set_options(socket, shape))
		return errno;
	/* A datagram socket fails with the errors of earlier echoes: once each,
	 * or once for all of them when the queue of errors was read. */
	for (int i = 0; transmit(socket, shape, to, sent) < 0; i++) {
		int error = errno;

		if (is_full(socket, error)) {
			socket->writable = true;
			watch(socket);
			return EAGAIN;
		}
		if (socket->raw || i == TRIES_MAX)
			return error;
		read_all(socket, MSG_ERRQUEUE);
	}
	return 0;
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void free_one(struct icmp_socket *socket)
{
	if (socket->polled)
		uv_close((uv_handle_t *)&socket->poll, on_closed);
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket->request);
	icmp_batch_release(&socket->batch);
	if (!socket->polled)
		free(socket);
}

void icmp_socket_free(struct icmp_socket *socket)
{
	struct icmp_socket *bound;

	for (; socket; socket = bound) {
		bound = socket->bound;
		free_one(socket);
	}
}

static struct icmp_socket *make(struct loop *loop, int family,
				const struct icmp_socket_user *user)
{
	struct icmp_socket *socket = mem_alloc(sizeof *socket);

	socket->loop = loop;
	socket->user = *user;
	socket->family = family;
	socket->fd = -1;
	socket->ttl = -1;
	socket->dont_fragment = -1;
	return socket;
}

/* Returns 0 or an errno. */
static int begin(struct icmp_socket *socket, const union address *source)
{
	struct icmp_descriptor opened;
	int error = icmp_descriptor_open(&opened, socket->family, source);

	if (error)
		return error;
	socket->fd = opened.fd;
	socket->raw = opened.raw;
	socket->id = opened.id;
	if (uv_poll_init(loop_uv(socket->loop), &socket->poll, socket->fd))
		return ENOMEM;
	socket->polled = true;
	socket->poll.data = socket;
	icmp_batch_size(&socket->batch, MESSAGE_MIN);
	socket->clock = icmp_clock_read();
	socket->empty = socket->clock.now;
	watch(socket);
	return 0;
}

struct icmp_socket *icmp_socket_new(struct loop *loop, int family,
				    const struct icmp_socket_user *user,
				    struct err *err)
{
	struct icmp_socket *socket = make(loop, family, user);
	int error = begin(socket, NULL);

	if (!error)
		return socket;
	icmp_socket_free(socket);
	icmp_descriptor_explain(error, err);
	return NULL;
}

/* ---- sending, by the one that is bound to the source if it has to be ---- */

static int find_bound(struct icmp_socket *socket, const union address *source,
		      struct icmp_socket **found)
{
	struct icmp_socket *bound = socket->bound;
	unsigned n = 0;
	int error;

	for (; bound; bound = bound->bound, n++)
		if (address_same_host(&bound->source, source))
			break;
	*found = bound;
	if (bound)
		return 0;
	if (n == BOUND_MAX)
		return EMFILE;
	bound = make(socket->loop, socket->family, &socket->user);
	bound->source = *source;
	error = begin(bound, source);
	if (error) {
		icmp_socket_free(bound);
		return error;
	}
	bound->bound = socket->bound;
	socket->bound = bound;
	*found = bound;
	return 0;
}

int icmp_socket_send(struct icmp_socket *socket, const struct icmp_shape *shape,
		     const union address *to, uint16_t sequence,
		     uint64_t cookie, double *sent)
{
	union address target = *to;
	int error;

	if (shape->size < ICMP_SIZE_MIN || shape->size > ICMP_SIZE_MAX)
		return EINVAL;
	if (target.any.sa_family == AF_INET6) {
		/* This host: not every socket knows it, as those of IPv4 do. */
		if (IN6_IS_ADDR_UNSPECIFIED(&target.v6.sin6_addr))
			target.v6.sin6_addr = in6addr_loopback;
		/* Raw sockets take any interface. */
		if (address_needs_zone(&target))
			return EINVAL;
		if (!socket->raw && shape->source.any.sa_family == AF_INET6) {
			error = find_bound(socket, &shape->source, &socket);
			if (error)
				return error;
		}
	}
	return send_by(socket, shape, &target, sequence, cookie, sent);
}

/* ---- the rest ---- */

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

bool icmp_socket_is_own(const union address *address)
{
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own;

	if (fd < 0)
		return false;
	own = !bind(fd, &address->any, address_len(&address->any));
	close(fd);
	return own;
}
