/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages could show the same series: all pairs but those whose constant
 * labels tell them apart, as the labels of several instances of one script do.
 * Found once for a set of pages with the same constant labels, so that a merge
 * need not look at series. In the web thread.
 */
#ifndef CORE_OVERLAP_H
#define CORE_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/page.h"

struct overlap;

/* Of N pages; PREVIOUS (may be NULL) is taken over when it still holds. One
 * reference. */
struct overlap *overlap_new(struct page *const *pages, size_t n,
			    struct overlap *previous);
void overlap_unref(struct overlap *overlap);

/* Could page A show a series of one of the OTHERS, N numbers of pages? */
bool overlap_any(const struct overlap *overlap, size_t a, const size_t *others,
		 size_t n);

#endif
