/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/names.h"

static struct names names;

static int start(void **state)
{
	(void)state;
	names_init(&names, 4);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	names_release(&names);
	return 0;
}

static void keep(const char *text, const char *address, double now, double ttl)
{
	struct name *name = names_find(&names, text, AF_INET);
	union address kept;

	assert_true(address_number(&kept, address));
	if (!name)
		name = names_add(&names, text, AF_INET);
	names_keep(&names, name, &kept, 1, now, ttl);
}

static struct name *find(const char *text)
{
	return names_find(&names, text, AF_INET);
}

static void finds_a_name_whatever_its_letter_case(void **state)
{
	struct name *name = names_add(&names, "Meter.lan", AF_INET);

	(void)state;
	assert_ptr_equal(name, find("meter.LAN"));
	assert_string_equal("Meter.lan", name->text);
	assert_null(find("meter.lan."));
	assert_null(names_find(&names, "meter.lan", AF_INET6));
}

static void keeps_an_answer_with_its_times(void **state)
{
	struct name *name;

	(void)state;
	keep("a", "192.0.2.1", 100, 60);
	name = find("a");
	assert_int_equal(1, name->n);
	assert_int_equal(htonl(0xc0000201),
			 name->addresses[0].v4.sin_addr.s_addr);
	assert_true(name->told == 100 && name->expires == 160);
	keep("a", "192.0.2.2", 120, 60);
	assert_ptr_equal(name, find("a"));
	assert_int_equal(htonl(0xc0000202),
			 name->addresses[0].v4.sin_addr.s_addr);
	assert_int_equal(1, names.kept);
}

static void drops_the_oldest_when_it_is_full(void **state)
{
	static const char *const texts[] = { "a", "b", "c", "d", "a", "e" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		keep(texts[i], "192.0.2.1", (double)i, 60);
	assert_int_equal(4, names.kept);
	/* a was told anew. */
	assert_non_null(find("a"));
	assert_null(find("b"));
	assert_non_null(find("c"));
	assert_non_null(find("e"));
}

static void drops_what_has_expired(void **state)
{
	(void)state;
	keep("a", "192.0.2.1", 0, 5);
	keep("b", "192.0.2.1", 0, 50);
	keep("c", "192.0.2.1", 5, 50);
	assert_null(find("a"));
	assert_non_null(find("b"));
	assert_int_equal(2, names.kept);
}

static void a_name_with_a_query_stays(void **state)
{
	struct name *name;

	(void)state;
	keep("a", "192.0.2.1", 0, 5);
	name = find("a");
	name->query = &names;
	keep("b", "192.0.2.1", 10, 5);
	assert_ptr_equal(name, find("a"));
	assert_null(name->addresses);
	names_settle(&names, name);
	assert_null(find("a"));
	/* One that has an answer stays without it. */
	name = find("b");
	name->query = &names;
	names_settle(&names, name);
	assert_ptr_equal(name, find("b"));
	names_clear(&names);
	assert_null(find("b"));
	assert_int_equal(0, names.used);
}

static void finds_each_of_many(void **state)
{
	char text[16];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "n%d", i);
		names_add(&names, text, AF_INET);
	}
	assert_int_equal(5000, names.used);
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "N%d", i);
		assert_int_equal(i, atoi(find(text)->text + 1));
		names_settle(&names, find(text));
		assert_null(find(text));
	}
	assert_int_equal(0, names.used);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(finds_a_name_whatever_its_letter_case),
		test(keeps_an_answer_with_its_times),
		test(drops_the_oldest_when_it_is_full),
		test(drops_what_has_expired),
		test(a_name_with_a_query_stays),
		test(finds_each_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
