/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of metrics and labels. Any UTF-8 is a name; a *legacy* name is one that
 * every reader knows. Others are shown as they are only to readers that ask for
 * it, and escaped to the rest
 * (https://prometheus.io/docs/instrumenting/escaping_schemes/, and the code of
 * prometheus/common where the two differ). Legacy names are the same in every
 * scheme. Pure functions, any thread.
 */
#ifndef CORE_ESCAPE_H
#define CORE_ESCAPE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/form.h"

/* [a-zA-Z_:][a-zA-Z0-9_:]*; of a label: without the colon. */
bool name_is_legacy(struct str name);
bool name_is_legacy_label(struct str name);

/* Adds NAME, of a metric or a label, as SCHEME writes it; with ESCAPING_NONE
 * the name itself, not quoted. Bytes that are not UTF-8 count as U+FFFD. */
void name_escape(struct buf *out, struct str name, enum escaping scheme);
void name_escape_label(struct buf *out, struct str name, enum escaping scheme);

/* Two names of labels that a scheme writes alike; B is NULL when A becomes
 * __name__ by itself. */
struct names_met {
	const char *a, *b;
	char *escaped; /* free() */
};

/* Do two of the N different names of labels meet under a scheme, or one the
 * label that holds the name of the metric? */
bool names_meet(const char *const *names, unsigned n, struct names_met *met);

/* Adds TEXT with \, " and line feed escaped. */
void text_escape(struct buf *out, struct str text);

/* Adds TEXT as one line for a terminal, which must not obey it: with control
 * characters as \n, \x1b, \u009b. */
void text_show(struct buf *out, struct str text);

/* Adds NAME between double quotes, with \, " and line feed escaped. */
void name_quote(struct buf *out, struct str name);

/* "allow-utf-8", "underscores", "dots", "values"; the first of them is
 * ESCAPING_NONE. False, and *SCHEME untouched, for another word. */
const char *escaping_name(enum escaping scheme);
bool escaping_parse(struct str word, enum escaping *scheme);

#endif
