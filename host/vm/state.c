/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state and its clock. Every way into Lua of this program is vm_call() here
 * or the scheduler's resume in vm/task.c; both stand between vm_enter() and
 * vm_leave(), which is where the slice begins and CPU is counted.
 */
#include "vm/state.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "vm/heap.h"
#include "vm/library.h"
#include "vm/place.h"
#include "vm/priority.h"
#include "vm/slice.h"
#include "vm/task.h"

enum {
	SECOND = 1000000000,
	WARNING_MAX = 512,
};

/* What Lua's buffers raise by themselves, when they get no memory. */
static const char no_memory[] = "not enough memory";

struct vm {
	lua_State *L;
	struct heap heap;
	struct loop *loop;
	const char *name;
	struct log_source log;
	void *owner;
	struct allow *allow; /* NULL: no sandbox */
	struct ports *ports;
	struct seen_list *seen;
	void (*seen_more)(void *owner, const struct seen_list *more);
	bool loaded;
	struct scheduler *scheduler;
	struct slice slice;
	struct vm_limits limits, given; /* in force; of the options */
	_Atomic uint64_t exceeded[VM_LIMITS];
	size_t outside;		 /* bytes of C that objects hold */
	unsigned depth;		 /* of vm_enter without vm_leave */
	clockid_t clock;	 /* the thread's CPU clock, for others */
	_Atomic int64_t entered; /* on it, at the outermost vm_enter */
	_Atomic int64_t busy;	 /* monotonic time of it; 0: not inside */
	_Atomic int64_t cpu;	 /* nanoseconds inside, finished visits */
	bool warned;		 /* of the slice, in this visit */
	bool steps_back;
	volatile sig_atomic_t stepped_back;
	size_t warning_len;
	char warning[WARNING_MAX];
};

/* ---- the extra space ---------------------------------------------------- */

/* A struct vm is aligned, so the lowest bits of its address are free. */
#define MARKED ((uintptr_t)1)
#define RUNAWAY ((uintptr_t)2)

static uintptr_t *extra(lua_State *L)
{
	return lua_getextraspace(L);
}

struct vm *vm_of(lua_State *L)
{
	return (struct vm *)(*extra(L) & ~(MARKED | RUNAWAY));
}

void vm_mark(lua_State *co)
{
	*extra(co) |= MARKED;
}

bool vm_is_marked(lua_State *co)
{
	return *extra(co) & MARKED;
}

void vm_set_runaway(lua_State *co, bool runaway)
{
	if (runaway)
		*extra(co) |= RUNAWAY;
	else
		*extra(co) &= ~RUNAWAY;
}

bool vm_is_runaway(lua_State *co)
{
	return *extra(co) & RUNAWAY;
}

/* ---- limits ------------------------------------------------------------- */

void vm_set_limits(struct vm *vm, const struct vm_limits *limits)
{
	struct vm_limits own = vm_limits_without(limits, &vm->given);

	if (vm->allow)
		own = vm_limits_lower(&own, &vm->limits);
	vm_limits_lay(&vm->limits, &own);
	vm->heap.ceiling = vm->limits.memory;
	if (own.cpu > 0)
		slice_set(&vm->slice, own.cpu);
}

const struct vm_limits *vm_limits(const struct vm *vm)
{
	return &vm->limits;
}

void vm_limit_met(struct vm *vm, enum vm_limit limit)
{
	atomic_fetch_add_explicit(&vm->exceeded[limit], 1,
				  memory_order_relaxed);
	if (limit == VM_LIMIT_CPU ||
	    ((limit == VM_LIMIT_MEMORY || limit == VM_LIMIT_SERIES) &&
	     priority_can_raise()))
		vm_step_back(vm);
}

void vm_step_back(struct vm *vm)
{
	if (vm->steps_back && !vm->stepped_back)
		vm->stepped_back = priority_lower();
}

void vm_step_up(struct vm *vm)
{
	if (vm->stepped_back)
		vm->stepped_back = !priority_raise();
}

struct log_source *vm_log(struct vm *vm)
{
	return &vm->log;
}

uint64_t vm_log_dropped(const struct vm *vm)
{
	return atomic_load_explicit(&vm->log.dropped, memory_order_relaxed);
}

size_t *vm_outside(struct vm *vm)
{
	return &vm->outside;
}

bool vm_outside_fits(lua_State *L)
{
	struct vm *vm = vm_of(L);

	if (vm->outside > vm->limits.memory)
		lua_gc(L, LUA_GCCOLLECT, 0);
	if (vm->outside <= vm->limits.memory)
		return true;
	vm_limit_met(vm, VM_LIMIT_MEMORY);
	return false;
}

uint64_t vm_limits_exceeded(const struct vm *vm, enum vm_limit limit)
{
	return atomic_load_explicit(&vm->exceeded[limit], memory_order_relaxed);
}

size_t vm_memory(const struct vm *vm)
{
	return atomic_load_explicit(&vm->heap.used, memory_order_relaxed);
}

void vm_grant(struct vm *vm)
{
	vm->heap.granted = true;
}

/* ---- time --------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

lua_State *vm_enter(struct vm *vm, lua_State *L)
{
	if (vm->depth++ == 0) {
		int64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		atomic_store_explicit(&vm->entered, now, memory_order_relaxed);
		slice_start(&vm->slice, now);
		vm->warned = false;
		atomic_store_explicit(&vm->busy, clock_ns(CLOCK_MONOTONIC),
				      memory_order_relaxed);
	}
	return slice_switch(&vm->slice, L);
}

void vm_leave(struct vm *vm, lua_State *before)
{
	int64_t cpu;

	assert(vm->depth > 0);
	slice_switch(&vm->slice, before);
	if (--vm->depth > 0)
		return;
	cpu = atomic_load_explicit(&vm->cpu, memory_order_relaxed);
	cpu += clock_ns(CLOCK_THREAD_CPUTIME_ID) -
	       atomic_load_explicit(&vm->entered, memory_order_relaxed);
	atomic_store_explicit(&vm->cpu, cpu, memory_order_relaxed);
	atomic_store_explicit(&vm->busy, 0, memory_order_relaxed);
}

lua_State *vm_enter_closing(struct vm *vm, lua_State *L)
{
	vm->heap.closing++;
	return vm_enter(vm, L);
}

void vm_leave_closing(struct vm *vm, lua_State *before)
{
	vm_leave(vm, before);
	vm->heap.closing--;
}

void vm_begin_slice(struct vm *vm)
{
	slice_start(&vm->slice, clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

struct slice *vm_slice(struct vm *vm)
{
	return &vm->slice;
}

double vm_cpu_seconds(const struct vm *vm)
{
	return (double)atomic_load_explicit(&vm->cpu, memory_order_relaxed) /
	       SECOND;
}

double vm_busy_seconds(const struct vm *vm)
{
	int64_t since = atomic_load_explicit(&vm->busy, memory_order_relaxed);

	if (since == 0)
		return 0;
	return (double)(clock_ns(CLOCK_MONOTONIC) - since) / SECOND;
}

/* The slice once, and once more for <close> variables, is the most that Lua
 * code can have. Its timer knows earlier. */
bool vm_is_stuck(const struct vm *vm)
{
	int64_t most = (int64_t)(2 * vm->limits.cpu * SECOND);
	struct timespec now;

	if (vm_busy_seconds(vm) <= 0)
		return false;
	if (slice_is_stuck(&vm->slice))
		return true;
	if (vm_busy_seconds(vm) * SECOND < (double)most ||
	    clock_gettime(vm->clock, &now) != 0)
		return false;
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec -
		       atomic_load_explicit(&vm->entered,
					    memory_order_relaxed) >
	       most;
}

/* ---- errors ------------------------------------------------------------- */

int vm_l_handler(lua_State *L)
{
	char place[PLACE_MAX];

	slice_renew(&vm_of(L)->slice);
	/* Lua tells no place when a function of C was the last one. */
	if (lua_type(L, 1) == LUA_TSTRING &&
	    strcmp(lua_tostring(L, 1), "C stack overflow") == 0) {
		place_find(L, place);
		lua_pushfstring(L, "%sC stack overflow", place);
	}
	return 1;
}

/* At PLACE, of LEN bytes: "file:line: ". */
static void memory_sentence(const struct vm *vm, const char *place, size_t len,
			    struct err *err)
{
	bool small = vm->limits.memory < (size_t)1 << 20;
	double size = (double)vm->limits.memory / (small ? 1 << 10 : 1 << 20);

	err_set(err, ERR_LIMIT,
		"%.*smemory limit of %.4g %s exceeded" VM_LIMIT_HINT("memory"),
		len < INT_MAX ? (int)len : INT_MAX, place, size,
		small ? "KiB" : "MiB");
}

static void memory_error(const struct vm *vm, struct err *err)
{
	const char *place = vm->heap.refused_at;

	memory_sentence(vm, place, strlen(place), err);
}

static bool is_memory_error(lua_State *L, int status)
{
	return status == LUA_ERRMEM ||
	       (lua_type(L, -1) == LUA_TSTRING &&
		strcmp(lua_tostring(L, -1), no_memory) == 0);
}

/* Is TEXT a memory error behind what was put before it, "file:line: ", by who
 * caught it and raised it again? */
static bool ends_with_memory_error(const struct vm *vm, const char *text)
{
	static const char end[] = ": not enough memory";
	size_t len = strlen(text);

	return vm_limits_exceeded(vm, VM_LIMIT_MEMORY) > 0 &&
	       len >= sizeof end - 1 &&
	       strcmp(text + len - (sizeof end - 1), end) == 0;
}

/* The text at the top of the stack, without the list of places where a module
 * is not. */
static void set_sentence(lua_State *L, struct err *err)
{
	const char *text = lua_tostring(L, -1);
	const char *list = strstr(text, " not found:\n\t");
	size_t len = list ? (size_t)(list - text) + strlen(" not found")
			  : strlen(text);

	if (ends_with_memory_error(vm_of(L), text))
		memory_sentence(vm_of(L), text, len - (sizeof no_memory - 1),
				err);
	else
		err_set(err, ERR_USAGE, "%.*s",
			len < INT_MAX ? (int)len : INT_MAX, text);
}

void vm_error(lua_State *L, int status, struct err *err)
{
	struct vm *vm = vm_of(L);

	heap_settle(&vm->heap);
	if (is_memory_error(L, status))
		memory_error(vm, err);
	else if (slice_sentence(&vm->slice, err))
		return;
	else if (lua_type(L, -1) == LUA_TSTRING)
		set_sentence(L, err);
	else
		err_set(err, ERR_USAGE, "error object is a %s value",
			lua_typename(L, lua_type(L, -1)));
}

bool vm_overran(struct vm *vm, struct err *err)
{
	return slice_is_over(&vm->slice) && slice_sentence(&vm->slice, err);
}

/* Nothing runs Lua outside of a protected entry, so this is a bug of ours. */
static int on_panic(lua_State *L)
{
	const char *message = "error object is not a string";

	if (lua_type(L, -1) == LUA_TSTRING)
		message = lua_tostring(L, -1);
	log_error("unprotected Lua error", "err", message);
	abort();
}

/* Pieces of one warning, such as "error in __gc"; logged when it is whole. */
static void on_warning(void *arg, const char *text, int more)
{
	struct vm *vm = arg;
	size_t len = strlen(text), room = WARNING_MAX - 1 - vm->warning_len;

	if (!more && vm->warning_len == 0 && text[0] == '@')
		return; /* a control message: warnings are always on */
	if (len > room)
		len = room;
	memcpy(vm->warning + vm->warning_len, text, len);
	vm->warning_len += len;
	vm->warning[vm->warning_len] = '\0';
	if (more)
		return;
	vm->warning_len = 0;
	/* Once the slice is used up, each finalizer fails. */
	if (vm->slice.over && vm->warned)
		return;
	vm->warned = vm->slice.over;
	log_from(&vm->log, LOG_WARN, vm->name, vm->warning, (char *)0);
}

/* ---- the protected entry ------------------------------------------------ */

struct call {
	void (*fn)(lua_State *L, void *arg);
	void *arg;
};

static int l_call(lua_State *L)
{
	struct call *call = lua_touserdata(L, 1);

	lua_settop(L, 0);
	call->fn(L, call->arg);
	return 0;
}

bool vm_call(struct vm *vm, void (*fn)(lua_State *L, void *arg), void *arg,
	     struct err *err)
{
	struct call call = { fn, arg };
	lua_State *L = vm->L, *before;
	int top = lua_gettop(L);
	int status;
	bool good;

	if (!lua_checkstack(L, 4)) {
		memory_error(vm, err);
		return false;
	}
	before = vm_enter(vm, L);
	lua_pushcfunction(L, vm_l_handler);
	lua_pushcfunction(L, l_call);
	lua_pushlightuserdata(L, &call);
	status = lua_pcall(L, 1, 0, top + 1);
	if (status != LUA_OK)
		vm_error(L, status, err);
	good = status == LUA_OK && !vm_overran(vm, err);
	if (!good && vm->depth > 1) /* told; who called it goes on */
		vm->slice.over = false;
	lua_settop(L, top);
	vm_leave(vm, before);
	return good;
}

/* ---- life --------------------------------------------------------------- */

/*
 * Lua makes these strings at moments when nobody could catch a memory error.
 * Short strings exist once, so while the registry keeps them, making them again
 * does not allocate.
 */
static void keep_messages(lua_State *L)
{
	static const char *const messages[] = {
		"C stack overflow",
		"error in error handling",
		"cannot resume dead coroutine",
		"cannot resume non-suspended coroutine",
	};

	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		lua_pushstring(L, messages[i]);
		lua_rawsetp(L, LUA_REGISTRYINDEX, messages[i]);
	}
}

static void open_state(lua_State *L, void *arg)
{
	keep_messages(L);
	task_scheduler_open(vm_of(L)->scheduler, L);
	library_open(L, arg);
}

static void release(struct vm *vm)
{
	heap_release(&vm->heap);
	allow_free(vm->allow);
	free(vm);
}

struct vm *vm_new(const struct vm_options *options, struct err *err)
{
	struct allow *allow = NULL;
	struct vm *vm;

	if (options->sandbox) {
		allow = allow_new(options->allow, err);
		if (!allow)
			return NULL;
	}
	vm = mem_alloc(sizeof *vm);
	vm->allow = allow;
	vm->loop = options->loop;
	vm->name = options->name;
	vm->owner = options->owner;
	vm->given = options->limits;
	vm->limits = vm_limits_default;
	vm_limits_lay(&vm->limits, &vm->given);
	vm->ports = options->ports;
	vm->seen = options->seen;
	vm->seen_more = options->seen_more;
	vm->steps_back = options->steps_back;
	heap_init(&vm->heap, vm, options->fail_at);
	vm->heap.ceiling = vm->limits.memory;
	vm->L = lua_newstate(heap_allocate, &vm->heap);
	if (!vm->L) {
		memory_error(vm, err);
		release(vm);
		return NULL;
	}
	*(struct vm **)lua_getextraspace(vm->L) = vm;
	lua_atpanic(vm->L, on_panic);
	lua_setwarnf(vm->L, on_warning, vm);
	if (pthread_getcpuclockid(pthread_self(), &vm->clock) != 0)
		vm->clock = CLOCK_THREAD_CPUTIME_ID;
	slice_init(&vm->slice, vm->L, vm->limits.cpu);
	vm->scheduler = task_scheduler_new(vm);
	if (!vm_call(vm, open_state, (void *)options, err)) {
		vm_free(vm);
		return NULL;
	}
	return vm;
}

void vm_free(struct vm *vm)
{
	lua_State *before;

	if (!vm)
		return;
	assert(vm->depth == 0);
	task_scheduler_stop(vm->scheduler);
	before = vm_enter_closing(vm, vm->L);
	lua_close(vm->L);
	vm_leave_closing(vm, before);
	slice_release(&vm->slice);
	assert(vm_memory(vm) == 0);
	task_scheduler_free(vm->scheduler);
	release(vm);
}

const struct allow *vm_allow(const struct vm *vm)
{
	return vm->allow;
}

void *vm_owner(const struct vm *vm)
{
	return vm->owner;
}

struct seen_list *vm_seen(const struct vm *vm)
{
	return vm->loaded ? NULL : vm->seen;
}

struct seen_list *vm_seen_code(const struct vm *vm)
{
	return vm->seen;
}

void vm_tell_seen(const struct vm *vm, const struct seen_list *more)
{
	if (vm->loaded && vm->seen_more)
		vm->seen_more(vm->owner, more);
}

void vm_set_loaded(struct vm *vm)
{
	vm->loaded = true;
}

struct loop *vm_loop(const struct vm *vm)
{
	return vm->loop;
}

struct ports *vm_ports(const struct vm *vm)
{
	return vm->ports;
}

const char *vm_name(const struct vm *vm)
{
	return vm->name;
}

void vm_set_name(struct vm *vm, const char *name)
{
	vm->name = name;
}

lua_State *vm_main(const struct vm *vm)
{
	return vm->L;
}

struct scheduler *vm_scheduler(const struct vm *vm)
{
	return vm->scheduler;
}
