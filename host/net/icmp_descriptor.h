/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor for ICMP echoes of one family, of the kind that the system
 * allows: a datagram socket, to groups of processes (net.ipv4.ping_group_range,
 * also for IPv6), or a raw one, with CAP_NET_RAW. Any thread.
 */
#ifndef NET_ICMP_DESCRIPTOR_H
#define NET_ICMP_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "net/address.h"

struct icmp_descriptor {
	int fd; /* the caller's to close */
	bool raw;
	uint16_t id; /* the identifier of its echoes */
};

/*
 * It does not block, has the kernel's time and the TTL beside each message, and
 * as large a buffer as is allowed. A datagram socket has a queue of errors; a
 * raw one gets only answers to its identifier. SOURCE, if not NULL, is what the
 * socket is bound to. Returns 0 or an errno.
 */
int icmp_descriptor_open(struct icmp_descriptor *opened, int family,
			 const union address *source);

/* What that errno means, and what helps where it is a lack of rights. */
void icmp_descriptor_explain(int error, struct err *err);

#endif
