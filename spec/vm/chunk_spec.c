/* SPDX-License-Identifier: Apache-2.0 */
/* Lua files that a script loads: what they may be, and that they are noted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../folder.h"
#include "net/seen.h"
#include "vm/chunk.h"
#include "vm/state.h"

static struct {
	struct loop *loop;
	struct vm *vm;
	struct seen_list seen;
	struct err err;
} fixture;

/* ---- files ---- */

static void write_bytes(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(path(name), "w");

	assert_non_null(file);
	assert_int_equal(len, fwrite(bytes, 1, len, file));
	fclose(file);
}

/* ---- what was seen ---- */

static const struct seen *find(const char *name)
{
	for (size_t i = 0; i < fixture.seen.n; i++)
		if (strcmp(fixture.seen.items[i]->path, path(name)) == 0)
			return fixture.seen.items[i];
	return NULL;
}

static void assert_text(const char *name, const char *text)
{
	const struct seen *seen = find(name);

	assert_non_null(seen);
	assert_int_equal(SEEN_FILE, seen->kind);
	assert_int_equal(SEEN_CONTENT, seen->state.what);
	assert_true(fingerprint_equal(fingerprint_of(text, strlen(text)),
				      seen->state.print));
}

static void assert_absent(const char *name)
{
	const struct seen *seen = find(name);

	assert_non_null(seen);
	assert_int_equal(SEEN_NOTHING, seen->state.what);
}

/* ---- a state ---- */

static void run(lua_State *L, void *arg)
{
	if (luaL_loadbufferx(L, arg, strlen(arg), "@spec", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
}

static bool lua(const char *text)
{
	return vm_call(fixture.vm, run, (void *)(uintptr_t)text, &fixture.err);
}

static void assert_lua(const char *text)
{
	if (!lua(text))
		fail_msg("%s", fixture.err.text);
}

static void open_vm(struct seen_list *seen)
{
	struct vm_options options = { .loop = fixture.loop, .seen = seen };
	char paths[256];

	snprintf(paths, sizeof paths, "%s/?.lua;%s/?/init.lua", folder, folder);
	options.lua_path = paths;
	options.lua_cpath = "";
	fixture.vm = vm_new(&options, &fixture.err);
	assert_non_null(fixture.vm);
}

static int set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof fixture);
	fixture.loop = loop_new();
	open_vm(&fixture.seen);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	vm_free(fixture.vm);
	loop_free(fixture.loop);
	seen_list_release(&fixture.seen);
	return 0;
}

/* ---- specs ---- */

static void modules_are_noted_and_what_they_require(void **state)
{
	static const char a[] = "return { b = require 'd.b' }";
	static const char b[] = "return function() return require 'c' end";

	(void)state;
	mkdir(path("d"), 0700);
	mkdir(path("c"), 0700);
	write_file("a.lua", a);
	write_file("d/b.lua", b);
	write_file("c/init.lua", "return 'late'");
	assert_lua("local a = require 'a'\n"
		   "rawset(_G, 'late', a.b)");
	assert_int_equal(2, fixture.seen.n);
	assert_text("a.lua", a);
	assert_text("d/b.lua", b);
	vm_set_loaded(fixture.vm);
	assert_null(vm_seen(fixture.vm));
	assert_lua("assert(late() == 'late')");
	assert_text("c/init.lua", "return 'late'");
	assert_int_equal(3, fixture.seen.n);
}

static void a_module_that_is_nowhere_is_missed_everywhere(void **state)
{
	(void)state;
	assert_false(lua("require 'no.where'"));
	assert_string_equal("spec:1: module 'no.where' not found",
			    fixture.err.text);
	assert_int_equal(2, fixture.seen.n);
	assert_absent("no/where.lua");
	assert_absent("no/where/init.lua");
	assert_lua("assert(not pcall(require, 'x'))");
	assert_absent("x.lua");
	assert_lua("require 'table'; require 'string'");
	assert_int_equal(4, fixture.seen.n);
}

static void a_broken_module_is_noted(void **state)
{
	char expected[256];

	(void)state;
	write_file("bad.lua", "return {\n = }");
	assert_false(lua("require 'bad'"));
	snprintf(expected, sizeof expected, "%s:2: unexpected symbol near '='",
		 path("bad.lua"));
	assert_string_equal(expected, fixture.err.text);
	assert_text("bad.lua", "return {\n = }");
}

static void dofile_and_loadfile_are_noted(void **state)
{
	(void)state;
	write_file("one.lua", "return 1");
	write_file("two.lua", "return x");
	assert_lua("assert(dofile 'one.lua' == 1)");
	assert_lua("assert(loadfile('two.lua', 't', { x = 2 })() == 2)");
	assert_lua("assert(loadfile 'one.lua'() == 1)");
	assert_text("one.lua", "return 1");
	assert_text("two.lua", "return x");
	assert_lua("local none, message = loadfile 'gone.lua'\n"
		   "assert(none == nil and message == 'cannot read gone.lua: '"
		   " .. 'No such file or directory', message)");
	assert_absent("gone.lua");
	assert_false(lua("dofile 'gone.lua'"));
	assert_string_equal("cannot read gone.lua: No such file or directory",
			    fixture.err.text);
}

static void a_file_is_text_behind_its_preamble(void **state)
{
	(void)state;
	write_file("a.lua", "\xEF\xBB\xBF#!/usr/bin/env lunex\nerror 'x'");
	assert_false(lua("dofile 'a.lua'"));
	assert_string_equal("a.lua:2: x", fixture.err.text);
	write_file("b.lua", "#!/usr/bin/env lunex");
	assert_lua("assert(dofile 'b.lua' == nil)");
	write_file("c.lua", "");
	assert_lua("assert(dofile 'c.lua' == nil)");
	write_bytes("d.lua", LUA_SIGNATURE "\0\0", 6);
	assert_false(lua("dofile 'd.lua'"));
	assert_non_null(strstr(fixture.err.text, "binary chunk"));
	write_bytes("e.lua", "return '\0'", 10);
	assert_lua("assert(#dofile 'e.lua' == 1)");
}

static void a_file_is_regular_and_bounded(void **state)
{
	char *large = calloc(1, CHUNK_MAX + 1);

	(void)state;
	assert_non_null(large);
	memset(large, ' ', CHUNK_MAX + 1);
	write_bytes("a.lua", large, CHUNK_MAX);
	assert_lua("dofile 'a.lua'");
	write_bytes("a.lua", large, CHUNK_MAX + 1);
	assert_false(lua("dofile 'a.lua'"));
	assert_non_null(strstr(fixture.err.text, "it is larger than"));
	free(large);
	unlink(path("a.lua"));
	mkfifo(path("a.lua"), 0600);
	assert_false(lua("dofile 'a.lua'"));
	assert_string_equal("cannot read a.lua: it is no file",
			    fixture.err.text);
	assert_false(lua("require 'd'"));
}

static void nobody_has_to_want_to_know(void **state)
{
	(void)state;
	vm_free(fixture.vm);
	open_vm(NULL);
	write_file("one.lua", "return 1");
	assert_lua("assert(require 'one' == 1)");
	assert_false(lua("require 'nowhere'"));
	assert_null(vm_seen(fixture.vm));
}

/* At every allocation in turn: it fails in words, and leaves nothing. */
static void memory_may_run_out_while_loading(void **state)
{
	struct vm_options options = { .loop = fixture.loop,
				      .lua_path = "/nowhere/?.lua",
				      .lua_cpath = "",
				      .seen = &fixture.seen };
	bool good = false;

	(void)state;
	write_file("one.lua", "#!\nreturn 1");
	write_file("bad.lua", "return {\n = }");
	while (!good) {
		options.fail_at++;
		vm_free(fixture.vm);
		fixture.vm = vm_new(&options, &fixture.err);
		good = fixture.vm && lua("assert(dofile 'one.lua' == 1)\n"
					 "assert(not loadfile 'bad.lua')\n"
					 "assert(not pcall(require, 'x'))");
		if (!good && fixture.err.code != ERR_LIMIT)
			fail_msg("%zu: %s", options.fail_at, fixture.err.text);
	}
	assert_text("one.lua", "#!\nreturn 1");
	assert_text("bad.lua", "return {\n = }");
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "a.lua",	   "b.lua",   "c.lua",
					     "d.lua",	   "e.lua",   "one.lua",
					     "two.lua",	   "bad.lua", "d/b.lua",
					     "c/init.lua", "d",	      "c" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		remove(path(names[i]));
	return rmdir(folder);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(modules_are_noted_and_what_they_require),
		SPEC(a_module_that_is_nowhere_is_missed_everywhere),
		SPEC(a_broken_module_is_noted),
		SPEC(dofile_and_loadfile_are_noted),
		SPEC(a_file_is_text_behind_its_preamble),
		SPEC(a_file_is_regular_and_bounded),
		SPEC(nobody_has_to_want_to_know),
		SPEC(memory_may_run_out_while_loading),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
