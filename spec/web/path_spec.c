/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "web/path.h"

static void a_pattern_matches_segment_by_segment(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
		{ "/", "/", true },
		{ "/", "/x", false },
		{ "/x", "/x", true },
		{ "/x", "/x/", false },
		{ "/x/", "/x", false },
		{ "/x/", "/x/", true },
		{ "/x", "/X", false },
		{ "/x", "x", false },
		{ "/x", "", false },
		{ "/x", "*", false },
		{ "/x", "http://h/x", false },
		{ "/v1/:id", "/v1/17", true },
		{ "/v1/:id", "/v1/", false },
		{ "/v1/:id", "/v1", false },
		{ "/v1/:id", "/v1/1/2", false },
		{ "/v1/:id/x", "/v1/1/x", true },
		{ "/v1/:id/x", "/v1//x", false },
		{ "/:a/:b", "/1/2", true },
		{ "/a:b", "/a:b", true },
		{ "/a:b", "/axb", false },
		/* escapes belong to their segment */
		{ "/metrics", "/%6Detrics", true },
		{ "/metrics", "/%6detrics", true },
		{ "/a/b", "/a%2Fb", false },
		{ "/:x", "/a%2Fb", true },
		{ "/x", "/x%00", false },
		{ "/x", "/x%00y", false },
		{ "/x", "/x%", false },
		{ "/x", "/x%4", false },
		{ "/:x", "/%zz", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (path_matches(cases[i].pattern, cases[i].path) !=
		    cases[i].matches)
			fail_msg("%s, %s", cases[i].pattern, cases[i].path);
}

static void the_first_segment_that_differs_in_kind_decides(void **state)
{
	(void)state;
	assert_true(path_is_nearer("/a", "/:x"));
	assert_false(path_is_nearer("/:x", "/a"));
	assert_false(path_is_nearer("/a", "/a"));
	assert_false(path_is_nearer("/:x", "/:y"));
	assert_true(path_is_nearer("/a/:x", "/:x/b"));
	assert_false(path_is_nearer("/:x/b", "/a/:x"));
	assert_true(path_is_nearer("/:x/b", "/:x/:y"));
}

static void patterns_are_equal_whatever_their_parameters_are_called(
	void **state)
{
	(void)state;
	assert_true(path_equal("/a/:x", "/a/:y"));
	assert_true(path_equal("/", "/"));
	assert_false(path_equal("/a/:x", "/a/x"));
	assert_false(path_equal("/a", "/a/"));
	assert_false(path_equal("/a/b", "/a"));
	assert_false(path_equal("/a", "/ab"));
}

static void note(void *arg, const char *name, const char *value)
{
	char *text = arg;

	sprintf(text + strlen(text), "%s=%s|", name, value);
}

static void parameters_are_told_in_order_and_decoded(void **state)
{
	char text[256] = "";

	(void)state;
	path_parameters("/:a/x/:b_2", "/1%2F2/x/%C3%BC%20%%00", note, text);
	assert_string_equal("a=1/2|b_2=\xC3\xBC %%00|", text);
	*text = '\0';
	path_parameters("/x", "/x", note, text);
	assert_string_equal("", text);
}

static void a_bad_pattern_is_told(void **state)
{
	static const char *const bad[] = {
		"",	  "x",	   "/a b",  "/a?b", "/a#b",
		"/a%20b", "/\x7f", "/:",    "/a/:", "/:a/:b/:a",
		"/:1",	  "/:a-b", "/a\tb", "/:/",  NULL,
	};
	static const char *const good[] = {
		"/",	   "/a",   "/a/",	"//", "/:a/:b",
		"/:a_1/x", "/a:b", "/\xC3\xBC", NULL,
	};
	struct err err;

	(void)state;
	for (int i = 0; bad[i]; i++)
		if (path_check(bad[i], &err))
			fail_msg("%s", bad[i]);
	for (int i = 0; good[i]; i++)
		if (!path_check(good[i], &err))
			fail_msg("%s", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_matches_segment_by_segment),
		cmocka_unit_test(
			the_first_segment_that_differs_in_kind_decides),
		cmocka_unit_test(
			patterns_are_equal_whatever_their_parameters_are_called),
		cmocka_unit_test(parameters_are_told_in_order_and_decoded),
		cmocka_unit_test(a_bad_pattern_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
