/* SPDX-License-Identifier: Apache-2.0 */
#include "net/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mem.h"

static bool cannot(struct err *err, const char *path, const char *why)
{
	return err_set(err, ERR_IO, "cannot read %s: %s", path, why);
}

/* A descriptor of the file; -1 and ERR. Opening a pipe must not wait. */
static int open_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info = { 0 };

	if (fd < 0) {
		cannot(err, path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
		return fd;
	cannot(err, path,
	       S_ISDIR(info.st_mode) ? "it is a folder" : "it is no file");
	close(fd);
	return -1;
}

/* Files of /proc say that they have no size, so it reads until the end. */
static bool read_all(int fd, const char *path, struct buf *text,
		     struct err *err)
{
	char piece[16384];
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot(err, path, strerror(errno));
		if (!buf_add(text, piece, (size_t)n))
			return err_set(err, ERR_LIMIT,
				       "cannot read %s: it is larger than %zu "
				       "bytes",
				       path, text->max);
	}
	return true;
}

char *files_read(const char *path, size_t max, size_t *len, struct err *err)
{
	int fd = open_file(path, err);
	struct buf text;
	bool ok;

	if (fd < 0)
		return NULL;
	buf_init(&text, max);
	ok = read_all(fd, path, &text, err);
	close(fd);
	if (!ok) {
		buf_release(&text);
		return NULL;
	}
	return buf_take(&text, len);
}

/* ---- folders ---- */

struct names {
	char **names; /* NULL behind the last */
	size_t n, cap;
};

static void add_name(struct names *list, const char *name)
{
	if (list->n + 1 >= list->cap) {
		list->cap = list->cap ? list->cap * 2 : 16;
		list->names = mem_realloc(list->names,
					  list->cap * sizeof *list->names);
	}
	list->names[list->n++] = mem_string(name);
	list->names[list->n] = NULL;
}

static bool is_file(DIR *folder, const char *name)
{
	struct stat info;

	return name[0] != '.' && fstatat(dirfd(folder), name, &info, 0) == 0 &&
	       S_ISREG(info.st_mode);
}

static bool add_names(struct names *list, DIR *folder, const char *path,
		      struct err *err)
{
	struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(folder);
		if (!entry)
			break;
		if (!is_file(folder, entry->d_name))
			continue;
		if (list->n == FILES_LIST_MAX)
			return err_set(err, ERR_LIMIT,
				       "cannot read %s: it has more than %d "
				       "files",
				       path, FILES_LIST_MAX);
		add_name(list, entry->d_name);
	}
	return errno == 0 || cannot(err, path, strerror(errno));
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **files_list(const char *path, struct err *err)
{
	DIR *folder = opendir(path);
	struct names list = { NULL, 0, 0 };
	bool ok;

	if (!folder) {
		cannot(err, path, strerror(errno));
		return NULL;
	}
	ok = add_names(&list, folder, path, err);
	closedir(folder);
	if (!ok) {
		files_list_free(list.names);
		return NULL;
	}
	if (!list.names)
		return mem_alloc(sizeof *list.names);
	qsort(list.names, list.n, sizeof *list.names, compare);
	return list.names;
}

void files_list_free(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}
