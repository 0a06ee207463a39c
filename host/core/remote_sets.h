/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which label sets of a family are gone, as two pages tell: they share the sets
 * of what they both show, mostly in whole chunks, so that comparing them is
 * comparing pointers. Pure functions of pages; any thread.
 */
#ifndef CORE_REMOTE_SETS_H
#define CORE_REMOTE_SETS_H

#include <stddef.h>

#include "core/page.h"

struct remote_sets {
	struct labels **labels; /* free() them; the sets are the page's */
	size_t count;
};

/* Those that BEFORE has and AFTER, the family of that name (NULL: there is
 * none), does not. */
struct remote_sets remote_sets_gone(const struct page_family *before,
				    const struct page_family *after);

/* Those of BEFORE that are not among GONE, all of which BEFORE has. GONE is
 * empty then. */
struct remote_sets remote_sets_staying(const struct page_family *before,
				       struct remote_sets *gone);

#endif
