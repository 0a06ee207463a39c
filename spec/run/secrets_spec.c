/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "run/secrets.h"

static void check(const struct secrets *secrets, const char *text,
		  const char *expected)
{
	char *masked = secrets_mask(secrets, text);

	assert_string_equal(expected, masked);
	free(masked);
}

static void every_secret_is_masked_wherever_it_stands(void **state)
{
	struct secrets secrets = { 0 };

	(void)state;
	check(&secrets, "nothing is secret", "nothing is secret");
	secrets_add(&secrets, "hunter2");
	secrets_add(&secrets, "hunter22");
	secrets_add(&secrets, "abc"); /* too short to be told from words */
	secrets_add(&secrets, "");
	check(&secrets, "", "");
	check(&secrets, "hunter2", "***");
	check(&secrets, "hunter22x", "***x");
	check(&secrets, "a hunter2hunter22 abc hunter", "a ****** abc hunter");
	secrets_release(&secrets);
	check(&secrets, "hunter2", "hunter2");
}

static void a_secret_is_masked_in_a_url_too(void **state)
{
	struct secrets secrets = { 0 };

	(void)state;
	secrets_add(&secrets, "a+b/\xc3\xa9=");
	check(&secrets, "GET /a%2Bb%2F%C3%A9%3D/x a+b/\xc3\xa9= a+b",
	      "GET /***/x *** a+b");
	secrets_release(&secrets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_secret_is_masked_wherever_it_stands),
		cmocka_unit_test(a_secret_is_masked_in_a_url_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
