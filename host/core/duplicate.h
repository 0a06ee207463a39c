/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the series that several pages show both, in one family, and leaves out
 * all but the first. Two sets of labels are the same series whatever their
 * order, and an empty value is as good as none; names are compared as readers
 * get them, for some of whom a.b is a_b. Cheap it is not: each set is
 * taken apart. In the web thread.
 */
#ifndef CORE_DUPLICATE_H
#define CORE_DUPLICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/form.h"
#include "core/page.h"

/* What was left out so far: how many series, and the first of them. */
struct duplicates {
	size_t count;
	char *series;	     /* as on the page; free() frees it */
	bool escaped;	     /* it is one when names are escaped alone */
	size_t first, again; /* numbers of the pages that show it */
};

struct duplicate_finder;

/* For one family, of which it will see so many SERIES at most, shown with names
 * that SCHEME escapes. */
struct duplicate_finder *duplicate_finder_new(const struct metadata *family,
					      enum escaping scheme,
					      size_t series,
					      struct duplicates *duplicates);
void duplicate_finder_free(struct duplicate_finder *finder);

/* CHUNK of page number PAGE without the series of former calls for other pages:
 * a reference for the caller, to CHUNK itself where nothing is left out. */
struct chunk *duplicate_filter(struct duplicate_finder *finder,
			       struct chunk *chunk, size_t page);

#endif
