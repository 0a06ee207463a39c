/* SPDX-License-Identifier: Apache-2.0 */
#include "core/intern.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { SLOTS_MIN = 16 };

void intern_init(struct intern *intern, uint64_t seed)
{
	*intern = (struct intern){ .seed = seed };
}

void intern_release(struct intern *intern)
{
	for (uint32_t i = 0; i < intern->nslots; i++)
		labels_unref(intern->slots[i]);
	free(intern->slots);
	intern_init(intern, intern->seed);
}

static struct labels **find(struct intern *intern, const struct labels *labels)
{
	struct str text = { labels->text, labels->len };
	uint32_t mask = intern->nslots - 1;
	uint32_t i = (uint32_t)label_hash(intern->seed, &text, 1) & mask;

	for (;; i = (i + 1) & mask) {
		struct labels *there = intern->slots[i];

		if (!there ||
		    (there->len == labels->len &&
		     memcmp(there->text, labels->text, labels->len) == 0))
			return &intern->slots[i];
	}
}

/* Moves the sets into a table of at least WANTED slots; with SWEEP only those
 * that somebody else holds too. */
static void rebuild(struct intern *intern, uint32_t wanted, bool sweep)
{
	struct labels **old = intern->slots;
	uint32_t nold = intern->nslots;

	intern->nslots = SLOTS_MIN;
	while (intern->nslots < wanted)
		intern->nslots *= 2;
	intern->slots = mem_array(intern->nslots, sizeof *intern->slots);
	intern->used = 0;
	for (uint32_t i = 0; i < nold; i++) {
		if (!old[i])
			continue;
		if (sweep && atomic_load_explicit(&old[i]->refs,
						  memory_order_acquire) == 1) {
			intern->bytes -= old[i]->len;
			labels_unref(old[i]);
			continue;
		}
		*find(intern, old[i]) = old[i];
		intern->used++;
	}
	free(old);
}

struct labels *intern_take(struct intern *intern, struct labels *labels)
{
	struct labels **slot;

	if ((intern->used + 1) * 5 > intern->nslots * 4)
		rebuild(intern, intern->nslots * 2, false);
	slot = find(intern, labels);
	if (*slot) {
		labels_unref(labels);
	} else {
		*slot = labels;
		intern->used++;
		intern->bytes += labels->len;
	}
	return labels_ref(*slot);
}

void intern_reserve(struct intern *intern, uint32_t more)
{
	uint64_t wanted = ((uint64_t)intern->used + more + 1) * 5 / 4 + 1;

	if (wanted > intern->nslots && wanted <= UINT32_MAX / 2)
		rebuild(intern, (uint32_t)wanted, false);
}

void intern_sweep(struct intern *intern)
{
	rebuild(intern, intern->nslots, true);
	rebuild(intern, intern->used * 5 / 4 + 1, false);
}
