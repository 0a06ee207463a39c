/* SPDX-License-Identifier: Apache-2.0 */
#include "net/spool_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "net/spool_segment.h"

struct spool_folder {
	char *path;
	int dir, lock;
	size_t segment_max;
	struct spool_counts *counts;
	struct spool_segment *segments; /* the oldest first */
	size_t nsegments;
	uint64_t next; /* number of the next segment */
	int in;	       /* the first segment; -1: not open */
	int out;       /* the last one, to which records are added; -1: none */
	size_t at;     /* of the first record, where `in` is open */
	bool known;    /* `head` is that of the first record */
	struct spool_head head;
	struct buf body;
};

/* NAME is a file in the folder, or NULL. Always false. */
static bool fail(const struct spool_folder *folder, const char *name,
		 struct err *err)
{
	return err_set(err, ERR_IO, "%s%s%s: %s", folder->path, name ? "/" : "",
		       name ? name : "", strerror(errno));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- opening ---- */

/* Makes PATH and what is missing above it. */
static bool make_folder(const struct spool_folder *folder, struct err *err)
{
	char *path = mem_string(folder->path);
	bool made;

	for (char *p = path; *p; p++) {
		if (*p != '/' || p == path)
			continue;
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	made = mkdir(path, 0700) == 0 || errno == EEXIST;
	free(path);
	return made || fail(folder, NULL, err);
}

static bool tell_user(const struct spool_folder *folder, struct err *err)
{
	char text[32] = "";
	long pid;

	if (pread(folder->lock, text, sizeof text - 1, 0) < 0)
		return fail(folder, "lock", err);
	pid = strtol(text, NULL, 10);
	if (pid == (long)getpid())
		return err_set(err, ERR_USAGE,
			       "%s is in use already, by this lunex",
			       folder->path);
	return err_set(err, ERR_IO,
		       "%s is in use by another lunex (process %ld)",
		       folder->path, pid);
}

static bool lock_folder(struct spool_folder *folder, struct err *err)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	folder->lock = openat(folder->dir, "lock",
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (folder->lock < 0)
		return fail(folder, "lock", err);
	if (flock(folder->lock, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? tell_user(folder, err)
					    : fail(folder, "lock", err);
	/* On a full disk the lock holds without the number. */
	if (ftruncate(folder->lock, 0) == 0)
		(void)!pwrite(folder->lock, text, (size_t)n, 0);
	return true;
}

static struct spool_segment *add_segment(struct spool_folder *folder)
{
	size_t n = ++folder->nsegments;

	folder->segments =
		mem_realloc(folder->segments, n * sizeof *folder->segments);
	folder->segments[n - 1] = (struct spool_segment){ 0 };
	return &folder->segments[n - 1];
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct spool_segment *)a)->number;
	uint64_t y = ((const struct spool_segment *)b)->number;

	return (x > y) - (x < y);
}

static bool list_segments(struct spool_folder *folder, struct err *err)
{
	int fd = fcntl(folder->dir, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t number;

	if (!dir) {
		fail(folder, NULL, err);
		close_fd(&fd);
		return false;
	}
	while ((entry = readdir(dir)))
		if (spool_segment_number(entry->d_name, &number))
			add_segment(folder)->number = number;
	closedir(dir);
	if (folder->nsegments == 0)
		return true;
	qsort(folder->segments, folder->nsegments, sizeof *folder->segments,
	      by_number);
	folder->next = folder->segments[folder->nsegments - 1].number + 1;
	return true;
}

static void unlink_segment(const struct spool_folder *folder, uint64_t number)
{
	char name[SPOOL_SEGMENT_NAME];

	spool_segment_name(number, name);
	unlinkat(folder->dir, name, 0);
}

/* What is in SEGMENT, which has only its number; one in which nothing is left
 * is removed. KEEP learns whether it is still there. */
static bool scan_segment(struct spool_folder *folder,
			 struct spool_segment *segment, bool *keep,
			 struct err *err)
{
	enum spool_scan found;
	char name[SPOOL_SEGMENT_NAME];
	struct stat st = { 0 };
	int fd;

	spool_segment_name(segment->number, name);
	fd = openat(folder->dir, name,
		    O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	*keep = false;
	if (fd < 0 && errno != EISDIR && errno != ELOOP)
		return fail(folder, name, err);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close_fd(&fd);
		return true; /* it is not ours */
	}
	found = spool_segment_scan(fd, (size_t)st.st_size, segment);
	if (found == SPOOL_SCAN_CUT) /* so that it is told once */
		(void)!ftruncate(fd, (off_t)segment->end);
	close(fd);
	if (found == SPOOL_SCAN_NEWER)
		return err_set(err, ERR_INPUT,
			       "%s/%s was written by a newer lunex",
			       folder->path, name);
	/* Without its first bytes it never had a record. */
	if (found == SPOOL_SCAN_CUT ||
	    (found == SPOOL_SCAN_FOREIGN && st.st_size >= SPOOL_SEGMENT_START))
		folder->counts->damaged++;
	*keep = found != SPOOL_SCAN_FOREIGN && segment->records > 0;
	if (!*keep)
		unlinkat(folder->dir, name, 0);
	return true;
}

static bool scan_segments(struct spool_folder *folder, struct err *err)
{
	size_t kept = 0;
	bool keep;

	for (size_t i = 0; i < folder->nsegments; i++) {
		struct spool_segment *segment = &folder->segments[i];

		if (!scan_segment(folder, segment, &keep, err))
			return false;
		if (!keep)
			continue;
		folder->counts->records += segment->records;
		folder->counts->bytes += segment->bytes;
		folder->counts->samples += segment->samples;
		folder->segments[kept++] = *segment;
	}
	folder->nsegments = kept;
	return true;
}

static bool open_folder(struct spool_folder *folder, struct err *err)
{
	if (!make_folder(folder, err))
		return false;
	folder->dir = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->dir < 0)
		return fail(folder, NULL, err);
	return lock_folder(folder, err) && list_segments(folder, err) &&
	       scan_segments(folder, err);
}

struct spool_folder *spool_folder_open(const char *path, size_t segment_max,
				       struct spool_counts *counts,
				       struct err *err)
{
	struct spool_folder *folder = mem_alloc(sizeof *folder);

	folder->path = mem_string(path);
	folder->segment_max = segment_max;
	folder->counts = counts;
	folder->next = 1;
	folder->dir = folder->lock = folder->in = folder->out = -1;
	buf_init(&folder->body, UINT32_MAX);
	if (open_folder(folder, err))
		return folder;
	spool_folder_close(folder);
	return NULL;
}

void spool_folder_close(struct spool_folder *folder)
{
	/* An empty segment that stays would be scanned again. */
	if (folder->out >= 0 && folder->segments[0].records == 0)
		unlink_segment(folder, folder->segments[0].number);
	close_fd(&folder->in);
	close_fd(&folder->out);
	close_fd(&folder->lock);
	close_fd(&folder->dir);
	buf_release(&folder->body);
	free(folder->segments);
	free(folder->path);
	free(folder);
}

/* ---- taking ---- */

/* The first segment goes, whatever is left in it. */
static void remove_first(struct spool_folder *folder)
{
	struct spool_segment *segment = &folder->segments[0];

	folder->counts->records -= segment->records;
	folder->counts->bytes -= segment->bytes;
	folder->counts->samples -= segment->samples;
	unlink_segment(folder, segment->number);
	close_fd(&folder->in);
	if (folder->nsegments == 1)
		close_fd(&folder->out);
	folder->known = false;
	folder->nsegments--;
	memmove(segment, segment + 1, folder->nsegments * sizeof *segment);
}

static bool open_first(struct spool_folder *folder)
{
	const struct spool_segment *segment = &folder->segments[0];
	char name[SPOOL_SEGMENT_NAME];

	if (folder->in >= 0)
		return true;
	spool_segment_name(segment->number, name);
	folder->in = openat(folder->dir, name, O_RDWR | O_CLOEXEC);
	if (folder->in < 0)
		return false;
	folder->at = spool_segment_position(folder->in, segment->end);
	return true;
}

bool spool_folder_first(struct spool_folder *folder, struct spool_tag *tag)
{
	while (!folder->known) {
		if (!folder->nsegments || !folder->segments[0].records)
			return false;
		folder->known = open_first(folder) &&
				spool_segment_head(folder->in, folder->at,
						   folder->segments[0].end,
						   &folder->head);
		if (folder->known)
			break;
		/* The disk, or somebody who meddles with the files. */
		folder->counts->damaged += folder->segments[0].records;
		remove_first(folder);
	}
	*tag = folder->head.tag;
	return true;
}

bool spool_folder_read(struct spool_folder *folder, struct str *record)
{
	struct buf *body = &folder->body;

	if (!spool_segment_read(folder->in, folder->at, &folder->head, body))
		return false;
	*record = (struct str){ buf_text(body), body->len };
	return true;
}

/* All records of the first segment were taken. When it is the last, too, it is
 * used again: what the disk has not got to by then is never written there. */
static void end_first(struct spool_folder *folder)
{
	if (folder->nsegments > 1 || folder->out < 0 ||
	    !spool_segment_begin(folder->out))
		remove_first(folder);
	else
		folder->segments[0].end = folder->at = SPOOL_SEGMENT_START;
}

void spool_folder_drop(struct spool_folder *folder)
{
	struct spool_segment *segment = &folder->segments[0];
	size_t bytes = SPOOL_RECORD + folder->head.length;

	folder->at += bytes;
	folder->known = false;
	segment->records--;
	segment->bytes -= bytes;
	segment->samples -= folder->head.tag.samples;
	folder->counts->records--;
	folder->counts->bytes -= bytes;
	folder->counts->samples -= folder->head.tag.samples;
	if (segment->records == 0)
		end_first(folder);
	else /* where this fails, a restart gives some records again */
		(void)!spool_segment_take(folder->in, folder->at);
}

/* ---- adding ---- */

static bool start_segment(struct spool_folder *folder, struct err *err)
{
	char name[SPOOL_SEGMENT_NAME];
	uint64_t number = folder->next++;
	struct spool_segment *segment;
	int fd;

	spool_segment_name(number, name);
	fd = openat(folder->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return fail(folder, name, err);
	if (!spool_segment_begin(fd)) {
		fail(folder, name, err);
		close(fd);
		unlinkat(folder->dir, name, 0);
		return false;
	}
	close_fd(&folder->out);
	folder->out = fd;
	segment = add_segment(folder);
	segment->number = number;
	segment->end = SPOOL_SEGMENT_START;
	return true;
}

/* Does the last segment take a record of so many bytes? */
static bool has_room(const struct spool_folder *folder, size_t bytes)
{
	size_t end;

	if (folder->out < 0)
		return false;
	end = folder->segments[folder->nsegments - 1].end;
	return end == SPOOL_SEGMENT_START || end + bytes <= folder->segment_max;
}

bool spool_folder_add(struct spool_folder *folder, struct str record,
		      struct spool_tag tag, struct err *err)
{
	size_t bytes = SPOOL_RECORD + record.len;
	struct spool_segment *segment;
	char name[SPOOL_SEGMENT_NAME];

	if (!has_room(folder, bytes) && !start_segment(folder, err))
		return false;
	segment = &folder->segments[folder->nsegments - 1];
	if (!spool_segment_put(folder->out, segment->end, record, tag)) {
		spool_segment_name(segment->number, name);
		fail(folder, name, err);
		/* Else the next record is written over it. */
		(void)!ftruncate(folder->out, (off_t)segment->end);
		return false;
	}
	segment->end += bytes;
	segment->records++;
	segment->bytes += bytes;
	segment->samples += tag.samples;
	folder->counts->records++;
	folder->counts->bytes += bytes;
	folder->counts->samples += tag.samples;
	return true;
}
