/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, on a loop: A and AAAA (RFC 1035, RFC 3596), /etc/hosts,
 * answers kept for the time that the zone states. By c-ares, opened when the
 * first name is asked for (numbers need no library): no thread waits for a
 * name, any number of queries is in flight, and each can be taken back. A name
 * that only another source of the system knows (mDNS, say) is asked for by
 * getaddrinfo(). One thread: the loop's.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/address.h"
#include "net/allow.h"
#include "net/loop.h"

struct resolver;

enum {
	RESOLVE_ADDRESSES_MAX = 32, /* of one name; more are left out */
	RESOLVE_CACHE_MAX = 16384,  /* names; the oldest goes */
};

/* An answer is kept as long as the zone says, but within these seconds. */
#define RESOLVE_TTL_MIN 1.0
#define RESOLVE_TTL_MAX 300.0

/* Of a name in /etc/hosts, and of getaddrinfo(). */
#define RESOLVE_TTL_UNSTATED 10.0

/*
 * A question, embedded by the caller and zeroed by it. Questions for the same
 * name at the same time share one query.
 */
struct resolve {
	/* the caller's */
	const char *name; /* until it is done */
	int family;	  /* AF_UNSPEC, AF_INET, AF_INET6 */
	double max_age;	  /* of a kept answer, seconds; < 0: any */
	/* Called once, in the loop's thread, never from inside
	 * resolve_start(). */
	void (*done)(struct resolve *resolve);

	/* the result; ports are 0 */
	bool ok;
	struct err err; /* "meter.lan: no such name" */
	union address addresses[RESOLVE_ADDRESSES_MAX];
	size_t n;   /* in the order of preference (RFC 6724) */
	double ttl; /* seconds for which the answer is still good */

	void *private;
};

/* Only names that ALLOW has are asked for; the others fail at once. It outlives
 * the resolver; NULL: all. */
struct resolver *resolver_new(struct loop *loop, const struct allow *allow);

/* Questions are forgotten. NULL is allowed; not from inside a `done`. */
void resolver_free(struct resolver *resolver);

/* A name that is a number (address_number()) is answered, too. */
void resolve_start(struct resolver *resolver, struct resolve *resolve);

/* `done` is not called any more. Of one that is done, or was not started: does
 * nothing. */
void resolve_forget(struct resolver *resolver, struct resolve *resolve);

/*
 * The caller's time is up, after SECONDS: the same, but the result is there.
 * That is the answer, if it has arrived meanwhile, or a sentence that says who
 * did not answer. Of one that is done: the result stays.
 */
void resolve_expire(struct resolver *resolver, struct resolve *resolve,
		    double seconds);

/* For specs: other files than the system's, another port of the name servers
 * (0: 53), seconds for the first try (0: 0.5). While no question is open; what
 * is kept is forgotten. The texts are borrowed. */
struct resolver_options {
	const char *resolv_conf;
	const char *nsswitch;
	unsigned port;
	double patience;
};

void resolver_configure(struct resolver *resolver,
			const struct resolver_options *options);

#endif
