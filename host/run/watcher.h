/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch thread: one loop with one watch (net/watch.h). Reading a file can
 * take for ever when a server is gone, and the main thread must not wait for
 * that. All functions are the main thread's.
 */
#ifndef RUN_WATCHER_H
#define RUN_WATCHER_H

#include <stdbool.h>

#include "core/err.h"
#include "net/loop.h"
#include "net/seen.h"

struct watcher;

struct watcher_options {
	struct loop *loop; /* the main thread's */
	bool poll;
	double settle, poll_every; /* see net/watch.h; 0 */
	/* In the main thread, at most once for each watcher_set(), never when
	 * that was called again since then. It may call watcher_set(). */
	void (*changed)(void *arg);
	void *arg;
};

/* Starts the thread; it watches nothing yet. NULL and ERR when there can be
 * none. */
struct watcher *watcher_new(const struct watcher_options *options,
			    struct err *err);

/* Watches what LIST has instead of what was watched before. Takes the items; an
 * empty list is left. Returns at once. */
void watcher_set(struct watcher *watcher, struct seen_list *list);

/* Ends the thread. False when it is stuck after SECONDS: then it can be tried
 * again, or the process should end by _exit(). Nothing is told any more. */
bool watcher_stop(struct watcher *watcher, double seconds);

/* After watcher_stop() said that the thread has ended; one that is stuck is
 * left as it is. Before the main loop is freed. NULL is allowed. */
void watcher_free(struct watcher *watcher);

#endif
