/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU time that a script may use without waiting. Part of struct vm; for
 * vm/state.c and vm/task.c. One thread: the one that made it.
 */
#ifndef VM_SLICE_H
#define VM_SLICE_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/err.h"
#include "vm/place.h"

struct vm;

struct slice {
	struct vm *vm;
	int64_t length;		       /* nanoseconds of CPU */
	int64_t start;		       /* on the thread's CPU clock */
	lua_State *_Atomic running;    /* whose instructions run; NULL: none */
	volatile sig_atomic_t expired; /* used up: every hook raises */
	volatile sig_atomic_t hooked;  /* and one has */
	_Atomic bool stuck;	       /* none came for a long time */
	bool renewed;		       /* slice_renew() was here */
	bool over;		       /* was used up since slice_start(): */
	char place[PLACE_MAX];	       /* there, when a hook raised */
	bool ticking;		       /* there is a timer */
	timer_t timer;
	int64_t look_at; /* without a timer: not over before this time */
};

/*
 * Must come before any script code and in the thread that will run it. L is the
 * main state. SLICE must not move. slice_release() is for the same thread and
 * may be called on zeroed memory.
 */
void slice_init(struct slice *slice, lua_State *L, double seconds);
void slice_release(struct slice *slice);

/* Another length, from now on. */
void slice_set(struct slice *slice, double seconds);

/* A new budget from CPU, the thread's clock now. */
void slice_start(struct slice *slice, int64_t cpu);

/* The same budget once more, if it is used up and this was not done yet. */
void slice_renew(struct slice *slice);

/*
 * Says that the instructions of L (NULL: none) run from now on and returns
 * whose did before. Must stand on both sides of everything that runs a
 * coroutine.
 */
lua_State *slice_switch(struct slice *slice, lua_State *L);

/* Is it used up, and no instruction of Lua ran for a tenth of it since then?
 * Any thread. */
bool slice_is_stuck(const struct slice *slice);

/* Whose instructions run; NULL: none. */
lua_State *slice_running(const struct slice *slice);

/* Was it used up since slice_start(), also where no hook came to say so? Counts
 * it (vm_limit_met) the first time. */
bool slice_is_over(struct slice *slice);

/* The sentence about it; false when it was not. */
bool slice_sentence(const struct slice *slice, struct err *err);

#endif
