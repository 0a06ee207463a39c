/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is shown of streams: a line for each. The lines belong to the web
 * thread; the push thread says by messages to its loop what becomes of them,
 * and knows a line only as something to talk about.
 */
#ifndef RUN_PUSH_LINES_H
#define RUN_PUSH_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "net/loop.h"

struct push_lines;
struct push_line;

/* What became of a stream: a sentence about its latest push, "" when that was
 * well, and when one succeeded last (seconds since the epoch; 0: never). */
struct push_shown {
	const char *target; /* the URL without credentials */
	const char *text;
	double success;
};

struct push_lines *push_lines_new(struct loop *web);

/* After the loop WEB was freed, which delivers what is under way. NULL is
 * allowed. */
void push_lines_free(struct push_lines *lines);

/* ---- in the push thread ---- */

/* Good until push_lines_remove(). */
struct push_line *push_lines_add(struct push_lines *lines, const char *exporter,
				 const char *target);
void push_lines_remove(struct push_line *line);

/* Its latest push: TEXT is "" when that was well. */
void push_lines_tell(struct push_line *line, const char *text);

/* ---- in the web thread ---- */

/* Line I of the exporter of that name, in the order of adding; borrowed. False
 * behind the last. */
bool push_lines_get(const struct push_lines *lines, const char *exporter,
		    size_t i, struct push_shown *shown);

#endif
