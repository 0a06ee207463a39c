/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this host gets names from, as /etc/nsswitch.conf has it, and a question
 * to all of it by getaddrinfo(), in libuv's resolver threads: for what c-ares
 * does not know, such as multicast DNS or the names of containers. One thread:
 * the loop's.
 */
#ifndef NET_NSS_H
#define NET_NSS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/address.h"
#include "net/loop.h"

struct nss {
	char lookups[3]; /* for c-ares: 'f' the file, 'b' name servers */
	bool more;	 /* there are sources that c-ares does not ask */
};

/* Of the `hosts:` line of the file at PATH; without one: file, name servers. */
void nss_read(struct nss *nss, const char *path);

struct nss_request;

/* Called once, in the loop's thread, never from inside nss_ask(). Without an
 * answer N is 0. */
typedef void (*nss_done)(void *arg, const union address *addresses, size_t n);

/* At most MAX addresses are told. NULL when NAME cannot be asked for. */
struct nss_request *nss_ask(struct loop *loop, const char *name, int family,
			    size_t max, nss_done done, void *arg);

/* `done` is not called any more. A thread that works on it goes on, and is
 * nobody's: see loop_free(). */
void nss_forget(struct nss_request *request);

#endif
