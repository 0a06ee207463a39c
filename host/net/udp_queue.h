/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that were read and not received yet, in the order of arrival. The
 * ceiling is the caller's. One thread at a time.
 */
#ifndef NET_UDP_QUEUE_H
#define NET_UDP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct udp_datagram {
	char *data; /* the receiver's, free() it */
	size_t len;
	struct sockaddr_storage from;
	double time; /* loop_now() at arrival */
};

struct udp_entry;

/* Not to be copied. */
struct udp_queue {
	STAILQ_HEAD(udp_entries, udp_entry) entries; /* private, all of them */
	size_t count;
	size_t bytes;
};

void udp_queue_init(struct udp_queue *queue);

/* Frees all; it stays usable. Returns how many there were. */
size_t udp_queue_clear(struct udp_queue *queue);

/* Takes DATAGRAM over. */
void udp_queue_add(struct udp_queue *queue,
		   const struct udp_datagram *datagram);

/* The oldest; false when there is none. */
bool udp_queue_take(struct udp_queue *queue, struct udp_datagram *datagram);

/* All of FROM behind those of TO. Allocates nothing. */
void udp_queue_move(struct udp_queue *to, struct udp_queue *from);

#endif
