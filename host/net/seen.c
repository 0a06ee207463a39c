/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stamp is taken when the content was just compared, never when a reader adds
 * its bytes: those may be older than the file that the stamp would be of. And
 * it is taken only from a file that has been at rest for longer than the
 * clocks of file systems are coarse, because a write in the same tick changes
 * no time.
 */
#include "net/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/files.h"

static const int64_t second = 1000000000;
static const int64_t at_rest = 3 * second; /* FAT counts in 2 seconds */

/* ---- the state of a file ---- */

static int64_t nanoseconds(struct statx_timestamp at)
{
	return at.tv_sec * second + at.tv_nsec;
}

/* Asks the server of a network file system instead of its own memory. */
static bool look(int fd, const char *path, struct statx *info)
{
	int flags = AT_STATX_FORCE_SYNC | (*path ? 0 : AT_EMPTY_PATH);

	return statx(fd, path, flags, STATX_BASIC_STATS, info) == 0;
}

static struct seen_stamp stamp_of(const struct statx *info)
{
	return (struct seen_stamp){
		.device = makedev(info->stx_dev_major, info->stx_dev_minor),
		.inode = info->stx_ino,
		.size = info->stx_size,
		.modified = nanoseconds(info->stx_mtime),
		.changed = nanoseconds(info->stx_ctime),
	};
}

static bool stamps_equal(const struct seen_stamp *a, const struct seen_stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->modified == b->modified &&
	       a->changed == b->changed;
}

static bool is_at_rest(const struct seen_stamp *stamp)
{
	struct timespec now;
	int64_t limit;

	clock_gettime(CLOCK_REALTIME, &now);
	limit = now.tv_sec * second + now.tv_nsec - at_rest;
	return stamp->modified < limit && stamp->changed < limit;
}

static struct seen_state large(const struct statx *info)
{
	struct seen_stamp stamp = stamp_of(info);

	return (struct seen_state){ SEEN_LARGE,
				    fingerprint_of(&stamp, sizeof stamp) };
}

static struct seen_state special(const struct statx *info)
{
	const uint64_t identity[] = {
		info->stx_mode & S_IFMT,
		makedev(info->stx_dev_major, info->stx_dev_minor),
		info->stx_ino,
		makedev(info->stx_rdev_major, info->stx_rdev_minor),
	};

	return (struct seen_state){ SEEN_SPECIAL,
				    fingerprint_of(identity, sizeof identity) };
}

static bool is_large(const struct statx *info)
{
	return info->stx_size > SEEN_FILE_MAX;
}

/* Files of /proc have no size, so it reads until the end; and neither have they
 * times that tell of a change, so that their stamp is made one of nothing. */
static struct seen_state content(int fd, const struct statx *info,
				 struct seen_stamp *stamp)
{
	struct fingerprinter making;
	char piece[16384];
	ssize_t n;

	fingerprint_init(&making);
	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (struct seen_state){ .what = SEEN_NOTHING };
		fingerprint_add(&making, piece, (size_t)n);
		if (making.len > SEEN_FILE_MAX)
			return large(info);
	}
	if (making.len == 0 || making.len != stamp->size)
		stamp->size = UINT64_MAX;
	return (struct seen_state){ SEEN_CONTENT, fingerprint_end(&making) };
}

/* Of an open file, and of which stat that is. */
static struct seen_state state_of(int fd, struct seen_stamp *stamp)
{
	struct statx info;

	if (!look(fd, "", &info))
		return (struct seen_state){ .what = SEEN_NOTHING };
	*stamp = stamp_of(&info);
	if (!S_ISREG(info.stx_mode))
		return special(&info);
	return is_large(&info) ? large(&info) : content(fd, &info, stamp);
}

/* A pipe is not opened: that would let go a writer who waits. */
static struct seen_state read_file(const char *path, const struct statx *info,
				   struct seen_stamp *stamp)
{
	struct seen_state state;
	int fd;

	if (!S_ISREG(info->stx_mode))
		return special(info);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return (struct seen_state){ .what = SEEN_NOTHING };
	state = state_of(fd, stamp);
	close(fd);
	return state;
}

/* What stands there instead of a content that was read, or that was not. */
static struct seen_state not_content(const char *path, bool read)
{
	struct statx info;

	if (!look(AT_FDCWD, path, &info))
		return (struct seen_state){ .what = SEEN_NOTHING };
	if (!S_ISREG(info.stx_mode))
		return special(&info);
	if (read || is_large(&info))
		return large(&info);
	return (struct seen_state){ .what = SEEN_NOTHING };
}

/* ---- the state of a folder ---- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n >= k && strcmp(name + n - k, suffix) == 0;
}

/* The names are in order, as files_list() gives them. */
static struct seen_state state_of_names(char *const *names, const char *suffix)
{
	struct fingerprinter making;

	if (!names)
		return (struct seen_state){ .what = SEEN_NOTHING };
	fingerprint_init(&making);
	for (; *names; names++)
		if (ends_in(*names, suffix))
			fingerprint_add(&making, *names, strlen(*names) + 1);
	return (struct seen_state){ SEEN_CONTENT, fingerprint_end(&making) };
}

static struct seen_state read_folder(const struct seen *seen)
{
	char **names = files_list(seen->path, NULL);
	struct seen_state state = state_of_names(names, seen->suffix);

	files_list_free(names);
	return state;
}

/* ---- comparing ---- */

static bool states_equal(const struct seen_state *a, const struct seen_state *b)
{
	return a->what == b->what && (a->what == SEEN_NOTHING ||
				      fingerprint_equal(a->print, b->print));
}

static bool compare_file(struct seen *seen, struct seen_state *found)
{
	struct seen_stamp stamp;
	struct statx info;

	found->what = SEEN_NOTHING;
	if (!look(AT_FDCWD, seen->path, &info))
		return states_equal(found, &seen->state);
	stamp = stamp_of(&info);
	if (seen->stamped && stamps_equal(&stamp, &seen->stamp))
		return true;
	*found = read_file(seen->path, &info, &stamp);
	if (!states_equal(found, &seen->state))
		return false;
	/* A file that cannot be read now may be readable in a moment, and no
	 * time of it tells: its folder may have been closed. */
	seen->stamped = found->what == SEEN_CONTENT && is_at_rest(&stamp);
	seen->stamp = stamp;
	return true;
}

bool seen_is_current(struct seen *seen, struct seen_state *found)
{
	struct seen_state state;

	if (!found)
		found = &state;
	if (seen->kind == SEEN_FILE)
		return compare_file(seen, found);
	*found = read_folder(seen);
	return states_equal(found, &seen->state);
}

/* ---- lists ---- */

static int order(const struct seen *a, const struct seen *b)
{
	int by = strcmp(a->path, b->path);

	if (by == 0)
		by = (int)a->kind - (int)b->kind;
	if (by == 0 && a->kind == SEEN_FOLDER)
		by = strcmp(a->suffix, b->suffix);
	return by;
}

bool seen_same(const struct seen *a, const struct seen *b)
{
	return order(a, b) == 0 && states_equal(&a->state, &b->state);
}

void seen_list_init(struct seen_list *list)
{
	*list = (struct seen_list){ 0 };
}

static void free_item(struct seen *seen)
{
	free(seen->path);
	free(seen->suffix);
	free(seen);
}

void seen_list_release(struct seen_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free_item(list->items[i]);
	free(list->items);
	seen_list_init(list);
}

/* Where SEEN is, or would be. */
static size_t place_of(const struct seen_list *list, const struct seen *seen)
{
	size_t from = 0, to = list->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (order(list->items[middle], seen) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void insert(struct seen_list *list, size_t at, struct seen *seen)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->items = mem_realloc(list->items,
					  list->cap * sizeof *list->items);
	}
	memmove(list->items + at + 1, list->items + at,
		(list->n - at) * sizeof *list->items);
	list->items[at] = seen;
	list->n++;
}

/* Takes SEEN. */
static bool add(struct seen_list *list, struct seen *seen)
{
	size_t at = place_of(list, seen);
	bool there = at < list->n && order(list->items[at], seen) == 0;
	bool room = list->n < SEEN_MAX;

	if (!there && room) {
		insert(list, at, seen);
		return true;
	}
	free_item(seen);
	list->full = list->full || !there;
	return there;
}

static char *absolute(const char *path)
{
	char folder[PATH_MAX], *whole;
	size_t size;

	if (*path == '/' || !getcwd(folder, sizeof folder))
		return mem_string(path);
	size = strlen(folder) + strlen(path) + 2;
	whole = mem_alloc(size);
	snprintf(whole, size, "%s/%s", folder, path);
	return whole;
}

static struct seen *item_new(const char *path, enum seen_kind kind)
{
	struct seen *seen = mem_alloc(sizeof *seen);

	seen->path = absolute(path);
	seen->kind = kind;
	return seen;
}

bool seen_add_file(struct seen_list *list, const char *path, const void *bytes,
		   size_t len)
{
	struct seen *seen = item_new(path, SEEN_FILE);
	struct statx info;
	bool content = bytes && len <= SEEN_FILE_MAX;

	/* What comes out of a pipe cannot be compared. */
	if (content && look(AT_FDCWD, seen->path, &info) &&
	    !S_ISREG(info.stx_mode))
		seen->state = special(&info);
	else if (content)
		seen->state = (struct seen_state){ SEEN_CONTENT,
						   fingerprint_of(bytes, len) };
	else
		seen->state = not_content(seen->path, bytes);
	return add(list, seen);
}

bool seen_add_folder(struct seen_list *list, const char *path,
		     const char *suffix, char *const *names)
{
	struct seen *seen = item_new(path, SEEN_FOLDER);

	seen->suffix = mem_string(suffix);
	seen->state = state_of_names(names, suffix);
	return add(list, seen);
}

bool seen_list_add_all(struct seen_list *list, const struct seen_list *other)
{
	bool all = true;

	for (size_t i = 0; i < other->n; i++) {
		struct seen *seen = mem_alloc(sizeof *seen);

		*seen = *other->items[i];
		seen->path = mem_string(seen->path);
		seen->suffix = mem_string(seen->suffix);
		all = add(list, seen) && all;
	}
	list->full = list->full || other->full;
	return all;
}

bool seen_list_equal(const struct seen_list *a, const struct seen_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!seen_same(a->items[i], b->items[i]))
			return false;
	return true;
}
