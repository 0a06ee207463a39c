/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/report.h"

static struct report *example(void)
{
	struct report *report = report_new();

	report_add(report, REPORT_ADDED, "new", "new.lua", NULL);
	report_add(report, REPORT_RELOADED, "ping", "ping.lua", NULL);
	report_add(report, REPORT_NOTE, NULL, NULL,
		   "lunex.lua:2: 'listen' wants a restart");
	report_add(report, REPORT_REMOVED, "old", NULL, NULL);
	report->unchanged = 3;
	return report;
}

static void nothing_that_failed_is_a_success(void **state)
{
	struct report *report = example();
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	assert_true(report->ok);
	report_json(report, &text);
	assert_string_equal(
		"{\"ok\":true,\"unchanged\":3,\"exporters\":["
		"{\"exporter\":\"new\",\"script\":\"new.lua\","
		"\"result\":\"added\"},"
		"{\"exporter\":\"ping\",\"script\":\"ping.lua\","
		"\"result\":\"reloaded\"},"
		"{\"result\":\"note\","
		"\"note\":\"lunex.lua:2: 'listen' wants a restart\"},"
		"{\"exporter\":\"old\",\"result\":\"removed\"}]}",
		buf_text(&text));
	buf_release(&text);
	report_free(report);
}

static void a_failure_says_where_and_why(void **state)
{
	struct report *report = report_new();
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	report_add(report, REPORT_FAILED, "t", "t.lua",
		   "t.lua:7: unexpected symbol near '\"'");
	assert_false(report->ok);
	report_json(report, &text);
	assert_string_equal("{\"ok\":false,\"unchanged\":0,\"exporters\":["
			    "{\"exporter\":\"t\",\"script\":\"t.lua\","
			    "\"result\":\"failed\",\"error\":"
			    "\"t.lua:7: unexpected symbol near '\\\"'\"}]}",
			    buf_text(&text));
	buf_clear(&text);
	report_text(report, &text);
	assert_string_equal("failed t (t.lua): t.lua:7: unexpected symbol near "
			    "'\"'\n",
			    buf_text(&text));
	buf_release(&text);
	report_free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_failed_is_a_success),
		cmocka_unit_test(a_failure_says_where_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
