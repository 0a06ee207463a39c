/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet goes from one list of exporters to another, with scripts that are
 * what changes can meet, and with memory that runs out at each allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/exposition.h"
#include "core/log.h"
#include "core/mem.h"
#include "run/change.h"
#include "run/fleet.h"
#include "vm/state.h"

static char folder[] = "/tmp/lunex-change-spec-XXXXXX";

struct world {
	struct loop *loop;
	struct fleet *fleet;
	struct entry *entries[4];
	size_t n;
	struct report *report; /* of the latest change */
};

/* ---- scripts ---- */

/* What a version of a script may differ in. */
struct text {
	const char *name;    /* of the exporter, and of its file */
	const char *metrics; /* more of them */
	const char *collect; /* more of it */
	const char *keys;    /* more of the table */
};

static void write_script(const struct text *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s.lua", folder, text->name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"local metric = require 'metric'\n"
		"return {\n"
		"  name = '%s',\n"
		"  metrics = { %s_total = metric.counter 'Runs.', %s },\n"
		"  collect = function(m) m.%s_total:inc() %s end,\n"
		"  %s\n"
		"}\n",
		text->name, text->name, text->metrics ? text->metrics : "",
		text->name, text->collect ? text->collect : "",
		text->keys ? text->keys : "");
	fclose(file);
}

static struct entry *entry_of(const char *name)
{
	struct entry *entry = entry_new();
	char path[128];

	snprintf(path, sizeof path, "%s/%s.lua", folder, name);
	entry->script = mem_string(path);
	entry->name = mem_string(name);
	entry->where = mem_string("lunex.lua:1");
	return entry;
}

/* ---- changes ---- */

static bool fits(void *arg, struct exporter *const *exporters, size_t n,
		 struct err *err)
{
	(void)arg;
	(void)exporters;
	(void)n;
	(void)err;
	return true;
}

static enum change_need load_all(void *arg, const struct member *member,
				 const struct entry *entry)
{
	(void)arg;
	(void)member;
	(void)entry;
	return CHANGE_LOAD;
}

static void done(void *arg, struct report *report)
{
	struct world *world = arg;

	world->report = report;
	loop_stop(world->loop);
}

/* Loads all the entries anew. */
static const struct report *change(struct world *world)
{
	const struct change_options options = { .loop = world->loop,
						.fleet = world->fleet,
						.entries = world->entries,
						.n = world->n,
						.need = load_all,
						.fits = fits,
						.done = done,
						.arg = world };
	struct change *started;

	report_free(world->report);
	world->report = NULL;
	started = change_new(&options);
	loop_run(world->loop);
	assert_non_null(world->report);
	change_free(started);
	return world->report;
}

static void want(struct world *world, const char *const *names)
{
	for (size_t i = 0; i < world->n; i++)
		entry_unref(world->entries[i]);
	for (world->n = 0; names[world->n]; world->n++)
		world->entries[world->n] = entry_of(names[world->n]);
}

static const char *result_of(const struct report *report, const char *name,
			     enum report_result result)
{
	for (size_t i = 0; i < report->n; i++)
		if (strcmp(report->items[i].exporter, name) == 0) {
			assert_int_equal(report->items[i].result, result);
			return report->items[i].text;
		}
	fail_msg("nothing is said about %s", name);
	return NULL;
}

/* ---- pages ---- */

static void answered(struct exporter_question *question)
{
	loop_stop(question->asker);
}

/* Collects, and gives the page as text, to be freed. */
static char *page_of(struct world *world, const char *name)
{
	struct exporter_question question = { .asker = world->loop,
					      .seconds = 20,
					      .answered = answered };
	struct exposition *exposition;
	struct page *page;
	struct buf text;

	question.exporter = fleet_find(world->fleet, name)->current->exporter;
	exporter_ask(&question);
	loop_run(world->loop);
	page = exporter_page(question.exporter);
	exposition = exposition_new(&page, 1, form_plain, NULL);
	buf_init(&text, 1 << 20);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *block = exposition_text(exposition, i);

		buf_add(&text, block->data, block->len);
		bytes_unref(block);
	}
	exposition_unref(exposition);
	page_unref(page);
	return buf_take(&text, NULL);
}

static void shows(struct world *world, const char *name, const char *line)
{
	char *page = page_of(world, name), sought[128];

	snprintf(sought, sizeof sought, "\n%s\n", line);
	if (!strstr(page, sought))
		fail_msg("no '%s' in\n%s", line, page);
	free(page);
}

/* ---- the world ---- */

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	struct fleet_options options = { 0 };

	world->loop = loop_new();
	options.loop = world->loop;
	world->fleet = fleet_new(&options);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	bool stopped = fleet_stop(world->fleet, 20);

	loop_free(world->loop);
	fleet_free(world->fleet);
	report_free(world->report);
	for (size_t i = 0; i < world->n; i++)
		entry_unref(world->entries[i]);
	free(world);
	return stopped ? 0 : -1;
}

/* ---- what becomes of versions ---- */

static void test_counts_go_on_in_a_new_version(void **state)
{
	const struct text text = { .name = "a" };
	const char *const names[] = { "a", NULL };
	struct world *world = *state;

	write_script(&text);
	want(world, names);
	result_of(change(world), "a", REPORT_ADDED);
	shows(world, "a", "a_total 1");
	shows(world, "a", "a_total 2");
	for (int i = 0; i < 5; i++)
		result_of(change(world), "a", REPORT_RELOADED);
	shows(world, "a", "a_total 8"); /* a trial is a collection */
}

static void test_a_refused_version_leaves_the_old_one(void **state)
{
	const struct text good = { .name = "a" },
			  bad = { .name = "a", .collect = "error 'no idea'" };
	const char *const names[] = { "a", NULL };
	struct world *world = *state;
	const char *why;

	write_script(&good);
	want(world, names);
	change(world);
	shows(world, "a", "a_total 1");
	write_script(&bad);
	why = result_of(change(world), "a", REPORT_FAILED);
	assert_non_null(strstr(why, "a.lua:5: no idea"));
	assert_false(fleet_find(world->fleet, "a")->loaded);
	shows(world, "a", "a_total 2");
	write_script(&good);
	result_of(change(world), "a", REPORT_RELOADED);
	assert_true(fleet_find(world->fleet, "a")->loaded);
	shows(world, "a", "a_total 4");
}

static void test_a_family_keeps_its_type(void **state)
{
	struct text text = { .name = "a",
			     .metrics = "a_x = metric.gauge 'X.'" };
	const char *const names[] = { "a", NULL };
	struct world *world = *state;
	const char *why;

	write_script(&text);
	want(world, names);
	change(world);
	text.metrics = "a_x = metric.counter 'X.'";
	write_script(&text);
	why = result_of(change(world), "a", REPORT_FAILED);
	assert_non_null(strstr(why, "a.lua:4: a_x is a counter here and a "
				    "gauge in the version that runs"));
}

/* Neither could be replaced alone. */
static void test_a_family_moves_from_one_to_another(void **state)
{
	struct text a = { .name = "a", .metrics = "moved = metric.gauge 'X.'" },
		    b = { .name = "b" };
	const char *const names[] = { "b", "a", NULL };
	struct world *world = *state;

	write_script(&a);
	write_script(&b);
	want(world, names);
	change(world);
	b.metrics = a.metrics;
	a.metrics = NULL;
	write_script(&a);
	write_script(&b);
	change(world);
	result_of(world->report, "a", REPORT_RELOADED);
	result_of(world->report, "b", REPORT_RELOADED);
}

/* One that stays because its trial failed is in the way of the other one. */
static void test_what_stays_is_compared_again(void **state)
{
	struct text a = { .name = "a", .metrics = "moved = metric.gauge 'X.'" },
		    b = { .name = "b" };
	const char *const names[] = { "b", "a", NULL };
	struct world *world = *state;
	const char *why;

	write_script(&a);
	write_script(&b);
	want(world, names);
	change(world);
	shows(world, "a", "a_total 1");
	b.metrics = "moved = metric.counter 'Y.'";
	a.metrics = NULL;
	a.collect = "error 'fails'";
	write_script(&a);
	write_script(&b);
	change(world);
	result_of(world->report, "a", REPORT_FAILED);
	why = result_of(world->report, "b", REPORT_FAILED);
	assert_non_null(strstr(why, "moved"));
	shows(world, "a", "a_total 2");
	shows(world, "b", "b_total 1");
}

static void test_exporters_come_and_go(void **state)
{
	const struct text a = { .name = "a" }, b = { .name = "b" };
	const char *const first[] = { "a", NULL }, *const both[] = { "a", "b",
								     NULL };
	const char *const second[] = { "b", NULL }, *const none[] = { NULL };
	struct world *world = *state;

	write_script(&a);
	write_script(&b);
	want(world, first);
	change(world);
	want(world, both);
	result_of(change(world), "b", REPORT_ADDED);
	want(world, second);
	result_of(change(world), "a", REPORT_REMOVED);
	assert_null(fleet_find(world->fleet, "a"));
	shows(world, "b", "b_total 2");
	want(world, none);
	result_of(change(world), "b", REPORT_REMOVED);
}

/* A roster that somebody holds keeps an old version able to answer, by passing
 * the question on. */
static void test_an_old_version_passes_questions_on(void **state)
{
	const struct text text = { .name = "a" };
	const char *const names[] = { "a", NULL };
	struct world *world = *state;
	struct exporter_question question = { .asker = world->loop,
					      .seconds = 20,
					      .answered = answered };
	struct roster *roster;

	write_script(&text);
	want(world, names);
	change(world);
	shows(world, "a", "a_total 1");
	roster = fleet_roster(world->fleet);
	change(world);
	question.exporter = roster->entries[0].exporter;
	assert_ptr_not_equal(question.exporter,
			     fleet_find(world->fleet, "a")->current->exporter);
	exporter_ask(&question);
	loop_run(world->loop);
	shows(world, "a", "a_total 4");
	roster_unref(roster);
}

/* ---- memory ---- */

/* So many changes in a row must succeed: what a version allocates after its
 * trial, until it is closed by the next change, is less. */
enum { IN_A_ROW = 150, ALLOCATIONS_MAX = 20000 };

static void names_the_limit(const struct report *report, size_t n)
{
	if (!strstr(report->items[0].text, "memory limit of 64 MiB exceeded"))
		fail_msg("allocation %zu: %s", n, report->items[0].text);
}

/* From loading a new version beside the old one to its end, and the end of the
 * old one, whose memory has run out as well. MODE: see vm/state.h. */
static void sweep(struct world *world, size_t mode)
{
	size_t failed = 0, row = 0, n = 1;

	for (; row < IN_A_ROW && n < ALLOCATIONS_MAX; n++) {
		const struct report *report;

		fleet_fail_at(world->fleet, n | mode);
		report = change(world);
		row = report->ok ? row + 1 : 0;
		failed += !report->ok;
		if (!report->ok)
			names_the_limit(report, n);
	}
	assert_true(failed > 100 && n < ALLOCATIONS_MAX);
}

static void test_memory_runs_out_at_each_allocation(void **state)
{
	const struct text text = {
		.name = "a",
		.metrics = "a_seconds = metric.histogram { 'S.', labels = { "
			   "'k' }, buckets = { 1, 2 } }",
		.collect = "m.a_seconds:observe(1.5, 'x') "
			   "require('task').sleep(0)",
		.keys = "start = function(m) "
			"local c <close> = setmetatable({}, { __close = "
			"function() m.a_total:inc() end }) "
			"require('task').sleep(1000) end",
	};
	const char *const names[] = { "a", NULL };
	struct world *world = *state;

	write_script(&text);
	want(world, names);
	change(world);
	shows(world, "a", "a_total 1");
	sweep(world, 0);
	sweep(world, VM_FAIL_ONCE);
	fleet_fail_at(world->fleet, 0);
	result_of(change(world), "a", REPORT_RELOADED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_counts_go_on_in_a_new_version, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_refused_version_leaves_the_old_one, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_a_family_keeps_its_type,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_family_moves_from_one_to_another, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_what_stays_is_compared_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exporters_come_and_go,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_an_old_version_passes_questions_on, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_memory_runs_out_at_each_allocation, setup,
			teardown),
	};

	log_set_level(LOG_ERROR);
	return mkdtemp(folder) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
