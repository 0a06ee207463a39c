/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp_packet.h"

#include <string.h>

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	IP6_FRAGMENT = 8,
	PROTOCOL_ICMP = 1,
	PROTOCOL_ICMP6 = 58,
	PROTOCOL_FRAGMENT = 44,
};

enum {
	ECHO4_REPLY = 0,
	UNREACHABLE4 = 3,
	ECHO4_REQUEST = 8,
	TIME_EXCEEDED4 = 11,
	PARAMETER4 = 12,
	FRAGMENTATION_NEEDED = 4, /* a code of UNREACHABLE4 */
	IN_TRANSIT = 0,		  /* a code of both TIME_EXCEEDED */
};

enum {
	UNREACHABLE6 = 1,
	TOO_BIG6 = 2,
	TIME_EXCEEDED6 = 3,
	PARAMETER6 = 4,
	ECHO6_REQUEST = 128,
	ECHO6_REPLY = 129,
};

static uint16_t read16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)read16(p) << 16 | read16(p + 2);
}

static void write16(uint8_t *p, uint16_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

/* RFC 1071, in the byte order of the machine: the sum is stored as it is. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; len >= sizeof word; len -= sizeof word, p += sizeof word) {
		memcpy(&word, p, sizeof word);
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	sum += word;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void icmp_packet_write(uint8_t *out, int family, uint16_t id, uint16_t sequence,
		       uint64_t cookie, size_t size)
{
	uint16_t sum;

	out[0] = family == AF_INET ? ECHO4_REQUEST : ECHO6_REQUEST;
	out[1] = 0;
	write16(out + 2, 0);
	write16(out + 4, id);
	write16(out + 6, sequence);
	memcpy(out + ICMP_PACKET_HEADER, &cookie, sizeof cookie);
	if (family == AF_INET) {
		sum = checksum(out, ICMP_PACKET_HEADER + size);
		memcpy(out + 2, &sum, sizeof sum);
	}
}

static void read_echo(struct icmp_packet *packet, const uint8_t *data,
		      size_t len)
{
	packet->id = read16(data + 4);
	packet->sequence = read16(data + 6);
	packet->has_cookie = len >= ICMP_PACKET_HEADER + ICMP_PACKET_COOKIE;
	if (packet->has_cookie)
		memcpy(&packet->cookie, data + ICMP_PACKET_HEADER,
		       sizeof packet->cookie);
}

bool icmp_packet_quote(struct icmp_packet *packet, int family,
		       const uint8_t *data, size_t len)
{
	unsigned request = family == AF_INET ? ECHO4_REQUEST : ECHO6_REQUEST;

	if (len < ICMP_PACKET_HEADER || data[0] != request)
		return false;
	read_echo(packet, data, len);
	return true;
}

/* The datagram that an error quotes, from its IP header on. */
static bool read_quoted4(struct icmp_packet *packet, const uint8_t *data,
			 size_t len)
{
	size_t header;

	if (len < IP4_HEADER || data[0] >> 4 != 4)
		return false;
	header = (data[0] & 15u) * 4;
	/* A later fragment does not begin with the ICMP header. */
	if (header < IP4_HEADER || header > len || data[9] != PROTOCOL_ICMP ||
	    (read16(data + 6) & 0x1fff))
		return false;
	packet->to.v4.sin_family = AF_INET;
	memcpy(&packet->to.v4.sin_addr, data + 16, 4);
	return icmp_packet_quote(packet, AF_INET, data + header, len - header);
}

static bool read_quoted6(struct icmp_packet *packet, const uint8_t *data,
			 size_t len)
{
	size_t header = IP6_HEADER;
	unsigned next;

	if (len < IP6_HEADER || data[0] >> 4 != 6)
		return false;
	next = data[6];
	if (next == PROTOCOL_FRAGMENT) {
		header += IP6_FRAGMENT;
		if (len < header || (read16(data + IP6_HEADER + 2) & 0xfff8))
			return false;
		next = data[IP6_HEADER];
	}
	if (next != PROTOCOL_ICMP6)
		return false;
	packet->to.v6.sin6_family = AF_INET6;
	memcpy(&packet->to.v6.sin6_addr, data + 24, 16);
	return icmp_packet_quote(packet, AF_INET6, data + header, len - header);
}

static bool error4(struct icmp_packet *packet, unsigned type, unsigned mtu)
{
	switch (type) {
	case UNREACHABLE4:
		packet->outcome = ICMP_UNREACHABLE;
		if (packet->code == FRAGMENTATION_NEEDED) {
			packet->outcome = ICMP_TOO_BIG;
			packet->mtu = mtu;
		}
		return true;
	case TIME_EXCEEDED4:
		packet->outcome = ICMP_TTL_EXCEEDED;
		return packet->code == IN_TRANSIT;
	case PARAMETER4:
		packet->outcome = ICMP_UNREACHABLE;
		packet->code = ICMP_CODE_MALFORMED;
		return true;
	default: return false;
	}
}

static bool error6(struct icmp_packet *packet, unsigned type, unsigned mtu)
{
	switch (type) {
	case UNREACHABLE6: packet->outcome = ICMP_UNREACHABLE; return true;
	case TOO_BIG6:
		packet->outcome = ICMP_TOO_BIG;
		packet->mtu = mtu;
		return true;
	case TIME_EXCEEDED6:
		packet->outcome = ICMP_TTL_EXCEEDED;
		return packet->code == IN_TRANSIT;
	case PARAMETER6:
		packet->outcome = ICMP_UNREACHABLE;
		packet->code = ICMP_CODE_MALFORMED;
		return true;
	default: return false;
	}
}

bool icmp_packet_error(struct icmp_packet *packet, int family, unsigned type,
		       unsigned code, unsigned mtu)
{
	packet->code = (uint8_t)code;
	return family == AF_INET ? error4(packet, type, mtu)
				 : error6(packet, type, mtu);
}

static bool read_reply(struct icmp_packet *packet, const uint8_t *data,
		       size_t len)
{
	packet->outcome = ICMP_REPLY;
	packet->size = (unsigned)(len - ICMP_PACKET_HEADER);
	read_echo(packet, data, len);
	return true;
}

/* The IPv4 header goes; false when it is not followed by an intact message. */
static bool skip_header(const uint8_t **data, size_t *len)
{
	size_t header;

	if (*len < IP4_HEADER || **data >> 4 != 4)
		return false;
	header = (**data & 15u) * 4;
	if (header < IP4_HEADER || header > *len || (*data)[9] != PROTOCOL_ICMP)
		return false;
	*data += header;
	*len -= header;
	return checksum(*data, *len) == 0;
}

bool icmp_packet_read(struct icmp_packet *packet, int family,
		      const uint8_t *data, size_t len, bool has_header)
{
	bool four = family == AF_INET;
	unsigned mtu;

	*packet = (struct icmp_packet){ 0 };
	if (has_header && !skip_header(&data, &len))
		return false;
	if (len < ICMP_PACKET_HEADER)
		return false;
	if (data[0] == (four ? ECHO4_REPLY : ECHO6_REPLY))
		return read_reply(packet, data, len);
	/* IPv4 has 16 bits for it, behind 16 that are unused. */
	mtu = four ? read16(data + 6) : read32(data + 4);
	if (!icmp_packet_error(packet, family, data[0], data[1], mtu))
		return false;
	data += ICMP_PACKET_HEADER;
	len -= ICMP_PACKET_HEADER;
	return four ? read_quoted4(packet, data, len)
		    : read_quoted6(packet, data, len);
}
