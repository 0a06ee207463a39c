/* SPDX-License-Identifier: Apache-2.0 */
/* A script from loading to closing while memory runs out, at every allocation
 * in turn: it fails in words, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bind/modules.h"
#include "core/log.h"
#include "core/registry.h"
#include "run/collect.h"
#include "run/declaration.h"
#include "vm/state.h"

static const char script[] =
	"local metric = require 'metric'\n"
	"local task = require 'task'\n"
	"local options = { 'B.', labels = { 'l', 'k' } }\n"
	"return {\n"
	"  name = 'small',\n"
	"  labels = { site = 'a' },\n"
	"  config = { host = { 'x', help = 'Host.' }, port = { 5 } },\n"
	"  metrics = function(config)\n"
	"    return {\n"
	"      small_a = metric.gauge 'A.',\n"
	"      small_b = metric.counter(options),\n"
	"      small_c = metric.histogram { 'C.', buckets = { 1, 2 } },\n"
	"      small_d = metric.stateset { 'D.', states = { 'x', 'y' } },\n"
	"    }\n"
	"  end,\n"
	"  collect = {\n"
	"    one = function(m, config)\n"
	"      m.small_a:set(config.port)\n"
	"      m.small_b:with(1.5, config.host):inc()\n"
	"      m.small_d:set 'y'\n"
	"    end,\n"
	"    two = function(m)\n"
	"      local close <close> = setmetatable({}, {\n"
	"        __close = function() m.small_c:observe(1) end,\n"
	"      })\n"
	"      task.sleep(0)\n"
	"      pcall(function() return m.small_x end)\n"
	"    end,\n"
	"  },\n"
	"}\n";

/* So many runs in a row must succeed for that there are no more allocations. */
enum { IN_A_ROW = 100 };

struct run {
	struct loop *loop;
	struct registry *registry;
	struct collector *collector;
	unsigned published;
	bool done, ok;
	struct err err;
};

static void on_publish(void *arg)
{
	struct run *run = arg;

	run->published++;
	page_unref(registry_publish(run->registry, 0));
}

static void on_done(void *arg, const struct err *first)
{
	struct run *run = arg;

	run->done = true;
	run->ok = !first;
	if (first)
		run->err = *first;
	loop_stop(run->loop);
}

static bool collect(struct run *run, struct vm *vm,
		    const struct declaration *declaration)
{
	struct collector_options options = {
		.vm = vm,
		.registry = run->registry,
		.declaration = declaration,
		.publish = on_publish,
		.done = on_done,
		.arg = run,
	};

	run->collector = collector_new(&options, &run->err);
	if (!run->collector)
		return false;
	collector_run(run->collector, 60);
	while (!run->done)
		loop_run(run->loop);
	assert_int_equal(2, run->published);
	return run->ok;
}

/* The whole life. FAIL_AT 0: with memory enough. */
static bool live(const char *path, size_t fail_at, struct err *err)
{
	struct run run = { .loop = loop_new() };
	struct registry_options registry = { 0 };
	struct vm_options options = { .loop = run.loop,
				      .open = modules_open,
				      .fail_at = fail_at };
	struct vm *vm = vm_new(&options, &run.err);
	struct declaration *d = NULL;
	bool ok = false;

	if (vm)
		d = declaration_load(vm, path, &run.err);
	if (d) {
		registry.labels = d->labels;
		registry.nlabels = d->nlabels;
		run.registry = registry_new(&registry);
		ok = declaration_configure(d, vm, NULL, &run.err) &&
		     declaration_register(d, vm, run.registry, &run.err) &&
		     collect(&run, vm, d);
	}
	collector_free(run.collector);
	vm_free(vm);
	registry_free(run.registry);
	declaration_free(d);
	assert_true(loop_free(run.loop));
	*err = run.err;
	return ok;
}

static int write_script(void **state)
{
	static char path[] = "/tmp/lunex-collect-spec-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, script, sizeof script - 1) < 0)
		return -1;
	close(fd);
	*state = path;
	log_set_level(LOG_ERROR);
	return 0;
}

static int remove_script(void **state)
{
	return unlink(*state);
}

static void names_the_limit(const struct err *err, size_t fail_at)
{
	if (!strstr(err->text, "memory limit of 64 MiB exceeded"))
		fail_msg("allocation %zu: %s", fail_at, err->text);
}

static void a_script_without_memory_fails_in_words(void **state)
{
	struct err err;
	size_t fail_at = 1;

	for (; !live(*state, fail_at, &err); fail_at++)
		names_the_limit(&err, fail_at);
	assert_true(fail_at > 300); /* it took so many to succeed */
}

/* Whoever catches that error goes on with what there is. */
static void one_allocation_that_fails_ends_the_run_at_most(void **state)
{
	size_t failed = 0, row = 0;
	struct err err;

	for (size_t n = 1; row < IN_A_ROW; n++) {
		bool ok = live(*state, n | VM_FAIL_ONCE, &err);

		row = ok ? row + 1 : 0;
		failed += !ok;
		if (!ok)
			names_the_limit(&err, n);
	}
	assert_true(failed > 300);
}

static void a_script_with_memory_succeeds(void **state)
{
	struct err err;

	assert_true(live(*state, 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_with_memory_succeeds),
		cmocka_unit_test(a_script_without_memory_fails_in_words),
		cmocka_unit_test(
			one_allocation_that_fails_ends_the_run_at_most),
	};

	return cmocka_run_group_tests(tests, write_script, remove_script);
}
