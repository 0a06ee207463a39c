/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices that files are not any more what they were when somebody read them.
 * inotify says when to look, the content decides: a file that was touched, or
 * written again with the same bytes, has not changed. What inotify does not see
 * (changes that others make on a network file system), or cannot be asked for,
 * is polled.
 *
 * It belongs to the thread of its loop, which must be one that may wait for a
 * disk, or for a server that is gone. Without polled files it causes no wakeups
 * while nothing happens near the files.
 */
#ifndef NET_WATCH_H
#define NET_WATCH_H

#include <stdbool.h>

#include "net/loop.h"
#include "net/seen.h"

struct watch;

struct watch_options {
	struct loop *loop;
	bool poll;	   /* everything, without inotify */
	double settle;	   /* seconds of quiet before it looks; 0: 0.1 */
	double poll_every; /* seconds; 0: 2 */
	/* Called from the loop, never from inside watch_set(), once until the
	 * next one. It may call watch_set() and watch_free(). */
	void (*changed)(void *arg);
	void *arg;
};

/* It watches nothing yet. */
struct watch *watch_new(const struct watch_options *options);

/*
 * Watches what SEEN has, which is copied, instead of what was watched before.
 * It is compared as soon as things have settled, so that a change between the
 * reading and this call is told, too. So what a load has read that failed must
 * be in the list in place of what was read before: otherwise the same change is
 * told for ever.
 *
 * A file that is being written is waited for until it is closed, or until its
 * writer has been silent for 2 seconds; things that never settle are told of
 * after 2 seconds, and after 10 when a writer never comes to an end.
 */
void watch_set(struct watch *watch, const struct seen_list *seen);

/* Before its loop is freed. NULL is allowed. */
void watch_free(struct watch *watch);

#endif
