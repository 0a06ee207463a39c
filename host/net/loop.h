/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One libuv loop per thread and the message queue that wakes it. A loop belongs
 * to the thread that runs it; loop_post() alone may be called from any thread.
 * The queue's mutex and that of net/ports.c are the only ones in the program,
 * and no Lua runs under either.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/err.h"

struct loop;

/*
 * A message between threads, embedded in whatever it carries. The sender gives
 * it away; `deliver` runs once in the thread of the receiving loop, in the
 * order of posting, and frees it.
 */
struct message {
	void (*deliver)(struct message *message);
	struct message *next; /* private */
};

/* NULL when descriptors run out. */
struct loop *loop_try(struct err *err);

/* One that the program cannot be without: it ends with a sentence otherwise. */
struct loop *loop_new(void);

/*
 * Runs until loop_stop() was called. Must be called by one thread only, the
 * loop's owner; everything below but loop_post belongs to that thread (or to
 * whoever holds the loop before it runs).
 */
void loop_run(struct loop *loop);

/* Makes loop_run return after the present round. */
void loop_stop(struct loop *loop);

/*
 * Passes messages still queued to `deliver`, and those that they post here, of
 * a loop that does not run any more: for messages whose answers go to something
 * that is freed before this loop. Its thread.
 */
void loop_deliver(struct loop *loop);

/*
 * Closes what is left, runs the close callbacks, delivers nothing more:
 * messages still queued are passed to `deliver` first, so that nothing leaks.
 * Timers that nobody released become inert. When a resolver thread is busy with
 * a request of this loop it is waited for, at most half a second; then the
 * loop's memory is left to it, and the answer is false. NULL is allowed.
 */
bool loop_free(struct loop *loop);

/*
 * Queues MESSAGE and wakes the loop. Any thread. The loop must outlive the
 * call: its owner frees it only after everybody who posts was told.
 */
void loop_post(struct loop *loop, struct message *message);

uv_loop_t *loop_uv(struct loop *loop);

/* Seconds on the monotonic clock, read anew: a script that computes for long
 * must not shorten the wait that it starts then. */
double loop_now(struct loop *loop);

/*
 * A one-shot timer. The caller embeds it; it is inert until started, and after
 * it fired or was stopped. Starting it again moves it. It never fires before
 * its seconds have passed on loop_now(), and never from inside timer_start(). A
 * timer of zeroes may be stopped and released. timer_release() must be called
 * before the memory is given back; it is idempotent and needs no callback to
 * wait for, since the uv handle behind it is separate memory.
 */
struct timer {
	uv_timer_t *handle; /* private */
	void (*fire)(struct timer *timer);
};

void timer_init(struct loop *loop, struct timer *timer,
		void (*fire)(struct timer *timer));
void timer_start(struct timer *timer, double seconds);
void timer_stop(struct timer *timer);
void timer_release(struct timer *timer);

/*
 * Work that waits for nothing, in slices: from laps_start() to laps_stop(),
 * `run` is called once in each round of the loop, which does not sleep then,
 * and does everything else that is ready between two calls. The caller embeds
 * it; what is said of the memory of timers holds here, too.
 */
struct laps {
	uv_idle_t *handle; /* private */
	void (*run)(struct laps *laps);
};

void laps_init(struct loop *loop, struct laps *laps,
	       void (*run)(struct laps *laps));
void laps_start(struct laps *laps);
void laps_stop(struct laps *laps);
void laps_release(struct laps *laps);

#endif
