/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans that are made while exporters run: of scripts that are stuck, of files
 * that cannot be read to their end, without descriptors, and hundreds of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../folder.h"
#include "core/log.h"
#include "core/mem.h"
#include "run/exporter.h"
#include "run/planner.h"

#define SCRIPT                                                                 \
	"local metric = require 'metric'\n"                                    \
	"return {\n"                                                           \
	"  name = '%s', interval = 0.001,\n"                                   \
	"  config = { host = { 'h', env = 'SPEC_HOST' } },\n"                  \
	"  metrics = { %s_value = metric.gauge 'A value.' },\n"                \
	"  collect = function(m) m.%s_value:set(1) end,\n"                     \
	"}\n"

static const double soon = 1, late = 60;

static struct {
	struct loop *loop;
	struct timer look;
	bool (*is_so)(void);
	unsigned stuck; /* threads */
	struct planner *planner;
	unsigned done; /* calls */
	bool made;
	struct plan plan;
	struct err err;
} fixture;

/* ---- files ---- */

static void write_script(const char *name)
{
	char text[1024], file[64];

	snprintf(text, sizeof text, SCRIPT, name, name, name);
	snprintf(file, sizeof file, "%s.lua", name);
	write_file(file, text);
}

/* A script that waits at its top for somebody to write into the pipe "p"; who
 * gets there leaves a byte in "at". */
static void write_stuck(void)
{
	char text[512];

	assert_int_equal(0, mkfifo(path("p"), 0600));
	snprintf(text, sizeof text,
		 "io.open('%s/at', 'a'):write('x'):close()\n"
		 "io.open('%s/p'):close()\n"
		 "return { collect = function() end }\n",
		 folder, folder);
	write_file("a.lua", text);
}

/* Who waits for the pipe goes on, and reads TEXT from it; who comes later finds
 * nothing. */
static void let_go(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY);

	assert_true(fd >= 0);
	unlink(path(name));
	assert_int_equal(strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

/* ---- plans ---- */

static void done(void *arg, struct plan *plan, const struct err *err)
{
	assert_ptr_equal(&fixture, arg);
	assert_true(!plan != !err);
	fixture.done++;
	fixture.made = plan != NULL;
	if (plan)
		fixture.plan = *plan;
	else
		fixture.err = *err;
	loop_stop(fixture.loop);
}

static void new_planner(double patience, const char *first, const char *second)
{
	char *arguments[] = { mem_string("lunex"), mem_string(first),
			      mem_string(second) };

	fixture.planner = planner_new(second ? 3 : 2, arguments, patience);
	for (size_t i = 0; i < 3; i++) {
		if (arguments[i])
			memset(arguments[i], '*', strlen(arguments[i]));
		free(arguments[i]);
	}
}

/* True when there is a plan now. */
static bool make(void)
{
	unsigned before = fixture.done;

	plan_release(&fixture.plan);
	memset(&fixture.plan, 0, sizeof fixture.plan);
	planner_make(fixture.planner, fixture.loop, done, &fixture);
	assert_int_equal(before, fixture.done);
	while (fixture.done == before)
		loop_run(fixture.loop);
	assert_int_equal(before + 1, fixture.done);
	return fixture.made;
}

static void look(struct timer *timer)
{
	if (fixture.is_so())
		loop_stop(fixture.loop);
	else
		timer_start(timer, 0.01);
}

/* Runs the loop until it is so. */
static void await(bool (*is_so)(void))
{
	fixture.is_so = is_so;
	timer_start(&fixture.look, 0);
	loop_run(fixture.loop);
}

static bool nobody_is_left(void)
{
	return planner_left_behind(fixture.planner) == 0;
}

static bool all_are_there(void)
{
	struct stat info;

	return stat(path("at"), &info) == 0 &&
	       info.st_size == (off_t)fixture.stuck;
}

/* THREADS are stuck, or will be soon; lets them go when they are. */
static void free_stuck(unsigned threads)
{
	fixture.stuck = threads;
	await(all_are_there);
	unlink(path("at"));
	let_go("p", "");
}

static bool has_seen(const char *name)
{
	const struct seen_list *seen = planner_seen(fixture.planner);

	for (size_t i = 0; i < seen->n; i++)
		if (strcmp(seen->items[i]->path, path(name)) == 0)
			return seen->items[i]->state.what == SEEN_CONTENT;
	return false;
}

static void assert_refused(const char *first, const char *second)
{
	assert_true(plan_refused(&fixture.plan));
	assert_string_equal(first, fixture.plan.errors[0]);
	if (second)
		assert_string_equal(second, fixture.plan.errors[1]);
	assert_null(fixture.plan.errors[second ? 2 : 1]);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof fixture);
	fixture.loop = loop_new();
	timer_init(fixture.loop, &fixture.look, look);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(planner_stop(fixture.planner, late));
	planner_free(fixture.planner);
	plan_release(&fixture.plan);
	timer_release(&fixture.look);
	loop_free(fixture.loop);
	return 0;
}

/* ---- specs ---- */

static void a_plan_is_made_of_the_arguments_as_they_were(void **state)
{
	(void)state;
	write_script("a");
	new_planner(late, path("a.lua"), "--watch=poll");
	assert_true(make());
	assert_string_equal("run", fixture.plan.command);
	assert_false(plan_refused(&fixture.plan));
	assert_int_equal(1, fixture.plan.nexporters);
	assert_string_equal("a", fixture.plan.exporters[0]->name);
	assert_int_equal(PLAN_WATCH_POLL, fixture.plan.watch);
	assert_false(fixture.plan.lifecycle);
	assert_false(fixture.plan.open);
}

static void files_are_read_anew_each_time(void **state)
{
	(void)state;
	assert_int_equal(0, mkdir(path("d"), 0700));
	new_planner(late, "--scripts", path("d"));
	assert_true(make());
	assert_true(fixture.plan.open);
	assert_int_equal(0, fixture.plan.nexporters);
	write_script("d/a");
	assert_true(make());
	assert_int_equal(1, fixture.plan.nexporters);
	assert_non_null(fixture.plan.exporters[0]->mistake);
	unlink(path("d/a.lua"));
	write_file("d/b.lua", "return { collect = function() end }");
	assert_true(make());
	assert_int_equal(1, fixture.plan.nexporters);
	assert_string_equal("b", fixture.plan.exporters[0]->name);
	assert_null(fixture.plan.exporters[0]->mistake);
	unlink(path("d/b.lua"));
	rmdir(path("d"));
	assert_true(make());
	assert_true(plan_refused(&fixture.plan));
}

static void a_refusal_has_all_sentences(void **state)
{
	char first[256], second[256];

	(void)state;
	write_file("l.lua", "return {\n  listen = 1,\n  exporters = {},\n}\n");
	new_planner(late, "--config", path("l.lua"));
	assert_true(make());
	snprintf(first, sizeof first,
		 "%s/l.lua:2: listen: expected a string such as \":9100\", or "
		 "a list of them, got a number",
		 folder);
	snprintf(second, sizeof second,
		 "%s/l.lua:3: exporters: the list is empty", folder);
	assert_refused(first, second);
}

static void a_script_that_does_not_load_is_a_refusal(void **state)
{
	char sentence[256];

	(void)state;
	write_file("a.lua", "return {\n  = 1 }\n");
	new_planner(late, path("a.lua"), NULL);
	assert_true(make());
	snprintf(sentence, sizeof sentence,
		 "%s/a.lua:2: unexpected symbol near '='", folder);
	assert_refused(sentence, NULL);
}

static void a_stuck_script_is_left_behind(void **state)
{
	char sentence[256];

	(void)state;
	write_stuck();
	new_planner(soon, path("a.lua"), NULL);
	assert_false(make());
	assert_int_equal(ERR_TIMEOUT, fixture.err.code);
	snprintf(sentence, sizeof sentence,
		 "%s/a.lua: it is still being read or loaded after 1 s",
		 folder);
	assert_string_equal(sentence, fixture.err.text);
	assert_int_equal(1, planner_left_behind(fixture.planner));
	assert_true(has_seen("a.lua"));
	assert_false(make());
	assert_true(has_seen("a.lua"));
	assert_int_equal(2, planner_left_behind(fixture.planner));
	free_stuck(2);
	await(nobody_is_left);
	assert_int_equal(2, fixture.done);
}

/* The one that is stuck does not hold up the next, nor is what it brings in
 * the end taken for a plan. */
static void the_next_plan_has_a_thread_of_its_own(void **state)
{
	(void)state;
	write_stuck();
	new_planner(soon, path("a.lua"), NULL);
	assert_false(make());
	fixture.stuck = 1;
	await(all_are_there); /* the old script was read */
	write_script("a");
	while (!make()) /* a slow machine is no stuck script */
		assert_int_equal(ERR_TIMEOUT, fixture.err.code);
	assert_true(planner_left_behind(fixture.planner) >= 1);
	free_stuck(1);
	await(nobody_is_left);
	assert_int_equal(0, planner_seen(fixture.planner)->n);
	assert_true(fixture.made);
	assert_string_equal("a", fixture.plan.exporters[0]->name);
}

static void a_pipe_that_nobody_writes_is_named(void **state)
{
	char sentence[256];

	(void)state;
	unlink(path("l.lua"));
	assert_int_equal(0, mkfifo(path("l.lua"), 0600));
	new_planner(soon, "--config", path("l.lua"));
	assert_false(make());
	snprintf(sentence, sizeof sentence,
		 "%s/l.lua: it is still being read or loaded after 1 s",
		 folder);
	assert_string_equal(sentence, fixture.err.text);
	let_go("l.lua", "return {}");
	await(nobody_is_left);
}

static void stuck_threads_do_not_pile_up(void **state)
{
	(void)state;
	write_stuck();
	new_planner(0.02, path("a.lua"), NULL);
	for (unsigned i = 0; i < PLANNER_LEFT_MAX; i++) {
		assert_false(make());
		assert_int_equal(ERR_TIMEOUT, fixture.err.code);
	}
	assert_false(make());
	assert_int_equal(ERR_LIMIT, fixture.err.code);
	assert_string_equal("8 threads that read what is to run are stuck",
			    fixture.err.text);
	assert_int_equal(PLANNER_LEFT_MAX,
			 planner_left_behind(fixture.planner));
	free_stuck(PLANNER_LEFT_MAX);
	await(nobody_is_left);
}

static void stopping_tells_of_a_stuck_thread(void **state)
{
	(void)state;
	write_stuck();
	new_planner(late, path("a.lua"), NULL);
	planner_make(fixture.planner, fixture.loop, done, &fixture);
	assert_false(planner_stop(fixture.planner, 0.05));
	assert_int_equal(1, planner_left_behind(fixture.planner));
	free_stuck(1);
	assert_true(planner_stop(fixture.planner, late));
	assert_int_equal(0, planner_left_behind(fixture.planner));
	assert_int_equal(0, fixture.done);
}

static void stopping_forgets_what_was_not_told(void **state)
{
	(void)state;
	write_script("a");
	new_planner(late, path("a.lua"), NULL);
	planner_make(fixture.planner, fixture.loop, done, &fixture);
	assert_true(planner_stop(fixture.planner, late));
	assert_int_equal(0, fixture.done);
}

/* ---- without descriptors ---- */

static unsigned descriptors(void)
{
	DIR *entries = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(entries);
	while (readdir(entries))
		n++;
	closedir(entries);
	return n;
}

static void no_descriptors_are_a_sentence(void **state)
{
	struct rlimit before, less;

	(void)state;
	write_script("a");
	new_planner(late, path("a.lua"), NULL);
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
	less = before;
	less.rlim_cur = descriptors() - 3; /* ".", ".." and its own */
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &less));
	assert_false(make());
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
	assert_string_equal("cannot make an event loop: too many open files "
			    "(ulimit -n)",
			    fixture.err.text);
	assert_true(make());
}

/* ---- many, beside exporters ---- */

static atomic_uint loaded;

static void on_loaded(void *arg, const struct err *err)
{
	(void)arg;
	loaded += !err;
}

static bool both_are_loaded(void)
{
	return loaded == 2;
}

static unsigned open_before;

/* What a thread has that was told of is closed a moment later. */
static bool no_more_is_open(void)
{
	return descriptors() <= open_before;
}

static struct exporter *start_exporter(const char *name)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .loaded = on_loaded };
	char file[64];

	write_script(name);
	snprintf(file, sizeof file, "%s.lua", name);
	options.path = path(file);
	return exporter_new(&options);
}

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	assert_non_null(file);
	assert_int_equal(1, fscanf(file, "%*u %lu", &pages));
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_TELLS = 0 }; /* what was freed is kept for a while */
#else
enum { MEMORY_TELLS = 1 };
#endif

static void make_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_true(make());
		assert_int_equal(2, fixture.plan.nexporters);
	}
}

static void hundreds_cost_nothing_that_stays(void **state)
{
	struct exporter *exporters[2];
	size_t before;

	(void)state;
	exporters[0] = start_exporter("x");
	exporters[1] = start_exporter("y");
	write_file("l.lua", "return { exporters = { { 'x.lua' }, "
			    "{ 'y.lua' } } }");
	await(both_are_loaded);
	new_planner(late, "--config", path("l.lua"));
	make_many(20);
	before = resident();
	open_before = descriptors();
	make_many(200);
	await(no_more_is_open);
	if (MEMORY_TELLS)
		assert_true(resident() < before + before / 20);
	for (size_t i = 0; i < 2; i++)
		exporter_stop(exporters[i]);
	for (size_t i = 0; i < 2; i++)
		assert_true(exporter_free(exporters[i], late));
}

static int be_quiet(void **state)
{
	log_set_level(LOG_ERROR);
	return make_folder(state);
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "a.lua", "x.lua", "y.lua",
					     "l.lua" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(path(names[i]));
	return rmdir(folder);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(a_plan_is_made_of_the_arguments_as_they_were),
		SPEC(files_are_read_anew_each_time),
		SPEC(a_refusal_has_all_sentences),
		SPEC(a_script_that_does_not_load_is_a_refusal),
		SPEC(a_stuck_script_is_left_behind),
		SPEC(the_next_plan_has_a_thread_of_its_own),
		SPEC(a_pipe_that_nobody_writes_is_named),
		SPEC(stuck_threads_do_not_pile_up),
		SPEC(stopping_tells_of_a_stuck_thread),
		SPEC(stopping_forgets_what_was_not_told),
		SPEC(no_descriptors_are_a_sentence),
		SPEC(hundreds_cost_nothing_that_stays),
	};

	return cmocka_run_group_tests(tests, be_quiet, remove_folder);
}
