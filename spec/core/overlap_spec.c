/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/overlap.h"
#include "core/registry.h"

/* A page whose series have the constant label NAME (NULL: none). */
static struct page *page_with(const char *name, const char *value)
{
	const struct label_pair constant = { name, value };
	struct registry *registry = registry_new(&(struct registry_options){
		.labels = &constant, .nlabels = name ? 1 : 0 });
	struct page *page = registry_publish(registry, 0);

	registry_free(registry);
	return page;
}

static bool overlap(struct page *a, struct page *b)
{
	struct page *pages[] = { a, b };
	struct overlap *both = overlap_new(pages, 2, NULL);
	const size_t other = 0;
	bool any = overlap_any(both, 1, &other, 1);

	overlap_unref(both);
	page_unref(a);
	page_unref(b);
	return any;
}

static void another_value_tells_pages_apart(void **state)
{
	(void)state;
	assert_true(overlap(page_with(NULL, NULL), page_with("a", "x")));
	assert_true(overlap(page_with("a", "x"), page_with("a", "x")));
	assert_true(overlap(page_with("b", "x"), page_with("a", "x")));
	assert_false(overlap(page_with("a", "y"), page_with("a", "x")));
}

static void names_may_hold_what_parts_labels(void **state)
{
	static const char *const names[] = {
		"a=", "a=\"", "=", "\"", ",", "a\\"
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_true(overlap(page_with(names[i], "x"),
				    page_with(names[i], "x")));
		assert_false(overlap(page_with(names[i], "x"),
				     page_with(names[i], "=x")));
		assert_true(
			overlap(page_with("a", "x"), page_with(names[i], "y")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_value_tells_pages_apart),
		cmocka_unit_test(names_may_hold_what_parts_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
