/* SPDX-License-Identifier: Apache-2.0 */
#include "run/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/loop.h"
#include "vm/state.h"

struct fixture {
	struct loop *loop;
	struct vm *vm;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct vm_options options = { .name = "spec" };
	struct err err;

	assert_non_null(f);
	f->loop = options.loop = loop_new();
	f->vm = vm_new(&options, &err);
	assert_non_null(f->vm);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vm_free(f->vm);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* What a chunk of Lua returns, as a configuration; back in Lua it is the
 * argument of the chunk CHECK. */
struct trip {
	const char *source, *check;
	struct config *config;
};

static void push_chunk(lua_State *L, const char *source)
{
	lua_getglobal(L, "load");
	lua_pushstring(L, source);
	lua_call(L, 1, 1);
	assert_true(lua_isfunction(L, -1));
}

static void there(lua_State *L, void *arg)
{
	struct trip *trip = arg;

	push_chunk(L, trip->source);
	lua_call(L, 0, 1);
	trip->config = config_from_lua(L, -1);
	assert_int_equal(1, lua_gettop(L));
}

static void back(lua_State *L, void *arg)
{
	struct trip *trip = arg;

	push_chunk(L, trip->check);
	push_config(L, trip->config);
	lua_call(L, 1, 0);
}

static void a_table_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct err err = { ERR_NONE, "" };
	struct trip trip = {
		.source = "return { text = 'a', empty = '', whole = 5000,"
			  " most = math.maxinteger, part = 2.5, one = 1.0,"
			  " yes = true, no = false, list = { 'x', 'y' },"
			  " none = {} }",
		.check =
			"local c = ... local n = 0"
			" for _ in pairs(c) do n = n + 1 end"
			" assert(n == 10 and c.text == 'a' and c.empty == '')"
			" assert(c.whole == 5000 and c.most == math.maxinteger)"
			" assert(math.type(c.whole) == 'integer')"
			" assert(c.part == 2.5 and c.one == 1)"
			" assert(math.type(c.one) == 'float')"
			" assert(c.yes == true and c.no == false)"
			" assert(table.concat(c.list, '+') == 'x+y')"
			" assert(next(c.none) == nil)",
	};

	assert_true(vm_call(f->vm, there, &trip, &err));
	assert_int_equal(10, trip.config->count);
	if (!vm_call(f->vm, back, &trip, &err))
		fail_msg("%s", err.text);
	config_free(trip.config);
}

static void nothing_is_a_configuration_too(void **state)
{
	struct fixture *f = *state;
	struct err err = { ERR_NONE, "" };
	struct trip trip = { .source = "return {}",
			     .check = "assert(next(...) == nil)" };

	assert_true(vm_call(f->vm, there, &trip, &err));
	assert_int_equal(0, trip.config->count);
	assert_true(vm_call(f->vm, back, &trip, &err));
	config_free(trip.config);
	config_free(NULL);
}

static void what_cannot_be_taken_is_named(void **state)
{
	static const struct {
		const char *source, *sentence;
	} cases[] = {
		{ "return { 'x' }", "config: a key is a number, not a string" },
		{ "return { f = print }", "config.f: cannot be a function" },
		{ "return { good = 'x', l = { 'a', 2 } }",
		  "config.l: expected a list of strings, element 2 is a "
		  "number" },
	};
	struct fixture *f = *state;
	struct err err;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trip trip = { .source = cases[i].source };

		assert_false(vm_call(f->vm, there, &trip, &err));
		assert_string_equal(cases[i].sentence, err.text);
		assert_null(trip.config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_table_comes_back_as_it_was,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_a_configuration_too,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_taken_is_named,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
