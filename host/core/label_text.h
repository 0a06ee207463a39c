/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the text of a label set, or of an exemplar, label by label, and writes
 * it for readers that know legacy names only. The text is what label.h and
 * exemplar.h make: a="x","b.c"="y". A loop's tool, so it is in line. Pure
 * functions, any thread.
 */
#ifndef CORE_LABEL_TEXT_H
#define CORE_LABEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/form.h"

struct label_text {
	struct str name;  /* between its quotes where it has them */
	struct str value; /* between its quotes */
	bool quoted;	  /* the name is not legacy; it may hold escapes */
	bool escaped;	  /* the value holds escapes */
};

/* From P behind a quote to the one that closes it; ESCAPED where a backslash
 * is between them. */
static inline const char *label_text_close(const char *p, bool *escaped)
{
	*escaped = false;
	while (*p != '"') {
		if (*p == '\\') {
			*escaped = true;
			p++;
		}
		p++;
	}
	return p;
}

/* The next label of TEXT from *AT on, which begins with 0. False at the end. */
static inline bool label_text_next(struct str text, size_t *at,
				   struct label_text *label)
{
	const char *p = text.data + *at, *end;
	bool escaped;

	if (*at >= text.len)
		return false;
	label->quoted = *p == '"';
	p += label->quoted;
	if (label->quoted)
		end = label_text_close(p, &escaped);
	else
		end = memchr(p, '=', text.len - *at);
	label->name = (struct str){ p, (size_t)(end - p) };
	p = end + label->quoted + 2; /* the = and the quote */
	end = label_text_close(p, &label->escaped);
	label->value = (struct str){ p, (size_t)(end - p) };
	*at = (size_t)(end + 2 - text.data); /* and the comma */
	return true;
}

/* The raw bytes of what stood between quotes; OUT has room for TEXT's. */
size_t label_text_raw(char *out, struct str text);

/* Has a label of TEXT a name that is not legacy? */
bool label_text_quoted(struct str text);

/* Adds the name of LABEL as SCHEME has it, not quoted. */
void label_text_name(struct buf *out, const struct label_text *label,
		     enum escaping scheme);

/* Adds TEXT with all names escaped by SCHEME, which is not ESCAPING_NONE. */
void label_text_escape(struct buf *out, struct str text, enum escaping scheme);

#endif
