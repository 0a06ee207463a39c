/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP sockets on a loop: connected ones that hear only their peer, and bound
 * ones that answer whoever sends. Names are not looked up here. One thread: the
 * loop's.
 *
 * Datagrams that arrive while nobody waits are kept in a bounded queue (the
 * newest is dropped and counted when it is full; of a socket that is shared,
 * net/ports.h, most stay in the kernel, which drops and counts). A connected
 * socket is bound to one peer by the kernel, so foreign datagrams never reach
 * it; an answer that comes late is either dropped by udp_drain() before the
 * next request or belongs to a socket that no longer exists.
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/err.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/ports.h"
#include "net/udp_queue.h"

struct udp;

enum {
	UDP_QUEUE_DATAGRAMS = 256,
	UDP_QUEUE_BYTES = 1 << 20,
	UDP_DATAGRAM_MAX = 65535,
};

/* Called once, in the loop's thread, never from inside the call that asked: ERR
 * is NULL, or the error (refused). It may udp_free the socket. */
typedef void (*udp_done)(void *arg, const struct err *err);

/*
 * Connects a socket to the first of the N addresses (at least one; their ports
 * are not looked at) that this host has a way to, at once: nothing is sent.
 * HOST is how the peer is named in sentences.
 */
struct udp *udp_connect(struct loop *loop, const char *host,
			const union address *addresses, size_t n, unsigned port,
			struct err *err);

/*
 * Binds to HOST (a number; "": all addresses of both families) and PORT (0:
 * any), at once. With PORTS, which must outlive the socket, it is shared with
 * other versions of the exporter that listen there by the same text, and it
 * does not receive while the ports are held; a socket at any port is nobody
 * else's and always does. NULL: none of this.
 */
struct udp *udp_listen(struct loop *loop, struct ports *ports, const char *host,
		       unsigned port, struct err *err);

/* Sends one datagram to the peer of a connected socket. Does not wait. That an
 * earlier one was refused is forgotten, it says nothing about this one. */
bool udp_send(struct udp *udp, const void *data, size_t len, struct err *err);

/* Sends one datagram to ADDR (of either family) from a bound socket. */
bool udp_send_to(struct udp *udp, const struct sockaddr *addr, const void *data,
		 size_t len, struct err *err);

/* Reads what has arrived without waiting for the loop to do it, for whoever is
 * about to say that nothing came. Nothing, while the socket is held. */
void udp_collect(struct udp *udp);

/* Has udp_take() something? */
bool udp_pending(const struct udp *udp);

/* Takes the oldest datagram of the queue; false when there is none. */
bool udp_take(struct udp *udp, struct udp_datagram *datagram);

/*
 * Asks to be told when udp_take() has something, or the socket has an error
 * (ICMP port unreachable arrives as "connection refused"). One waiter at a
 * time; udp_forget() takes the request back.
 */
void udp_wait(struct udp *udp, udp_done done, void *arg);
void udp_forget(struct udp *udp);

/* Drops everything that has arrived until now, also from the kernel unless the
 * socket is held, and forgets that something was refused. Returns the number of
 * datagrams. */
size_t udp_drain(struct udp *udp);

/* Datagrams dropped because the queue was full. Of a socket with ports: since
 * it was opened, whoever of those that share it should have received them. */
unsigned long udp_dropped(const struct udp *udp);

/* "192.0.2.1:5000", "[2001:db8::1]:5000"; the socket's own and its peer's (""
 * as long as there is none). */
const char *udp_name(const struct udp *udp);
const char *udp_peer(const struct udp *udp);

/* "meter.lan:5000", as it was given: what error sentences begin with. */
const char *udp_label(const struct udp *udp);

unsigned udp_port(const struct udp *udp);
int udp_descriptor(const struct udp *udp);

/* Closes the socket. NULL is allowed. */
void udp_free(struct udp *udp);

#endif
