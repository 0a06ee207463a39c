/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a script in a sandbox may go on the network: the one place that
 * decides. A list is made from texts, and is immutable; any thread.
 *
 *	api.example.com		a name, all ports
 *	api.example.com:443	a name, one port
 *	*.example.com		all names below it
 *	10.0.0.1  10.0.0.0/8	an address, a range; also with a port
 *	[2001:db8::/32]:161	brackets where there is a port
 *	listen:5000		a UDP server on this port
 *
 * An address is asked for by what was said: a number must be listed as an
 * address, a name as a name. A name leads where its zone says, but to this
 * machine itself, its links and the metadata services of clouds only when their
 * address is listed, too (localhost is such a name by definition): so whoever
 * has the zone cannot point the name at what trusts this machine.
 *
 * NULL is no sandbox: everything is allowed.
 */
#ifndef NET_ALLOW_H
#define NET_ALLOW_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/err.h"

struct allow;

enum { ALLOW_ENTRIES_MAX = 1000 };

/* TEXTS ends with NULL; NULL: none, and so nothing is allowed. A text that is
 * none of the above is ERR_USAGE, and the result NULL. */
struct allow *allow_new(const char *const *texts, struct err *err);

/* NULL is allowed. */
void allow_free(struct allow *allow);

/* May NAME be looked up? A number needs no lookup: it may. */
bool allow_name(const struct allow *allow, const char *name, struct err *err);

/*
 * May HOST, which is ADDRESS, be talked to at PORT? A PORT of 0 is for what has
 * none (ICMP), for which entries with a port say nothing. A HOST of NULL is
 * ADDRESS itself. ERR_DENIED: "10.0.0.9:80: not allowed in the sandbox (allow =
 * {...})".
 */
bool allow_check(const struct allow *allow, const char *host,
		 const struct sockaddr *address, unsigned port,
		 struct err *err);

/* The same before the address is known: can there be one that is allowed? */
bool allow_host(const struct allow *allow, const char *host, unsigned port,
		struct err *err);

/* May a UDP server have PORT? */
bool allow_listen(const struct allow *allow, unsigned port, struct err *err);

/*
 * May a script have FD, which was opened for it just now? Those that the
 * process has left are for the host: without them it answers nobody.
 * Descriptors are numbered without gaps, more or less, so FD says how many
 * there are. ERR_LIMIT.
 */
bool allow_descriptor(const struct allow *allow, int fd, struct err *err);

#endif
