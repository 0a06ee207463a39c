/* SPDX-License-Identifier: Apache-2.0 */
#include "run/starter.h"

#include <stddef.h>
#include <stdlib.h>

#include "bind/scope.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "net/loop.h"
#include "vm/task.h"

static const double first_wait = 1, longest_wait = 60; /* seconds */

struct starter {
	struct starter_options options;
	struct scope scope;
	struct task *task; /* NULL: it does not run */
	struct timer again, begun;
	double started, wait;
	bool over;
};

static double now_of(const struct starter *starter)
{
	return loop_now(vm_loop(starter->options.vm));
}

static void failed(struct starter *starter, const struct err *err)
{
	struct err told = *err;

	declaration_mask(starter->options.declaration, &told);
	log_from(vm_log(starter->options.vm), LOG_WARN,
		 vm_name(starter->options.vm), "start failed", "error",
		 told.text, (char *)0);
	if (now_of(starter) - starter->started > longest_wait)
		starter->wait = first_wait;
	timer_start(&starter->again, starter->wait);
	starter->wait *= 2;
	if (starter->wait > longest_wait)
		starter->wait = longest_wait;
	starter->options.told(starter->options.arg, &told);
}

static void ended(struct task *task, lua_State *co, int results,
		  const struct err *err, void *arg)
{
	struct starter *starter = arg;
	struct err failure;

	(void)task;
	starter->task = NULL;
	if (starter->over)
		return;
	if (!err && task_answers_failure(co, results, &failure))
		err = &failure;
	if (!err)
		return;
	timer_stop(&starter->begun);
	failed(starter, err);
}

static void call(lua_State *L, void *arg)
{
	struct starter *starter = arg;

	declaration_push_start(L, starter->options.declaration);
	starter->task = task_start(L, 2, 0, ended, starter);
	task_set_context(starter->task, &starter->scope);
}

/* Tasks are resumed at the top of a round, so this one will soon have come to a
 * wait, or to its end. A timer without a time would keep the round from ending.
 */
static const double soon = 0.001;

static void look(struct timer *timer)
{
	struct starter *starter =
		(void *)((char *)timer - offsetof(struct starter, begun));

	if (starter->task && !task_has_begun(starter->task))
		timer_start(timer, soon);
	else
		starter->options.told(starter->options.arg, NULL);
}

void starter_begin(struct starter *starter)
{
	struct err err;

	starter->started = now_of(starter);
	if (vm_call(starter->options.vm, call, starter, &err))
		timer_start(&starter->begun, soon);
	else
		failed(starter, &err);
}

static void begin_again(struct timer *timer)
{
	starter_begin(
		(void *)((char *)timer - offsetof(struct starter, again)));
}

void starter_end(struct starter *starter, const char *reason)
{
	struct task *task = starter->task;

	starter->over = true;
	timer_stop(&starter->again);
	timer_stop(&starter->begun);
	if (task)
		task_cancel(task, reason);
}

struct starter *starter_new(const struct starter_options *options)
{
	struct starter *starter = mem_alloc(sizeof *starter);
	struct loop *loop = vm_loop(options->vm);

	starter->options = *options;
	starter->scope.part = REGISTRY_LIVE;
	starter->wait = first_wait;
	timer_init(loop, &starter->again, begin_again);
	timer_init(loop, &starter->begun, look);
	return starter;
}

void starter_free(struct starter *starter)
{
	if (!starter)
		return;
	starter_end(starter, "the exporter stops");
	timer_release(&starter->again);
	timer_release(&starter->begun);
	free(starter);
}
