/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that somebody is writing: made or modified, and not closed yet. A
 * writer who says nothing for a while is not waited for. One thread.
 */
#ifndef NET_UNFINISHED_H
#define NET_UNFINISHED_H

#include <stdbool.h>
#include <stddef.h>

#include "net/notify.h"

enum { UNFINISHED_MAX = 1000 };

struct unfinished_file {
	int wd;
	char *name;    /* in the folder WD; NULL: WD is the file itself */
	bool modified; /* not only made */
	double last;   /* when that was, loop_now() seconds */
};

struct unfinished {
	struct unfinished_file *files;
	size_t n, cap;
};

/* One of zeroes is empty. */
void unfinished_clear(struct unfinished *unfinished);
void unfinished_release(struct unfinished *unfinished);

/* What EVENT, at the time NOW, says. */
void unfinished_note(struct unfinished *unfinished,
		     const struct inotify_event *event, double now);

/* When somebody must look again, at the earliest of what is written on: a file
 * is given up SILENCE seconds after its last event. 0: all is finished. */
double unfinished_until(struct unfinished *unfinished,
			const struct notify *notify, double now,
			double silence);

#endif
