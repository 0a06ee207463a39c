/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for our own structures. Running out of it ends the process with one
 * line on standard error: a small program does not limp. What outsiders can
 * make grow must have a ceiling before it reaches these functions.
 * Any thread.
 */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stddef.h>

/* SIZE bytes, zeroed. Never NULL. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* COUNT elements of SIZE bytes, zeroed. An overflow ends the process. */
void *mem_array(size_t count, size_t size)
	__attribute__((malloc, returns_nonnull));

/* Grows or shrinks; new bytes are not zeroed. SIZE must not be 0. */
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));

/* A NUL-terminated copy of LEN bytes. */
char *mem_copy(const char *s, size_t len)
	__attribute__((malloc, returns_nonnull));

/* A copy of a string, NULL for NULL. */
char *mem_string(const char *s);

#endif
