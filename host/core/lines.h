/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the text formats have in common: a sample is a line of a name, labels, a
 * number and what stands behind it. A struct lines knows how names are written
 * in one form; it lives while a head or a chunk is rendered.
 *
 * Names that are not legacy stand between quotes in the braces, or are escaped.
 * Neither costs anything where all names are legacy.
 */
#ifndef CORE_LINES_H
#define CORE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/form.h"
#include "core/page.h"

struct lines {
	struct buf *out;
	const struct metadata *metadata;
	enum escaping escaping;
	struct str name;    /* INSIDE: behind a quote, which it lacks */
	bool inside;	    /* the name stands in the braces */
	bool rewrite;	    /* names of labels are to be escaped */
	bool openmetrics;   /* numbers are as lines_number() has them */
	struct buf scratch; /* the format's, for one line or row */
	/* private */
	struct buf text;   /* NAME, where it is not the metadata's */
	struct buf labels; /* the last lines_labels() */
	struct buf state_label;
	struct buf state;
};

/* A sample; absent texts have no bytes. */
struct line {
	struct str suffix; /* of the name */
	struct str labels; /* lines_labels() */
	struct str extra;  /* name of one more label: le */
	struct str extra_value;
	double value;
	struct str tail; /* what stands behind the number, blank first */
};

/* CHUNK: whose label sets tell whether names must be escaped; NULL: none. */
void lines_begin(struct lines *lines, struct buf *out, struct form form,
		 const struct metadata *metadata, const struct chunk *chunk);
void lines_end(struct lines *lines);

/* "# WORD name" with a blank behind it; the name without its last CUT bytes. */
void lines_comment(struct lines *lines, const char *word, size_t cut,
		   const char *suffix);

/* The text of a set of the chunk as the form has it. Until the next call. */
struct str lines_labels(struct lines *lines, const struct labels *labels);

/* Adds other labels, those of an exemplar, as the form has them. */
void lines_add_labels(const struct lines *lines, struct buf *out,
		      struct str text);

/* Adds the metric's name as the name of a label: of a stateset. */
void lines_state_label(const struct lines *lines, struct buf *out);

/* A line for each state of a row, LINE with a label more. */
void lines_states(struct lines *lines, struct line line, const double *row);

void lines_add(struct lines *lines, const struct line *line);

/* Up to the blank before the value of LINE: for values that are no number. */
void lines_start(struct lines *lines, const struct line *line);

/* The next series of CHUNK from *I on, which begins with 0 and is its number
 * then: the result has its numbers, LINE its labels and nothing else. NULL at
 * the end. */
const double *lines_next(struct lines *lines, const struct chunk *chunk,
			 uint32_t *i, struct line *line);

/* One line for each series of CHUNK, its first number: most lines of most
 * pages. TAIL is asked for what stands behind; NULL: nothing. */
void lines_simple(struct lines *lines, const struct chunk *chunk,
		  struct str (*tail)(struct lines *lines, const double *row));

/* Adds a number to an OpenMetrics text: as number.h, but -0.0, because -0 is an
 * integer there, which readers take for 0. */
void lines_number(struct buf *out, double value);

/* Adds S with \ and line feed escaped, and " where QUOTES says so. */
void lines_escape(struct buf *out, const char *s, bool quotes);

/* The time of a row; false when it has none. */
bool row_time(const struct metadata *metadata, const double *row, double *time);
/* When counting began; the same. */
bool row_created(const struct metadata *metadata, const double *row,
		 double *created);

/* Label sets lie where malloc put them, the next one seldom behind this one. */
static inline void rows_prefetch(const struct rows *rows, uint32_t i)
{
	uintptr_t labels; /* a number: a hole is NULL */

	if (i >= rows->count)
		return;
	labels = (uintptr_t)rows->labels[i];
	__builtin_prefetch((const void *)labels);
	__builtin_prefetch((const void *)(labels + 64));
}

/* The first set of CHUNK; all have the same names. NULL: none. */
const struct labels *chunk_labels(const struct chunk *chunk);

static inline struct str str_of(const char *s)
{
	return (struct str){ s, strlen(s) };
}

#endif
