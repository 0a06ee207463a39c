/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/trace.h"

static void says_when_and_what(void **state)
{
	struct trace *trace = trace_new();
	struct str text;

	(void)state;
	trace_line(trace, "GET %s: %d", "http://a/", 200);
	trace_line(trace, "two\nlines\r");
	text = trace_text(trace);
	assert_non_null(strstr(text.data, " ms  GET http://a/: 200\n"));
	assert_non_null(strstr(text.data, " ms  two lines \n"));
	assert_int_equal(text.len, strlen(text.data));
	trace_unref(trace);
}

static void stops_at_its_ceiling_and_says_so(void **state)
{
	static const char last[] = "the rest is missing: the trace is full\n";
	struct trace *trace = trace_new();
	struct str text;

	(void)state;
	for (int i = 0; i < 10000; i++)
		trace_line(trace, "%0100d", i);
	text = trace_text(trace);
	assert_true(text.len <= TRACE_MAX);
	assert_true(text.len > TRACE_MAX - 4 * TRACE_LINE_MAX);
	assert_string_equal(text.data + text.len - strlen(last), last);
	trace_unref(trace);
}

static void cuts_a_long_line(void **state)
{
	static char line[TRACE_LINE_MAX * 2];
	struct trace *trace = trace_new();

	(void)state;
	memset(line, 'x', sizeof line - 1);
	trace_line(trace, "%s", line);
	assert_true(trace_text(trace).len < TRACE_LINE_MAX + 64);
	trace_unref(trace);
}

static void nobody_reads(void **state)
{
	(void)state;
	trace_line(NULL, "nothing %d", 1);
	trace_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_when_and_what),
		cmocka_unit_test(stops_at_its_ceiling_and_says_so),
		cmocka_unit_test(cuts_a_long_line),
		cmocka_unit_test(nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
