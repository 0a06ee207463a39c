/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lunex-spec [--gc] FILE...     runs Lua specs in a state as exporters have one
 * lunex-spec --sweep [--sandbox] FILE...
 *                               runs scripts with the n-th allocation and all
 *                               later ones failing, and with it alone, n = 1,
 *                               2, 3 ..., until there is no such allocation
 *
 * --gc makes the collector run all the time. The module `host` exists only
 * here: counters of what must not be left behind, and `host.run`, which runs a
 * script in a state of its own with limits of its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <uv.h>

#include "bind/bind.h"
#include "bind/modules.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/mem.h"
#include "names.h"
#include "net/loop.h"
#include "page.h"
#include "run/l_remote_write.h"
#include "run/specs.h"
#include "tcp.h"
#include "vm/state.h"
#include "vm/task.h"

#define RUN "host.run"

enum { RESULT_MAX = 1 << 20 };

static bool collect_always, in_sandboxes;

/* ---- one script in a state of its own ----------------------------------- */

/* Lives until the script has ended and its state is freed. */
struct run {
	struct op op;
	struct vm *vm;
	struct timer stop;
	struct buf result; /* the first result, if it is a string */
	struct err err;
	bool open;
	bool failed;
};

static void on_run_done(struct task *task, lua_State *co, int results,
			const struct err *err, void *arg)
{
	struct run *run = arg;
	const char *text;
	size_t len;

	(void)task;
	run->failed = err;
	if (err) {
		run->err = *err;
	} else if (results > 0 && lua_type(co, -results) == LUA_TSTRING) {
		text = lua_tolstring(co, -results, &len);
		buf_add(&run->result, text, len);
	}
	task_wake(&run->op);
}

struct source {
	struct run *run;
	struct str text;
	const char *name;
	double deadline;
};

static void start_source(lua_State *L, void *arg)
{
	struct source *source = arg;
	double deadline = 0;

	if (luaL_loadbufferx(L, source->text.data, source->text.len,
			     source->name, "t") != LUA_OK)
		lua_error(L);
	if (source->deadline > 0)
		deadline = loop_now(vm_loop(vm_of(L))) + source->deadline;
	task_start(L, 0, deadline, on_run_done, source->run);
}

static void release_run(struct run *run)
{
	if (!run->open)
		return;
	run->open = false;
	timer_release(&run->stop);
	vm_free(run->vm);
	buf_release(&run->result);
}

static void on_stop(struct timer *timer)
{
	struct run *run = (struct run *)(void *)((char *)timer -
						 offsetof(struct run, stop));

	vm_free(run->vm);
	run->vm = NULL;
}

static void on_run_cancel(struct op *op)
{
	release_run((struct run *)(void *)op);
}

static int k_run(lua_State *L, int status, lua_KContext ctx)
{
	static const char *const codes[] = { "none",	"input", "limit",
					     "timeout", "io",	 "usage",
					     "closed",	"denied" };
	struct run *run = lua_touserdata(L, 3);

	(void)status;
	(void)ctx;
	if (run->failed) {
		push_failure(L, &run->err);
		lua_pushstring(L, codes[run->err.code]);
	} else {
		lua_pushlstring(L, buf_text(&run->result), run->result.len);
	}
	release_run(run);
	return lua_gettop(L) - 3;
}

static void open_modules(lua_State *L)
{
	modules_open(L);
	if (!collect_always)
		return;
	lua_gc(L, LUA_GCSETPAUSE, 0);
	lua_gc(L, LUA_GCSETSTEPMUL, 1000);
}

/* The list options.allow, in a userdata that stays on the stack. */
static const char *const *push_allow(lua_State *L)
{
	int list = lua_gettop(L) + 1;
	const char **texts;
	size_t n = 0;

	if (lua_getfield(L, 2, "allow") == LUA_TTABLE)
		n = (size_t)lua_rawlen(L, -1);
	texts = lua_newuserdatauv(L, (n + 1) * sizeof *texts, 0);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, list, (lua_Integer)i + 1);
		texts[i] = lua_tostring(L, -1); /* stays in the table */
		lua_pop(L, 1);
	}
	texts[n] = NULL;
	return texts;
}

/* host.run(source [, options]) -> result | nil, message, code */
static int l_run(lua_State *L)
{
	static const char *const known[] = {
		"allow", "body",    "cpath", "deadline", "memory", "operations",
		"path",	 "sandbox", "slice", "stop",	 NULL
	};
	struct source source = { .text = check_str(L, 1), .name = "=script" };
	struct vm_options options = { .open = open_modules, .name = "spec" };
	struct run *run;
	double stop;

	check_options(L, 2, known);
	options.loop = vm_loop(vm_of(L));
	options.lua_path = opt_str(L, 2, "path").data;
	options.lua_cpath = opt_str(L, 2, "cpath").data;
	options.limits.memory =
		(size_t)opt_integer(L, 2, "memory", 0, 0, INT32_MAX);
	options.limits.cpu = opt_seconds(L, 2, "slice", 0);
	options.limits.operations =
		(size_t)opt_integer(L, 2, "operations", 0, 0, INT32_MAX);
	options.limits.body =
		(size_t)opt_integer(L, 2, "body", 0, 0, INT32_MAX);
	source.deadline = opt_seconds(L, 2, "deadline", 0);
	stop = opt_seconds(L, 2, "stop", 0);
	options.sandbox = opt_boolean(L, 2, "sandbox", false);
	task_check(L);
	lua_settop(L, 2);
	run = push_object(L, sizeof *run, RUN, 0);
	if (options.sandbox)
		options.allow = push_allow(L);
	run->op.cancel = on_run_cancel;
	source.run = run;
	buf_init(&run->result, RESULT_MAX);
	timer_init(options.loop, &run->stop, on_stop);
	run->open = true;
	run->vm = vm_new(&options, &run->err);
	lua_settop(L, 3);
	if (!run->vm || !vm_call(run->vm, start_source, &source, &run->err)) {
		run->failed = true;
		return k_run(L, LUA_OK, 0);
	}
	if (stop > 0)
		timer_start(&run->stop, stop);
	return task_await(L, &run->op, 0, k_run);
}

static int l_run_gc(lua_State *L)
{
	release_run(luaL_checkudata(L, 1, RUN));
	return 0;
}

/* ---- the module host ----------------------------------------------------- */

static int l_memory(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)vm_memory(vm_of(L)));
	return 1;
}

static int l_cpu(lua_State *L)
{
	lua_pushnumber(L, vm_cpu_seconds(vm_of(L)));
	return 1;
}

static int l_busy(lua_State *L)
{
	lua_pushnumber(L, vm_busy_seconds(vm_of(L)));
	return 1;
}

static const luaL_Reg functions[] = {
	{ "busy", l_busy }, { "cpu", l_cpu }, { "memory", l_memory },
	{ "run", l_run },   { NULL, NULL },
};

static int open_host(lua_State *L)
{
	static const luaL_Reg no_methods[] = { { NULL, NULL } };
	static const luaL_Reg metas[] = { { "__gc", l_run_gc },
					  { NULL, NULL } };

	bind_class(L, RUN, no_methods, metas);
	push_specs_host(L);
	luaL_setfuncs(L, functions, 0);
	return 1;
}

static void preload(lua_State *L, const char *name, lua_CFunction open)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	lua_pushcfunction(L, open);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
}

/* What only specs have, or only threads of the host's own. */
static void open_more(lua_State *L)
{
	preload(L, "names", luaopen_names);
	preload(L, "page", luaopen_page);
	preload(L, "remote_write", luaopen_remote_write);
	preload(L, "tcp", luaopen_tcp);
}

static void open_all(lua_State *L)
{
	open_modules(L);
	specs_open(L);
	preload(L, "host", open_host);
	open_more(L);
}

/* ---- allocation failures ------------------------------------------------ */

static void open_for_sweep(lua_State *L)
{
	modules_open(L);
	open_more(L);
}

struct attempt {
	struct loop *loop;
	struct err err;
	bool failed;
};

static void on_attempt_done(struct task *task, lua_State *co, int results,
			    const struct err *err, void *arg)
{
	struct attempt *attempt = arg;

	(void)task;
	(void)co;
	(void)results;
	attempt->failed = err;
	if (err)
		attempt->err = *err;
	loop_stop(attempt->loop);
}

struct attempt_source {
	struct attempt *attempt;
	const char *file;
};

static void start_attempt(lua_State *L, void *arg)
{
	struct attempt_source *source = arg;

	if (luaL_loadfilex(L, source->file, "t") != LUA_OK)
		lua_error(L);
	task_start(L, 0, 0, on_attempt_done, source->attempt);
}

/* Runs FILE while allocations fail, see vm/state.h. Was any refused? */
static bool try_with(const char *file, size_t fail_at, struct attempt *attempt)
{
	struct attempt_source source = { attempt, file };
	struct vm_options options = { .loop = loop_new(),
				      .fail_at = fail_at,
				      .sandbox = in_sandboxes,
				      .open = open_for_sweep };
	bool refused = true;
	struct vm *vm;

	*attempt = (struct attempt){ .loop = options.loop, .failed = true };
	vm = vm_new(&options, &attempt->err);
	if (vm) {
		if (vm_call(vm, start_attempt, &source, &attempt->err))
			loop_run(attempt->loop);
		refused = vm_limits_exceeded(vm, VM_LIMIT_MEMORY) > 0;
	}
	vm_free(vm);
	loop_free(attempt->loop);
	return refused;
}

/* Every failure must say which limit it was. */
static bool names_the_limit(const struct err *err)
{
	return err->code == ERR_LIMIT &&
	       strstr(err->text, "memory limit of 64 MiB exceeded");
}

/* Each allocation of FILE in turn: together with all that follow, or alone
 * (MODE is VM_FAIL_ONCE), which a script may survive. */
static bool sweep_in(const char *file, size_t mode)
{
	struct attempt attempt;
	size_t n = 1;

	while (try_with(file, n | mode, &attempt)) {
		if (attempt.failed && !names_the_limit(&attempt.err))
			break;
		n++;
	}
	if (attempt.failed)
		fprintf(stderr, "FAIL %s, allocation %zu%s: %s\n", file, n,
			mode ? " alone" : "", attempt.err.text);
	else
		fprintf(stderr, "%s: %zu allocations%s\n", file, n - 1,
			mode ? ", each alone" : "");
	return !attempt.failed;
}

static bool sweep(const char *file)
{
	return sweep_in(file, 0) && sweep_in(file, VM_FAIL_ONCE);
}

int main(int argc, char **argv)
{
	const struct vm_options options = { .open = open_all,
					    .limits.cpu = 30 };
	bool passed = true;

	if (argc > 2 && strcmp(argv[1], "--sweep") == 0) {
		in_sandboxes = strcmp(argv[2], "--sandbox") == 0;
		for (int i = 2 + in_sandboxes; i < argc; i++)
			passed = sweep(argv[i]) && passed;
		return passed ? 0 : 1;
	}
	if (argc > 1 && strcmp(argv[1], "--gc") == 0)
		collect_always = true;
	if (argc - collect_always < 2) {
		fprintf(stderr, "usage: lunex-spec [--gc | --sweep] FILE...\n");
		return 2;
	}
	return specs_run(&options,
			 (const char *const *)argv + 1 + collect_always)
		       ? 0
		       : 1;
}
