/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan and a script depend on: everything that was read, and nothing
 * else, so that a change of it is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../folder.h"
#include "bind/modules.h"
#include "core/registry.h"
#include "run/declaration.h"
#include "run/plan.h"

#define THING                                                                  \
	"local helper = require 'helper'\n"                                    \
	"return { collect = function() end }\n"

static struct seen *find(const struct seen_list *list, const char *name)
{
	const char *full = *name == '/' ? name : path(name);

	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i]->path, full) == 0)
			return list->items[i];
	return NULL;
}

/* Is NAME among LIST, read, or (not READ) missed? */
static bool has(const struct seen_list *list, const char *name, bool read)
{
	const struct seen *seen = find(list, name);

	return seen && (seen->state.what == SEEN_CONTENT) == read &&
	       (seen->state.what == SEEN_NOTHING) != read;
}

/* How many of LIST are not what they were. */
static unsigned changed(struct seen_list *list)
{
	unsigned n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += !seen_is_current(list->items[i], NULL);
	return n;
}

static void make(struct plan *plan, const char *first, const char *second)
{
	char *arguments[] = { (char *)(uintptr_t) "lunex",
			      (char *)(uintptr_t)first,
			      (char *)(uintptr_t)second };
	struct err err;

	if (!plan_make(plan, second ? 3 : 2, arguments, NULL, &err))
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	(void)state;
	mkdir(path("s"), 0700);
	write_file("s/a.lua", THING);
	write_file("s/helper.lua", "return require 'deeper'");
	write_file("s/deeper.lua", "return {}");
	write_file("secret", "s3cret\n");
	write_file("push", "p4ssword");
	write_file("l.lua", "local text = file 'secret'\n"
			    "return { exporters = { { 's/a.lua' } },\n"
			    "  push = { url = 'http://localhost:9091',\n"
			    "    username = 'u', password = file 'push' } }");
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {
		"s/a.lua", "s/helper.lua", "s/deeper.lua", "s/b.lua", "secret",
		"push",	   "l.lua",	   ".env",	   "s"
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		remove(path(names[i]));
	return 0;
}

/* ---- plans ---- */

static void a_plan_knows_every_file_that_it_was_made_from(void **state)
{
	static const char *const read[] = { "l.lua",	    "secret",
					    "push",	    "s/a.lua",
					    "s/helper.lua", "s/deeper.lua" };
	struct plan plan;

	(void)state;
	make(&plan, "--config", "l.lua");
	assert_false(plan_refused(&plan));
	for (size_t i = 0; i < sizeof read / sizeof *read; i++)
		if (!has(&plan.seen, read[i], true))
			fail_msg("%s is not there", read[i]);
	assert_true(has(&plan.seen, ".env", false));
	assert_int_equal(7, plan.seen.n);
	assert_int_equal(0, changed(&plan.seen));
	for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
		write_file(read[i], "-- another text");
		assert_int_equal(i + 1, changed(&plan.seen));
	}
	write_file(".env", "");
	assert_int_equal(plan.seen.n, changed(&plan.seen));
	plan_release(&plan);
}

static void a_plan_knows_its_variables_and_secrets(void **state)
{
	struct plan plan;

	(void)state;
	write_file(".env", "TOKEN_FILE=secret\n");
	write_file("s/a.lua", "return { collect = function() end, config = { "
			      "token = { env = 'TOKEN', secret = true } } }");
	make(&plan, "s/a.lua", NULL);
	assert_string_equal("s3cret",
			    plan.exporters[0]->config->values[0].string);
	assert_true(has(&plan.seen, ".env", true));
	assert_true(has(&plan.seen, "secret", true));
	assert_true(has(&plan.seen, "s/a.lua", true));
	plan_release(&plan);
}

static void a_plan_knows_its_folders(void **state)
{
	struct plan plan;

	(void)state;
	make(&plan, "--scripts", "s");
	assert_int_equal(3, plan.nexporters);
	assert_int_equal(SEEN_FOLDER, find(&plan.seen, "s")->kind);
	assert_int_equal(0, changed(&plan.seen));
	write_file("s/b.lua", "");
	assert_int_equal(1, changed(&plan.seen));
	remove(path("s/b.lua"));
	assert_int_equal(0, changed(&plan.seen));
	plan_release(&plan);
}

static void a_refusal_knows_what_it_read(void **state)
{
	struct plan plan;

	(void)state;
	write_file("s/helper.lua", "return {\n = }");
	make(&plan, "s/a.lua", NULL);
	assert_true(plan_refused(&plan));
	assert_true(has(&plan.seen, "s/a.lua", true));
	assert_true(has(&plan.seen, "s/helper.lua", true));
	plan_release(&plan);

	make(&plan, "gone.lua", NULL);
	assert_true(plan_refused(&plan));
	assert_true(has(&plan.seen, "gone.lua", false));
	plan_release(&plan);

	write_file("l.lua", "return { listen = 1, exporters = { { 'x.lua' } } "
			    "}");
	make(&plan, "--config", "l.lua");
	assert_true(plan_refused(&plan));
	assert_true(has(&plan.seen, "l.lua", true));
	assert_true(has(&plan.seen, "x.lua", false));
	plan_release(&plan);

	make(&plan, "--scripts", "nowhere");
	assert_true(plan_refused(&plan));
	assert_true(has(&plan.seen, "nowhere", false));
	plan_release(&plan);
}

/* A script that is listed and does not load has a mistake; that of a module
 * which is not there goes away when it comes. */
static void a_mistake_knows_what_it_misses(void **state)
{
	struct plan plan;

	(void)state;
	remove(path("s/deeper.lua"));
	make(&plan, "--config", "l.lua");
	assert_false(plan_refused(&plan));
	assert_non_null(plan.exporters[0]->mistake);
	assert_true(has(&plan.seen, "s/a.lua", true));
	assert_true(has(&plan.seen, "s/deeper.lua", false));
	assert_true(has(&plan.seen, "s/deeper/init.lua", false));
	assert_int_equal(0, changed(&plan.seen));
	write_file("s/deeper.lua", "return {}");
	assert_int_equal(1, changed(&plan.seen));
	plan_release(&plan);
}

/* ---- scripts ---- */

static void a_script_knows_what_it_reads_while_it_loads(void **state)
{
	static const struct registry_options none = { 0 };
	struct seen_list seen = { 0 };
	struct loop *loop = loop_new();
	struct vm_options options = { .loop = loop,
				      .open = modules_open,
				      .seen = &seen };
	struct registry *registry = registry_new(&none);
	struct declaration *d;
	struct vm *vm;
	struct err err;

	(void)state;
	write_file("s/a.lua", "local files = require 'files'\n"
			      "assert(files.read 'secret')\n"
			      "assert(files.read '/proc/self/status')\n"
			      "assert(files.list '/proc/self/fd')\n"
			      "assert(not files.read('push', 1))\n"
			      "assert(not files.read 'gone')\n"
			      "assert(files.list 's')\n"
			      "return {\n"
			      "  metrics = function()\n"
			      "    files.read 'l.lua'\n"
			      "    return {}\n"
			      "  end,\n"
			      "  collect = function() end,\n"
			      "}");
	vm = vm_new(&options, &err);
	assert_non_null(vm);
	d = declaration_load(vm, "s/a.lua", &err);
	assert_non_null(d);
	assert_true(declaration_configure(d, vm, NULL, &err));
	assert_true(declaration_register(d, vm, registry, &err));
	assert_int_equal(5, seen.n);
	assert_true(has(&seen, "s/a.lua", true));
	assert_true(has(&seen, "secret", true));
	assert_true(has(&seen, "gone", false));
	assert_true(has(&seen, "s", true));
	assert_true(has(&seen, "l.lua", true));
	assert_int_equal(0, changed(&seen));

	vm_set_loaded(vm);
	seen_list_release(&seen);
	assert_true(declaration_register(d, vm, registry, &err));
	assert_int_equal(0, seen.n);
	vm_free(vm);
	registry_free(registry);
	declaration_free(d);
	loop_free(loop);
	seen_list_release(&seen);
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(a_plan_knows_every_file_that_it_was_made_from),
		SPEC(a_plan_knows_its_variables_and_secrets),
		SPEC(a_plan_knows_its_folders),
		SPEC(a_refusal_knows_what_it_read),
		SPEC(a_mistake_knows_what_it_misses),
		SPEC(a_script_knows_what_it_reads_while_it_loads),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
