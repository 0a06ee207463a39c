/* SPDX-License-Identifier: Apache-2.0 */
/* Reading scripts, and finding lines in them. Any thread. */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include <stddef.h>

#include "core/err.h"

enum { SOURCE_MAX = 4 * 1024 * 1024 };

/* The text of the file at PATH, to be freed; NULL and ERR ("cannot read x.lua:
 * No such file or directory"). */
char *source_read(const char *path, size_t *len, struct err *err);

/*
 * The line on which the table constructor that the script returns says `KEY =`
 * (or `["KEY"] =`); with PARENT, the first one behind `PARENT =`. 0 when it is
 * not found: the key was made in some other way.
 */
int source_line(const char *text, const char *parent, const char *key);

/* Writes where that is in the file at PATH, "x.lua:12", or PATH alone. */
void source_place(char *out, size_t size, const char *path, const char *text,
		  const char *parent, const char *key);

#endif
