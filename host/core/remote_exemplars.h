/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which exemplars of a family are new: those that a page before did not have.
 * Exemplars are shared by all pages that show them, so that one is known by its
 * address. One thread.
 */
#ifndef CORE_REMOTE_EXEMPLARS_H
#define CORE_REMOTE_EXEMPLARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/page.h"

/* Private. */
struct remote_exemplars {
	const struct page_family *before;
	const struct exemplar **known; /* all of BEFORE's, by address */
	size_t nknown;
	bool listed;
};

/* BEFORE is the family on that page, which lives meanwhile; NULL: all are new.
 */
void remote_exemplars_init(struct remote_exemplars *exemplars,
			   const struct page_family *before);
void remote_exemplars_release(struct remote_exemplars *exemplars);

/* Is EXEMPLAR new, which row ROW of CHUNK, number C of the family, shows? */
bool remote_exemplars_is_new(struct remote_exemplars *exemplars,
			     const struct chunk *chunk, uint32_t c,
			     uint32_t row, const struct exemplar *exemplar);

#endif
