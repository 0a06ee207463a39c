/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the rows of a family to the chunks that a page shows: the only place
 * that sorts a family and that decides which chunks can be kept. In the thread
 * of the registry.
 */
#ifndef CORE_SNAPSHOT_H
#define CORE_SNAPSHOT_H

#include <stddef.h>

#include "core/family.h"
#include "core/page.h"

/* Brings the chunk of segment number S up to date, where it is. */
void snapshot_segment(struct family *family, uint32_t s);

/* Brings the chunks of the family up to date; those whose series and values are
 * as before stay. Returns the number of series shown. */
size_t snapshot_take(struct family *family);

/* Fills TO with references to them. */
void snapshot_show(const struct family *family, struct page_family *to);

#endif
