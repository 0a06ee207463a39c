/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema is what the families of a registry have in common: the label names
 * in their declared order and the constant labels that follow them. With values
 * it makes a set (label.h). In one thread.
 */
#ifndef CORE_LABEL_SCHEMA_H
#define CORE_LABEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum { LABELS_MAX = 1024, LABELS_TEXT_MAX = UINT16_MAX };

struct label_schema {
	unsigned refs;	/* private; one thread */
	unsigned count; /* labels whose values are given */
	bool quoted;	/* a name is, of a constant label perhaps */
	size_t fixed;	/* bytes of all pieces together */
	/* Text = pieces[0] value pieces[1] value ... pieces[count]. */
	struct str *pieces;
	char **names;
};

struct label_pair {
	const char *name;
	const char *value;
};

/* Any UTF-8 but "", and not beginning with "__". */
bool label_name_valid(const char *name);

/* Any UTF-8 but "". Who must insist on a legacy name asks escape.h. */
bool metric_name_valid(const char *name);

/*
 * COUNT names and NCONST constant pairs; copied. Fails on an invalid, reserved
 * or repeated name, on names that meet when they are escaped, and on a constant
 * that is not UTF-8, with a sentence that names it.
 */
struct label_schema *label_schema_new(const char *const *names, unsigned count,
				      const struct label_pair *constant,
				      unsigned nconst, struct err *err);
struct label_schema *label_schema_ref(struct label_schema *schema);
void label_schema_unref(struct label_schema *schema);

/* Are these just the names of the labels whose values are given? */
bool label_schema_has(const struct label_schema *schema,
		      const char *const *names, unsigned count);

/* The name of the Ith of them as sets have it: quoted where it is not legacy.
 */
struct str label_schema_name(const struct label_schema *schema, unsigned i);

#endif
