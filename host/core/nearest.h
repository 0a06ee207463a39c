/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "did you mean": the name that somebody probably wanted to type. Pure, any
 * thread.
 */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

/*
 * The entry of the NULL-terminated list NAMES nearest to NAME: the smallest
 * edit distance (two neighbouring letters in the wrong order are one edit), at
 * most a third of the length of NAME and at least one. NULL when nothing is
 * that near, and for names longer than 64 bytes. Borrowed from NAMES.
 */
const char *nearest(const char *name, const char *const *names);

#endif
