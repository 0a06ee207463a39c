/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A socket for ICMP echoes of one family, watched by a loop: a datagram socket
 * if the system allows it, else a raw one that lets only pass what is for us.
 * What arrives looks the same from both. It knows no echoes: net/icmp.c does.
 * One thread: the loop's.
 */
#ifndef NET_ICMP_SOCKET_H
#define NET_ICMP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "net/address.h"
#include "net/icmp.h"
#include "net/icmp_packet.h"
#include "net/loop.h"

struct icmp_socket;

struct icmp_arrival {
	struct icmp_packet packet;
	union address from;
	uint8_t ttl;
	double time;   /* by the kernel, on the clock of loop_now() */
	double latest; /* it was there at this time */
};

/* Who uses the socket. */
struct icmp_socket_user {
	void *arg;
	/* Called by icmp_socket_read(). NULL: a message that is nobody's;
	 * others have our identifier. */
	void (*arrived)(void *arg, const struct icmp_arrival *arrival);
	/* Called by the loop when there is something to read, or WRITABLE when
	 * icmp_socket_send() may do now what it could not. It may free the
	 * socket. */
	void (*turned)(void *arg, bool writable);
};

/* NULL and ERR, one sentence, when no kind of socket is to be had. */
struct icmp_socket *icmp_socket_new(struct loop *loop, int family,
				    const struct icmp_socket_user *user,
				    struct err *err);

/* Closes it at once. NULL is allowed. */
void icmp_socket_free(struct icmp_socket *socket);

/*
 * Sends an echo request to TO. SENT becomes the time of departure. Returns 0,
 * or the errno of the kernel: EAGAIN when it has to wait until other packets
 * have left. What has arrived may be read first.
 */
int icmp_socket_send(struct icmp_socket *socket, const struct icmp_shape *shape,
		     const union address *to, uint16_t sequence,
		     uint64_t cookie, double *sent);

/* Reads all that has arrived. */
void icmp_socket_read(struct icmp_socket *socket);

/* Bytes that the kernel keeps until they are read. */
unsigned icmp_socket_room(const struct icmp_socket *socket);

/* What a path takes, as far as the kernel knows; 0: nothing is known. */
unsigned icmp_socket_mtu(const union address *to);

/* Is it an address of this host? */
bool icmp_socket_is_own(const union address *address);

#endif
