/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks: coroutines that wait for operations. The only lua_resume is here.
 *
 * Life of a wait. A binding makes an operation inside a userdata on the
 * coroutine's stack, starts it, and says `return task_await(L, op, ctx, k)`:
 * nothing after it, no C local survives. A library callback later calls
 * task_wake(op): that only puts the task into the ready queue. The scheduler
 * resumes ready tasks at the top of the loop; then k runs. Cancelling a task
 * first calls op->cancel (which must stop the operation; a completion that
 * comes nevertheless finds op->task NULL and does nothing), also when it is
 * complete and the task has not gone on yet; then it cancels the children and
 * closes the coroutine, so that its <close> variables run. A script cannot
 * catch its own cancellation: nothing is raised.
 *
 * A wait inside a script's own coroutine works: the host's yields carry a
 * sentinel, which coroutine.resume and wrap pass on (vm/coroutine.h).
 *
 * Tasks are structured: a child cannot outlive its parent. One thread.
 */
#ifndef VM_TASK_H
#define VM_TASK_H

#include <lua.h>
#include <stdbool.h>

#include "core/err.h"
#include "vm/state.h"

struct task;

/* An operation in flight. Embedded in a userdata; zero it before each wait. */
struct op {
	struct task *task;	       /* the waiting task, or NULL */
	void (*cancel)(struct op *op); /* stop; may be NULL; must not raise */
	bool woken;		       /* private: complete, nobody waits yet */
};

/*
 * Waits for OP in the running task; its continuation is k(L, LUA_YIELD, ctx)
 * on the same stack. Raises "I/O is not possible here (...)" where a yield
 * cannot cross (inside table.sort, at the top level of a module, ...), and
 * another sentence where too many tasks wait (vm/limits.h). An OP
 * that was woken before this call is fine: it continues in the next round.
 */
int task_await(lua_State *L, struct op *op, lua_KContext ctx, lua_KFunction k);

/* Raises what task_await would raise. For functions that must not begin what
 * they cannot wait for. */
void task_check(lua_State *L);

/* OP is complete: its task gets ready. Without a waiting task does nothing. */
void task_wake(struct op *op);

/*
 * How a task ended; ERR is NULL after success. It may start or cancel other
 * tasks, but not free the state. CO holds the RESULTS on top of its stack, and
 * is valid during the call (and as long as somebody anchors it). After an error
 * of the script the one result is the error object itself. Runs outside Lua,
 * or inside where a parent cancels its children: it must not raise.
 */
typedef void (*task_done)(struct task *task, lua_State *co, int results,
			  const struct err *err, void *arg);

/*
 * Did a function that ended without an error answer nil and a message, as what
 * fails in the world does? Then ERR says so. For task_done functions.
 */
bool task_answers_failure(lua_State *co, int results, struct err *err);

/*
 * Makes a task without a parent from the function and NARGS arguments on top of
 * L, which it pops, and makes it ready. May raise (memory): call it from
 * vm_call(). DEADLINE is in loop_now() seconds, 0 for none: when it passes, the
 * task is cancelled and fails with ERR_TIMEOUT. DONE is called exactly once.
 */
struct task *task_start(lua_State *L, int nargs, double deadline,
			task_done done, void *arg);

/* The same, as a child of the running task: cancelled with it, bound by its
 * deadline if that is earlier. For the `task` module. */
struct task *task_start_child(lua_State *L, int nargs, double deadline,
			      task_done done, void *arg);

/* Ends TASK now: see above. DONE is called with ERR_CLOSED and REASON. A task
 * that asks for its own end from inside gets it when it comes to a wait. */
void task_cancel(struct task *task, const char *reason);

/* The task that runs now in L's state; NULL outside of tasks. */
struct task *task_current(lua_State *L);

/* Was it resumed at least once? It then waits, or has ended. */
bool task_has_begun(const struct task *task);

/* The coroutine of a task; its results and errors are there in task_done. */
lua_State *task_thread(const struct task *task);

/* The earliest deadline that binds the task, loop_now() seconds; 0: none.
 * Operations take their own timeouts from it. */
double task_deadline(const struct task *task);

/* Pointer of the run layer for a task and, by inheritance, for its children:
 * which part of which collection this is. */
void task_set_context(struct task *task, void *context);
void *task_context(const struct task *task);

/* Live tasks of a state; for tests and metrics. */
unsigned task_count(const struct vm *vm);

/* Of them, those that wait for an operation. Any thread. */
unsigned task_operations(const struct vm *vm);

/* ---- for vm/state.c and vm/coroutine.c only ----------------------------- */

struct scheduler *task_scheduler_new(struct vm *vm);

/* Makes the table that anchors coroutines. May raise. */
void task_scheduler_open(struct scheduler *scheduler, lua_State *L);

/* Cancels what is left. After it the state may be closed. */
void task_scheduler_stop(struct scheduler *scheduler);
void task_scheduler_free(struct scheduler *scheduler);

/* lua_resume of CO, which must be suspended, from inside L. */
int task_resume(lua_State *L, lua_State *co, int nargs, int *results);

/* CO is suspended in a wait of the host, not in a yield of the script. Then the
 * sentinel is on top of its stack, to be popped before it is resumed. */
bool task_is_waiting(lua_State *co);

/* CO waits, or is the main coroutine of a task, even one that has ended: not
 * the script's to resume or close. */
bool task_owns(lua_State *co);

/* Passes the sentinel of a coroutine on, to be resumed in k. */
int task_pass_on(lua_State *L, lua_KContext ctx, lua_KFunction k);

/*
 * lua_resetthread where that is safe. Otherwise -1, WHY, and the coroutine
 * stays as it is: too deep in closing inside closing, or ended by its slice.
 */
int task_close_thread(lua_State *co, const char **why);

#endif
