/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp_heap.h"

#include <stdlib.h>

#include "core/mem.h"

enum { SIZE_MIN = 64 };

static void put(struct icmp_heap *heap, uint32_t place,
		struct icmp_heap_entry entry)
{
	heap->entries[place] = entry;
	entry.echo->state.place = place;
}

static void move_up(struct icmp_heap *heap, uint32_t place,
		    struct icmp_heap_entry entry)
{
	uint32_t parent;

	for (; place > 1; place = parent) {
		parent = place / 2;
		if (heap->entries[parent].deadline <= entry.deadline)
			break;
		put(heap, place, heap->entries[parent]);
	}
	put(heap, place, entry);
}

static void move_down(struct icmp_heap *heap, uint32_t place,
		      struct icmp_heap_entry entry)
{
	const struct icmp_heap_entry *entries = heap->entries;
	uint32_t child;

	for (; (child = 2 * place) <= heap->n; place = child) {
		if (child < heap->n &&
		    entries[child + 1].deadline < entries[child].deadline)
			child++;
		if (entries[child].deadline >= entry.deadline)
			break;
		put(heap, place, entries[child]);
	}
	put(heap, place, entry);
}

void icmp_heap_add(struct icmp_heap *heap, struct icmp_echo *echo)
{
	struct icmp_heap_entry entry = { echo->state.deadline, echo };

	if (heap->n + 1 >= heap->size) {
		heap->size = heap->size ? 2 * heap->size : SIZE_MIN;
		heap->entries =
			mem_realloc(heap->entries, heap->size * sizeof entry);
	}
	move_up(heap, ++heap->n, entry);
}

void icmp_heap_remove(struct icmp_heap *heap, struct icmp_echo *echo)
{
	uint32_t place = echo->state.place;
	struct icmp_heap_entry last;

	if (!place)
		return;
	echo->state.place = 0;
	last = heap->entries[heap->n--];
	if (last.echo == echo)
		return;
	if (place > 1 && heap->entries[place / 2].deadline > last.deadline)
		move_up(heap, place, last);
	else
		move_down(heap, place, last);
}

struct icmp_echo *icmp_heap_first(const struct icmp_heap *heap)
{
	return heap->n ? heap->entries[1].echo : NULL;
}

void icmp_heap_release(struct icmp_heap *heap)
{
	free(heap->entries);
	*heap = (struct icmp_heap){ 0 };
}
