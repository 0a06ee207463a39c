/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the series of few families have beside the numbers of their rows: native
 * buckets, a window of observations, exemplars. Lists of references with a
 * place for each row; a list is made when the first row has something in it.
 *
 * What lies at a place may be shared with the chunk that shows it: who changes
 * it makes it its own before (native_own() and its like).
 */
#ifndef CORE_EXTRAS_H
#define CORE_EXTRAS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/exemplar.h"
#include "core/native.h"
#include "core/window.h"

struct extras {
	uint32_t n; /* places */
	/* NULL where a row has none; NULL altogether where no row has any. */
	struct native **natives;
	struct window **windows;
	struct exemplars **exemplars;
};

/* Room for N places, no fewer than there are; the new ones are empty. */
void extras_grow(struct extras *extras, uint32_t n);
void extras_release(struct extras *extras);

/* Empties place I. */
void extras_clear(struct extras *extras, uint32_t i);

/* Place I becomes what place FROM_I of FROM is. */
void extras_copy(struct extras *extras, uint32_t i, const struct extras *from,
		 uint32_t from_i);

/* Place I, for a change; the list is made if need be. */
struct native **extras_native(struct extras *extras, uint32_t i);
struct window **extras_window(struct extras *extras, uint32_t i);
struct exemplars **extras_exemplars(struct extras *extras, uint32_t i);

/* What lies at place I, or NULL. Borrowed. */
static inline struct native *extras_native_at(const struct extras *extras,
					      uint32_t i)
{
	return extras->natives ? extras->natives[i] : NULL;
}

static inline struct window *extras_window_at(const struct extras *extras,
					      uint32_t i)
{
	return extras->windows ? extras->windows[i] : NULL;
}

static inline struct exemplars *extras_exemplars_at(const struct extras *extras,
						    uint32_t i)
{
	return extras->exemplars ? extras->exemplars[i] : NULL;
}

/* Do both hold the very same at each place? They have as many. */
bool extras_same(const struct extras *a, const struct extras *b);

#endif
