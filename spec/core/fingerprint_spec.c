/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LONG = 100003 };

static unsigned char bytes[LONG];

static void assert_print(struct fingerprint print, const char *expected)
{
	char text[33];

	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x",
			 (unsigned)((i < 8 ? print.low : print.high) >>
				    (8 * (i % 8))) &
				 0xff);
	assert_string_equal(expected, text);
}

/* From `openssl mac -macopt size:16 SIPHASH`; the first ones are the published
 * vectors, too. */
static void is_siphash(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 63; i++)
		bytes[i] = (unsigned char)i;
	assert_print(fingerprint_of(NULL, 0),
		     "a3817f04ba25a8e66df67214c7550293");
	assert_print(fingerprint_of(bytes, 1),
		     "da87c1d86b99af44347659119b22fc45");
	assert_print(fingerprint_of(bytes, 15),
		     "5493e99933b0a8117e08ec0f97cfc3d9");
	assert_print(fingerprint_of(bytes, 16),
		     "6ee2a4ca67b054bbfd3315bf85230577");
	assert_print(fingerprint_of(bytes, 63),
		     "5150d1772f50834a503e069a973fbd7c");
	for (unsigned i = 0; i < LONG; i++)
		bytes[i] = (unsigned char)(i * 7 % 251);
	assert_print(fingerprint_of(bytes, LONG),
		     "a69666914d21e90e323c8ba1aefc8d01");
}

static void does_not_depend_on_the_pieces(void **state)
{
	struct fingerprint whole = fingerprint_of(bytes, 100);

	(void)state;
	for (size_t a = 0; a <= 100; a++)
		for (size_t b = a; b <= 100; b++) {
			struct fingerprinter making;

			fingerprint_init(&making);
			fingerprint_add(&making, bytes, a);
			fingerprint_add(&making, bytes + a, b - a);
			fingerprint_add(&making, bytes + b, 100 - b);
			assert_true(fingerprint_equal(
				whole, fingerprint_end(&making)));
		}
}

static void knows_zeroes_by_their_number(void **state)
{
	static const char zeroes[600];

	(void)state;
	for (size_t n = 1; n <= sizeof zeroes; n++)
		assert_false(fingerprint_equal(fingerprint_of(zeroes, n),
					       fingerprint_of(zeroes, n - 1)));
}

int main(void)
{
	const struct CMUnitTest specs[] = {
		cmocka_unit_test(is_siphash),
		cmocka_unit_test(does_not_depend_on_the_pieces),
		cmocka_unit_test(knows_zeroes_by_their_number),
	};

	return cmocka_run_group_tests(specs, NULL, NULL);
}
