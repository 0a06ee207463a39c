/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families that several pages have and in which no series was found twice, with
 * the label sets that were looked at: pages share those as long as no series
 * comes or goes, and then need not be looked at again. One thread.
 */
#ifndef CORE_MERGE_CHECKED_H
#define CORE_MERGE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

#include "core/page.h"

struct checked;

struct checked *checked_new(void);

/* NULL is allowed. What it knows is borrowed from the pages. */
void checked_free(struct checked *checked);

/* Begins with the next family; ends the one before. */
void checked_begin(struct checked *checked, const struct metadata *family);

/* Adds the chunks of a page that has it. */
void checked_add(struct checked *checked, const struct page_family *family);

/* Was the family that was begun last the same in FORMER (may be NULL)? It is
 * best asked for families in their order. */
bool checked_before(const struct checked *checked, struct checked *former);

/* The family that was begun last shows a series twice. */
void checked_drop(struct checked *checked);

#endif
