/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push thread with a module of the spec's own in the place of "pusher":
 * what becomes of tasks that fail, that do not end, and that ask an exporter
 * which does not answer; and what a roster does to the streams of the one
 * before. spec/e2e/pusher_test.py has the real module.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/exposition.h"
#include "core/log.h"
#include "core/mem.h"
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

/* Collected when asked, or each time that is given. */
static const char steady[] =
	"local metric = require 'metric'\n"
	"return {\n"
	"  name = 'script',\n"
	"  interval = 3600,\n"
	"  metrics = { script_value = metric.gauge 'V.' },\n"
	"  collect = function(m)\n"
	"    m.script_value:set(%s)\n"
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
	"function M.forget() end\n"
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
	"function M.forget() end\n"
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
	"function M.forget() end\n"
	"return M\n";

/* Says in the log when all of it went well. */
static const char says[] =
	"local pages, log = require 'pages', require 'log'\n"
	"local alarm, M = require 'turn'.new(), {}\n"
	"function M.run(i)\n"
	"  local stream = pages.stream(i)\n"
	"  local page = assert(pages.ask(i, 5))\n"
	"  assert(#page:text() > 100)\n"
	"  pages.count(i, 'lunex_pushes_total', 1, 'success')\n"
	"  log.info('it is well', { host = pages.host_name(),\n"
	"    target = stream.target })\n"
	"  alarm:wait(60)\n"
	"end\n"
	"function M.stop() alarm:call() end\n"
	"function M.retire() alarm:call() end\n"
	"function M.forget() end\n"
	"return M\n";

/* Shows all the time what it is answered. A target with a `user` says farewell
 * for long, one with a `password` until there is a file. How many streams are
 * not forgotten, and their intervals, go where there is room. */
static const char lives[] =
	"local pages, task = require 'pages', require 'task'\n"
	"local turn = require 'turn'\n"
	"local M, all, stopping = {}, {}, false\n"
	"local function value(i)\n"
	"  local page = pages.ask(i, 5)\n"
	"  return tonumber(page and page:text():match '\\nscript_value "
	"(%d+)')\n"
	"    or -1\n"
	"end\n"
	"function M.renew(i)\n"
	"  pages.state(i, 'lunex_push_queue_bytes', pages.stream(i).interval)\n"
	"end\n"
	"local function show(i)\n"
	"  local count = 0\n"
	"  for _ in pairs(all) do count = count + 1 end\n"
	"  pages.state(i, 'lunex_push_queue_samples', count)\n"
	"  M.renew(i)\n"
	"  pages.tell(i, 'stream ' .. i)\n"
	"end\n"
	"function M.run(i)\n"
	"  local options = pages.stream(i).options\n"
	"  all[i] = { alarm = turn.new(), over = stopping }\n"
	"  show(i)\n"
	"  while not all[i].over do\n"
	"    pages.state(i, 'lunex_push_duration_seconds', value(i))\n"
	"    pages.count(i, 'lunex_pushes_total', 1, 'success')\n"
	"    all[i].alarm:wait(0.01)\n"
	"  end\n"
	"  if options.user then task.sleep(60) end\n"
	"  while options.password and not io.open '%s/free' do\n"
	"    task.sleep(0.01)\n"
	"  end\n"
	"end\n"
	"function M.retire(i)\n"
	"  all[i].over = true\n"
	"  all[i].alarm:call()\n"
	"end\n"
	"function M.forget(i) all[i] = nil end\n"
	"function M.stop()\n"
	"  stopping = true\n"
	"  for i in pairs(all) do M.retire(i) end\n"
	"end\n"
	"return M\n";

/* Does not come back before there is a file. */
static const char stuck[] =
	"local pages, turn = require 'pages', require 'turn'\n"
	"local alarm, M = turn.new(), {}\n"
	"function M.run(i)\n"
	"  pages.tell(i, 'stream ' .. i)\n"
	"  while not io.open '%s/free' do end\n"
	"  alarm:wait(60)\n"
	"end\n"
	"function M.retire() alarm:call() end\n"
	"function M.forget() end\n"
	"function M.stop() alarm:call() end\n"
	"return M\n";

enum { VERSIONS = 2, TARGETS = 3 };

struct fixture {
	struct loop *loop; /* of the main thread: the spec's */
	struct loop *web;  /* of the web thread: the same */
	struct exporter *versions[VERSIONS];
	size_t n;
	unsigned gone; /* rosters */
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

static void turn(void)
{
	uv_run(loop_uv(fixture.loop), UV_RUN_NOWAIT);
	uv_run(loop_uv(fixture.web), UV_RUN_NOWAIT);
	usleep(500);
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

/* Another version of the exporter. */
static struct exporter *load(const char *text, const char *word)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .loaded = on_loaded };
	struct exporter *exporter;

	put("script.lua", text, word);
	options.path = path_of("script.lua");
	exporter = exporter_new(&options);
	loop_run(fixture.loop);
	if (*fixture.err.text)
		fail_msg("%s", fixture.err.text);
	fixture.versions[fixture.n++] = exporter;
	return exporter;
}

static int set_up(void **state)
{
	memset(&fixture, 0, sizeof fixture);
	fixture.loop = loop_new();
	fixture.web = loop_new();
	*state = &fixture;
	return 0;
}

static void end_exporters(void)
{
	for (size_t i = 0; i < fixture.n; i++) {
		exporter_stop(fixture.versions[i]);
		if (!exporter_free(fixture.versions[i], 10))
			fail_msg("the exporter does not end");
	}
	fixture.n = 0;
}

/* In the order of pusher.h. */
static int tear_down(void **state)
{
	(void)state;
	end_exporters();
	loop_free(fixture.web);
	pusher_free(fixture.pusher);
	loop_free(fixture.loop);
	unlink(path_of("script.lua"));
	unlink(path_of("main.lua"));
	unlink(path_of("free"));
	return 0;
}

/* ---- rosters ---- */

static void on_gone(struct roster *roster)
{
	(void)roster;
	fixture.gone++;
}

static struct config *new_target(const char *url, const char *key)
{
	struct config *target = mem_alloc(sizeof *target);

	target->values = mem_array(2, sizeof(*target->values));
	target->values[target->count++] =
		(struct config_value){ .key = mem_string("url"),
				       .type = CONFIG_STRING,
				       .string = mem_string(url) };
	if (key)
		target->values[target->count++] =
			(struct config_value){ .key = mem_string(key),
					       .type = CONFIG_BOOLEAN,
					       .boolean = true };
	return target;
}

/* Targets are URLs; one may have a key, as in "http://h user". */
static struct entry *new_entry(const char *const *targets)
{
	struct entry *entry = entry_new();

	entry->push = mem_array(TARGETS, sizeof(*entry->push));
	for (; *targets; targets++) {
		char url[80], key[80] = "";

		sscanf(*targets, "%79s %79s", url, key);
		entry->push[entry->npush++] =
			new_target(url, *key ? key : NULL);
	}
	return entry;
}

static struct roster *new_roster(struct exporter *exporter,
				 const char *const *targets)
{
	struct roster *roster = roster_new(1, fixture.loop, on_gone, NULL);

	roster->entries[0].name = mem_string("script");
	roster->entries[0].script = mem_string("script.lua");
	roster->entries[0].exporter = exporter;
	roster->entries[0].entry = new_entry(targets);
	return roster;
}

static void set_targets(struct exporter *exporter, const char *const *targets)
{
	struct roster *roster = new_roster(exporter, targets);

	pusher_set_roster(fixture.pusher, roster);
	roster_unref(roster);
}

#define SET(exporter, ...)                                                     \
	set_targets(exporter, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- the pusher ---- */

static void start_failing(const char *text, size_t fail_at)
{
	static char lua_path[80];
	const struct pusher_options options = { .web = fixture.web,
						.main = "main",
						.lua_path = lua_path,
						.fail_at = fail_at };

	put("main.lua", text, folder);
	snprintf(lua_path, sizeof lua_path, "%s/?.lua", folder);
	fixture.pusher = pusher_new(&options);
	pusher_start(fixture.pusher);
}

/* With the script that can hang. */
static void start(const char *text)
{
	start_failing(text, 0);
	SET(load(script, folder), "http://u:p@h:1/?a=b");
}

/* ---- what is seen ---- */

/* The page as text. */
static char *page_text(void)
{
	static char text[65536];
	struct page *page = pusher_page(fixture.pusher);
	struct exposition *exposition;
	size_t len = 0;

	text[0] = '\0';
	if (!page)
		return text;
	exposition = exposition_new(&page, 1, form_plain, NULL);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *bytes = exposition_text(exposition, i);

		assert_true(len + bytes->len < sizeof text);
		memcpy(text + len, bytes->data, bytes->len);
		len += bytes->len;
		bytes_unref(bytes);
	}
	text[len] = '\0';
	exposition_unref(exposition);
	page_unref(page);
	return text;
}

/* The value of a series; -100: there is none. */
static double value_of(const char *family, const char *target)
{
	char start[200], *line;

	snprintf(start, sizeof start, "\n%s{exporter=\"script\",target=\"%s\"",
		 family, target);
	line = strstr(page_text(), start);
	return line ? strtod(strchr(line, '}') + 1, NULL) : -100;
}

static void wait_value(const char *family, const char *target, double value)
{
	while (value_of(family, target) != value)
		turn();
}

static void wait_more(const char *target)
{
	double before = value_of("lunex_pushes_total", target);

	while (value_of("lunex_pushes_total", target) <= before)
		turn();
}

static void wait_gone(unsigned n)
{
	while (fixture.gone < n)
		turn();
}

/* What is shown of stream I, after what was told has been delivered. */
static struct push_shown shown(size_t i)
{
	struct push_shown shown = { "", "", 0 };

	turn();
	pusher_shown(fixture.pusher, "script", i, &shown);
	assert_false(pusher_shown(fixture.pusher, "other", 0, &shown));
	return shown;
}

static void wait_shown(size_t i, const char *target, const char *text)
{
	struct push_shown s = shown(i);

	while (strcmp(target, s.target) != 0 || strcmp(text, s.text) != 0)
		s = shown(i);
}

/* ---- what is specified: tasks ---- */

static void a_task_that_fails_is_begun_again(void **state)
{
	(void)state;
	start(fails);
	wait_shown(0, "http://h:1/", "it is the second");
	wait_value("lunex_pushes_total", "http://h:1/", 2);
	assert_string_equal("", shown(1).target);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void a_task_that_does_not_end_is_ended(void **state)
{
	double begin;

	(void)state;
	start(deaf);
	wait_value("lunex_pushes_total", "http://h:1/", 1);
	begin = loop_now(fixture.loop);
	assert_true(pusher_stop(fixture.pusher, 0.1));
	assert_true(loop_now(fixture.loop) - begin < 5);
}

static void an_exporter_that_does_not_answer_is_asked_once(void **state)
{
	(void)state;
	start(asks);
	wait_shown(0, "http://h:1/",
		   "1; the exporter does not answer in time; "
		   "the exporter does not answer in time");
	assert_true(pusher_stop(fixture.pusher, 5));
	put("free", "", ""); /* its answer comes when the thread is gone */
}

/* Starts with memory that runs out; waits for a line in the log, and answers
 * whether that says that it is well. Then the stream is not wanted any more. */
static bool well_with(size_t fail_at)
{
	static const char *const none[] = { NULL };
	char line[1024];
	int ends[2], saved = dup(STDERR_FILENO);
	FILE *log;
	bool well;

	assert_int_equal(0, pipe(ends));
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log = fdopen(ends[0], "r");
	start_failing(says, fail_at);
	SET(fixture.versions[0], "http://h:1");
	assert_non_null(fgets(line, sizeof line, log));
	well = strstr(line, "it is well") != NULL;
	assert_true(well || strstr(line, "level=error"));
	set_targets(fixture.versions[0], none);
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
	load(script, folder);
	while (!well_with(n += 1 + n / 64)) {
		assert_true(n < 1000000);
		/* An answer may be on its way to the loop. */
		end_exporters();
		turn();
		pusher_free(fixture.pusher);
		fixture.pusher = NULL;
		load(script, folder);
	}
	assert_true(n > 100);
}

static void one_that_was_not_started_can_be_freed(void **state)
{
	const struct pusher_options options = { .web = fixture.web };

	(void)state;
	fixture.pusher = pusher_new(&options);
	SET(load(steady, "1"), "http://h:1");
	assert_true(pusher_stop(fixture.pusher, 5));
	pusher_free(fixture.pusher);
	fixture.pusher = NULL;
	wait_gone(1);
}

/* ---- what is specified: rosters ---- */

static void it_is_wanted_by_an_exporter_with_targets_that_can_run(void **state)
{
	static const char *const none[] = { NULL };
	static const char *const one[] = { "http://h", NULL };
	struct exporter *exporter = load(steady, "1");
	struct roster *rosters[] = { new_roster(exporter, none),
				     new_roster(NULL, one),
				     roster_of(&exporter, 1),
				     new_roster(exporter, one) };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(i == 3, pusher_is_wanted(rosters[i]));
		roster_unref(rosters[i]);
	}
	wait_gone(3);
}

static void a_stream_goes_on_with_another_version(void **state)
{
	double count;

	(void)state;
	start_failing(lives, 0);
	SET(load(steady, "1"), "http://a", "http://b");
	wait_value("lunex_push_duration_seconds", "http://b", 1);
	wait_more("http://b");
	count = value_of("lunex_pushes_total", "http://b");
	SET(load(steady, "2"), "http://b", "http://a");
	wait_value("lunex_push_duration_seconds", "http://b", 2);
	wait_value("lunex_push_duration_seconds", "http://a", 2);
	assert_true(value_of("lunex_pushes_total", "http://b") > count);
	assert_string_equal("stream 1", shown(0).text);
	assert_string_equal("stream 2", shown(1).text);
	wait_gone(1);
	assert_true(pusher_stop(fixture.pusher, 5));
	wait_gone(2);
}

static void the_interval_follows_the_version(void **state)
{
	(void)state;
	start_failing(lives, 0);
	put("free", "", "");
	SET(load(script, folder), "http://a");
	wait_value("lunex_push_queue_bytes", "http://a", 0);
	SET(load(steady, "2"), "http://a");
	wait_value("lunex_push_queue_bytes", "http://a", 3600);
	assert_string_equal("stream 1", shown(0).text);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void targets_come_and_go(void **state)
{
	static const char *const none[] = { NULL };
	struct exporter *exporter = load(steady, "1");

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a");
	wait_more("http://a");
	SET(exporter, "http://b", "http://a");
	wait_more("http://b");
	wait_more("http://a");
	SET(exporter, "http://b");
	wait_value("lunex_pushes_total", "http://a", -100);
	wait_shown(0, "http://b", "stream 2");
	wait_shown(1, "", "");
	set_targets(exporter, none);
	wait_value("lunex_pushes_total", "http://b", -100);
	wait_shown(0, "", "");
	wait_gone(3);
	SET(exporter, "http://a");
	wait_shown(0, "http://a", "stream 3");
	wait_value("lunex_push_queue_samples", "http://a", 1);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void equal_targets_have_a_stream_each(void **state)
{
	struct exporter *exporter = load(steady, "1");

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a", "http://a");
	wait_more("http://a #2");
	SET(exporter, "http://a", "http://a", "http://a");
	wait_more("http://a #3");
	wait_shown(0, "http://a", "stream 1");
	wait_shown(1, "http://a #2", "stream 2");
	SET(exporter, "http://a");
	wait_value("lunex_pushes_total", "http://a #2", -100);
	wait_value("lunex_pushes_total", "http://a #3", -100);
	wait_shown(0, "http://a", "stream 1");
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void one_that_changed_begins_after_the_farewell_of_the_old(void **state)
{
	struct exporter *exporter = load(steady, "1");

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a/ password", "http://b");
	wait_more("http://a/");
	SET(exporter, "http://a", "http://b", "http://c");
	wait_more("http://c"); /* nobody else waits */
	wait_more("http://b");
	wait_shown(0, "http://a/", "stream 1");
	wait_value("lunex_pushes_total", "http://a", -100);
	put("free", "", "");
	wait_more("http://a");
	wait_value("lunex_pushes_total", "http://a/", -100);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void a_farewell_has_an_end(void **state)
{
	struct exporter *exporter = load(steady, "1");
	double begin;

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a user", "http://b");
	wait_more("http://a");
	begin = loop_now(fixture.loop);
	SET(exporter, "http://a", "http://b");
	wait_shown(1, "http://a", "stream 3");
	assert_true(loop_now(fixture.loop) - begin >= 4.9);
	assert_true(loop_now(fixture.loop) - begin < 9);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void a_former_version_that_is_stuck_holds_up_nothing(void **state)
{
	(void)state;
	start_failing(lives, 0);
	SET(load(script, folder), "http://a");
	wait_value("lunex_push_duration_seconds", "http://a", 1);
	wait_value("lunex_push_duration_seconds", "http://a", -1);
	SET(load(steady, "2"), "http://a");
	wait_value("lunex_push_duration_seconds", "http://a", 2);
	turn();
	assert_int_equal(0, fixture.gone); /* a question is open */
	put("free", "", "");
	wait_gone(1);
	assert_string_equal("stream 1", shown(0).text);
	assert_true(pusher_stop(fixture.pusher, 5));
}

/* As when the script is removed. */
static void a_stream_ends_while_its_exporter_is_stuck(void **state)
{
	static const char *const none[] = { NULL };
	struct exporter *exporter = load(script, folder);

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a");
	wait_value("lunex_push_duration_seconds", "http://a", 1);
	wait_value("lunex_push_duration_seconds", "http://a", -1);
	set_targets(NULL, none);
	wait_value("lunex_pushes_total", "http://a", -100);
	assert_int_equal(0, fixture.gone);
	put("free", "", "");
	wait_gone(1);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void only_the_latest_roster_waits_for_a_stuck_thread(void **state)
{
	struct exporter *exporter = load(steady, "1");

	(void)state;
	start_failing(stuck, 0);
	SET(exporter, "http://a");
	wait_shown(0, "http://a", "stream 1");
	for (int i = 0; i < 100; i++)
		SET(exporter, i == 99 ? "http://c" : "http://b");
	wait_gone(99);
	turn();
	assert_int_equal(99, fixture.gone);
	put("free", "", "");
	wait_shown(0, "http://c", "stream 2");
	wait_gone(100);
	assert_true(pusher_stop(fixture.pusher, 5));
}

static void nothing_is_left_of_a_thousand_rosters(void **state)
{
	struct exporter *versions[] = { load(steady, "1"), load(steady, "2") };
	char target[40], text[40];

	(void)state;
	log_set_level(LOG_WARN);
	start_failing(lives, 0);
	for (unsigned i = 1; i <= 1000; i++) {
		snprintf(target, sizeof target, "http://h%u", i);
		snprintf(text, sizeof text, "stream %u", i + 1);
		SET(versions[i % 2], "http://a", target);
		wait_shown(1, target, text);
		wait_gone(i - 1);
	}
	wait_more(target);
	assert_in_range((int)value_of("lunex_push_queue_samples", target), 2,
			3); /* the one before it may still end */
	wait_value("lunex_pushes_total", "http://h999", -100);
	assert_null(strstr(page_text(), "http://h1\""));
	wait_shown(0, "http://a", "stream 1");
	assert_string_equal("", shown(2).target);
	assert_true(pusher_stop(fixture.pusher, 5));
	wait_gone(1000);
	log_set_level(LOG_INFO);
}

static void rosters_may_come_at_the_end(void **state)
{
	struct exporter *exporter = load(steady, "1");

	(void)state;
	start_failing(lives, 0);
	SET(exporter, "http://a");
	wait_more("http://a");
	SET(exporter, "http://b");
	assert_true(pusher_stop(fixture.pusher, 5));
	SET(exporter, "http://c");
	end_exporters();
	turn();
	pusher_free(fixture.pusher);
	fixture.pusher = NULL;
	wait_gone(3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_task_that_fails_is_begun_again),
		TEST(a_task_that_does_not_end_is_ended),
		TEST(an_exporter_that_does_not_answer_is_asked_once),
		TEST(memory_may_run_out_anywhere),
		TEST(one_that_was_not_started_can_be_freed),
		TEST(it_is_wanted_by_an_exporter_with_targets_that_can_run),
		TEST(a_stream_goes_on_with_another_version),
		TEST(the_interval_follows_the_version),
		TEST(targets_come_and_go),
		TEST(equal_targets_have_a_stream_each),
		TEST(one_that_changed_begins_after_the_farewell_of_the_old),
		TEST(a_farewell_has_an_end),
		TEST(a_former_version_that_is_stuck_holds_up_nothing),
		TEST(a_stream_ends_while_its_exporter_is_stuck),
		TEST(only_the_latest_roster_waits_for_a_stuck_thread),
		TEST(nothing_is_left_of_a_thousand_rosters),
		TEST(rosters_may_come_at_the_end),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
