/* SPDX-License-Identifier: Apache-2.0 */
#include "run/respond.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bind/scope.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "run/call_value.h"
#include "vm/task.h"

LIST_HEAD(running_list, running);

/* A call whose function runs. */
struct running {
	struct responder *responder;
	struct call *call;
	struct task *task; /* NULL: not started */
	LIST_ENTRY(running) next;
};

struct responder {
	struct vm *vm;
	const struct declaration *declaration;
	struct scope live;
	struct running_list running;
	char (*last_errors)[512]; /* of each route, logged; "" at first */
};

static void deliver_answer(struct message *message)
{
	struct call *call = (void *)message;

	call->answered(call);
}

void call_answer(struct call *call)
{
	call->message.deliver = deliver_answer;
	loop_post(call->asker, &call->message);
}

/* Clients decide how often a route fails: a sentence that was told is for the
 * debug level. */
static void log_failure(struct responder *r, const struct call *call,
			const struct err *err)
{
	char *last = r->last_errors[call->route - r->declaration->routes];
	bool again = strcmp(last, err->text) == 0;

	if (log_from(vm_log(r->vm), again ? LOG_DEBUG : LOG_WARN,
		     vm_name(r->vm), "a route failed", "route",
		     call->route->key, "error", err->text, (char *)0))
		snprintf(last, sizeof r->last_errors[0], "%s", err->text);
}

static void fail(struct responder *r, struct call *call, const struct err *err)
{
	struct err told;

	if (err->code == ERR_CLOSED) {
		call_set_text(call, 503, "the exporter is stopping\n");
		return;
	}
	told = *err;
	declaration_mask(r->declaration, &told);
	log_failure(r, call, &told);
	if (err->code == ERR_TIMEOUT)
		call_set_text(call, 504, "the route did not answer in time\n");
	else
		call_set_text(call, 500, "the route failed\n");
}

static void end(struct running *running, const struct err *err)
{
	struct call *call = running->call;

	LIST_REMOVE(running, next);
	if (err)
		fail(running->responder, call, err);
	call_answer(call);
	free(running);
}

static void task_ended(struct task *task, lua_State *co, int results,
		       const struct err *err, void *arg)
{
	(void)task;
	(void)co;
	(void)results;
	end(arg, err);
}

static int k_route(lua_State *L, int status, lua_KContext ctx)
{
	(void)status;
	(void)ctx;
	check_call_answer(L, lua_touserdata(L, 1)); /* call answer message */
	return 0;
}

/* (call, function, request, m, config): the task of a call, so that a mistake
 * in the answer is an error of the script like any other. */
static int l_route(lua_State *L)
{
	lua_callk(L, 3, 2, 0, k_route);
	return k_route(L, LUA_OK, 0);
}

static void start(lua_State *L, void *arg)
{
	struct running *running = arg;
	struct responder *r = running->responder;

	lua_pushcfunction(L, l_route);
	lua_pushlightuserdata(L, running->call);
	declaration_push_route(L, r->declaration, running->call->route);
	push_call_request(L, running->call);
	declaration_push_arguments(L, r->declaration);
	running->task = task_start(
		L, 5, loop_now(vm_loop(r->vm)) + running->call->seconds,
		task_ended, running);
	task_set_context(running->task, &r->live);
}

void responder_run(struct responder *responder, struct call *call)
{
	struct running *running = mem_alloc(sizeof *running);
	struct err err;

	running->responder = responder;
	running->call = call;
	LIST_INSERT_HEAD(&responder->running, running, next);
	if (!vm_call(responder->vm, start, running, &err))
		end(running, &err);
}

struct responder *responder_new(struct vm *vm,
				const struct declaration *declaration)
{
	struct responder *responder = mem_alloc(sizeof *responder);

	responder->vm = vm;
	responder->declaration = declaration;
	responder->live.part = REGISTRY_LIVE;
	responder->last_errors =
		mem_array(declaration->nroutes, sizeof *responder->last_errors);
	LIST_INIT(&responder->running);
	return responder;
}

void responder_free(struct responder *responder)
{
	if (!responder)
		return;
	while (!LIST_EMPTY(&responder->running))
		task_cancel(LIST_FIRST(&responder->running)->task,
			    "the exporter stops");
	free(responder->last_errors);
	free(responder);
}
