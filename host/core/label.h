/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets. A set is stored as the text that the exposition shows, escaped
 * and rendered once, e.g. `core_id="e00fce",site="a"` (no braces). A name that
 * is not legacy (escape.h) is quoted, `"http.method"="GET"`: so the text is
 * what readers get that asked for such names; label_text_escape() writes it for
 * the others. Sets are immutable and counted; the registries that make them and
 * the pages that show them share them across threads.
 */
#ifndef CORE_LABEL_H
#define CORE_LABEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/label_schema.h"
#include "core/utf8.h"

/* Eight bytes of header: with malloc's own eight, 72 bytes of text fit into a
 * block of 80. At 100 000 series every word counts. */
struct labels {
	_Atomic uint32_t refs;
	uint16_t len;
	bool escaped; /* the text differs from the raw values */
	bool quoted;  /* a name is: label_text_escape() changes the text */
	char text[];
};

/* A new set with one reference. The values must be UTF-8 (see utf8_valid). NULL
 * and ERR when the text would be longer than LABELS_TEXT_MAX. */
struct labels *labels_new(const struct label_schema *schema,
			  const struct str *values, struct err *err);
struct labels *labels_copy(const struct labels *labels);
struct labels *labels_ref(struct labels *labels);
void labels_unref(struct labels *labels);

static inline struct str labels_str(const struct labels *labels)
{
	return (struct str){ labels->text, labels->len };
}

/* Have both the same text? */
bool labels_same(const struct labels *a, const struct labels *b);

/* Does the set hold just these values? It must be of the same schema. */
bool labels_match(const struct labels *labels,
		  const struct label_schema *schema, const struct str *values);

/* Hash of raw values, and the same number read back from a set's text. */
uint64_t label_hash(uint64_t seed, const struct str *values, unsigned count);
uint64_t labels_hash(const struct labels *labels,
		     const struct label_schema *schema, uint64_t seed);

/* The next label of the set, name="escaped value" in PAIR, from *AT on, which
 * begins with 0. False at the end. */
bool labels_next(const struct labels *labels, size_t *at, struct str *pair);

/* What stands before the "=" of a PAIR of labels_next(): the name, quoted where
 * it is not legacy, so that equal names have equal bytes. */
struct str label_name_text(struct str pair);

/* The raw name, and the raw value, of a PAIR of labels_next(): the bytes in it,
 * or written to OUT, which has room for PAIR's, where some may be escaped. */
struct str label_name(struct str pair, char *out);
struct str label_value(struct str pair, char *out);

#endif
