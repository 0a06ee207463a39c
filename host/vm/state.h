/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Lua state with its limits: the only lua_newstate and lua_close. The
 * thread that made it is the only one that touches it, except for the counters
 * that say so.
 *
 * The way from a lua_State to everything of ours is vm_of(): one pointer in the
 * state's extra space, which Lua copies into every new coroutine.
 */
#ifndef VM_STATE_H
#define VM_STATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "net/allow.h"
#include "net/loop.h"
#include "vm/limits.h"

struct log_source;
struct vm;
struct ports;
struct scheduler;
struct seen_list;
struct slice;

struct vm_options {
	struct loop *loop; /* the loop of this thread */
	const char *name;  /* of the exporter, for the log; borrowed; or NULL */
	struct vm_limits limits; /* they stay, whatever a script says; 0: the
				    default, until it says something */
	/*
	 * package.path and package.cpath: absolute templates, in which ";;"
	 * stands for the defaults (Debian's and /usr/local's folders). NULL:
	 * the defaults; "": nothing outside the binary can be required.
	 */
	const char *lua_path;
	const char *lua_cpath;
	/*
	 * The script is not trusted: it has nothing of the outside (see
	 * vm/library.h) but the network, and that only where ALLOW says (texts
	 * of net/allow.h, ending with NULL; NULL: nowhere). Paths are not
	 * looked at, and limits can only be lowered.
	 */
	bool sandbox;
	const char *const *allow;
	void (*open)(lua_State *L); /* preloads our modules; may raise */
	void *owner;		    /* for vm_owner(); not looked at */
	struct ports *ports; /* of its listening sockets; borrowed; or NULL */
	/* To which is added what is read, see vm_seen(); borrowed; or NULL. It
	 * is the thread's as long as the state is there. */
	struct seen_list *seen;
	/* MORE of the code was added to it after vm_set_loaded(), with the
	 * owner; not to call Lua. Or NULL. */
	void (*seen_more)(void *owner, const struct seen_list *more);
	bool steps_back; /* see vm_step_back() */
	/* Specs: this and later allocations fail; with VM_FAIL_ONCE added, this
	 * one alone, however often Lua asks for it; 0: none. */
	size_t fail_at;
};

#define VM_FAIL_ONCE (SIZE_MAX / 2 + 1)

/*
 * A state with the allowed libraries (see vm/library.h), strict globals and
 * the slice, all before any script code. NULL and ERR on failure.
 */
struct vm *vm_new(const struct vm_options *options, struct err *err);

/*
 * Cancels every task (their <close> variables run), detaches operations in
 * flight, closes the state. The loop must still exist. Not from a task_done
 * function nor from inside Lua. NULL is allowed.
 */
void vm_free(struct vm *vm);

struct vm *vm_of(lua_State *L);
void *vm_owner(const struct vm *vm);
struct loop *vm_loop(const struct vm *vm);
struct ports *vm_ports(const struct vm *vm);

/* Where the script may go on the network; NULL: everywhere, it is in no
 * sandbox. Good until vm_free(). */
const struct allow *vm_allow(const struct vm *vm);
const char *vm_name(const struct vm *vm);

/* What the script and those whom it serves write into the log comes from here.
 */
struct log_source *vm_log(struct vm *vm);

/* Lines of it that were too many. Any thread. */
uint64_t vm_log_dropped(const struct vm *vm);

/*
 * Where to note files, with the bytes that were read from them, while the
 * script loads, and its code at any time; NULL: nobody wants to know. What a
 * script reads later is what it works on, and no part of it.
 */
struct seen_list *vm_seen(const struct vm *vm);
struct seen_list *vm_seen_code(const struct vm *vm);

/* MORE has been added to the list of vm_seen_code(). */
void vm_tell_seen(const struct vm *vm, const struct seen_list *more);

/* The script has loaded: vm_seen() is NULL from now on. */
void vm_set_loaded(struct vm *vm);

/* The name for the log, where a script tells it after loading; borrowed. */
void vm_set_name(struct vm *vm, const char *name);

/* Limits that a script states. Those that the options have stay, and where
 * LIMITS says nothing the present ones do; in a sandbox also where it says
 * more than those. */
void vm_set_limits(struct vm *vm, const struct vm_limits *limits);

/* Those in force. For the state's thread, and for others once it is loaded. */
const struct vm_limits *vm_limits(const struct vm *vm);

/* Counts that a limit was met; for bindings. */
void vm_limit_met(struct vm *vm, enum vm_limit limit);

/*
 * A script that uses up its memory, its slice or its series, again and again,
 * must not take the processors from others: with the option `steps_back` its
 * thread runs from then on when they are idle, and vm_step_up() ends that after
 * a run that went well, where the system lets it. Signal handlers may call the
 * first.
 */
void vm_step_back(struct vm *vm);
void vm_step_up(struct vm *vm);

/*
 * Bytes of C that objects of the script hold, which whoever makes these adds
 * and takes away again. Together they may be as many as Lua's own; asked for
 * when there are more, vm_outside_fits() collects garbage before it says no,
 * which counts as meeting the limit of memory.
 */
size_t *vm_outside(struct vm *vm);
bool vm_outside_fits(lua_State *L);

/* How often a limit was met. Any thread. */
uint64_t vm_limits_exceeded(const struct vm *vm, enum vm_limit limit);

/* Gives what runs now the whole slice again, where the host knows that another
 * piece of work begins. */
void vm_begin_slice(struct vm *vm);

/* The main lua_State, for vm_call() functions and anchors only. */
lua_State *vm_main(const struct vm *vm);

/*
 * The protected entry: calls FN(L, ARG) on an otherwise empty stack slot range
 * with error handling and the slice budget. Nothing FN leaves on the stack
 * survives. On an error false and ERR, whose sentence begins with "file:line:"
 * where Lua knows it. FN must not wait (see task.h for what may).
 */
bool vm_call(struct vm *vm, void (*fn)(lua_State *L, void *arg), void *arg,
	     struct err *err);

/*
 * Turns the error object on top of L into ERR without calling into Lua: a
 * string is taken, anything else is named by its type. Memory and slice limits
 * get their own sentences and ERR_LIMIT; the rest is ERR_USAGE. The object
 * stays on the stack.
 */
void vm_error(lua_State *L, int status, struct err *err);

/* Did what ran without an error use up its slice all the same, and hide that
 * where no instruction follows, as in `return pcall(f)`? Then ERR says so. To
 * be asked before anything else enters Lua. */
bool vm_overran(struct vm *vm, struct err *err);

/* Bytes of the Lua heap, and CPU seconds spent inside Lua. Any thread. */
size_t vm_memory(const struct vm *vm);
double vm_cpu_seconds(const struct vm *vm);

/* Seconds since the thread went into Lua and has not come back; 0 when it is
 * not inside. Any thread: the watchdog asks. */
double vm_busy_seconds(const struct vm *vm);

/*
 * Has the thread used so much CPU inside that it cannot be in Lua code, which
 * would have been stopped, but must be in one call of C, which nothing stops?
 * Any thread, while the state's lives.
 */
bool vm_is_stuck(const struct vm *vm);

/* ---- for the other files of vm ------------------------------------------ */

/*
 * Around every way into Lua: the instructions of L run now. The outermost pair
 * is one slice and is counted. vm_enter() returns what vm_leave() needs.
 */
lua_State *vm_enter(struct vm *vm, lua_State *L);
void vm_leave(struct vm *vm, lua_State *before);

/* The same around closing a coroutine: memory may go a little above the
 * ceiling, so that a full heap does not keep <close> from running. */
lua_State *vm_enter_closing(struct vm *vm, lua_State *L);
void vm_leave_closing(struct vm *vm, lua_State *before);

/*
 * The message handler of the protected entries. It passes the error object on
 * as it is, with a place where a sentence of Lua's has none, and gives the
 * slice once more after it was used up, so that <close> variables of a runaway
 * script can do their work.
 */
int vm_l_handler(lua_State *L);

/* The next allocation is not refused: for the few bytes that must be there
 * where an error could not be handled. */
void vm_grant(struct vm *vm);

/* One bit in the extra space of a coroutine, which its own coroutines do not
 * inherit: it is the main one of a task. */
void vm_mark(lua_State *co);
bool vm_is_marked(lua_State *co);

/* The last hook in this coroutine raised. If that error ended it, its hooks are
 * off for good, and no Lua code may run in it any more. */
void vm_set_runaway(lua_State *co, bool runaway);
bool vm_is_runaway(lua_State *co);

/* What is left of the CPU budget (vm/slice.h). */
struct slice *vm_slice(struct vm *vm);

struct scheduler *vm_scheduler(const struct vm *vm);

#endif
