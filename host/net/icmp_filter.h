/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a raw ICMP socket lets pass: replies to echoes with our identifier, and
 * errors that quote such. The kernel gives every raw socket a copy of all that
 * arrives, and the pings of others are not worth waking up for.
 */
#ifndef NET_ICMP_FILTER_H
#define NET_ICMP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/* False and errno when the kernel does not take it. */
bool icmp_filter_attach(int fd, int family, uint16_t id);

#endif
