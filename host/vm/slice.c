/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A count hook that is always set would stop a script that runs for too long,
 * but makes all of Lua half as fast, since it looks at every instruction. So
 * there is no hook until it is needed. A timer on the thread's CPU clock sends
 * a signal to this thread, a few times per slice and only while it works; when
 * the slice is used up, the handler sets the hook (which is what lua_sethook
 * allows a handler to do; lua.c stops scripts in the same way) on the state
 * that is running.
 *
 * The hook then comes at every instruction and raises each time, so that a
 * script cannot go on behind a pcall. Coroutines made from there inherit it,
 * and slice_switch() passes it on to those that existed before. A hook that
 * finds a new slice begun takes itself away.
 *
 * Where such a timer cannot be had, the count hook is set all the time.
 */
#include "vm/slice.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm/state.h"

/* ThreadSanitizer holds signals back until the next call into the C library,
 * which a loop in Lua never makes. */
#if defined(__SANITIZE_THREAD__)
#define SIGNALS_COME 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_COME 0
#endif
#endif
#ifndef SIGNALS_COME
#define SIGNALS_COME 1
#endif

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
	HOOK_COUNT = 1000,
	TICKS = 10, /* per slice */
	SECOND = 1000000000,
	TICK_MIN = SECOND / 1000,
	TICK_SIGNAL = SIGVTALRM,
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static int64_t left(const struct slice *slice)
{
	return slice->length -
	       (clock_ns(CLOCK_THREAD_CPUTIME_ID) - slice->start);
}

/* Without a timer the hook comes often, and the exact clock is a system call.
 * CPU time cannot pass faster than the wall clock, whose coarse kind is cheap.
 */
static bool is_over(struct slice *slice)
{
	int64_t now, rest;

	if (slice->expired || slice->ticking)
		return slice->expired;
	now = clock_ns(CLOCK_MONOTONIC_COARSE);
	if (now < slice->look_at)
		return false;
	rest = left(slice);
	slice->look_at = now + rest;
	slice->expired = rest <= 0;
	return slice->expired;
}

static void on_count(lua_State *L, lua_Debug *ar);

/* lua_sethook visits every frame of L, so it is not called for nothing. */
static void set_hook(lua_State *L, int count)
{
	if (lua_gethook(L) != on_count || lua_gethookcount(L) != count)
		lua_sethook(L, on_count, LUA_MASKCOUNT, count);
}

/* The place is the first one: a script may go on a little behind a pcall. */
static void note(struct slice *slice, lua_State *L)
{
	if (slice->over)
		return;
	slice->over = true;
	place_find(L, slice->place);
	vm_limit_met(slice->vm, VM_LIMIT_CPU);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	struct slice *slice = vm_slice(vm_of(L));
	struct err err;

	if (!is_over(slice)) {
		vm_set_runaway(L, false);
		if (slice->ticking)
			lua_sethook(L, NULL, 0, 0);
		else
			set_hook(L, HOOK_COUNT);
		return;
	}
	(void)ar;
	slice->hooked = true;
	note(slice, L);
	vm_set_runaway(L, true);
	set_hook(L, 1);
	slice_sentence(slice, &err);
	lua_pushstring(L, err.text);
	lua_error(L);
}

/* Runs between any two machine instructions of its own thread: only reads and
 * writes here, nothing that allocates or locks. */
static void on_tick(int number, siginfo_t *info, void *context)
{
	struct slice *slice = info->si_value.sival_ptr;
	lua_State *L;

	(void)number;
	(void)context;
	if (info->si_code != SI_TIMER || !slice)
		return;
	L = atomic_load_explicit(&slice->running, memory_order_relaxed);
	if (!L || (!slice->expired && left(slice) > 0))
		return;
	if (slice->expired && !slice->hooked) {
		atomic_store_explicit(&slice->stuck, true,
				      memory_order_relaxed);
		vm_step_back(slice->vm);
	}
	slice->expired = true;
	lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

static bool take_signal(void)
{
	struct sigaction action;
	sigset_t set;

	memset(&action, 0, sizeof action);
	action.sa_sigaction = on_tick;
	action.sa_flags = SA_SIGINFO | SA_RESTART;
	sigemptyset(&action.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, TICK_SIGNAL);
	return sigaction(TICK_SIGNAL, &action, NULL) == 0 &&
	       pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

static bool make_timer(struct slice *slice)
{
	struct sigevent event;

	if (!SIGNALS_COME || !take_signal())
		return false;
	memset(&event, 0, sizeof event);
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = TICK_SIGNAL;
	event.sigev_value.sival_ptr = slice;
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	return timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &slice->timer) ==
	       0;
}

void slice_set(struct slice *slice, double seconds)
{
	struct itimerspec every;
	int64_t tick;

	slice->length = (int64_t)(seconds * SECOND);
	if (!slice->ticking)
		return;
	tick = slice->length / TICKS;
	if (tick < TICK_MIN)
		tick = TICK_MIN;
	every.it_value.tv_sec = tick / SECOND;
	every.it_value.tv_nsec = tick % SECOND;
	every.it_interval = every.it_value;
	timer_settime(slice->timer, 0, &every, NULL);
}

void slice_init(struct slice *slice, lua_State *L, double seconds)
{
	slice->vm = vm_of(L);
	slice->ticking = make_timer(slice);
	slice_set(slice, seconds);
	if (!slice->ticking)
		lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_COUNT);
}

/* A signal that is pending is delivered before the call returns. */
void slice_release(struct slice *slice)
{
	if (slice->ticking)
		timer_delete(slice->timer);
	slice->ticking = false;
}

static void begin(struct slice *slice, int64_t cpu)
{
	slice->start = cpu;
	if (!slice->ticking)
		slice->look_at =
			clock_ns(CLOCK_MONOTONIC_COARSE) + slice->length;
	slice->hooked = false;
	atomic_store_explicit(&slice->stuck, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	slice->expired = false;
}

bool slice_is_over(struct slice *slice)
{
	if (!slice->over && (slice->expired || left(slice) <= 0))
		note(slice, NULL);
	return slice->over;
}

bool slice_sentence(const struct slice *slice, struct err *err)
{
	if (slice->over)
		err_set(err, ERR_LIMIT,
			"%sscript ran for more than %g s without "
			"waiting" VM_LIMIT_HINT("cpu"),
			slice->place, (double)slice->length / SECOND);
	return slice->over;
}

void slice_start(struct slice *slice, int64_t cpu)
{
	slice->renewed = false;
	slice->over = false;
	begin(slice, cpu);
}

void slice_renew(struct slice *slice)
{
	if (!slice->expired || slice->renewed)
		return;
	slice->renewed = true;
	begin(slice, clock_ns(CLOCK_THREAD_CPUTIME_ID));
}

bool slice_is_stuck(const struct slice *slice)
{
	return atomic_load_explicit(&slice->stuck, memory_order_relaxed);
}

lua_State *slice_running(const struct slice *slice)
{
	return atomic_load_explicit(&slice->running, memory_order_relaxed);
}

lua_State *slice_switch(struct slice *slice, lua_State *L)
{
	lua_State *before;

	before = atomic_load_explicit(&slice->running, memory_order_relaxed);
	atomic_store_explicit(&slice->running, L, memory_order_relaxed);
	/* A signal before this line is seen here, one after it saw L. */
	atomic_signal_fence(memory_order_seq_cst);
	if (slice->expired && L)
		set_hook(L, 1);
	return before;
}
