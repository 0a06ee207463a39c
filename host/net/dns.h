/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to /etc/hosts and to the name servers of /etc/resolv.conf, by
 * c-ares on a loop. A question cannot be taken back alone: dns_renew() ends
 * them all. When the file changes (DHCP, a VPN) the servers are those of the
 * new one. One thread: the loop's.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/address.h"
#include "net/loop.h"

struct dns;

struct dns_options {
	const char *resolv_conf; /* borrowed until dns_free() */
	const char *lookups;	 /* "fb": the file, then name servers */
	unsigned port;		 /* of the servers; 0: 53 */
	double patience;	 /* with the first try, seconds; it doubles */
};

enum {
	DNS_ADDRESSES_MAX = 32, /* of one name; more are left out */
	DNS_TRIES = 4,
};

struct dns_answer {
	enum {
		DNS_FOUND,
		DNS_UNKNOWN, /* no such name, or none of that family */
		DNS_FAILED,  /* nobody could say */
		DNS_RENEWED, /* the question was ended: ask again */
	} result;
	struct err err; /* of the second and third */
	union address addresses[DNS_ADDRESSES_MAX];
	size_t n;
	double ttl; /* of the zone; < 0: of none, it stood in the file */
};

/* Called exactly once for each question: from the loop, or from inside
 * dns_ask(), dns_renew() or dns_free(). Must not call any of these. */
typedef void (*dns_done)(void *arg, const struct dns_answer *answer);

/* NULL and ERR when c-ares or descriptors are missing. */
struct dns *dns_new(struct loop *loop, const struct dns_options *options,
		    struct err *err);
void dns_free(struct dns *dns);

/* NAME is borrowed until DONE. */
void dns_ask(struct dns *dns, const char *name, int family, dns_done done,
	     void *arg);

/* When resolv.conf is another one than it was: dns_renew(), and true. */
bool dns_refresh(struct dns *dns);

/* Ends all questions with DNS_RENEWED and reads the configuration anew. */
void dns_renew(struct dns *dns);

/* Looks at what has arrived without waiting for the loop to do it. */
void dns_work(struct dns *dns);

/* "the name server 10.0.0.53", "the name servers 10.0.0.53 and 10.0.0.54". */
const char *dns_servers(const struct dns *dns);

#endif
