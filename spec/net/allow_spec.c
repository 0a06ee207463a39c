/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/address.h"
#include "net/allow.h"

static struct allow *list(const char *a, const char *b, const char *c)
{
	const char *texts[] = { a, b, c, NULL };
	struct allow *allow;
	struct err err;

	allow = allow_new(texts, &err);
	if (!allow)
		fail_msg("%s", err.text);
	return allow;
}

/* What is said of HOST, which is at ADDRESS, and PORT; "": it is allowed. */
static const char *ask(const struct allow *allow, const char *host,
		       const char *address, unsigned port)
{
	static struct err err;
	union address number;

	assert_true(address_number(&number, address));
	err = (struct err){ ERR_NONE, "" };
	if (allow_check(allow, host, &number.any, port, &err))
		return "";
	assert_int_equal(ERR_DENIED, err.code);
	return err.text;
}

static void may(const struct allow *allow, const char *host,
		const char *address, unsigned port)
{
	assert_string_equal("", ask(allow, host, address, port));
}

static void may_not(const struct allow *allow, const char *host,
		    const char *address, unsigned port)
{
	assert_string_not_equal("", ask(allow, host, address, port));
}

static void what_is_not_listed_is_refused_in_one_sentence(void **state)
{
	struct allow *allow = allow_new(NULL, NULL);

	(void)state;
	assert_string_equal("10.0.0.9:80: not allowed in the sandbox (allow = "
			    "{...})",
			    ask(allow, NULL, "10.0.0.9", 80));
	assert_string_equal("[2001:db8::1]:80: not allowed in the sandbox "
			    "(allow = {...})",
			    ask(allow, NULL, "2001:db8::1", 80));
	assert_string_equal("a.example.com:80: not allowed in the sandbox "
			    "(allow = {...})",
			    ask(allow, "a.example.com", "10.0.0.9", 80));
	assert_string_equal("10.0.0.9: not allowed in the sandbox (allow = "
			    "{...})",
			    ask(allow, "10.0.0.9", "10.0.0.9", 0));
	allow_free(allow);
}

static void without_a_sandbox_all_is_allowed(void **state)
{
	(void)state;
	may(NULL, NULL, "127.0.0.1", 22);
	assert_true(allow_name(NULL, "whoever", NULL));
	assert_true(allow_host(NULL, "whoever", 80, NULL));
	assert_true(allow_listen(NULL, 53, NULL));
}

static void ranges_are_exact_at_both_ends(void **state)
{
	struct allow *allow =
		list("10.2.0.0/15", "192.0.2.1", "2001:db8:8000::/33");

	(void)state;
	may_not(allow, NULL, "10.1.255.255", 1);
	may(allow, NULL, "10.2.0.0", 1);
	may(allow, NULL, "10.3.255.255", 65535);
	may_not(allow, NULL, "10.4.0.0", 1);
	may_not(allow, NULL, "192.0.2.0", 1);
	may(allow, NULL, "192.0.2.1", 0);
	may_not(allow, NULL, "192.0.2.2", 1);
	may_not(allow, NULL, "2001:db8:7fff:ffff::1", 1);
	may(allow, NULL, "2001:db8:8000::", 1);
	may(allow, NULL, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1);
	may_not(allow, NULL, "2001:db9::", 1);
	allow_free(allow);
}

static void the_families_are_apart(void **state)
{
	struct allow *four = list("0.0.0.0/0", NULL, NULL);
	struct allow *six = list("::/0", NULL, NULL);

	(void)state;
	may(four, NULL, "192.0.2.1", 1);
	may(four, NULL, "::ffff:192.0.2.1", 1); /* the same host */
	may_not(four, NULL, "2001:db8::1", 1);
	may_not(six, NULL, "192.0.2.1", 1);
	may_not(six, NULL, "::ffff:192.0.2.1", 1);
	may(six, NULL, "2001:db8::1", 1);
	allow_free(four);
	allow_free(six);
}

static void a_port_is_that_port_alone(void **state)
{
	struct allow *allow =
		list("10.0.0.1:161", "[2001:db8::/32]:443", "a.example.com:80");

	(void)state;
	may(allow, NULL, "10.0.0.1", 161);
	may_not(allow, NULL, "10.0.0.1", 162);
	may_not(allow, NULL, "10.0.0.1", 0); /* an echo */
	may(allow, NULL, "2001:db8::7", 443);
	may_not(allow, NULL, "2001:db8::7", 80);
	may(allow, "a.example.com", "192.0.2.1", 80);
	may_not(allow, "a.example.com", "192.0.2.1", 443);
	may_not(allow, "a.example.com", "192.0.2.1", 0);
	allow_free(allow);
}

static void a_number_needs_an_address_and_a_name_a_name(void **state)
{
	struct allow *allow = list("a.example.com", "10.0.0.0/8", NULL);

	(void)state;
	may(allow, "a.example.com", "192.0.2.1", 80);
	may(allow, "A.Example.COM.", "192.0.2.1", 80);
	may_not(allow, "192.0.2.1", "192.0.2.1", 80);
	may_not(allow, "b.example.com", "10.0.0.1", 80);
	may(allow, "10.0.0.1", "10.0.0.1", 80);
	may_not(allow, "xa.example.com", "192.0.2.1", 80);
	may_not(allow, "a.example.com.evil.org", "192.0.2.1", 80);
	allow_free(allow);
}

static void a_star_is_what_is_below_the_name(void **state)
{
	struct allow *allow = list("*.example.com", NULL, NULL);

	(void)state;
	may(allow, "a.example.com", "192.0.2.1", 80);
	may(allow, "b.a.EXAMPLE.com", "192.0.2.1", 80);
	may_not(allow, "example.com", "192.0.2.1", 80);
	may_not(allow, "badexample.com", "192.0.2.1", 80);
	may_not(allow, "a.example.com.evil.org", "192.0.2.1", 80);
	allow_free(allow);
}

static void a_name_does_not_lead_into_the_house(void **state)
{
	static const char *const local[] = {
		"127.0.0.1",
		"127.9.9.9",
		"0.0.0.0",
		"169.254.169.254",
		"224.0.0.1",
		"255.255.255.255",
		"100.100.100.200",
		"::1",
		"::",
		"fe80::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::127.0.0.1",
		"64:ff9b::7f00:1",
		"64:ff9b::a9fe:a9fe",
		"fd00:ec2::254",
		"fd20:ce::254",
	};
	struct allow *allow = list("a.example.com", "10.0.0.1", NULL);
	struct allow *both = list("a.example.com", "127.0.0.1:80", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		may_not(allow, "a.example.com", local[i], 80);
	assert_string_equal(
		"a.example.com:80: 169.254.169.254, where it leads, "
		"is not allowed in the sandbox (allow = {...})",
		ask(allow, "a.example.com", "169.254.169.254", 80));
	may(allow, "a.example.com", "10.9.9.9", 80); /* private, not local */
	may(both, "a.example.com", "127.0.0.1", 80);
	may_not(both, "a.example.com", "127.0.0.1", 22);
	may_not(both, "a.example.com", "127.0.0.2", 80);
	allow_free(allow);
	allow_free(both);
}

static void localhost_is_this_machine(void **state)
{
	struct allow *allow = list("localhost:80", NULL, NULL);

	(void)state;
	may(allow, "localhost", "127.0.0.1", 80);
	may(allow, "LOCALHOST.", "::1", 80);
	may_not(allow, "localhost", "127.0.0.1", 81);
	may_not(allow, "localhost", "169.254.0.1", 80);
	may_not(allow, "127.0.0.1", "127.0.0.1", 80);
	allow_free(allow);
}

static void only_listed_names_are_looked_up(void **state)
{
	struct allow *allow = list("a.example.com:443", "10.0.0.0/8", "*.lan");
	struct err err;

	(void)state;
	assert_true(allow_name(allow, "a.example.com", &err));
	assert_true(allow_name(allow, "meter.lan", &err));
	assert_true(allow_name(allow, "192.0.2.1", &err)); /* no question */
	assert_false(allow_name(allow, "secret.evil.org", &err));
	assert_string_equal("secret.evil.org: not allowed in the sandbox "
			    "(allow = {...})",
			    err.text);
	assert_false(allow_name(allow, "0x0a.1", &err));
	assert_false(allow_name(allow, "10.1", &err));
	assert_false(allow_name(allow, "", &err));
	assert_false(allow_name(allow, ".", &err));
	assert_false(allow_name(allow, "a\nb", &err));
	assert_null(strchr(err.text, '\n'));
	assert_true(allow_host(allow, "a.example.com", 443, &err));
	assert_false(allow_host(allow, "a.example.com", 80, &err));
	assert_true(allow_host(allow, "10.0.0.1", 80, &err));
	assert_false(allow_host(allow, "11.0.0.1", 80, &err));
	allow_free(allow);
}

static void a_server_needs_its_port(void **state)
{
	struct allow *allow = list("listen:5000", "0.0.0.0/0", NULL);
	struct err err;

	(void)state;
	assert_true(allow_listen(allow, 5000, &err));
	assert_false(allow_listen(allow, 5001, &err));
	assert_string_equal("listen:5001: not allowed in the sandbox (allow = "
			    "{...})",
			    err.text);
	assert_false(allow_listen(allow, 0, &err));
	may_not(allow, "listen", "192.0.2.1", 5000);
	allow_free(allow);
}

static void a_mistake_is_a_sentence(void **state)
{
	static const char *const wrong[] = {
		"",
		".",
		"a..b",
		"*",
		"*.",
		"a.*.com",
		"*a.com",
		"a.com:",
		"a.com:0",
		"a.com:65536",
		"a.com:http",
		"a.com:-1",
		"a.com:+1",
		"a.com: 1",
		"http://a.com",
		"a.com/path",
		"a b",
		"user@a.com",
		"10.0.0.1/8",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0",
		"10.0.0.256",
		"0x7f.1",
		"127.1",
		"2130706433",
		"[10.0.0.1",
		"[::1]:",
		"[::1]x",
		"[a.com]:80",
		"::1%lo",
		"fe80::1%1/64",
		"::/129",
		"::ffff:10.0.0.1",
		"::ffff:0.0.0.0/96",
		"2001:db8::1/32",
		"listen:",
		"listen:0",
		"listen:70000",
		"listen:x",
		"1:2:3",
		"a.com.",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *texts[] = { "good.example.com", wrong[i], NULL };
		struct allow *allow = allow_new(texts, &err);

		if (allow)
			fail_msg("'%s' is no entry", wrong[i]);
		assert_int_equal(ERR_USAGE, err.code);
		assert_non_null(strstr(err.text, wrong[i]));
	}
}

static void a_text_of_any_length_is_read(void **state)
{
	char name[1000];
	const char *texts[] = { name, NULL };
	struct err err;

	(void)state;
	for (size_t len = 240; len < sizeof name; len++) {
		memset(name, 'a', len);
		for (size_t i = 60; i < len; i += 60)
			name[i] = '.';
		name[len] = '\0';
		if (name[len - 1] == '.')
			continue;
		struct allow *allow = allow_new(texts, &err);

		assert_int_equal(len <= 253, allow != NULL);
		allow_free(allow);
	}
}

static void there_is_an_end_to_the_list(void **state)
{
	const char *texts[ALLOW_ENTRIES_MAX + 2] = { NULL };
	struct allow *allow;
	struct err err;

	(void)state;
	for (int i = 0; i <= ALLOW_ENTRIES_MAX; i++)
		texts[i] = "10.0.0.1";
	assert_null(allow_new(texts, &err));
	assert_string_equal("more than 1000 entries", err.text);
	texts[ALLOW_ENTRIES_MAX] = NULL;
	allow = allow_new(texts, &err);
	assert_non_null(allow);
	allow_free(allow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_listed_is_refused_in_one_sentence),
		cmocka_unit_test(without_a_sandbox_all_is_allowed),
		cmocka_unit_test(ranges_are_exact_at_both_ends),
		cmocka_unit_test(the_families_are_apart),
		cmocka_unit_test(a_port_is_that_port_alone),
		cmocka_unit_test(a_number_needs_an_address_and_a_name_a_name),
		cmocka_unit_test(a_star_is_what_is_below_the_name),
		cmocka_unit_test(a_name_does_not_lead_into_the_house),
		cmocka_unit_test(localhost_is_this_machine),
		cmocka_unit_test(only_listed_names_are_looked_up),
		cmocka_unit_test(a_server_needs_its_port),
		cmocka_unit_test(a_mistake_is_a_sentence),
		cmocka_unit_test(a_text_of_any_length_is_read),
		cmocka_unit_test(there_is_an_end_to_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
