/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/icmp_packet.h"

/* An IPv4 header, 20 bytes, to 192.0.2.9. */
#define IP4 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9
/* An IPv6 header, 40 bytes, to 2001:db8::9; NEXT is what follows. */
#define ZERO12 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define IP6(next)                                                              \
	0x60, 0, 0, 0, 0, 0, next, 64, 0xfe, 0x80, 0, 0, ZERO12, 0x20, 0x01,   \
		0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
/* Type TYPE, identifier 0x1234, sequence 0x5678. */
#define MESSAGE(type) type, 0, 0, 0, 0x12, 0x34, 0x56, 0x78
#define COOKIE 1, 2, 3, 4, 5, 6, 7, 8

#define read(family, header, ...)                                              \
	read_bytes(family, header, (const uint8_t[]){ __VA_ARGS__ },           \
		   sizeof(const uint8_t[]){ __VA_ARGS__ })

static struct icmp_packet packet;

/* From memory of just that size, so that a sanitizer sees what is beyond. */
static bool read_bytes(int family, bool header, const uint8_t *bytes,
		       size_t len)
{
	uint8_t *copy = malloc(len);
	bool ok;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	ok = icmp_packet_read(&packet, family, copy, len, header);
	free(copy);
	return ok;
}

static void assert_echo(bool has_cookie)
{
	static const uint8_t cookie[] = { COOKIE };

	assert_int_equal(0x1234, packet.id);
	assert_int_equal(0x5678, packet.sequence);
	assert_int_equal(has_cookie, packet.has_cookie);
	if (has_cookie)
		assert_memory_equal(cookie, &packet.cookie, 8);
}

static void assert_to(const char *text)
{
	char found[ADDRESS_TEXT_MAX];

	address_host_text(&packet.to.any, found);
	assert_string_equal(text, found);
}

static void replies_are_read(void **state)
{
	(void)state;
	assert_true(read(AF_INET, false, MESSAGE(0), COOKIE, 9));
	assert_int_equal(ICMP_REPLY, packet.outcome);
	assert_int_equal(9, packet.size);
	assert_echo(true);
	assert_true(read(AF_INET6, false, MESSAGE(129), COOKIE));
	assert_int_equal(ICMP_REPLY, packet.outcome);
	assert_echo(true);
	assert_true(read(AF_INET6, false, MESSAGE(129), 1, 2, 3));
	assert_int_equal(3, packet.size);
	assert_echo(false);
}

static void errors_tell_what_they_quote(void **state)
{
	(void)state;
	assert_true(read(AF_INET, false, 3, 13, 0, 0, 0, 0, 0, 0, IP4,
			 MESSAGE(8), COOKIE));
	assert_int_equal(ICMP_UNREACHABLE, packet.outcome);
	assert_int_equal(13, packet.code);
	assert_to("192.0.2.9");
	assert_echo(true);
	assert_true(
		read(AF_INET, false, 11, 0, 0, 0, 0, 0, 0, 0, IP4, MESSAGE(8)));
	assert_int_equal(ICMP_TTL_EXCEEDED, packet.outcome);
	assert_echo(false);
	assert_true(read(AF_INET, false, 3, 4, 0, 0, 0, 0, 0x05, 0xdc, IP4,
			 MESSAGE(8)));
	assert_int_equal(ICMP_TOO_BIG, packet.outcome);
	assert_int_equal(1500, packet.mtu);
	assert_true(
		read(AF_INET, false, 12, 0, 0, 0, 0, 0, 0, 0, IP4, MESSAGE(8)));
	assert_int_equal(ICMP_UNREACHABLE, packet.outcome);
	assert_int_equal(ICMP_CODE_MALFORMED, packet.code);
}

static void errors_of_ipv6_tell_what_they_quote(void **state)
{
	(void)state;
	assert_true(read(AF_INET6, false, 1, 4, 0, 0, 0, 0, 0, 0, IP6(58),
			 MESSAGE(128), COOKIE));
	assert_int_equal(ICMP_UNREACHABLE, packet.outcome);
	assert_int_equal(4, packet.code);
	assert_to("2001:db8::9");
	assert_echo(true);
	assert_true(read(AF_INET6, false, 2, 0, 0, 0, 0, 1, 0, 0, IP6(58),
			 MESSAGE(128)));
	assert_int_equal(ICMP_TOO_BIG, packet.outcome);
	assert_int_equal(65536, packet.mtu);
	assert_true(read(AF_INET6, false, 3, 0, 0, 0, 0, 0, 0, 0, IP6(58),
			 MESSAGE(128)));
	assert_int_equal(ICMP_TTL_EXCEEDED, packet.outcome);
	assert_true(read(AF_INET6, false, 4, 1, 0, 0, 0, 0, 0, 0, IP6(58),
			 MESSAGE(128)));
	assert_int_equal(ICMP_CODE_MALFORMED, packet.code);
	/* The first fragment of a large one. */
	assert_true(read(AF_INET6, false, 3, 0, 0, 0, 0, 0, 0, 0, IP6(44), 58,
			 0, 0, 1, 7, 7, 7, 7, MESSAGE(128), COOKIE));
	assert_echo(true);
}

static void an_ip_header_with_options_is_skipped(void **state)
{
	(void)state;
	/* Before the message, and in what is quoted. The sums are right. */
	assert_true(read(AF_INET, true, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0,
			 10, 0, 0, 1, 192, 0, 2, 9, 1, 1, 1, 1, 0, 0, 0x97,
			 0x53, 0x12, 0x34, 0x56, 0x78));
	assert_int_equal(0, packet.size);
	assert_true(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, 0x46, 0, 0, 0,
			 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9, 1,
			 1, 1, 1, MESSAGE(8)));
	assert_echo(false);
}

static void what_is_none_of_that_is_refused(void **state)
{
	(void)state;
	/* Too short, a request, a redirect, a time that is not the TTL. */
	assert_false(read(AF_INET, false, 0, 0, 0, 0, 0x12, 0x34, 0x56));
	assert_false(read(AF_INET, false, MESSAGE(8), COOKIE));
	assert_false(read(AF_INET6, false, MESSAGE(128), COOKIE));
	assert_false(
		read(AF_INET, false, 5, 0, 0, 0, 0, 0, 0, 0, IP4, MESSAGE(8)));
	assert_false(
		read(AF_INET, false, 11, 1, 0, 0, 0, 0, 0, 0, IP4, MESSAGE(8)));
	/* Of the other family. */
	assert_false(read(AF_INET, false, MESSAGE(129), COOKIE));
	assert_false(read(AF_INET6, false, MESSAGE(0), COOKIE));
	/* What is quoted: a reply, UDP, cut, another version, a fragment. */
	assert_false(
		read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, IP4, MESSAGE(0)));
	assert_false(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, IP4, 8, 0, 0,
			  0, 0x12, 0x34, 0x56));
	assert_false(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0));
	assert_false(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 0,
			  0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9,
			  MESSAGE(8)));
	assert_false(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 0,
			  0, 0, 0x20, 1, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9,
			  MESSAGE(8)));
	assert_false(read(AF_INET, false, 3, 1, 0, 0, 0, 0, 0, 0, 0x4f, 0, 0, 0,
			  0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9,
			  MESSAGE(8)));
	assert_false(read(AF_INET6, false, 3, 0, 0, 0, 0, 0, 0, 0, IP6(17),
			  MESSAGE(128)));
	assert_false(read(AF_INET6, false, 3, 0, 0, 0, 0, 0, 0, 0, IP6(44), 58,
			  0, 0, 9, 7, 7, 7, 7, MESSAGE(128)));
	assert_false(
		read(AF_INET6, false, 3, 0, 0, 0, 0, 0, 0, 0, IP6(44), 58, 0));
}

static void a_message_with_another_sum_is_refused(void **state)
{
	uint8_t bytes[20 + 8 + ICMP_SIZE_MIN] = { IP4 };
	size_t len = sizeof bytes;

	(void)state;
	icmp_packet_write(bytes + 20, AF_INET, 0x1234, 0x5678, 9,
			  ICMP_SIZE_MIN);
	/* A reply, whose sum is greater by as much. */
	bytes[20] = 0;
	bytes[22] = (uint8_t)(bytes[22] + 8);
	assert_true(read_bytes(AF_INET, true, bytes, len));
	assert_int_equal(9, packet.cookie);
	for (size_t i = 20; i < len; i++) {
		bytes[i] ^= 1;
		assert_false(read_bytes(AF_INET, true, bytes, len));
		bytes[i] ^= 1;
	}
	assert_false(read_bytes(AF_INET, true, bytes, 19));
	assert_false(read_bytes(AF_INET, true, bytes, 20));
}

static void requests_are_written(void **state)
{
	/* The sum is the same in either byte order of the cookie. */
	static const uint8_t expected[] = { 8,	  0,	0xe4, 0xa8,
					    0x12, 0x34, 0x56, 0x78 };
	uint8_t bytes[8 + ICMP_SIZE_MIN + 1] = { 0 };

	(void)state;
	bytes[8 + ICMP_SIZE_MIN] = 0xbb;
	icmp_packet_write(bytes, AF_INET, 0x1234, 0x5678, 0x1111222233334444,
			  ICMP_SIZE_MIN);
	assert_memory_equal(expected, bytes, 8);
	assert_int_equal(0xbb, bytes[8 + ICMP_SIZE_MIN]);
	icmp_packet_write(bytes, AF_INET6, 0x1234, 0x5678, 3, ICMP_SIZE_MIN);
	assert_int_equal(128, bytes[0]);
	assert_int_equal(0, bytes[2] | bytes[3]);
	assert_memory_equal(expected + 4, bytes + 4, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read),
		cmocka_unit_test(errors_tell_what_they_quote),
		cmocka_unit_test(errors_of_ipv6_tell_what_they_quote),
		cmocka_unit_test(an_ip_header_with_options_is_skipped),
		cmocka_unit_test(what_is_none_of_that_is_refused),
		cmocka_unit_test(a_message_with_another_sum_is_refused),
		cmocka_unit_test(requests_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
