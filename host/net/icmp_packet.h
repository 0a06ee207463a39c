/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo requests and what comes back, as bytes (RFC 792, RFC 4443, RFC 4884).
 * Nothing here waits or keeps anything. Any thread.
 */
#ifndef NET_ICMP_PACKET_H
#define NET_ICMP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "net/icmp.h"

enum {
	ICMP_PACKET_HEADER = 8, /* before the payload, of both families */
	ICMP_PACKET_COOKIE = 8, /* the first bytes of the payload */
};

/* An answer to an echo, or an error that quotes one. */
struct icmp_packet {
	enum icmp_outcome outcome; /* ICMP_REPLY, or what the error means */
	uint8_t code;
	unsigned mtu;
	uint16_t id, sequence;
	bool has_cookie; /* routers may quote too little */
	uint64_t cookie;
	unsigned size;	  /* of a reply: bytes of payload */
	union address to; /* of an error: where the echo was sent */
};

/*
 * Makes OUT an echo request with SIZE bytes of payload, at least
 * ICMP_SIZE_MIN; those behind the cookie stay as they are. The checksum is that
 * of IPv4: for IPv6 the kernel makes it.
 */
void icmp_packet_write(uint8_t *out, int family, uint16_t id, uint16_t sequence,
		       uint64_t cookie, size_t size);

/*
 * Reads a whole message of FAMILY, with the IPv4 header before it where there
 * is one (HAS_HEADER), and then with its checksum: raw sockets get messages
 * before the kernel has looked. False: it is damaged, or neither a reply nor an
 * error that quotes an echo.
 */
bool icmp_packet_read(struct icmp_packet *packet, int family,
		      const uint8_t *data, size_t len, bool has_header);

/* What an error of TYPE and CODE means for an echo; MTU is its field of that
 * name. False: nothing. */
bool icmp_packet_error(struct icmp_packet *packet, int family, unsigned type,
		       unsigned code, unsigned mtu);

/* Reads the echo request that an error quotes, from its ICMP header on. */
bool icmp_packet_quote(struct icmp_packet *packet, int family,
		       const uint8_t *data, size_t len);

#endif
