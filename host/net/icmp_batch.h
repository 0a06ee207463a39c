/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a socket, many at a time, with their sender and what is beside
 * them. One thread.
 */
#ifndef NET_ICMP_BATCH_H
#define NET_ICMP_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/address.h"

enum { ICMP_BATCH_MAX = 64, ICMP_BATCH_CONTROL = 256 };

/* Of zeroes: has to be sized. */
struct icmp_batch {
	unsigned n;    /* messages that it has room for */
	size_t stride; /* bytes for each */
	uint8_t *bytes;
	struct mmsghdr messages[ICMP_BATCH_MAX];
	struct iovec parts[ICMP_BATCH_MAX];
	union address names[ICMP_BATCH_MAX];
	_Alignas(struct cmsghdr) char control[ICMP_BATCH_MAX]
					     [ICMP_BATCH_CONTROL];
};

/* Room for messages of SIZE bytes, if it has less. What it holds is lost. */
void icmp_batch_size(struct icmp_batch *batch, size_t size);

/* Reads into `messages`, without waiting. Returns how many, or -1 and errno. */
int icmp_batch_read(struct icmp_batch *batch, int fd, int flags);

void icmp_batch_release(struct icmp_batch *batch);

#endif
