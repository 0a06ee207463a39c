/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a spec's own, below TMPDIR, and what is done to files in it. What
 * cannot be done fails the spec. */
#ifndef SPEC_NET_FILES_WORLD_H
#define SPEC_NET_FILES_WORLD_H

#include <stdbool.h>

#include "net/seen.h"

/* For cmocka: the folder is made, and removed with all that is in it. */
int world_make(void **state);
int world_clean(void **state);

/* The path of NAME in it; one of the latest 16 that were asked for. */
char *world(const char *name);

void put(const char *name, const char *text); /* open, truncate, write */
void append(const char *name, const char *text);
void make_folder(const char *name);
void move(const char *from, const char *to);
void drop(const char *name); /* a file or an empty folder */
void link_to(const char *target, const char *name); /* symbolic */

/* Reads them as a loader does, and adds that. */
void see(struct seen_list *list, const char *name);
void see_folder(struct seen_list *list, const char *name);

#endif
