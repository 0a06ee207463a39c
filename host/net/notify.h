/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The marks of one inotify descriptor: folders and files that are watched, and
 * which names in a folder matter. Marks are wanted anew in each round; those
 * that were wanted before stay as they are, without a gap, and those that are
 * not wanted any more are taken away. One thread; it may wait for the disk.
 */
#ifndef NET_NOTIFY_H
#define NET_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

/* What is watched, and for which events. */
struct mark {
	int wd;
	bool local;	    /* inotify sees all changes there */
	uint32_t mask, old; /* private: now, and before this round */
	unsigned round;	    /* private */
	char *path;	    /* by which it was found last; no links in it */
	/* Of its entries that matter, those by name apart; NULL: none. Belongs
	 * to who wants the mark. */
	const char *suffix;
};

struct interest {
	int wd;
	uint64_t name;
};

struct notify {
	int fd;		    /* -1: there is none, everything is polled */
	struct mark *marks; /* in the order of wd */
	size_t n, cap;
	struct interest *interests; /* in order */
	size_t ninterests, interests_cap;
	unsigned round;
	int failure; /* errno of the first mark that failed in this round */
};

/* False, with errno in `failure`, when there is no descriptor. */
bool notify_init(struct notify *notify);
void notify_release(struct notify *notify);

void notify_begin(struct notify *notify);

/* Takes away what was not wanted since notify_begin(). */
void notify_end(struct notify *notify);

/* Wants events of MASK, beside others, from PATH. NULL and errno when there
 * can be no mark. Good until the next call. */
struct mark *notify_mark(struct notify *notify, const char *path,
			 uint32_t mask);

/* The entry NAME of the folder WD matters. */
void notify_name(struct notify *notify, int wd, const char *name);

/* NULL: it is not there any more. */
struct mark *notify_find(const struct notify *notify, int wd);

/* Does EVENT, which was read, matter? In a folder with a suffix, all events do:
 * an entry may be a link that leads to another. */
bool notify_concerns(const struct notify *notify,
		     const struct inotify_event *event);

/* Is it about a file that matters, not only about what is near one? */
bool notify_means(const struct notify *notify,
		  const struct inotify_event *event);

/* The kernel took away the mark WD. */
void notify_forget(struct notify *notify, int wd);

#endif
