/* SPDX-License-Identifier: Apache-2.0 */
/* What only C can see of vm/state.h and vm/task.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "net/loop.h"
#include "vm/state.h"
#include "vm/task.h"

enum { WAITS = 4 };

/* What a test sees of its tasks. */
static struct fixture {
	struct loop *loop;
	struct vm *vm;
	struct op ops[WAITS];
	int cancelled[WAITS];
	struct task *tasks[WAITS];
	int done;
	struct err last;
	int closed;
} f;

static void on_cancel(struct op *op)
{
	f.cancelled[op - f.ops]++;
}

static int k_wait(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	lua_pushinteger(L, (lua_Integer)ctx);
	return 1;
}

/* wait(n) -> n, once the test wakes operation n */
static int l_wait(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 1);

	f.ops[n].cancel = on_cancel;
	return task_await(L, &f.ops[n], (lua_KContext)n, k_wait);
}

static int l_closed(lua_State *L)
{
	(void)L;
	f.closed++;
	return 0;
}

/* end() cancels the running task from inside */
static int l_end(lua_State *L)
{
	task_cancel(task_current(L), "ended itself");
	return 0;
}

static int l_context(lua_State *L)
{
	lua_pushboolean(L, task_context(task_current(L)) == &f);
	return 1;
}

static void open_functions(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "closed", l_closed }, { "context", l_context },
		{ "end_me", l_end },	{ "wait", l_wait },
		{ NULL, NULL },
	};

	lua_pushglobaltable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pop(L, 1);
}

static int setup(void **state)
{
	struct vm_options options = { .open = open_functions };
	struct err err;

	(void)state;
	memset(&f, 0, sizeof f);
	f.loop = loop_new();
	options.loop = f.loop;
	options.owner = &f;
	f.vm = vm_new(&options, &err);
	return f.vm ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	vm_free(f.vm);
	loop_free(f.loop);
	return 0;
}

static void rounds(int n)
{
	while (n-- > 0)
		uv_run(loop_uv(f.loop), UV_RUN_NOWAIT);
}

static void on_done(struct task *task, lua_State *co, int results,
		    const struct err *err, void *arg)
{
	(void)task;
	f.done++;
	f.last = err ? *err : (struct err){ ERR_NONE, "" };
	if (arg)
		*(lua_Integer *)arg = results > 0 ? lua_tointeger(co, -1) : -1;
}

struct begin {
	const char *source;
	lua_Integer *result;
	struct task *task;
};

static void begin_task(lua_State *L, void *arg)
{
	struct begin *begin = arg;

	if (luaL_loadbufferx(L, begin->source, strlen(begin->source), "=t",
			     "t") != LUA_OK)
		lua_error(L);
	begin->task = task_start(L, 0, 0, on_done, begin->result);
}

static struct task *start(const char *source, lua_Integer *result)
{
	struct begin begin = { source, result, NULL };
	struct err err = { ERR_NONE, "" };

	if (!vm_call(f.vm, begin_task, &begin, &err))
		fail_msg("%s", err.text);
	return begin.task;
}

static void a_task_continues_only_after_its_operation_was_woken(void **state)
{
	lua_Integer result = 0;

	(void)state;
	start("return wait(2)", &result);
	rounds(3);
	assert_int_equal(f.done, 0);
	task_wake(&f.ops[2]);
	assert_int_equal(f.done, 0); /* not from inside the callback */
	rounds(1);
	assert_int_equal(f.done, 1);
	assert_int_equal(result, 2);
	assert_int_equal(task_count(f.vm), 0);
}

static void an_operation_woken_early_continues_in_the_next_round(void **state)
{
	(void)state;
	task_wake(&f.ops[0]);
	start("wait(0)", NULL);
	rounds(2);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.last.code, ERR_NONE);
}

static void cancelling_stops_the_operation_and_closes_variables(void **state)
{
	struct task *task;

	(void)state;
	task = start("local x <close> = setmetatable({}, {__close = closed}) "
		     "pcall(wait, 1) wait(2)",
		     NULL);
	rounds(2);
	task_cancel(task, "enough");
	assert_int_equal(f.cancelled[1], 1);
	assert_int_equal(f.closed, 1);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.last.code, ERR_CLOSED);
	assert_string_equal(f.last.text, "enough");
	assert_null(f.ops[1].task);
}

static void a_completion_after_cancelling_does_nothing(void **state)
{
	struct task *task;

	(void)state;
	task = start("wait(1)", NULL);
	rounds(2);
	task_cancel(task, "enough");
	task_wake(&f.ops[1]);
	rounds(2);
	assert_int_equal(f.done, 1);
}

static void a_task_is_cancelled_before_it_ran(void **state)
{
	(void)state;
	task_cancel(start("closed()", NULL), "never");
	rounds(2);
	assert_int_equal(f.done, 1);
	assert_int_equal(f.closed, 0);
}

static void a_woken_task_is_cancelled_before_it_continues(void **state)
{
	struct task *task;

	(void)state;
	task = start("wait(0) closed()", NULL);
	rounds(2);
	task_wake(&f.ops[0]);
	task_cancel(task, "late");
	rounds(2);
	assert_int_equal(f.closed, 0);
	assert_int_equal(f.cancelled[0], 1);
	assert_int_equal(f.done, 1);
}

static void a_task_that_cancels_itself_ends_at_its_next_wait(void **state)
{
	(void)state;
	start("end_me() closed() pcall(wait, 0) closed()", NULL);
	rounds(2);
	assert_int_equal(f.closed, 1);
	assert_int_equal(f.cancelled[0], 1);
	assert_string_equal(f.last.text, "ended itself");
}

/* Two tasks; the end of the first cancels the second, which is ready in the
 * same round. */
static void cancel_other(struct task *task, lua_State *co, int results,
			 const struct err *err, void *arg)
{
	(void)task;
	(void)co;
	(void)results;
	(void)err;
	(void)arg;
	task_cancel(f.tasks[1], "by another");
}

static void begin_canceller(lua_State *L, void *arg)
{
	(void)arg;
	if (luaL_loadstring(L, "wait(0)") != LUA_OK)
		lua_error(L);
	task_start(L, 0, 0, cancel_other, NULL);
}

static void a_task_cancels_another_from_its_completion(void **state)
{
	struct err err;

	(void)state;
	assert_true(vm_call(f.vm, begin_canceller, NULL, &err));
	f.tasks[1] = start("wait(1) closed()", NULL);
	rounds(2);
	task_wake(&f.ops[0]);
	task_wake(&f.ops[1]);
	rounds(2);
	assert_int_equal(f.closed, 0);
	assert_string_equal(f.last.text, "by another");
	assert_int_equal(task_count(f.vm), 0);
}

static void freeing_the_state_cancels_what_waits(void **state)
{
	(void)state;
	start("local x <close> = setmetatable({}, {__close = closed}) wait(3)",
	      NULL);
	rounds(2);
	vm_free(f.vm);
	f.vm = NULL;
	assert_int_equal(f.cancelled[3], 1);
	assert_int_equal(f.closed, 1);
	assert_int_equal(f.done, 1);
}

static void an_idle_scheduler_lets_the_loop_sleep(void **state)
{
	(void)state;
	start("wait(0)", NULL);
	rounds(3);
	assert_int_not_equal(uv_backend_timeout(loop_uv(f.loop)), 0);
	task_wake(&f.ops[0]);
	assert_int_equal(uv_backend_timeout(loop_uv(f.loop)), 0);
	rounds(2);
	assert_int_not_equal(uv_backend_timeout(loop_uv(f.loop)), 0);
}

static void a_context_belongs_to_the_task(void **state)
{
	struct task *task;
	lua_Integer result = 0;

	(void)state;
	task = start("return context() and 1 or 2", &result);
	task_set_context(task, &f);
	rounds(2);
	assert_int_equal(result, 1);
}

static void raise_table(lua_State *L, void *arg)
{
	lua_settop(L, 0);
	if (arg)
		lua_pushstring(L, arg);
	else
		lua_newtable(L);
	lua_error(L);
}

static void a_protected_call_reports_and_leaves_nothing(void **state)
{
	int top = lua_gettop(vm_main(f.vm));
	struct err err;

	(void)state;
	assert_false(vm_call(f.vm, raise_table, NULL, &err));
	assert_string_equal(err.text, "error object is a table value");
	assert_false(vm_call(f.vm, raise_table, (void *)"text", &err));
	assert_string_equal(err.text, "text");
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(lua_gettop(vm_main(f.vm)), top);
	assert_ptr_equal(vm_owner(f.vm), &f);
	assert_true(vm_busy_seconds(f.vm) == 0);
}

int main(void)
{
#define SPEC(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		SPEC(a_task_continues_only_after_its_operation_was_woken),
		SPEC(an_operation_woken_early_continues_in_the_next_round),
		SPEC(cancelling_stops_the_operation_and_closes_variables),
		SPEC(a_completion_after_cancelling_does_nothing),
		SPEC(a_task_is_cancelled_before_it_ran),
		SPEC(a_woken_task_is_cancelled_before_it_continues),
		SPEC(a_task_that_cancels_itself_ends_at_its_next_wait),
		SPEC(a_task_cancels_another_from_its_completion),
		SPEC(freeing_the_state_cancels_what_waits),
		SPEC(an_idle_scheduler_lets_the_loop_sleep),
		SPEC(a_context_belongs_to_the_task),
		SPEC(a_protected_call_reports_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
