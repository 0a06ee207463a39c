/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts the items of an exposition into blocks, so that as many as possible are
 * those of the exposition before it. One thread.
 */
#ifndef CORE_LAYOUT_H
#define CORE_LAYOUT_H

#include <stddef.h>

#include "core/block.h"

enum { EXPOSITION_BLOCK = 128 * 1024 };

/* Former blocks by their first item. */
struct layout {
	struct form form;
	struct block **slots;
	size_t mask;
};

/* The N former blocks outlive LAYOUT. */
void layout_init(struct layout *layout, struct form form,
		 struct block *const *former, size_t n);
void layout_release(struct layout *layout);

/* The block of the first of these items, of which there are some: a former one
 * or a new one, a reference. Its nitems says where the next one begins. */
struct block *layout_next(const struct layout *layout, const struct item *items,
			  size_t n);

#endif
