/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is a list under a mutex. Only the post that finds it empty wakes
 * the loop; the loop takes the whole list at once and delivers outside the
 * lock. The wake-up is sent under the lock: the owner may free the loop as soon
 * as it has taken the last message, and must then find no sender inside.
 */
#include "net/loop.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

enum { ABANDON_MS = 500 };
enum { FORGETS_BACKEND = 1 << 16 | 51 << 8 };

/* What is behind a struct timer: it stays until its close callback. */
struct ticker {
	uv_timer_t uv; /* first: timer->handle points here */
	struct timer *timer;
	double due;
	struct ticker *prev;
	struct ticker *next;
};

/* What is behind a struct laps, the same way. */
struct runner {
	uv_idle_t uv; /* first: laps->handle points here */
	struct laps *laps;
	struct runner **prev;
	struct runner *next;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_mutex_t lock;
	struct message *first;
	struct message **last;
	struct ticker *tickers;
	struct runner *runners;
};

static struct message *take_all(struct loop *loop)
{
	struct message *list;

	uv_mutex_lock(&loop->lock);
	list = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	uv_mutex_unlock(&loop->lock);
	return list;
}

static bool deliver_all(struct loop *loop)
{
	struct message *message = take_all(loop);
	bool any = message;

	while (message) {
		/* deliver() frees it. */
		struct message *next = message->next;

		message->deliver(message);
		message = next;
	}
	return any;
}

static void on_wake(uv_async_t *wake)
{
	deliver_all(wake->data);
}

/* A loop that could not be made leaves its epoll descriptor behind, until libuv
 * 1.51 (its pull request 4757). */
static void forget_backend(uv_loop_t *uv)
{
	if (uv->backend_fd >= 0 && uv_version() < FORGETS_BACKEND)
		close(uv->backend_fd);
}

static int start(struct loop *loop)
{
	int status = uv_loop_init(&loop->uv);

	if (status) {
		forget_backend(&loop->uv);
		return status;
	}
	status = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (status)
		uv_loop_close(&loop->uv);
	return status;
}

struct loop *loop_try(struct err *err)
{
	struct loop *loop = mem_alloc(sizeof *loop);
	int status = start(loop);

	if (status) {
		free(loop);
		err_set(err, ERR_IO, "cannot make an event loop: %s%s",
			uv_strerror(status),
			status == UV_EMFILE ? " (ulimit -n)" : "");
		return NULL;
	}
	uv_mutex_init(&loop->lock);
	loop->uv.data = loop;
	loop->wake.data = loop;
	loop->last = &loop->first;
	return loop;
}

struct loop *loop_new(void)
{
	struct err err;
	struct loop *loop = loop_try(&err);

	if (!loop) {
		log_error(err.text);
		_exit(EXIT_FAILURE);
	}
	return loop;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

void loop_post(struct loop *loop, struct message *message)
{
	message->next = NULL;
	uv_mutex_lock(&loop->lock);
	if (!loop->first)
		uv_async_send(&loop->wake);
	*loop->last = message;
	loop->last = &message->next;
	uv_mutex_unlock(&loop->lock);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

double loop_now(struct loop *loop)
{
	(void)loop;
	return (double)uv_hrtime() / 1e9;
}

static void close_left(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void on_abandon(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/*
 * Runs the close callbacks, and those of requests that a resolver thread still
 * works on, for a while: getaddrinfo() cannot be interrupted.
 */
static bool run_dry(struct loop *loop)
{
	uv_timer_t limit;

	while (uv_run(&loop->uv, UV_RUN_NOWAIT) && !loop->uv.active_reqs.count)
		;
	if (!loop->uv.active_reqs.count)
		return uv_loop_close(&loop->uv) == 0;
	uv_timer_init(&loop->uv, &limit);
	uv_timer_start(&limit, on_abandon, ABANDON_MS, 0);
	uv_unref((uv_handle_t *)&limit);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	return uv_loop_close(&loop->uv) == 0;
}

void loop_deliver(struct loop *loop)
{
	while (deliver_all(loop))
		;
}

bool loop_free(struct loop *loop)
{
	if (!loop)
		return true;
	loop_deliver(loop);
	while (loop->tickers)
		timer_release(loop->tickers->timer);
	while (loop->runners)
		laps_release(loop->runners->laps);
	uv_walk(&loop->uv, close_left, NULL);
	/* A resolver thread that still works writes into the loop when it is
	 * done, so then the memory is left to it. */
	if (!run_dry(loop))
		return false;
	uv_mutex_destroy(&loop->lock);
	free(loop);
	return true;
}

/* ---- timers ---- */

static uint64_t milliseconds(double seconds)
{
	/* Also for what is not a number: at once. */
	if (!(seconds > 0))
		return 0;
	if (seconds > 1e9)
		seconds = 1e9;
	return (uint64_t)ceil(seconds * 1000);
}

/* uv counts whole milliseconds of a clock that may lag, so it can be early. */
static void on_tick(uv_timer_t *handle)
{
	struct ticker *ticker = handle->data;
	double left = ticker->due - loop_now(handle->loop->data);

	if (left > 0)
		uv_timer_start(handle, on_tick, milliseconds(left), 0);
	else
		ticker->timer->fire(ticker->timer);
}

void timer_init(struct loop *loop, struct timer *timer,
		void (*fire)(struct timer *timer))
{
	struct ticker *ticker = mem_alloc(sizeof *ticker);

	uv_timer_init(&loop->uv, &ticker->uv);
	ticker->uv.data = ticker;
	ticker->timer = timer;
	ticker->next = loop->tickers;
	if (ticker->next)
		ticker->next->prev = ticker;
	loop->tickers = ticker;
	*timer = (struct timer){ .handle = &ticker->uv, .fire = fire };
}

void timer_start(struct timer *timer, double seconds)
{
	struct ticker *ticker = timer->handle->data;

	ticker->due = loop_now(timer->handle->loop->data) + seconds;
	uv_update_time(timer->handle->loop);
	uv_timer_start(timer->handle, on_tick, milliseconds(seconds), 0);
}

void timer_stop(struct timer *timer)
{
	if (timer->handle)
		uv_timer_stop(timer->handle);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void timer_release(struct timer *timer)
{
	struct ticker *ticker;
	struct loop *loop;

	if (!timer->handle)
		return;
	ticker = timer->handle->data;
	loop = timer->handle->loop->data;
	if (ticker->next)
		ticker->next->prev = ticker->prev;
	if (ticker->prev)
		ticker->prev->next = ticker->next;
	else
		loop->tickers = ticker->next;
	timer->handle = NULL;
	uv_close((uv_handle_t *)&ticker->uv, on_closed);
}

/* ---- laps ---- */

static void on_lap(uv_idle_t *handle)
{
	struct laps *laps = ((struct runner *)handle->data)->laps;

	laps->run(laps);
}

void laps_init(struct loop *loop, struct laps *laps,
	       void (*run)(struct laps *laps))
{
	struct runner *runner = mem_alloc(sizeof *runner);

	uv_idle_init(&loop->uv, &runner->uv);
	runner->uv.data = runner;
	runner->laps = laps;
	runner->prev = &loop->runners;
	runner->next = loop->runners;
	if (runner->next)
		runner->next->prev = &runner->next;
	loop->runners = runner;
	*laps = (struct laps){ .handle = &runner->uv, .run = run };
}

void laps_start(struct laps *laps)
{
	uv_idle_start(laps->handle, on_lap);
}

void laps_stop(struct laps *laps)
{
	if (laps->handle)
		uv_idle_stop(laps->handle);
}

void laps_release(struct laps *laps)
{
	struct runner *runner;

	if (!laps->handle)
		return;
	runner = laps->handle->data;
	*runner->prev = runner->next;
	if (runner->next)
		runner->next->prev = runner->prev;
	laps->handle = NULL;
	uv_close((uv_handle_t *)&runner->uv, on_closed);
}
