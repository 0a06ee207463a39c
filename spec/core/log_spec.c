/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"

enum { CAPTURE_MAX = 1 << 20, STAMP = sizeof "ts=2026-11-21T05:22:43.123Z" };

static char captured[CAPTURE_MAX];
static int capture_fd, real_stderr;

static int start_capture(void **state)
{
	char name[] = "/tmp/log_spec.XXXXXX";

	(void)state;
	capture_fd = mkostemp(name, O_APPEND);
	assert_true(capture_fd >= 0);
	unlink(name);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(capture_fd, STDERR_FILENO) >= 0);
	log_set_level(LOG_INFO);
	return 0;
}

/* What was written to standard error since the last call. */
static const char *lines(void)
{
	ssize_t n = pread(capture_fd, captured, sizeof captured - 1, 0);

	assert_true(n >= 0);
	captured[n] = '\0';
	assert_int_equal(ftruncate(capture_fd, 0), 0);
	return captured;
}

static int end_capture(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(capture_fd);
	return 0;
}

/* One line, with everything behind the time as given. */
static void expect_line(const char *text)
{
	const char *line = lines();

	assert_true(strlen(line) > STAMP);
	assert_string_equal(line + STAMP, text);
}

static void an_event_is_one_logfmt_line(void **state)
{
	int year, month, day, hour, minute, second, milli, end = 0;
	const char *line;

	(void)state;
	log_warn("part failed", "exporter", "mirth", "part", "channels");
	line = lines();
	sscanf(line, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day,
	       &hour, &minute, &second, &milli, &end);
	assert_int_equal(end, STAMP - 1);
	assert_true(year >= 2024 && month <= 12 && day <= 31 && hour < 24);
	assert_string_equal(line + end, " level=warn msg=\"part failed\" "
					"exporter=mirth part=channels\n");
}

static void events_below_the_level_are_dropped(void **state)
{
	(void)state;
	log_debug("hidden");
	assert_string_equal(lines(), "");
	log_set_level(LOG_DEBUG);
	assert_int_equal(log_level_get(), LOG_DEBUG);
	log_debug("shown");
	expect_line("level=debug msg=shown\n");
	log_set_level(LOG_ERROR);
	log_warn("hidden");
	assert_string_equal(lines(), "");
	log_error("shown");
	expect_line("level=error msg=shown\n");
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_DEBUG;

	(void)state;
	assert_true(log_level_parse("error", &level));
	assert_int_equal(level, LOG_ERROR);
	assert_true(log_level_parse("warn", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_parse("info", &level));
	assert_int_equal(level, LOG_INFO);
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse("warning", &level));
	assert_false(log_level_parse("INFO", &level));
	assert_int_equal(level, LOG_DEBUG);
}

static void values_are_quoted_where_they_need_it(void **state)
{
	(void)state;
	log_info("m", "a", "plain-1.5/x", "b", "two words", "c", "", "d", "x=y",
		 "e", "\xC3\xA9", "f", "\xC2\xA0\xC2\x9B");
	expect_line("level=info msg=m a=plain-1.5/x b=\"two words\" c=\"\" "
		    "d=\"x=y\" e=\xC3\xA9 f=\"\xC2\xA0\\u009b\"\n");
}

static void a_pair_without_a_value_is_left_out(void **state)
{
	(void)state;
	log_info("m", "a", (char *)NULL, "b", "1");
	expect_line("level=info msg=m b=1\n");
}

static void nothing_from_outside_forges_a_line(void **state)
{
	(void)state;
	log_info("m", "v", "a\nts=now level=error msg=\"x\"\r\\\t\x1B[31m\x7F");
	expect_line("level=info msg=m v=\"a\\nts=now level=error "
		    "msg=\\\"x\\\"\\x0d\\\\\\t\\x1b[31m\\x7f\"\n");
	log_info("one\ntwo");
	expect_line("level=info msg=\"one\\ntwo\"\n");
}

/* Cut somewhere: but one line, its quotes closed, and nothing behind it. */
static void check_cut(const char *unit, size_t pad)
{
	static char value[20000];
	size_t size = strlen(unit), len = pad;
	bool quoted = false;
	const char *line;

	memset(value, 'x', pad);
	for (; len + size < sizeof value; len += size)
		memcpy(value + len, unit, size);
	value[len] = '\0';
	log_info("m", "v", value, "after", "1");
	line = lines();
	len = strlen(line);
	assert_in_range(len, 7800, 8192);
	assert_ptr_equal(strchr(line, '\n'), line + len - 1);
	assert_null(strstr(line, "after"));
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\\')
			i++;
		else if (line[i] == '"')
			quoted = !quoted;
	}
	assert_false(quoted);
}

static void a_long_line_is_cut_and_still_well_formed(void **state)
{
	(void)state;
	for (size_t pad = 0; pad < 8; pad++) {
		check_cut("x", pad);
		check_cut("x y", pad);
		check_cut("\n", pad);
		check_cut("\"", pad);
		check_cut("\x01", pad);
	}
}

static void many_long_pairs_are_cut_too(void **state)
{
	char value[600];
	const char *v = value, *line;

	(void)state;
	for (size_t len = 480; len < 520; len++) {
		memset(value, ' ', len);
		value[len] = '\0';
		log_info("m", "a", v, "b", v, "c", v, "d", v, "e", v, "f", v,
			 "g", v, "h", v, "i", v, "j", v, "k", v, "l", v, "m", v,
			 "n", v, "o", v, "p", v, "q", v, "r", v);
		line = lines();
		assert_in_range(strlen(line), 7800, 8192);
		assert_string_equal(line + strlen(line) - 2, "\"\n");
	}
}

static void errno_is_left_alone(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	errno = ENOENT;
	log_info("nobody reads this");
	assert_int_equal(errno, ENOENT);
	assert_true(dup2(capture_fd, STDERR_FILENO) >= 0);
}

static void *write_lines(void *name)
{
	for (int i = 0; i < 500; i++)
		log_info("tick", "thread", (const char *)name);
	return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
	static char names[4][2] = { "a", "b", "c", "d" };
	const char *line, *end;
	pthread_t threads[4];
	int count = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines,
						names[i]),
				 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (line = lines(); *line; line = end + 1, count++) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_memory_equal(line + STAMP,
				    "level=info msg=tick thread=", 27);
		assert_int_equal(end - line, STAMP + 28);
	}
	assert_int_equal(count, 2000);
}

/* ---- sources ---- */

/* A source whose time stands still, but for pass(). */
#define FROZEN                                                                 \
	{                                                                      \
		.since = 1e18                                                  \
	}

static void pass(struct log_source *source, double seconds)
{
	source->used -= seconds * LOG_RATE;
	if (source->used < 0)
		source->used = 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

/* Says N lines of SIZE bytes; returns what was written. */
static const char *say(struct log_source *source, int n, size_t size)
{
	static char text[2048];

	memset(text, 'x', size);
	text[size] = '\0';
	for (int i = 0; i < n; i++)
		log_from(source, LOG_INFO, "mirth", text, "part", "all",
			 (char *)0);
	return lines();
}

static void a_source_says_so_many_lines_at_once(void **state)
{
	struct log_source source = FROZEN;
	const char *text;

	(void)state;
	text = say(&source, LOG_BURST + 500, 10);
	assert_int_equal(count_lines(text), LOG_BURST + 1);
	assert_string_equal(strstr(text, "too many"),
			    "too many lines: what follows is left out for a "
			    "while\" exporter=mirth\n");
	assert_int_equal(source.dropped, 500);
	assert_string_equal(say(&source, 5, 10), "");
}

/* So that it can be said again when there is room. */
static void whoever_says_it_knows_what_was_left_out(void **state)
{
	struct log_source source = FROZEN;

	(void)state;
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(log_from(&source, LOG_INFO, NULL, "x", (char *)0));
	assert_true(log_from(&source, LOG_DEBUG, NULL, "x", (char *)0));
	assert_false(log_from(&source, LOG_INFO, NULL, "x", (char *)0));
	assert_false(log_from(&source, LOG_INFO, NULL, "x", (char *)0));
	assert_true(log_from(&source, LOG_DEBUG, NULL, "x", (char *)0));
	pass(&source, LOG_AGAIN / (double)LOG_RATE);
	assert_true(log_from(&source, LOG_INFO, NULL, "x", (char *)0));
	lines();
}

static void a_source_speaks_again_after_a_while(void **state)
{
	struct log_source source = FROZEN;
	const char *text;

	(void)state;
	say(&source, LOG_BURST * 2, 10);
	pass(&source, (LOG_AGAIN - 1) / (double)LOG_RATE);
	assert_string_equal(say(&source, 1, 10), "");
	pass(&source, 1 / (double)LOG_RATE);
	text = say(&source, LOG_AGAIN, 10);
	assert_non_null(strstr(text, "msg=\"lines were left out\" "
				     "exporter=mirth lines=1001\n"));
	assert_int_equal(count_lines(text), 1 + LOG_AGAIN);
	assert_int_equal(count_lines(say(&source, 1, 10)), 1);
	assert_int_equal(source.dropped, LOG_BURST + 2);
}

/* By the clock. */
static void a_source_that_was_quiet_has_all_of_it_again(void **state)
{
	struct log_source source = { 0 };

	(void)state;
	say(&source, LOG_BURST, 10);
	source.since -= LOG_BURST;
	assert_int_equal(count_lines(say(&source, LOG_BURST, 10)), LOG_BURST);
	assert_int_equal(source.dropped, 0);
}

static void a_long_line_counts_as_several(void **state)
{
	struct log_source source = FROZEN;

	(void)state;
	assert_int_equal(count_lines(say(&source, LOG_BURST, 1500)),
			 LOG_BURST / 2 + 1);
}

static void what_is_below_the_level_is_free(void **state)
{
	struct log_source source = FROZEN;

	(void)state;
	for (int i = 0; i < LOG_BURST * 2; i++)
		log_from(&source, LOG_DEBUG, "mirth", "no", (char *)0);
	assert_int_equal(source.dropped, 0);
	assert_int_equal(count_lines(say(&source, 5, 10)), 5);
}

static void a_source_without_a_name_has_no_exporter(void **state)
{
	struct log_source source = { 0 };

	(void)state;
	log_from(&source, LOG_WARN, NULL, "part failed", "part", "a",
		 (char *)0);
	expect_line("level=warn msg=\"part failed\" part=a\n");
}

int main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, start_capture, end_capture)
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_one_logfmt_line),
		TEST(events_below_the_level_are_dropped),
		TEST(levels_have_names),
		TEST(values_are_quoted_where_they_need_it),
		TEST(a_pair_without_a_value_is_left_out),
		TEST(nothing_from_outside_forges_a_line),
		TEST(a_long_line_is_cut_and_still_well_formed),
		TEST(many_long_pairs_are_cut_too),
		TEST(errno_is_left_alone),
		TEST(lines_of_several_threads_do_not_mix),
		TEST(a_source_says_so_many_lines_at_once),
		TEST(whoever_says_it_knows_what_was_left_out),
		TEST(a_source_speaks_again_after_a_while),
		TEST(a_source_that_was_quiet_has_all_of_it_again),
		TEST(a_long_line_counts_as_several),
		TEST(what_is_below_the_level_is_free),
		TEST(a_source_without_a_name_has_no_exporter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
