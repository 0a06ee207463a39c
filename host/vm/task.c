/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of one state. A task is in exactly one place: ready (in the
 * queue), running, or waiting (task->op set). Library callbacks only move tasks
 * to the queue; an idle handle of the loop drains it at the top of the next
 * round and exists only to keep the loop from sleeping while there is work.
 *
 * Coroutines are anchored in one table, key: the lua_State itself. The table
 * also lies on the stack of a thread of its own, `anchor`, so that taking a key
 * away (which does not allocate) needs no room on anybody else's stack. All
 * that can raise happens in task_start, before anything of ours exists.
 */
#include "vm/task.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <lauxlib.h>

#include "core/mem.h"
#include "vm/obstacle.h"
#include "vm/place.h"
#include "vm/slice.h"

/* lua_resetthread inside lua_resetthread; below Lua's own LUAI_MAXCCALLS. */
enum { CLOSE_DEPTH = 150 };

/* task_check makes room for more than task_await needs: between the two a
 * binding pushes its operation, and then nothing may fail. */
enum { AWAIT_SLOTS = 4 };

TAILQ_HEAD(ready_tasks, task);
LIST_HEAD(task_list, task);

struct scheduler {
	struct vm *vm;
	uv_idle_t *idle;
	lua_State *anchor; /* its stack: the table of coroutines */
	struct task *running;
	struct ready_tasks ready;
	struct task_list roots;
	unsigned ready_count;
	unsigned count;
	unsigned barriers;   /* resumes below which a yield cannot pass */
	unsigned closing;    /* depth of lua_resetthread */
	atomic_uint waiting; /* tasks with an operation; the owner writes */
	bool stopped;
};

struct task {
	struct scheduler *scheduler;
	lua_State *co;
	struct task *parent;
	struct task_list children;
	LIST_ENTRY(task) sibling;
	TAILQ_ENTRY(task) next_ready;
	struct op *op;	 /* what it waits for, until it goes on */
	lua_State *at;	 /* the coroutine in which it waits, or NULL */
	double deadline; /* its own or an ancestor's; 0: none */
	double allowed;	 /* seconds of its own deadline, for the message */
	struct timer timer;
	task_done done;
	void *arg;
	void *context;
	char *doom; /* why it was cancelled from inside, or NULL */
	int status; /* of the function, told by k_main */
	bool queued;
	bool started;
};

/* Addresses that scripts cannot come by. */
static char sentinel, coroutines;

/* ---- the ready queue ---------------------------------------------------- */

static void enqueue(struct task *task)
{
	struct scheduler *s = task->scheduler;

	if (task->queued)
		return;
	task->queued = true;
	TAILQ_INSERT_TAIL(&s->ready, task, next_ready);
	s->ready_count++;
}

static void dequeue(struct task *task)
{
	struct scheduler *s = task->scheduler;

	if (!task->queued)
		return;
	task->queued = false;
	TAILQ_REMOVE(&s->ready, task, next_ready);
	s->ready_count--;
}

static void resume(struct task *task);

/* One round: what gets ready meanwhile waits for the next one, so that the
 * loop sees its descriptors in between. */
static void on_idle(uv_idle_t *idle)
{
	struct scheduler *s = idle->data;
	unsigned n = s->ready_count;
	struct task *task;

	while (n-- > 0 && (task = TAILQ_FIRST(&s->ready)) != NULL) {
		dequeue(task);
		resume(task);
	}
	if (s->ready_count == 0)
		uv_idle_stop(idle);
}

static void make_ready(struct task *task)
{
	enqueue(task);
	if (!task->scheduler->stopped)
		uv_idle_start(task->scheduler->idle, on_idle);
}

void task_wake(struct op *op)
{
	struct task *task = op->task;

	if (!task) {
		op->woken = true;
		return;
	}
	op->task = NULL;
	make_ready(task);
}

static void set_op(struct task *task, struct op *op)
{
	struct scheduler *s = task->scheduler;

	if (!task->op != !op)
		atomic_store_explicit(&s->waiting,
				      op ? s->waiting + 1 : s->waiting - 1,
				      memory_order_relaxed);
	task->op = op;
}

/* Also of one that is complete: nobody will take its result any more. */
static void detach_op(struct task *task)
{
	struct op *op = task->op;

	if (!op)
		return;
	set_op(task, NULL);
	op->task = NULL;
	if (op->cancel)
		op->cancel(op);
}

/* ---- waiting ------------------------------------------------------------ */

/* The task that runs would be one too many. */
static void check_operations(lua_State *L, struct scheduler *s)
{
	size_t most = vm_limits(s->vm)->operations;
	char place[PLACE_MAX];

	if (s->waiting < most)
		return;
	vm_limit_met(s->vm, VM_LIMIT_OPERATIONS);
	place_find(L, place);
	lua_pushfstring(L,
			"%slimit of %I operations at the same time "
			"exceeded" VM_LIMIT_HINT("operations"),
			place, (lua_Integer)most);
	lua_error(L);
}

static void check_yield(lua_State *L, int slots)
{
	struct scheduler *s = vm_scheduler(vm_of(L));
	const char *where;

	luaL_checkstack(L, slots, "to wait");
	if (!s->running)
		luaL_error(L, "I/O is not possible here (outside of a "
			      "task, such as collect or start)");
	if (lua_isyieldable(L) && s->barriers == 0) {
		check_operations(L, s);
		return;
	}
	lua_settop(L, 0);
	where = obstacle_find(L);
	luaL_error(L, "I/O is not possible here (%s)", where);
}

void task_check(lua_State *L)
{
	check_yield(L, 2 * AWAIT_SLOTS);
}

int task_await(lua_State *L, struct op *op, lua_KContext ctx, lua_KFunction k)
{
	struct task *task;

	check_yield(L, AWAIT_SLOTS);
	task = vm_scheduler(vm_of(L))->running;
	assert(!task->op && !task->queued);
	set_op(task, op);
	if (op->woken) {
		op->woken = false;
		make_ready(task);
	} else {
		op->task = task;
	}
	task->at = L;
	return task_pass_on(L, ctx, k);
}

int task_pass_on(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
	lua_pushlightuserdata(L, &sentinel);
	return lua_yieldk(L, 1, ctx, k);
}

bool task_is_waiting(lua_State *co)
{
	return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 &&
	       lua_touserdata(co, -1) == (void *)&sentinel;
}

bool task_owns(lua_State *co)
{
	return vm_is_marked(co) || task_is_waiting(co);
}

int task_resume(lua_State *L, lua_State *co, int nargs, int *results)
{
	struct scheduler *s = vm_scheduler(vm_of(L));
	struct slice *slice = vm_slice(s->vm);
	unsigned barrier = lua_isyieldable(L) ? 0 : 1;
	int status;

	s->barriers += barrier;
	slice_switch(slice, co);
	status = lua_resume(co, L, nargs, results);
	slice_switch(slice, L);
	s->barriers -= barrier;
	return status;
}

int task_close_thread(lua_State *co, const char **why)
{
	struct scheduler *s = vm_scheduler(vm_of(co));
	lua_State *before;
	int status;

	if (s->closing >= CLOSE_DEPTH) {
		*why = "C stack overflow";
		return -1;
	}
	if (vm_is_runaway(co) && lua_status(co) > LUA_YIELD) {
		*why = "cannot close a coroutine that ran for too long";
		return -1;
	}
	s->closing++;
	before = slice_switch(vm_slice(s->vm), co);
	status = lua_resetthread(co);
	slice_switch(vm_slice(s->vm), before);
	s->closing--;
	return status;
}

/* ---- the end of a task -------------------------------------------------- */

static void close_coroutine(struct task *task)
{
	struct scheduler *s = task->scheduler;
	struct task *before = s->running;
	lua_State *lua;
	const char *why;

	s->running = task;
	lua = vm_enter_closing(s->vm, task->co);
	task_close_thread(task->co, &why);
	vm_leave_closing(s->vm, lua);
	s->running = before;
}

/* Tells and forgets a task that has no children, waits for nothing, and whose
 * coroutine is over. */
static void finish(struct task *task, int results, const struct err *err)
{
	struct scheduler *s = task->scheduler;

	assert(LIST_EMPTY(&task->children) && !task->op);
	dequeue(task);
	timer_release(&task->timer);
	LIST_REMOVE(task, sibling);
	s->count--;
	task->done(task, task->co, results, err, task->arg);
	lua_pushnil(s->anchor);
	lua_rawsetp(s->anchor, 1, task->co);
	free(task->doom);
	free(task);
}

static struct task *first_child(struct task *task)
{
	return LIST_FIRST(&task->children);
}

/*
 * Ends the descendants of ROOT (and with ERR, ROOT itself), leaves first. A
 * loop and not a recursion, because a script decides how deep tasks nest.
 */
static void end_tree(struct task *root, const struct err *err)
{
	const struct err cancelled = { ERR_CLOSED, "cancelled" };
	struct task *task = root, *parent;

	for (;;) {
		if (task != root || err) {
			detach_op(task);
			dequeue(task);
		}
		if (first_child(task)) {
			task = first_child(task);
			continue;
		}
		if (task == root)
			break;
		parent = task->parent;
		close_coroutine(task);
		finish(task, 0, &cancelled);
		task = parent;
	}
	if (err) {
		close_coroutine(root);
		finish(root, 0, err);
	}
}

void task_cancel(struct task *task, const char *reason)
{
	struct task *running = task->scheduler->running;
	struct err err;

	while (running && running != task)
		running = running->parent;
	if (running) {
		if (!task->doom)
			task->doom = mem_string(reason);
		return;
	}
	err_set(&err, ERR_CLOSED, "%s", reason);
	end_tree(task, &err);
}

/* Cancels TASK or the nearest ancestor that was cancelled from inside. */
static void end_doomed(struct task *task)
{
	struct err err;

	while (task && !task->doom)
		task = task->parent;
	if (!task)
		return;
	err_set(&err, ERR_CLOSED, "%s", task->doom);
	end_tree(task, &err);
}

static void on_deadline(struct timer *timer)
{
	struct task *task =
		(struct task *)(void *)((char *)timer -
					offsetof(struct task, timer));
	char place[PLACE_MAX];
	struct err err;

	if (!task->parent)
		vm_limit_met(task->scheduler->vm, VM_LIMIT_TIME);
	place_find(task->at, place);
	err_set(&err, ERR_TIMEOUT, "%sdeadline of %g s exceeded%s", place,
		round(task->allowed * 100) / 100,
		task->parent ? "" : " (timeout of the exporter or the scrape)");
	end_tree(task, &err);
}

/* ---- running ------------------------------------------------------------ */

/* A task's coroutine runs this, so that an error closes variables in the
 * ordinary way: they may wait, and the instruction hook sees them. */
static int k_main(lua_State *L, int status, lua_KContext ctx)
{
	(void)ctx;
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(L) - 1; /* the handler lies below */
	vm_scheduler(vm_of(L))->running->status = status;
	return 1;
}

static int l_main(lua_State *L)
{
	lua_pushcfunction(L, vm_l_handler);
	lua_insert(L, 1);
	return k_main(
		L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, k_main),
		0);
}

/* The sentence of a task that is over, or NULL after success. Must come before
 * anything else enters Lua. */
static const struct err *verdict(struct task *task, int status, struct err *err)
{
	if (status == LUA_YIELD)
		err_set(err, ERR_USAGE,
			"coroutine.yield outside of a coroutine");
	else if (status != LUA_OK)
		vm_error(task->co, status, err);
	else if (task->status != LUA_OK)
		vm_error(task->co, task->status, err);
	else if (!vm_overran(task->scheduler->vm, err))
		return NULL;
	return err;
}

/* The coroutine returned, or failed: in Lua itself (STATUS) or, as errors of
 * scripts do, in k_main. */
static void end(struct task *task, int status, int results)
{
	struct task *parent = task->parent;
	struct err err;
	const struct err *failure = verdict(task, status, &err);

	detach_op(task);
	end_tree(task, NULL);
	if (status != LUA_OK) {
		results = status == LUA_YIELD ? 0 : 1;
		close_coroutine(task);
	}
	finish(task, results, failure);
	end_doomed(parent);
}

static void resume(struct task *task)
{
	struct scheduler *s = task->scheduler;
	lua_State *co = task->co, *before;
	int nargs = 0, results = 0, status;

	set_op(task, NULL);
	if (task->started)
		lua_pop(co, 1); /* the sentinel */
	else
		nargs = lua_gettop(co) - 1;
	task->started = true;
	task->at = NULL;
	s->running = task;
	before = vm_enter(s->vm, co);
	status = lua_resume(co, NULL, nargs, &results);
	vm_leave(s->vm, before);
	s->running = NULL;
	if (status == LUA_YIELD && task_is_waiting(co))
		end_doomed(task);
	else
		end(task, status, results);
}

/* ---- starting ----------------------------------------------------------- */

/* Pops the function and its arguments; the new coroutine is anchored. */
static lua_State *take_coroutine(lua_State *L, int nargs)
{
	lua_State *co;

	luaL_checkstack(L, 4, "to start a task");
	co = lua_newthread(L); /* function args co */
	if (!lua_checkstack(co, nargs + LUA_MINSTACK))
		luaL_error(L, "too many arguments");
	lua_rawgetp(L, LUA_REGISTRYINDEX, &coroutines);
	lua_pushvalue(L, -2); /* function args co coroutines co */
	lua_rawsetp(L, -2, co);
	lua_pop(L, 2); /* function args */
	vm_mark(co);
	lua_pushcfunction(co, l_main);
	lua_xmove(L, co, nargs + 1);
	return co;
}

static void set_deadline(struct task *task, double deadline)
{
	double bound = task->parent ? task->parent->deadline : 0;
	double now;

	task->deadline = bound;
	if (deadline <= 0 || (bound > 0 && bound <= deadline))
		return; /* the ancestor's timer ends the whole tree */
	now = loop_now(vm_loop(task->scheduler->vm));
	task->deadline = deadline;
	task->allowed = deadline > now ? deadline - now : 0;
	timer_start(&task->timer, task->allowed);
}

static struct task *start(lua_State *L, int nargs, double deadline,
			  task_done done, void *arg, struct task *parent)
{
	struct scheduler *s = vm_scheduler(vm_of(L));
	struct task *task;
	lua_State *co;

	if (s->stopped)
		luaL_error(L, "no task can be started: the state is closing");
	co = take_coroutine(L, nargs);
	/* From here on nothing raises. */
	task = mem_alloc(sizeof *task);
	task->scheduler = s;
	task->co = co;
	task->parent = parent;
	task->context = parent ? parent->context : NULL;
	task->done = done;
	task->arg = arg;
	LIST_INIT(&task->children);
	LIST_INSERT_HEAD(parent ? &parent->children : &s->roots, task, sibling);
	s->count++;
	timer_init(vm_loop(s->vm), &task->timer, on_deadline);
	set_deadline(task, deadline);
	make_ready(task);
	return task;
}

bool task_answers_failure(lua_State *co, int results, struct err *err)
{
	if (results < 2 || !lua_isnil(co, -results) ||
	    lua_type(co, 1 - results) != LUA_TSTRING)
		return false;
	err_set(err, ERR_IO, "%s", lua_tostring(co, 1 - results));
	return true;
}

struct task *task_start(lua_State *L, int nargs, double deadline,
			task_done done, void *arg)
{
	return start(L, nargs, deadline, done, arg, NULL);
}

struct task *task_start_child(lua_State *L, int nargs, double deadline,
			      task_done done, void *arg)
{
	struct task *parent = task_current(L);

	if (!parent)
		luaL_error(L,
			   "tasks are not possible here (outside of a task)");
	return start(L, nargs, deadline, done, arg, parent);
}

/* ---- questions ---------------------------------------------------------- */

struct task *task_current(lua_State *L)
{
	return vm_scheduler(vm_of(L))->running;
}

bool task_has_begun(const struct task *task)
{
	return task->started;
}

lua_State *task_thread(const struct task *task)
{
	return task->co;
}

double task_deadline(const struct task *task)
{
	return task->deadline;
}

void task_set_context(struct task *task, void *context)
{
	task->context = context;
}

void *task_context(const struct task *task)
{
	return task->context;
}

unsigned task_count(const struct vm *vm)
{
	return vm_scheduler(vm)->count;
}

unsigned task_operations(const struct vm *vm)
{
	return atomic_load_explicit(&vm_scheduler(vm)->waiting,
				    memory_order_relaxed);
}

/* ---- the scheduler's own life ------------------------------------------- */

struct scheduler *task_scheduler_new(struct vm *vm)
{
	struct scheduler *s = mem_alloc(sizeof *s);

	s->vm = vm;
	TAILQ_INIT(&s->ready);
	LIST_INIT(&s->roots);
	s->idle = mem_alloc(sizeof *s->idle);
	s->idle->data = s;
	uv_idle_init(loop_uv(vm_loop(vm)), s->idle);
	return s;
}

void task_scheduler_open(struct scheduler *s, lua_State *L)
{
	lua_State *anchor;

	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &coroutines);
	anchor = lua_newthread(L); /* coroutines anchor */
	lua_pushvalue(L, -2);
	lua_xmove(L, anchor, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, s);
	lua_pop(L, 1);
	s->anchor = anchor;
}

void task_scheduler_stop(struct scheduler *s)
{
	s->stopped = true;
	uv_idle_stop(s->idle);
	while (!LIST_EMPTY(&s->roots))
		task_cancel(LIST_FIRST(&s->roots), "cancelled");
}

static void on_close(uv_handle_t *handle)
{
	free(handle);
}

void task_scheduler_free(struct scheduler *s)
{
	uv_close((uv_handle_t *)s->idle, on_close);
	free(s);
}
