/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for what arrives at a socket for echoes: the first byte says
 * of which family it is and whether an IP header is before it. What is read
 * must be a reply or an error that is about an echo, and a request that was
 * written must be read as what it is.
 */
#include <stdlib.h>
#include <string.h>

#include "net/icmp_packet.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct icmp_packet *packet, int family, size_t size)
{
	switch (packet->outcome) {
	case ICMP_REPLY:
		require(packet->size + ICMP_PACKET_HEADER <= size);
		require(packet->has_cookie ==
			(packet->size >= ICMP_PACKET_COOKIE));
		return;
	case ICMP_TOO_BIG:
	case ICMP_UNREACHABLE:
	case ICMP_TTL_EXCEEDED:
		require(packet->to.any.sa_family == family);
		return;
	default: abort();
	}
}

/* The input as an identifier, a number, a cookie, and as what is quoted. */
static void write_and_read(const unsigned char *data, size_t size, int family)
{
	uint8_t bytes[ICMP_PACKET_HEADER + ICMP_SIZE_MIN] = { 0 };
	uint8_t numbers[12] = { 0 };
	struct icmp_packet packet = { 0 };
	uint16_t id, sequence;
	uint64_t cookie;

	memcpy(numbers, data, size < sizeof numbers ? size : sizeof numbers);
	memcpy(&id, numbers, 2);
	memcpy(&sequence, numbers + 2, 2);
	memcpy(&cookie, numbers + 4, 8);
	icmp_packet_write(bytes, family, id, sequence, cookie, ICMP_SIZE_MIN);
	require(icmp_packet_quote(&packet, family, bytes, sizeof bytes));
	require(packet.id == id && packet.sequence == sequence);
	require(packet.has_cookie && packet.cookie == cookie);
	require(!icmp_packet_read(&packet, family, bytes, sizeof bytes, false));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct icmp_packet packet;
	int family;
	bool has_header;

	if (size == 0)
		return 0;
	family = data[0] & 1 ? AF_INET6 : AF_INET;
	has_header = family == AF_INET && (data[0] & 2);
	data++;
	size--;
	if (icmp_packet_read(&packet, family, data, size, has_header))
		check(&packet, family, size);
	if (icmp_packet_quote(&packet, family, data, size))
		require(size >= ICMP_PACKET_HEADER);
	write_and_read(data, size, family);
	return 0;
}
