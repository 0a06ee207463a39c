/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about names: kept answers, each for its time, and the query in
 * flight. The table is bounded in answers: the oldest goes, and what has
 * expired. One thread.
 */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "net/address.h"

/* An entry: a name and a family that is asked for. */
struct name {
	void *query; /* the caller's; while it is set the entry stays */
	union address *addresses; /* NULL: nothing is kept */
	size_t n;
	double told; /* when, loop_now() seconds */
	double expires;
	int family;
	struct name *chain, *older, *newer; /* private */
	uint64_t hash;			    /* private */
	char text[];
};

struct names {
	struct name **slots; /* private, all of it */
	size_t nslots;	     /* a power of two */
	size_t used;
	size_t kept, max; /* answers */
	struct name *oldest, *newest;
};

/* At most MAX answers are kept. */
void names_init(struct names *names, size_t max);
void names_release(struct names *names);

/* Letter case does not matter. NULL: nothing is known about it. */
struct name *names_find(const struct names *names, const char *text,
			int family);

/* One that names_find() has not found. */
struct name *names_add(struct names *names, const char *text, int family);

/* Keeps an answer, in place of what was kept, for TTL seconds from NOW. */
void names_keep(struct names *names, struct name *name,
		const union address *addresses, size_t n, double now,
		double ttl);

/* Forgets what is kept. */
void names_clear(struct names *names);

/* The query of NAME is over. NAME is gone when no answer is kept. */
void names_settle(struct names *names, struct name *name);

#endif
