/* SPDX-License-Identifier: Apache-2.0 */
#include "net/unfinished.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"

enum {
	BEGUN = IN_CREATE | IN_MODIFY,
	OVER = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
	       IN_DELETE_SELF,
};

static void drop(struct unfinished *u, size_t i)
{
	free(u->files[i].name);
	u->files[i] = u->files[--u->n];
}

void unfinished_clear(struct unfinished *u)
{
	while (u->n)
		drop(u, u->n - 1);
}

void unfinished_release(struct unfinished *u)
{
	unfinished_clear(u);
	free(u->files);
	*u = (struct unfinished){ 0 };
}

static const char *name_of(const struct inotify_event *event)
{
	return event->len ? event->name : NULL;
}

/* Its index; their number when it is not there. */
static size_t find(const struct unfinished *u, int wd, const char *name)
{
	size_t i = 0;

	for (; i < u->n; i++) {
		const struct unfinished_file *file = &u->files[i];

		if (file->wd == wd && !file->name == !name &&
		    (!name || strcmp(file->name, name) == 0))
			break;
	}
	return i;
}

static void add(struct unfinished *u, int wd, const char *name)
{
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 4;
		u->files = mem_realloc(u->files, u->cap * sizeof *u->files);
	}
	u->files[u->n++] =
		(struct unfinished_file){ .wd = wd, .name = mem_string(name) };
}

static void begin(struct unfinished *u, const struct inotify_event *event,
		  double now)
{
	size_t i = find(u, event->wd, name_of(event));

	if (i == u->n && u->n == UNFINISHED_MAX)
		return;
	if (i == u->n)
		add(u, event->wd, name_of(event));
	u->files[i].last = now;
	u->files[i].modified |= (event->mask & IN_MODIFY) != 0;
}

static void forget_mark(struct unfinished *u, int wd)
{
	for (size_t i = u->n; i-- > 0;)
		if (u->files[i].wd == wd)
			drop(u, i);
}

void unfinished_note(struct unfinished *u, const struct inotify_event *event,
		     double now)
{
	size_t i;

	if (event->mask & IN_Q_OVERFLOW) {
		unfinished_clear(u);
	} else if (event->mask & IN_IGNORED) {
		forget_mark(u, event->wd);
	} else if (event->mask & BEGUN && !(event->mask & IN_ISDIR)) {
		begin(u, event, now);
	} else if (event->mask & OVER) {
		i = find(u, event->wd, name_of(event));
		if (i < u->n)
			drop(u, i);
	}
}

/* A link was made, not a file, or there is nobody who would tell. */
static bool is_over(const struct unfinished_file *file,
		    const struct notify *notify)
{
	const struct mark *mark = notify_find(notify, file->wd);
	char path[PATH_MAX];
	struct stat info;

	if (!mark)
		return true;
	if (!file->name || file->modified)
		return false;
	snprintf(path, sizeof path, "%s/%s", mark->path, file->name);
	return lstat(path, &info) || !S_ISREG(info.st_mode) ||
	       info.st_nlink > 1;
}

double unfinished_until(struct unfinished *u, const struct notify *notify,
			double now, double silence)
{
	double until = 0;

	for (size_t i = u->n; i-- > 0;) {
		double end = u->files[i].last + silence;

		if (end <= now || is_over(&u->files[i], notify))
			drop(u, i);
		else if (until == 0 || end < until)
			until = end;
	}
	return until;
}
