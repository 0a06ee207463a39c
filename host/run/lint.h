/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `promtool check metrics` says about a page, without promtool and without
 * the page: the rules of client_golang's prometheus/testutil/promlint in its
 * sentences. They are those of promtool 2.42, and what later versions added.
 * Nothing here is an error: a script that replaces an older exporter keeps that
 * one's names.
 */
#ifndef RUN_LINT_H
#define RUN_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/label.h"
#include "core/metadata.h"

struct lint_finding {
	char *family; /* as the script calls it */
	char *metric; /* as the page calls it */
	char *text;
};

/* Findings; zeroed: none. */
struct lint {
	struct lint_finding *items;
	size_t n;
};

/* Adds a finding, which is copied, unless it is there already. */
void lint_add(struct lint *lint, const char *family, const char *metric,
	      const char *text);

/* In the order in which promtool prints them: by metric, then by text. */
void lint_sort(struct lint *lint);
void lint_release(struct lint *lint);

/*
 * Adds what promtool would say about METADATA on a page of the text format. The
 * script gives the values of the labels of SCHEMA, and CONSTANT has NCONSTANT
 * more.
 */
void lint_promtool(struct lint *lint, const struct metadata *metadata,
		   const struct label_schema *schema,
		   const struct label_pair *constant, unsigned nconstant);

/* The word of NAME that is a unit, and its base unit; false: none. */
bool lint_unit(const char *name, size_t *at, size_t *len, const char **base);

#endif
