/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label sets of a registry, each text once, so that families with equal
 * labels share them. The table holds a reference to each set; intern_sweep()
 * lets go of those that nobody else holds. One thread.
 */
#ifndef CORE_INTERN_H
#define CORE_INTERN_H

#include <stddef.h>
#include <stdint.h>

#include "core/label.h"

struct intern {
	struct labels **slots; /* private */
	uint32_t nslots;       /* private; a power of two */
	uint32_t used;
	size_t bytes; /* of the texts of all sets */
	uint64_t seed;
};

void intern_init(struct intern *intern, uint64_t seed);
void intern_release(struct intern *intern);

/* Takes LABELS over and returns a reference to the one set with its text. */
struct labels *intern_take(struct intern *intern, struct labels *labels);

/* Makes room for MORE sets, so that they come in without moving the others. */
void intern_reserve(struct intern *intern, uint32_t more);

void intern_sweep(struct intern *intern);

#endif
