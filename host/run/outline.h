/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exporter shows before it has shown anything: its constant labels and
 * the families that it declares. Made in the exporter's thread while it loads,
 * immutable from then on: so others can see which exporters do not go together.
 */
#ifndef RUN_OUTLINE_H
#define RUN_OUTLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/label.h"
#include "core/metadata.h"
#include "core/registry.h"
#include "run/declaration.h"

struct outline_family {
	struct metadata *metadata;
	unsigned labels; /* whose values the script gives; 0: one series */
	int line;	 /* in the script; 0: the host declares it */
};

struct outline {
	struct label_pair *labels; /* by name */
	unsigned nlabels;
	struct outline_family *families; /* by name */
	size_t nfamilies;
};

/* The constant labels of the script, and the LABELS that it is given where it
 * is listed, which win over equal names. Everything is copied. */
struct outline *outline_new(const struct declaration *declaration,
			    const struct label_pair *labels, unsigned nlabels);
void outline_free(struct outline *outline);

/* Adds the families of REGISTRY. */
void outline_read(struct outline *outline,
		  const struct declaration *declaration,
		  struct registry *registry);

/* An outline and the words for it. */
struct outline_owner {
	const struct outline *outline;
	const char *name;   /* of the exporter */
	const char *script; /* path */
	const char *where;  /* it is listed: "lunex.lua:12" */
};

/*
 * Can the pages of both be merged? Not when they declare a family differently,
 * and not when they would show the same series: then ERR is why SECOND cannot
 * run beside FIRST, with both places.
 */
bool outline_agree(const struct outline_owner *first,
		   const struct outline_owner *second, struct err *err);

/*
 * Can NEXT, a newer version, take the place of FORMER? Not when a family has
 * another type now: what was counted would be lost, and whoever reads the
 * metrics would take one thing for another.
 */
bool outline_continues(const struct outline_owner *former,
		       const struct outline_owner *next, struct err *err);

#endif
