/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bound sockets of one version of an exporter, and how they pass to the
 * next version while both exist: the two share one socket of the kernel, each
 * by a descriptor of its own (dup). What waits in the socket belongs to whoever
 * reads next, and is lost only when nobody has a descriptor any more. Two
 * sockets that share a port (SO_REUSEPORT) would each have a queue: datagrams
 * would be dealt out between the versions, also to one that is only on trial,
 * and what is in a queue is lost with its socket.
 *
 * Exactly one version reads: one on trial is `held` until ports_let_go(), and
 * the one before is told to stop by ports_hold(). Sockets that are held exist
 * and can send. Receiving waits, and its timeouts pass, as if nobody sent.
 *
 * A struct ports belongs to the thread of its exporter; it is made before the
 * Lua state and freed after it. What versions know of each other is a table of
 * the process under a mutex, which is held for a few system calls that do not
 * wait. No Lua runs under it, and nothing of another version's thread is
 * needed: it may hang for ever.
 */
#ifndef NET_PORTS_H
#define NET_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "net/loop.h"
#include "net/udp_queue.h"

struct ports;

/* One bound socket. Its owner embeds it; zeroes are a socket of no version. */
struct port {
	/* The owner's, set before it is opened: what was read from it, and what
	 * is called when that changed and reading must begin or stop. */
	struct udp_queue *queue;
	void (*turn)(struct port *port, bool reading);
	struct ports *ports; /* private, as is the rest */
	const char *address;
	int fd;
	bool busy;
	bool listed; /* in the table */
	LIST_ENTRY(port) own;
	LIST_ENTRY(port) all;
};

/*
 * LINEAGE, which is copied, is what the versions of one exporter have in common
 * and no other exporter has: its name. HELD: nothing is read at first.
 */
struct ports *ports_new(struct loop *loop, const char *lineage, bool held);

/* All sockets must be closed. NULL is allowed. */
void ports_free(struct ports *ports);

/* Begins to read, first what another version had read and gave up, or reads
 * again after ports_hold(), whose `quiet` is forgotten if it was not called
 * yet. */
void ports_let_go(struct ports *ports);

/*
 * Stops reading for good, or until ports_let_go(). What was read and not
 * received yet is left to the version that is let go next; where no other one
 * has the socket it is still received. QUIET(ARG) is called once, from the loop
 * and never from inside this call, as soon as no socket is busy. A socket is
 * busy from the arrival of a datagram in its queue until the script, having
 * received that and all others, waits for the next or closes the socket. So
 * coming back is what says that a datagram was handled, whichever task comes
 * back; a socket that nobody receives from is not busy, and one whose handler
 * never comes back always is: the caller has a limit of its own. Nothing is
 * taken after QUIET. It may free the ports, if their sockets are gone. NULL:
 * nobody wants to know.
 *
 * Datagrams that nobody can receive any more, because the socket is closed in
 * every version, are counted in the log.
 */
void ports_hold(struct ports *ports, void (*quiet)(void *arg), void *arg);

/*
 * Takes the sockets away from a version whose thread hangs. Any thread, as long
 * as the ports exist. Its descriptors then lead nowhere: should the thread come
 * back it receives nothing and can open nothing here, and the addresses become
 * free when no other version has them. What the thread had read is lost with
 * it. False when there was no descriptor to be had for it; nothing has changed
 * then.
 */
bool ports_abandon(struct ports *ports);

/* ---- for whoever has sockets: net/udp.c -----------------------------------
 */

/* May it read? Always without PORTS. */
bool ports_reading(const struct ports *ports);

/*
 * A descriptor bound to ADDRESS, which is a text to compare and must outlive
 * the port: a copy of the one that another version of the lineage has, or what
 * BIND(ARG) returns, which must not wait. -1 and errno on failure. Without
 * PORTS it is what BIND returns, and PORT stays one of no version.
 */
int ports_open(struct ports *ports, struct port *port, const char *address,
	       int (*bind)(void *arg), void *arg);

/*
 * Closes FD, which PORT has or, when opening it failed, does not. FD must not
 * be in a poll set any more: epoll would go on to report what arrives at the
 * other version's copy.
 */
void ports_close(struct port *port, int fd);

/* See ports_hold(). */
void ports_set_busy(struct port *port, bool busy);

/* N datagrams of a port that is held will not be received any more. */
void ports_lost(const struct port *port, size_t n);

#endif
