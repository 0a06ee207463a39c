/* SPDX-License-Identifier: Apache-2.0 */
#include "net/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/mem.h"

/* Where all changes are made by this kernel, which so tells of them: as names
 * of <linux/magic.h> and of file systems that are not in it. Whatever is not
 * here is polled. */
static const uint32_t local[] = {
	0x0000EF53, /* ext2, ext3, ext4 */
	0x58465342, /* xfs */
	0x9123683E, /* btrfs */
	0x01021994, /* tmpfs, devtmpfs */
	0x858458F6, /* ramfs */
	0x794C7630, /* overlayfs */
	0x61756673, /* aufs */
	0x2FC12FC1, /* zfs */
	0xCA451A4E, /* bcachefs */
	0xF2F52010, /* f2fs */
	0x3153464A, /* jfs */
	0x52654973, /* reiserfs */
	0x00003434, /* nilfs2 */
	0x73717368, /* squashfs */
	0xE0F5E1E2, /* erofs */
	0x00009660, /* iso9660 */
	0x15013346, /* udf */
	0x00004D44, /* vfat */
	0x2011BAB0, /* exfat */
	0x7366746E, /* ntfs3 */
	0x0000482B, /* hfsplus */
	0x24051905, /* ubifs */
	0x000072B6, /* jffs2 */
	0x0000F15F, /* ecryptfs */
};

static bool is_local(const char *path)
{
	struct statfs info;

	if (statfs(path, &info))
		return false;
	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		if ((uint32_t)info.f_type == local[i])
			return true;
	return false;
}

bool notify_init(struct notify *notify)
{
	*notify = (struct notify){ 0 };
	notify->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	notify->failure = notify->fd < 0 ? errno : 0;
	return notify->fd >= 0;
}

void notify_release(struct notify *notify)
{
	for (size_t i = 0; i < notify->n; i++)
		free(notify->marks[i].path);
	free(notify->marks);
	free(notify->interests);
	if (notify->fd >= 0)
		close(notify->fd);
	*notify = (struct notify){ .fd = -1 };
}

/* ---- marks ---- */

/* The index of WD, or where it would be. */
static size_t place_of(const struct notify *notify, int wd)
{
	size_t from = 0, to = notify->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (notify->marks[middle].wd < wd)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct mark *notify_find(const struct notify *notify, int wd)
{
	size_t at = place_of(notify, wd);

	return at < notify->n && notify->marks[at].wd == wd ? &notify->marks[at]
							    : NULL;
}

static struct mark *insert(struct notify *notify, int wd, const char *path)
{
	size_t at = place_of(notify, wd);
	struct mark *mark;

	if (notify->n == notify->cap) {
		notify->cap = notify->cap ? notify->cap * 2 : 16;
		notify->marks = mem_realloc(
			notify->marks, notify->cap * sizeof *notify->marks);
	}
	mark = &notify->marks[at];
	memmove(mark + 1, mark, (notify->n++ - at) * sizeof *mark);
	*mark = (struct mark){ .wd = wd,
			       .path = mem_string(path),
			       .local = is_local(path) };
	return mark;
}

static void begin_mark(struct notify *notify, struct mark *mark)
{
	if (mark->round == notify->round)
		return;
	mark->round = notify->round;
	mark->old = mark->mask;
	mark->mask = 0;
	mark->suffix = NULL;
}

struct mark *notify_mark(struct notify *notify, const char *path, uint32_t mask)
{
	static const uint32_t how =
		IN_MASK_ADD | IN_DONT_FOLLOW | IN_EXCL_UNLINK;
	int wd = inotify_add_watch(notify->fd, path, mask | how);
	struct mark *mark;

	if (wd < 0)
		return NULL;
	mark = notify_find(notify, wd);
	if (!mark) {
		mark = insert(notify, wd, path);
	} else if (strcmp(mark->path, path) != 0) {
		free(mark->path);
		mark->path = mem_string(path);
	}
	begin_mark(notify, mark);
	mark->mask |= mask;
	return mark;
}

void notify_begin(struct notify *notify)
{
	notify->round++;
	notify->ninterests = 0;
	notify->failure = 0;
}

static int compare(const void *a, const void *b)
{
	const struct interest *x = a, *y = b;

	if (x->wd != y->wd)
		return x->wd < y->wd ? -1 : 1;
	return (x->name > y->name) - (x->name < y->name);
}

/* Events that were wanted and are no more. Something else may stand there by
 * now; then the next round is about to come. */
static void narrow(struct notify *notify, const struct mark *mark)
{
	static const uint32_t how = IN_DONT_FOLLOW | IN_EXCL_UNLINK;
	int wd = mark->wd;

	if (mark->old & ~mark->mask)
		wd = inotify_add_watch(notify->fd, mark->path,
				       mark->mask | how);
	if (wd >= 0 && wd != mark->wd && !notify_find(notify, wd))
		inotify_rm_watch(notify->fd, wd);
}

void notify_end(struct notify *notify)
{
	size_t kept = 0;

	for (size_t i = 0; i < notify->n; i++)
		if (notify->marks[i].round == notify->round)
			narrow(notify, &notify->marks[i]);
	for (size_t i = 0; i < notify->n; i++) {
		struct mark mark = notify->marks[i];

		if (mark.round == notify->round) {
			notify->marks[kept++] = mark;
		} else {
			inotify_rm_watch(notify->fd, mark.wd);
			free(mark.path);
		}
	}
	notify->n = kept;
	if (notify->ninterests)
		qsort(notify->interests, notify->ninterests,
		      sizeof *notify->interests, compare);
}

/* ---- names ---- */

static uint64_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return hash;
}

void notify_name(struct notify *notify, int wd, const char *name)
{
	if (notify->ninterests == notify->interests_cap) {
		size_t cap = notify->interests_cap;

		notify->interests_cap = cap = cap ? cap * 2 : 64;
		notify->interests = mem_realloc(
			notify->interests, cap * sizeof *notify->interests);
	}
	notify->interests[notify->ninterests++] =
		(struct interest){ wd, hash_of(name) };
}

static bool matters(const struct notify *notify, const struct mark *mark,
		    const char *name)
{
	const struct interest key = { mark->wd, hash_of(name) };

	return notify->ninterests &&
	       bsearch(&key, notify->interests, notify->ninterests, sizeof key,
		       compare);
}

bool notify_concerns(const struct notify *notify,
		     const struct inotify_event *event)
{
	const struct mark *mark = notify_find(notify, event->wd);

	if (!mark)
		return event->mask & IN_Q_OVERFLOW;
	return !event->len || mark->suffix ||
	       matters(notify, mark, event->name);
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return n >= k && strcmp(name + n - k, suffix) == 0;
}

bool notify_means(const struct notify *notify,
		  const struct inotify_event *event)
{
	const struct mark *mark = notify_find(notify, event->wd);

	if (!mark)
		return false;
	if (!event->len || matters(notify, mark, event->name))
		return true;
	return mark->suffix && *event->name != '.' &&
	       ends_in(event->name, mark->suffix);
}

void notify_forget(struct notify *notify, int wd)
{
	struct mark *mark = notify_find(notify, wd);

	if (!mark)
		return;
	free(mark->path);
	memmove(mark, mark + 1,
		(size_t)(notify->marks + --notify->n - mark) * sizeof *mark);
}
