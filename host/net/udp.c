/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain non-blocking sockets watched by uv_poll: a refusal then is an ordinary
 * error of recv(), and what has arrived can be dropped at once.
 *
 * The memory of a socket outlives udp_free() until uv has closed its poll
 * handle.
 */
#include "net/udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"

enum {
	ROUND_MAX = 64,
	DRAIN_MAX = 4096,
	/* A socket that passes from version to version keeps in the kernel what
	 * the script is not ready for: that is there for the next one even if
	 * this thread hangs. So many are read ahead, and so much room is asked
	 * for (what is given is bounded by net.core.rmem_max). */
	SHARED_DATAGRAMS = 32,
	SHARED_KERNEL_BYTES = 4 << 20,
};

struct udp {
	struct loop *loop;
	struct port port; /* of those that listen */
	int fd;		  /* -1 until connected */
	sa_family_t family;
	bool polled; /* `poll` was initialised */
	bool failed; /* `failure` waits to be told */
	bool paused; /* not polled: the queue of a shared socket is full */
	bool taken;  /* a datagram, and nobody came back for the next */
	uv_poll_t poll;
	struct timer soon; /* calls `done` from the loop */
	udp_done done;
	void *arg;
	struct err failure;
	struct udp_queue queue;
	unsigned long dropped;
	unsigned long before; /* what the kernel had dropped at the start */
	unsigned number;      /* of its port */
	char name[ADDRESS_TEXT_MAX];
	char peer[ADDRESS_TEXT_MAX];
	char label[ADDRESS_HOST_MAX + 8];
};

static bool fail(struct udp *udp, struct err *err, int error)
{
	return err_set(err, ERR_IO, "udp %s: %s", udp->label,
		       uv_strerror(uv_translate_sys_error(error)));
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Unless it is held. */
static void watch(struct udp *udp)
{
	udp->paused = false;
	if (ports_reading(udp->port.ports))
		uv_poll_start(&udp->poll, UV_READABLE, on_poll);
}

/* ---- the queue ---- */

/* Has everything been handled that arrived? */
static void settle(struct udp *udp)
{
	ports_set_busy(&udp->port, udp->queue.count || udp->taken);
}

static bool queue_has_room(const struct udp *udp, size_t len)
{
	return udp->queue.count < UDP_QUEUE_DATAGRAMS &&
	       len <= UDP_QUEUE_BYTES - udp->queue.bytes;
}

static void queue_add(struct udp *udp, const char *data, size_t len,
		      const struct sockaddr_storage *from)
{
	const struct udp_datagram datagram = {
		.data = mem_copy(data, len),
		.len = len,
		.from = *from,
		.time = loop_now(udp->loop),
	};

	udp_queue_add(&udp->queue, &datagram);
	settle(udp);
}

/* Some were taken. */
static void queue_shrunk(struct udp *udp)
{
	if (udp->paused && !udp->queue.count)
		watch(udp);
	settle(udp);
}

bool udp_pending(const struct udp *udp)
{
	return udp->queue.count;
}

bool udp_take(struct udp *udp, struct udp_datagram *datagram)
{
	if (!udp_queue_take(&udp->queue, datagram))
		return false;
	udp->taken = true;
	queue_shrunk(udp);
	return true;
}

static size_t queue_clear(struct udp *udp)
{
	size_t n = udp_queue_clear(&udp->queue);

	queue_shrunk(udp);
	return n;
}

/* ---- receiving ---- */

/* One datagram, or one error of the socket; false when there is neither. */
static bool receive_one(struct udp *udp)
{
	struct sockaddr_storage from = { 0 };
	socklen_t size = sizeof from;
	char data[UDP_DATAGRAM_MAX];
	ssize_t n = recvfrom(udp->fd, data, sizeof data, 0,
			     (struct sockaddr *)&from, &size);

	if (n >= 0 && queue_has_room(udp, (size_t)n)) {
		queue_add(udp, data, (size_t)n, &from);
	} else if (n >= 0) {
		udp->dropped++;
	} else if (errno == EAGAIN) {
		return false;
	} else if (errno != EINTR) {
		udp->failed = true;
		fail(udp, &udp->failure, errno);
	}
	return true;
}

/* What arrives at a socket of nobody else is read and, when it does not fit,
 * dropped. */
static bool may_read(const struct udp *udp)
{
	if (!udp->port.ports)
		return true;
	return ports_reading(udp->port.ports) &&
	       udp->queue.count < SHARED_DATAGRAMS &&
	       udp->queue.bytes <= UDP_QUEUE_BYTES - UDP_DATAGRAM_MAX;
}

void udp_collect(struct udp *udp)
{
	int left = ROUND_MAX;

	while (left-- > 0 && may_read(udp) && receive_one(udp))
		;
}

/* Tells whoever waits, if there is something to tell. Must be the last use of
 * UDP in a callback: it may be gone afterwards. */
static void tell(struct udp *udp)
{
	udp_done done = udp->done;
	struct err failure;

	if (!done || (!udp->queue.count && !udp->failed))
		return;
	udp->done = NULL;
	if (udp->queue.count) {
		done(udp->arg, NULL);
		return;
	}
	udp->failed = false;
	failure = udp->failure;
	done(udp->arg, &failure);
}

static void on_turn(struct port *port, bool reading)
{
	struct udp *udp = (struct udp *)(void *)((char *)port -
						 offsetof(struct udp, port));

	settle(udp);
	if (reading)
		watch(udp);
	else
		uv_poll_stop(&udp->poll);
	if (udp->done && udp->queue.count)
		timer_start(&udp->soon, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct udp *udp = poll->data;

	(void)events;
	udp->paused = !may_read(udp);
	udp_collect(udp);
	/* uv stops to watch a socket that had an error. */
	if (udp->paused)
		uv_poll_stop(poll);
	else if (status < 0)
		watch(udp);
	tell(udp);
}

static void on_soon(struct timer *timer)
{
	struct udp *udp =
		(struct udp *)((char *)timer - offsetof(struct udp, soon));

	tell(udp);
}

void udp_wait(struct udp *udp, udp_done done, void *arg)
{
	udp->done = done;
	udp->arg = arg;
	udp->taken = false;
	settle(udp);
	if (udp->queue.count || udp->failed)
		timer_start(&udp->soon, 0);
}

void udp_forget(struct udp *udp)
{
	udp->done = NULL;
	timer_stop(&udp->soon);
}

size_t udp_drain(struct udp *udp)
{
	size_t count = queue_clear(udp);
	char byte;

	udp->failed = false;
	if (!ports_reading(udp->port.ports))
		return count;
	for (int i = 0; i < DRAIN_MAX; i++) {
		if (recv(udp->fd, &byte, 1, 0) >= 0)
			count++;
		else if (errno == EAGAIN)
			break;
	}
	return count;
}

/* ---- sockets ---- */

static struct udp *make(struct loop *loop, const char *host, unsigned port)
{
	struct udp *udp = mem_alloc(sizeof *udp);

	udp->loop = loop;
	udp->fd = -1;
	udp_queue_init(&udp->queue);
	timer_init(loop, &udp->soon, on_soon);
	if (strchr(host, ':'))
		snprintf(udp->label, sizeof udp->label, "[%s]:%u", host, port);
	else
		snprintf(udp->label, sizeof udp->label, "%s:%u", host, port);
	return udp;
}

static void close_socket(struct udp *udp)
{
	if (udp->fd >= 0)
		ports_close(&udp->port, udp->fd);
	udp->fd = -1;
}

static void open_socket(struct udp *udp, sa_family_t family)
{
	udp->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The socket is bound or connected: from now on it receives. */
static bool begin(struct udp *udp)
{
	struct sockaddr_storage own;
	socklen_t size = sizeof own;

	if (getsockname(udp->fd, (struct sockaddr *)&own, &size))
		return false;
	udp->family = own.ss_family;
	address_text((struct sockaddr *)&own, udp->name);
	udp->number = address_port((struct sockaddr *)&own);
	if (uv_poll_init(loop_uv(udp->loop), &udp->poll, udp->fd))
		return false;
	udp->polled = true;
	udp->poll.data = udp;
	watch(udp);
	return true;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void udp_free(struct udp *udp)
{
	if (!udp)
		return;
	udp->done = NULL;
	timer_release(&udp->soon);
	if (udp->queue.count && !ports_reading(udp->port.ports))
		ports_lost(&udp->port, udp->queue.count);
	queue_clear(udp);
	/* Before the descriptor: see ports_close(). */
	if (udp->polled)
		uv_close((uv_handle_t *)&udp->poll, on_closed);
	close_socket(udp);
	if (!udp->polled)
		free(udp);
}

/* ---- connecting ---- */

static bool connect_to(struct udp *udp, const union address *address,
		       unsigned port)
{
	union address peer = *address;

	/* Both families have it in the same place. */
	peer.v4.sin_port = htons((uint16_t)port);
	open_socket(udp, peer.any.sa_family);
	if (udp->fd >= 0 &&
	    !connect(udp->fd, &peer.any, address_len(&peer.any)) &&
	    begin(udp)) {
		address_text(&peer.any, udp->peer);
		return true;
	}
	fail(udp, &udp->failure, errno);
	close_socket(udp);
	return false;
}

struct udp *udp_connect(struct loop *loop, const char *host,
			const union address *addresses, size_t n, unsigned port,
			struct err *err)
{
	struct udp *udp;

	if (port == 0 || port > 65535) {
		err_set(err, ERR_USAGE,
			"udp %.255s: port %u is not from 1 to 65535", host,
			port);
		return NULL;
	}
	udp = make(loop, host, port);
	for (size_t i = 0; i < n; i++)
		if (connect_to(udp, &addresses[i], port))
			return udp;
	*err = udp->failure;
	udp_free(udp);
	return NULL;
}

/* ---- listening ---- */

struct place {
	struct udp *udp;
	const char *host;
	unsigned port;
};

static bool bind_to(struct udp *udp, const char *host, unsigned port, bool both)
{
	struct sockaddr_storage own;
	int off = 0;

	address_set(&own, host, port);
	open_socket(udp, own.ss_family);
	if (udp->fd < 0)
		return false;
	if (both)
		setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
			   sizeof off);
	return !bind(udp->fd, (struct sockaddr *)&own,
		     address_len((struct sockaddr *)&own));
}

/* Both families by one socket, or IPv4 alone where IPv6 is switched off. */
static bool bind_all(struct udp *udp, unsigned port)
{
	if (bind_to(udp, "::", port, true))
		return true;
	if (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)
		return false;
	close_socket(udp);
	return bind_to(udp, "0.0.0.0", port, false);
}

static int bind_new(void *arg)
{
	const struct place *place = arg;
	struct udp *udp = place->udp;
	bool bound = *place->host
			     ? bind_to(udp, place->host, place->port, false)
			     : bind_all(udp, place->port);

	return bound ? udp->fd : -1;
}

static unsigned long kernel_drops(const struct udp *udp)
{
	uint32_t values[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof values;

	getsockopt(udp->fd, SOL_SOCKET, SO_MEMINFO, values, &size);
	return values[SK_MEMINFO_DROPS];
}

static void begin_shared(struct udp *udp)
{
	const int bytes = SHARED_KERNEL_BYTES;

	setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	udp->before = kernel_drops(udp);
}

/* A new socket, or a copy of another version's. */
static bool open_place(struct place *place, struct ports *ports)
{
	struct udp *udp = place->udp;
	int fd;

	udp->port.turn = on_turn;
	udp->port.queue = &udp->queue;
	fd = ports_open(place->port ? ports : NULL, &udp->port, udp->label,
			bind_new, place);
	if (fd < 0)
		return false;
	udp->fd = fd;
	if (udp->port.ports)
		begin_shared(udp);
	return begin(udp);
}

static bool check_place(const char *host, unsigned port, struct err *err)
{
	struct sockaddr_storage own;

	if (port > 65535)
		return err_set(err, ERR_USAGE,
			       "udp listen %s: port %u is not from 0 to 65535",
			       host, port);
	if (*host && !address_set(&own, host, port))
		return err_set(err, ERR_USAGE,
			       "udp listen %.255s:%u: the host is not an IP "
			       "address",
			       host, port);
	return true;
}

struct udp *udp_listen(struct loop *loop, struct ports *ports, const char *host,
		       unsigned port, struct err *err)
{
	struct place place = { .host = host, .port = port };

	if (!check_place(host, port, err))
		return NULL;
	place.udp = make(loop, host, port);
	if (open_place(&place, ports))
		return place.udp;
	err_set(err, ERR_IO, "udp listen %s: %s", place.udp->label,
		uv_strerror(uv_translate_sys_error(errno)));
	udp_free(place.udp);
	return NULL;
}

/* ---- sending ---- */

static bool send_bytes(struct udp *udp, const struct sockaddr *addr,
		       const void *data, size_t len, struct err *err)
{
	socklen_t size = addr ? address_len(addr) : 0;
	ssize_t n;

	udp->failed = false;
	n = sendto(udp->fd, data, len, 0, addr, size);
	/* The socket's error is that of an earlier datagram, and this one was
	 * not sent. */
	if (n < 0 && errno != EAGAIN)
		n = sendto(udp->fd, data, len, 0, addr, size);
	if (n >= 0)
		return true;
	if (errno == EAGAIN)
		return err_set(err, ERR_IO, "udp %s: the send buffer is full",
			       udp->label);
	return fail(udp, err, errno);
}

bool udp_send(struct udp *udp, const void *data, size_t len, struct err *err)
{
	return send_bytes(udp, NULL, data, len, err);
}

bool udp_send_to(struct udp *udp, const struct sockaddr *addr, const void *data,
		 size_t len, struct err *err)
{
	struct sockaddr_storage to = { 0 };

	memcpy(&to, addr, address_len(addr));
	if (udp->family == AF_INET6)
		address_map(&to);
	return send_bytes(udp, (struct sockaddr *)&to, data, len, err);
}

/* ---- what it is ---- */

unsigned long udp_dropped(const struct udp *udp)
{
	if (!udp->port.ports)
		return udp->dropped;
	return kernel_drops(udp) - udp->before;
}

const char *udp_name(const struct udp *udp)
{
	return udp->name;
}

const char *udp_peer(const struct udp *udp)
{
	return udp->peer;
}

const char *udp_label(const struct udp *udp)
{
	return udp->label;
}

int udp_descriptor(const struct udp *udp)
{
	return udp->fd;
}

unsigned udp_port(const struct udp *udp)
{
	return udp->number;
}
