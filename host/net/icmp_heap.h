/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echoes by deadline. Each knows its place (state.place, 0: not in here), so
 * that one which is answered leaves at once. One thread.
 */
#ifndef NET_ICMP_HEAP_H
#define NET_ICMP_HEAP_H

#include <stdint.h>

#include "net/icmp.h"

struct icmp_heap_entry {
	double deadline;
	struct icmp_echo *echo;
};

/* Of zeroes: empty. */
struct icmp_heap {
	struct icmp_heap_entry *entries; /* from 1 */
	uint32_t n, size;
};

/* By its state.deadline, which must not change while it is in here. */
void icmp_heap_add(struct icmp_heap *heap, struct icmp_echo *echo);

/* Of one that is not in here: does nothing. */
void icmp_heap_remove(struct icmp_heap *heap, struct icmp_echo *echo);

/* The one with the first deadline; NULL when it is empty. */
struct icmp_echo *icmp_heap_first(const struct icmp_heap *heap);

/* The echoes keep their places: the heap must not be used with them again. */
void icmp_heap_release(struct icmp_heap *heap);

#endif
