/* SPDX-License-Identifier: Apache-2.0 */
#include "run/specs.h"

#include <stdio.h>

#include <lauxlib.h>
#include <uv.h>

#include "bind/icmp_call.h"
#include "bind/l_process.h"
#include "bind/modules.h"
#include "bind/resolver.h"
#include "net/loop.h"
#include "run/l_exporter.h"
#include "vm/task.h"

/* ---- what must not be left behind ---- */

static int l_tasks(lua_State *L)
{
	lua_pushinteger(L, task_count(vm_of(L)));
	return 1;
}

static void count_handle(uv_handle_t *handle, void *arg)
{
	unsigned *count = arg;

	if (!uv_is_closing(handle))
		++*count;
}

static int l_handles(lua_State *L)
{
	unsigned count = 0;

	uv_walk(loop_uv(vm_loop(vm_of(L))), count_handle, &count);
	lua_pushinteger(L, count);
	return 1;
}

/* References of luaL_ref have integer keys. Free ones are integers as well. */
static int l_references(lua_State *L)
{
	lua_Integer count = 0;

	lua_pushvalue(L, LUA_REGISTRYINDEX);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		if (lua_isinteger(L, -2) && !lua_isinteger(L, -1))
			count++;
	lua_pushinteger(L, count);
	return 1;
}

/* What a state keeps for the next echo, command and name is not left behind. */
static int l_release(lua_State *L)
{
	icmp_release(L);
	process_release(L);
	resolver_drop(L);
	return 0;
}

static const luaL_Reg functions[] = {
	{ "handles", l_handles }, { "references", l_references },
	{ "release", l_release }, { "tasks", l_tasks },
	{ NULL, NULL },
};

void push_specs_host(lua_State *L)
{
	luaL_newlib(L, functions);
}

static int l_open_host(lua_State *L)
{
	push_specs_host(L);
	return 1;
}

void specs_open(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	lua_pushcfunction(L, l_open_host);
	lua_setfield(L, -2, "host");
	lua_pushcfunction(L, luaopen_exporter);
	lua_setfield(L, -2, "exporter");
	lua_pop(L, 1);
}

static void open_all(lua_State *L)
{
	modules_open(L);
	specs_open(L);
}

/* ---- running ---- */

struct suite {
	struct loop *loop;
	const char *const *files;
	bool passed;
};

static void on_done(struct task *task, lua_State *co, int results,
		    const struct err *err, void *arg)
{
	struct suite *suite = arg;

	(void)task;
	if (err)
		fprintf(stderr, "FAIL: %s\n", err->text);
	suite->passed = !err && results > 0 && lua_toboolean(co, -results);
	loop_stop(suite->loop);
}

static void start(lua_State *L, void *arg)
{
	struct suite *suite = arg;

	lua_getglobal(L, "require");
	lua_pushliteral(L, "test");
	lua_call(L, 1, 1);
	lua_newtable(L);
	for (int i = 0; suite->files[i]; i++) {
		lua_pushstring(L, suite->files[i]);
		lua_rawseti(L, -2, i + 1);
	}
	task_start(L, 1, 0, on_done, suite);
}

bool specs_run(const struct vm_options *options, const char *const *files)
{
	struct suite suite = { .loop = loop_new(), .files = files };
	struct vm_options own = *options;
	struct err err;
	struct vm *vm;

	own.loop = suite.loop;
	if (!own.open)
		own.open = open_all;
	vm = vm_new(&own, &err);
	if (vm && vm_call(vm, start, &suite, &err))
		loop_run(suite.loop);
	else
		fprintf(stderr, "FAIL: %s\n", err.text);
	vm_free(vm);
	loop_free(suite.loop);
	return suite.passed;
}
