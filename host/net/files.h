/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders of the machine, read whole and at once: configurations, and
 * what /proc and /sys say. The only place where scripts reach them through
 * `files`. Any thread; it waits for the disk.
 */
#ifndef NET_FILES_H
#define NET_FILES_H

#include <stddef.h>

#include "core/err.h"

enum { FILES_LIST_MAX = 10000 };

/*
 * The bytes of the regular file at PATH, NUL-terminated, to be freed; their
 * number in LEN. NULL and ERR ("cannot read x.json: No such file or
 * directory"), also for one that is larger than MAX, and for what is no file: a
 * pipe could keep us waiting for ever.
 */
char *files_read(const char *path, size_t max, size_t *len, struct err *err);

/*
 * Names of the regular files in FOLDER, sorted bytewise and ended by a NULL, to
 * be freed by files_list_free(). Links count as what they lead to, and names
 * that begin with a dot are left out, as ls does. NULL and ERR when it cannot
 * be read or has more than FILES_LIST_MAX of them.
 */
char **files_list(const char *folder, struct err *err);
void files_list_free(char **names); /* NULL is allowed */

#endif
