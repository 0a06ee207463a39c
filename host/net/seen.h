/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, and names in folders, as they were when somebody read them: a list of
 * what a load depends on. Who reads a file adds the bytes that it got, so that
 * later comparisons are with what was loaded and not with what stood there a
 * moment later. That a file was not there is worth remembering, too.
 *
 * A reader refuses a file that is larger than SEEN_FILE_MAX, and no smaller
 * one, as run/source.h does: NULL stands for "cannot be read", and what can be
 * read later has changed.
 *
 * One thread at a time. Comparing reads files and may wait for the disk, or for
 * ever for a server that is gone.
 */
#ifndef NET_SEEN_H
#define NET_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/fingerprint.h"

enum { SEEN_MAX = 10000, SEEN_FILE_MAX = 4 * 1024 * 1024 };

enum seen_kind { SEEN_FILE, SEEN_FOLDER };

enum seen_what {
	SEEN_NOTHING, /* absent or unreadable */
	SEEN_CONTENT,
	SEEN_LARGE,   /* known by size, times and inode alone */
	SEEN_SPECIAL, /* a pipe, a device: it is never opened */
};

struct seen_state {
	enum seen_what what;
	struct fingerprint print;
};

/* By which a file is known to be untouched. */
struct seen_stamp {
	uint64_t device, inode, size;
	int64_t modified, changed; /* nanoseconds */
};

struct seen {
	char *path;   /* absolute; links in it stay */
	char *suffix; /* of the names of a folder; NULL for a file */
	enum seen_kind kind;
	struct seen_state state;
	struct seen_stamp stamp; /* private */
	bool stamped;		 /* private */
};

/* In the order of paths. */
struct seen_list {
	struct seen **items;
	size_t n;
	size_t cap; /* private */
	bool full;  /* something was not added */
};

/* An empty list; no allocation. */
void seen_list_init(struct seen_list *list);
void seen_list_release(struct seen_list *list);

/*
 * PATH, which may be relative to the working directory, and the LEN bytes that
 * were read from it; NULL when it could not be read. Nothing is kept of either.
 * What was seen twice and was different is kept as it was first, so that the
 * difference shows. False when the list is full.
 */
bool seen_add_file(struct seen_list *list, const char *path, const void *bytes,
		   size_t len);

/*
 * The folder PATH and its NAMES, those of files_list(); NULL when it could not
 * be read. Only names that end in SUFFIX matter.
 */
bool seen_add_folder(struct seen_list *list, const char *path,
		     const char *suffix, char *const *names);

/* Copies of all of OTHER. */
bool seen_list_add_all(struct seen_list *list, const struct seen_list *other);

/* The same thing in the same state? */
bool seen_same(const struct seen *a, const struct seen *b);

bool seen_list_equal(const struct seen_list *a, const struct seen_list *b);

/*
 * Is it still as it was seen? Reads it again, unless its stamp tells that this
 * is not needed. FOUND, which may be NULL, is what it is when the answer is no.
 */
bool seen_is_current(struct seen *seen, struct seen_state *found);

#endif
