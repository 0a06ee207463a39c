/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/xmlparse.h"

static void reads_elements(void **state)
{
	struct xmlparse_limits limits = { 0, 0 };
	struct xmlparse parse;
	struct xmldoc *doc;
	struct err err;

	(void)state;
	xmlparse_init(&parse);
	assert_true(xmlparse_prepare(&parse, STR("<a><b>1</b><c/></a>"),
				     &limits, &err));
	doc = malloc(parse.size);
	assert_true(xmlparse_run(&parse, doc, &err));
	assert_int_equal(doc->nelements, 3);
	xmlparse_release(&parse);
	free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
