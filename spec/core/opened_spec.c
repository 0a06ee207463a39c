/* SPDX-License-Identifier: Apache-2.0 */
#include "core/opened.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct table {
	double (*root)(double);
	double (*power)(double, double);
};

static bool fill(struct table *table, const char *object, const char *second,
		 struct err *err)
{
	const struct opened_symbol symbols[] = {
		{ "sqrt", offsetof(struct table, root) },
		{ second, offsetof(struct table, power) },
	};

	return opened_fill(table, object, "sums need libm", symbols, 2, err);
}

static void finds_functions(void **state)
{
	struct table table = { 0 };
	struct err err;

	(void)state;
	assert_true(fill(&table, "libm.so.6", "pow", &err));
	assert_true(table.root(9) == 3);
	assert_true(table.power(2, 10) == 1024);
}

static void tells_of_a_library_that_is_not_there(void **state)
{
	struct table table = { 0 };
	struct err err;

	(void)state;
	assert_false(fill(&table, "libno-such.so.1", "pow", &err));
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.text, "sums need libm: libno-such.so.1"));
	assert_null(table.root);
}

static void tells_of_a_function_that_it_has_not(void **state)
{
	struct table table = { 0 };
	struct err err;

	(void)state;
	assert_false(fill(&table, "libm.so.6", "no_such_sum", &err));
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.text,
			    "sums need libm: libm.so.6 has no no_such_sum");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_functions),
		cmocka_unit_test(tells_of_a_library_that_is_not_there),
		cmocka_unit_test(tells_of_a_function_that_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
