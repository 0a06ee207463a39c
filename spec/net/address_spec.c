/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/address.h"

/* Is TEXT the same to us as to the C library? */
static void check(const char *text)
{
	union address address;
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		assert_true(address_number(&address, text));
		assert_int_equal(AF_INET, address.any.sa_family);
		assert_int_equal(0, address.v4.sin_port);
		assert_int_equal(v4.s_addr, address.v4.sin_addr.s_addr);
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		assert_true(address_number(&address, text));
		assert_int_equal(AF_INET6, address.any.sa_family);
		assert_memory_equal(&v6, &address.v6.sin6_addr, sizeof v6);
	} else if (address_number(&address, text)) {
		fail_msg("'%s' is no address", text);
	}
}

static void a_number_is_what_the_c_library_takes_for_one(void **state)
{
	static const char *const texts[] = {
		"127.0.0.1",  "0.0.0.0",   "255.255.255.255",
		"256.0.0.1",  "1.2.3",	   "1.2.3.4.",
		"1.2.3.4.5",  ".1.2.3.4",  "1..2.3",
		"01.2.3.4",   "1.2.3.04",  "1.2.3.00",
		"1.2.3.4 ",   " 1.2.3.4",  "1.2.3.-4",
		"1.2.3.1000", "1.2.3.0x4", "",
		".",	      "localhost", "::1",
		"::",	      "fe80::1",   "::ffff:1.2.3.4",
		"1::2::3",    "12345::",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check(texts[i]);
}

static uint32_t random_number(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void so_is_what_a_random_change_makes_of_one(void **state)
{
	static const char bytes[] = "0123456789. :ax";
	uint32_t seed = 1;
	char text[32];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		snprintf(text, sizeof text, "%u.%u.%u.%u",
			 random_number(&seed) % 300, random_number(&seed) % 12,
			 random_number(&seed) % 300, random_number(&seed) % 12);
		check(text);
		text[random_number(&seed) % strlen(text)] =
			bytes[random_number(&seed) % (sizeof bytes - 1)];
		check(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_what_the_c_library_takes_for_one),
		cmocka_unit_test(so_is_what_a_random_change_makes_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
