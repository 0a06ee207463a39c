/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push thread with a module of the spec's own in the place of "pusher":
 * what becomes of tasks that fail, that do not end, and that ask an exporter
 * which does not answer. spec/e2e/pusher_test.py has the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>
#include <unistd.h>

#include "core/log.h"
#include "run/exporter.h"
#include "run/pusher.h"

/* Collected when asked; the second time, it comes back when there is a file. */
static const char script[] =
	"local metric = require 'metric'\n"
	"local times = 0\n"
	"return {\n"
	"  name = 'script',\n"
	"  timeout = 0.05,\n"
	"  limits = { cpu = 1000 },\n"
	"  metrics = { script_value = metric.gauge 'A value.' },\n"
	"  collect = function(m)\n"
	"    m.script_value:set(1)\n"
	"    times = times + 1\n"
	"    while times == 2 and not io.open '%s/free' do end\n"
	"  end,\n"
	"}\n";

/* Fails once; the state of the module stays. */
static const char fails[] =
	"local pages, turn = require 'pages', require 'turn'\n"
	"local times, alarm, M = 0, turn.new(), {}\n"
	"function M.run(i)\n"
	"  times = times + 1\n"
	"  if times == 1 then error 'the first time' end\n"
	"  pages.count(i, 'lunex_pushes_total', times, 'success')\n"
	"  pages.tell(i, 'it is the second')\n"
	"  alarm:wait(60)\n"
	"end\n"
	"function M.stop() alarm:call() end\n"
	"return M\n";

/* Does not hear that it is the end. */
static const char deaf[] =
	"local pages = require 'pages'\n"
	"local M = {}\n"
	"function M.run(i)\n"
	"  pages.count(i, 'lunex_pushes_total', 1, 'success')\n"
	"  require('task').sleep(60)\n"
	"end\n"
	"function M.stop() error 'it does not even listen' end\n"
	"return M\n";

/* The second question has no answer for long, the third is not asked. */
static const char asks[] =
	"local pages, turn = require 'pages', require 'turn'\n"
	"local alarm, M = turn.new(), {}\n"
	"local function ask(i)\n"
	"  local page, message = pages.ask(i, 5)\n"
	"  return page and page:text():match '\\nscript_value (%d+)' or "
	"message\n"
	"end\n"
	"function M.run(i)\n"
	"  pages.tell(i, ask(i) .. '; ' .. ask(i) .. '; ' .. ask(i))\n"
	"  pages.count(i, 'lunex_pushes_total', 1, 'success')\n"
	"  alarm:wait(60)\n"
	"end\n"
	"function M.stop() alarm:call() end\n"
	"return M\n";

/* Says in the log when all of it went well. */
static const char says[] =
	"local pages, log = require 'pages', require 'log'\n"
	"local alarm, M = require 'turn'.new(), {}\n"
	"function M.run(i)\n"
	"  local stream = pages.streams()[i]\n"
	"  local page = assert(pages.ask(i, 5))\n"
	"  assert(#page:text() > 100)\n"
	"  pages.count(i, 'lunex_pushes_total', 1, 'success')\n"
	"  log.info('it is well', { host = pages.host_name(),\n"
	"    target = stream.target })\n"
	"  alarm:wait(60)\n"
	"end\n"
	"function M.stop() alarm:call() end\n"
	"return M\n";

struct fixture {
	struct loop *loop; /* the spec's: of the supervisor and the web */
	struct exporter *exporter;
	struct message loaded;
	struct err err;
	struct pusher *pusher;
};

static char folder[] = "/tmp/lunex-pusher-spec-XXXXXX";

static struct fixture fixture;

/* ---- the world ---- */

static char *path_of(const char *name)
{
	static char path[80];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *form, const char *word)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	for (const char *p = form; *p; p++)
		if (strncmp(p, "%s", 2) == 0) {
			fputs(word, file);
			p++;
		} else {
			fputc(*p, file);
		}
	fclose(file);
}

static void deliver_loaded(struct message *message)
{
	(void)message;
	loop_stop(fixture.loop);
}

static void on_loaded(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		fixture.err = *err;
	fixture.loaded.deliver = deliver_loaded;
	loop_post(fixture.loop, &fixture.loaded);
}

static void start_exporter(void)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .loaded = on_loaded };

	put("script.lua", script, folder);
	options.path = path_of("script.lua");
	fixture.exporter = exporter_new(&options);
	loop_run(fixture.loop);
	if (*fixture.err.text)
		fail_msg("%s", fixture.err.text);
}

static int set_up(void **state)
{
	memset(&fixture, 0, sizeof fixture);
	fixture.loop = loop_new();
	start_exporter();
	*state = &fixture;
	return 0;
}

/* In the order of pusher.h. */
static int tear_down(void **state)
{
	(void)state;
	exporter_stop(fixture.exporter);
	if (!exporter_free(fixture.exporter, 10))
		fail_msg("the exporter does not end");
	loop_free(fixture.loop);
	pusher_free(fixture.pusher);
	unlink(path_of("script.lua"));
	unlink(path_of("main.lua"));
	unlink(path_of("free"));
	return 0;
}

static void start_failing(const char *text, size_t fail_at)
{
	static char key[] = "url", value[] = "http://u:p@h:1/?a=b";
	static struct config_value url = { .key = key,
					   .type = CONFIG_STRING,
					   .string = value };
	static const struct config target = { &url, 1 };
	const struct pusher_stream stream = { fixture.exporter, &target };
	static char lua_path[80];
	const struct pusher_options options = { .streams = &stream,
						.n = 1,
						.web = fixture.loop,
						.main = "main",
						.lua_path = lua_path,
						.fail_at = fail_at };

	put("main.lua", text, "");
	snprintf(lua_path, sizeof lua_path, "%s/?.lua", folder);
	fixture.pusher = pusher_new(&options);
	pusher_start(fixture.pusher);
}

static void start(const char *text)
{
	start_failing(text, 0);
}

/* The value of lunex_pushes_total, as soon as there is one. */
static double pushes(void)
{
	double value = 0;

	while (value == 0) {
		struct page *page = pusher_page(fixture.pusher);

		for (uint32_t i = 0; page && i < page->nfamilies; i++)
			if (strcmp(page->families[i].metadata->name,
				   "lunex_pushes_total") == 0 &&
			    page->families[i].nchunks)
				value = page->families[i].chunks[0]->values[0];
		page_unref(page);
		sched_yield();
	}
	return value;
}

/* What is shown, after what was told has been delivered. */
static struct pusher_shown shown(void)
{
	struct pusher_shown shown;

	fixture.loaded.deliver = deliver_loaded;
	loop_post(fixture.loop, &fixture.loaded);
	loop_run(fixture.loop);
	assert_true(pusher_shown(fixture.pusher, 0, &shown));
	assert_false(pusher_shown(fixture.pusher, 1, &shown) && shown.exporter);
	return shown;
}

/* ---- what is specified ---- */

static void a_task_that_fails_is_begun_again(void **state)
{
	struct pusher_shown s;

	(void)state;
	start(fails);
	assert_true(pushes() == 2);
	s = shown();
	assert_string_equal("it is the second", s.text);
	assert_string_equal("http://h:1/", s.target);
	assert_ptr_equal(fixture.exporter, s.exporter);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void a_task_that_does_not_end_is_ended(void **state)
{
	double begin;

	(void)state;
	start(deaf);
	assert_true(pushes() == 1);
	begin = loop_now(fixture.loop);
	assert_true(pusher_stop(fixture.pusher, 0.1));
	assert_true(loop_now(fixture.loop) - begin < 5);
}

static void an_exporter_that_does_not_answer_is_asked_once(void **state)
{
	(void)state;
	start(asks);
	assert_true(pushes() == 1);
	assert_string_equal("1; the exporter does not answer in time; "
			    "the exporter does not answer in time",
			    shown().text);
	assert_true(pusher_stop(fixture.pusher, 5));
	put("free", "", ""); /* its answer comes when the thread is gone */
}

/* Starts with memory that runs out; waits for a line in the log, and answers
 * whether that says that it is well. */
static bool well_with(size_t fail_at)
{
	char line[1024];
	int ends[2], saved = dup(STDERR_FILENO);
	FILE *log;
	bool well;

	assert_int_equal(0, pipe(ends));
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log = fdopen(ends[0], "r");
	start_failing(says, fail_at);
	assert_non_null(fgets(line, sizeof line, log));
	well = strstr(line, "it is well") != NULL;
	assert_true(well || strstr(line, "level=error"));
	assert_true(pusher_stop(fixture.pusher, 5));
	dup2(saved, STDERR_FILENO);
	close(saved);
	fclose(log);
	return well;
}

static void memory_may_run_out_anywhere(void **state)
{
	size_t n = 0;

	(void)state;
	put("free", "", "");
	while (!well_with(n += 1 + n / 64)) {
		struct pusher *pusher = fixture.pusher;

		fixture.pusher = NULL;
		assert_true(n < 1000000);
		/* An answer may be on its way to the loop. */
		exporter_stop(fixture.exporter);
		assert_true(exporter_free(fixture.exporter, 10));
		pusher_free(pusher);
		start_exporter();
	}
	assert_true(n > 100);
}

static void one_that_was_not_started_can_be_freed(void **state)
{
	static const struct config target = { NULL, 0 };
	const struct pusher_stream stream = { fixture.exporter, &target };
	const struct pusher_options options = { .streams = &stream,
						.n = 1,
						.web = fixture.loop };

	(void)state;
	fixture.pusher = pusher_new(&options);
	assert_true(pusher_stop(fixture.pusher, 5));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_task_that_fails_is_begun_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_task_that_does_not_end_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_exporter_that_does_not_answer_is_asked_once, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_was_not_started_can_be_freed, set_up,
			tear_down),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
