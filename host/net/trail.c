/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each step first marks the folder and then looks at what is in it, so that
 * whatever is changed after the look is told. A folder that is only passed
 * through is asked for little, because folders such as /tmp are busy: that it
 * moves or goes away itself. A folder whose entry matters is asked for its
 * entries. The file has a mark of its own, since it may be written by another
 * name.
 *
 * A folder that somebody stands in does not say that it was removed, only the
 * folder above it does. That matters where nothing below it would tell of the
 * removal: for the folder in which something is missing, and for one whose
 * names matter.
 */
#include "net/trail.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINKS_MAX = 40, /* as the kernel has it */
	PASSED = IN_ONLYDIR | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF,
	REMOVED = PASSED | IN_DELETE,
	ENTRIES = REMOVED | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO |
		  IN_CLOSE_WRITE,
	LISTED = ENTRIES | IN_MODIFY,
	ITSELF = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF |
		 IN_DELETE_SELF,
};

enum step { ON, ARRIVED, LOST };

struct walk {
	struct notify *notify;
	const struct seen *seen;
	const char *above; /* the folder to ask for what is removed; NULL */
	bool told;
	int links;
	char at[PATH_MAX]; /* a folder without links before it; "": the root */
	char rest[PATH_MAX];
	char path[PATH_MAX]; /* of the entry in question */
	struct stat info;
};

static void note_failure(struct walk *w)
{
	/* What is gone again has been told of. */
	if (errno == ENOENT || errno == ENOTDIR)
		return;
	w->told = false;
	if (!w->notify->failure)
		w->notify->failure = errno;
}

static struct mark *mark_folder(struct walk *w, uint32_t mask)
{
	struct mark *mark = notify_mark(w->notify, *w->at ? w->at : "/", mask);

	if (!mark)
		note_failure(w);
	else if (!mark->local)
		w->told = false;
	return mark;
}

static void mark_entry(struct walk *w, const char *name, uint32_t mask)
{
	struct mark *mark = mark_folder(w, mask);

	if (mark)
		notify_name(w->notify, mark->wd, name);
}

/* One that must not be read cannot be marked, either; its folder will tell
 * that it may be. */
static void mark_file(struct walk *w)
{
	struct mark *mark = notify_mark(w->notify, w->path, ITSELF);

	if (mark)
		w->told = w->told && mark->local;
	else if (errno != EACCES)
		note_failure(w);
}

static bool is_folder(struct walk *w)
{
	return lstat(w->path, &w->info) == 0 && S_ISDIR(w->info.st_mode);
}

static enum step follow_link(struct walk *w)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlink(w->path, target, sizeof target - 1);
	int len;

	if (n <= 0 || ++w->links > LINKS_MAX)
		return LOST;
	target[n] = '\0';
	len = snprintf(rest, sizeof rest, "%s/%s", target, w->rest);
	if (len >= (int)sizeof rest) {
		w->told = false;
		return LOST;
	}
	memcpy(w->rest, rest, (size_t)len + 1);
	if (*target == '/')
		*w->at = '\0';
	return ON;
}

/* The next name of the rest, cut off; NULL: there is none. */
static const char *next_name(struct walk *w, char name[PATH_MAX])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(from, "/");

	if (!n)
		return NULL;
	memcpy(name, from, n);
	name[n] = '\0';
	memmove(w->rest, from + n, strlen(from + n) + 1);
	return name;
}

static void go_up(struct walk *w)
{
	char *slash = strrchr(w->at, '/');

	if (slash)
		*slash = '\0';
}

/* Everything but a folder to go through. */
static enum step meet(struct walk *w, const char *name)
{
	mark_entry(w, name, ENTRIES);
	if (lstat(w->path, &w->info))
		return LOST;
	if (S_ISLNK(w->info.st_mode))
		return follow_link(w);
	if (S_ISDIR(w->info.st_mode))
		return LOST; /* it has just come */
	if (w->rest[strspn(w->rest, "/")])
		return LOST;
	if (S_ISREG(w->info.st_mode))
		mark_file(w);
	return ARRIVED;
}

static bool is_above(const struct walk *w)
{
	return w->above && strcmp(w->above, w->at) == 0;
}

static enum step step(struct walk *w, const char *name)
{
	int len;

	if (strcmp(name, ".") == 0)
		return ON;
	if (strcmp(name, "..") == 0) {
		go_up(w);
		return ON;
	}
	len = snprintf(w->path, sizeof w->path, "%s/%s", w->at, name);
	if (len >= (int)sizeof w->path) {
		w->told = false;
		return LOST;
	}
	mark_entry(w, name, is_above(w) ? REMOVED : PASSED);
	if (!is_folder(w))
		return meet(w, name);
	memcpy(w->at, w->path, (size_t)len + 1);
	return ON;
}

/* Of one folder that is listed twice. */
static const char *common(const char *a, const char *b)
{
	return !a || strcmp(a, b) == 0 ? b : "";
}

/* The way led to a folder. */
static enum step arrive(struct walk *w)
{
	struct mark *mark;

	if (w->seen->kind == SEEN_FILE) {
		mark_folder(w, PASSED);
		return ARRIVED;
	}
	mark = mark_folder(w, LISTED);
	if (mark)
		mark->suffix = common(mark->suffix, w->seen->suffix);
	return ARRIVED;
}

static enum step walk(struct walk *w)
{
	char name[PATH_MAX];
	enum step end = ON;

	*w->at = '\0';
	w->links = 0;
	snprintf(w->rest, sizeof w->rest, "%s", w->seen->path);
	while (end == ON)
		end = next_name(w, name) ? step(w, name) : arrive(w);
	return end;
}

bool trail_mark(struct notify *notify, const struct seen *seen)
{
	struct walk w;
	char above[PATH_MAX];

	if (strlen(seen->path) >= PATH_MAX)
		return false;
	w.notify = notify;
	w.seen = seen;
	w.told = true;
	w.above = NULL;
	if (walk(&w) == ARRIVED && seen->kind == SEEN_FILE)
		return w.told;
	go_up(&w);
	strcpy(above, w.at);
	w.above = above;
	walk(&w);
	return w.told;
}
