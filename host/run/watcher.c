/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list waits for the watch thread in one place, where the next one replaces
 * it: lists do not pile up before a thread that is stuck. The other way there
 * is one message, too, which is on its way or not; `told` says for which list.
 */
#include "run/watcher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/watch.h"
#include "run/thread.h"

struct wanted {
	struct seen_list list;
	uint64_t number;
};

struct watcher {
	struct watcher_options options;
	struct loop *loop;
	pthread_t thread;
	struct message set, stop, tell;
	_Atomic(struct wanted *) wanted;
	_Atomic uint64_t told;
	atomic_bool telling; /* `tell` is on its way */

	/* the watch thread's */
	struct watch *watch;
	uint64_t number;

	/* the main thread's */
	uint64_t sets;
	bool stopping, ended, freed;
};

/* ---- in the watch thread ---- */

static void on_changed(void *arg)
{
	struct watcher *w = arg;

	atomic_store(&w->told, w->number);
	if (!atomic_exchange(&w->telling, true))
		loop_post(w->options.loop, &w->tell);
}

static void free_wanted(struct wanted *wanted)
{
	if (!wanted)
		return;
	seen_list_release(&wanted->list);
	free(wanted);
}

static void deliver_set(struct message *message)
{
	struct watcher *w =
		(void *)((char *)message - offsetof(struct watcher, set));
	struct wanted *wanted = atomic_exchange(&w->wanted, NULL);

	w->number = wanted->number;
	if (w->watch)
		watch_set(w->watch, &wanted->list);
	free_wanted(wanted);
}

static void deliver_stop(struct message *message)
{
	struct watcher *w =
		(void *)((char *)message - offsetof(struct watcher, stop));

	loop_stop(w->loop);
}

static void *thread_main(void *arg)
{
	struct watcher *w = arg;

	loop_run(w->loop);
	watch_free(w->watch);
	w->watch = NULL;
	return NULL;
}

/* ---- in the main thread ---- */

static void release(struct watcher *w)
{
	free_wanted(atomic_load(&w->wanted));
	free(w);
}

static void deliver_tell(struct message *message)
{
	struct watcher *w =
		(void *)((char *)message - offsetof(struct watcher, tell));

	atomic_exchange(&w->telling, false);
	if (w->freed)
		release(w);
	else if (!w->stopping && atomic_load(&w->told) == w->sets)
		w->options.changed(w->options.arg);
}

static bool start(struct watcher *w, struct err *err)
{
	const struct watch_options options = {
		.loop = w->loop,
		.poll = w->options.poll,
		.settle = w->options.settle,
		.poll_every = w->options.poll_every,
		.changed = on_changed,
		.arg = w,
	};
	int status;

	w->watch = watch_new(&options);
	status = pthread_create(&w->thread, NULL, thread_main, w);
	if (!status)
		return true;
	watch_free(w->watch);
	return err_set(err, ERR_IO, "cannot make a thread: %s",
		       strerror(status));
}

struct watcher *watcher_new(const struct watcher_options *options,
			    struct err *err)
{
	struct loop *loop = loop_try(err);
	struct watcher *w;

	if (!loop)
		return NULL;
	w = mem_alloc(sizeof *w);
	w->options = *options;
	w->loop = loop;
	w->set.deliver = deliver_set;
	w->stop.deliver = deliver_stop;
	w->tell.deliver = deliver_tell;
	if (start(w, err))
		return w;
	loop_free(loop);
	free(w);
	return NULL;
}

void watcher_set(struct watcher *w, struct seen_list *list)
{
	struct wanted *wanted = mem_alloc(sizeof *wanted), *before;

	wanted->list = *list;
	wanted->number = ++w->sets;
	seen_list_init(list);
	before = atomic_exchange(&w->wanted, wanted);
	if (before)
		free_wanted(before);
	else
		loop_post(w->loop, &w->set);
}

bool watcher_stop(struct watcher *w, double seconds)
{
	if (w->ended)
		return true;
	if (!w->stopping)
		loop_post(w->loop, &w->stop);
	w->stopping = true;
	w->ended = thread_join(w->thread, seconds);
	return w->ended;
}

void watcher_free(struct watcher *w)
{
	if (!w || !w->ended)
		return;
	loop_free(w->loop);
	w->freed = true;
	/* Its message, when there is one, comes in this thread. */
	if (!atomic_load(&w->telling))
		release(w);
}
