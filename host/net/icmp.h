/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP and ICMPv6 echoes (RFC 792, RFC 4443) on a loop: one socket per address
 * family, opened when first needed, for any number of echoes in flight. An
 * unprivileged datagram socket where net.ipv4.ping_group_range allows it, else
 * a raw socket with CAP_NET_RAW. One thread: the loop's.
 *
 * An answer is believed when address, identifier, sequence number and a random
 * cookie in the payload are those of an echo; errors of routers, which may
 * quote only the first bytes, when all but the cookie are. To a multicast group
 * and to the any-address (this host) others answer: there the address does not
 * count. Everything else is counted and dropped. Times of arrival are the
 * kernel's, so that a thread that computes meanwhile does not show up as
 * latency.
 */
#ifndef NET_ICMP_H
#define NET_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "net/address.h"
#include "net/allow.h"
#include "net/loop.h"

struct icmp;

enum {
	ICMP_SIZE_DEFAULT = 56, /* bytes of payload, as ping sends */
	ICMP_SIZE_MIN = 16,	/* the cookie and its like */
	ICMP_SIZE_MAX = 65507,
	ICMP_KNOWN_MAX = 65536, /* echoes of a family: the sequence numbers */
	ICMP_CODE_MALFORMED = 255, /* ICMP_UNREACHABLE: "parameter problem" */
};

enum icmp_outcome {
	ICMP_WAITING,
	ICMP_REPLY,
	ICMP_TIMED_OUT,
	ICMP_UNREACHABLE,  /* `from` says so, and `code` why */
	ICMP_TTL_EXCEEDED, /* at `from` */
	/* For `from`, which would take `mtu` bytes (0: it does not say). `from`
	 * is of no family when it was not sent, because the path is known. */
	ICMP_TOO_BIG,
	ICMP_FAILED, /* was not sent; `error` is an errno */
};

/* How echoes look. */
struct icmp_shape {
	unsigned size; /* of the payload */
	unsigned ttl;  /* 0: the system's */
	bool dont_fragment;
	union address source; /* family AF_UNSPEC: the system's choice */
};

/*
 * One echo, embedded by the caller and zeroed by it. It is known to the sockets
 * from icmp_send() to icmp_forget(), also after it is done: so that a second
 * answer, or one that is late, is counted here.
 */
struct icmp_echo {
	/* the caller's */
	union address to;		/* a mapped IPv4 address becomes that */
	const struct icmp_shape *shape; /* outlives the echo; NULL: default */
	double timeout;			/* seconds */
	/* Called once, in the loop's thread, never from inside icmp_send(). */
	void (*done)(struct icmp_echo *echo);

	/* the result */
	enum icmp_outcome outcome;
	double rtt;	    /* seconds; of an error, too */
	union address from; /* who answered */
	unsigned size;	    /* payload of the answer */
	unsigned mtu;
	int error;
	unsigned duplicates;
	uint8_t ttl, code;
	bool late; /* answered after its timeout */

	/* private: icmp.c */
	struct {
		double sent, deadline;
		struct icmp_echo *prev, *next; /* in the list, if any */
		uint32_t slot;		       /* its sequence number + 1 */
		uint32_t place;		       /* among the deadlines, + 1 */
		uint8_t list;
	} state;
};

/* Replies and errors: those that were believed. `late` has also what came for
 * echoes that are forgotten. */
struct icmp_counts {
	uint64_t sent, replies, errors, duplicates, late;
	uint64_t foreign; /* no echo of ours, or not with its cookie */
};

/* ALLOW says who may be asked (NULL: everybody), and outlives it. */
struct icmp *icmp_new(struct loop *loop, const struct allow *allow);

/* May HOST, which is at ADDRESS, be asked? icmp_send() does not look. */
bool icmp_may_ask(const struct icmp *icmp, const char *host,
		  const union address *address, struct err *err);

/* Echoes in flight are forgotten, and not touched. `done` may call it. NULL is
 * allowed. */
void icmp_free(struct icmp *icmp);

/*
 * Opens the socket of FAMILY (AF_INET, AF_INET6), if it is not open. False and
 * ERR, one sentence; with both remedies and ERR_DENIED when neither kind of
 * socket is allowed.
 */
bool icmp_open(struct icmp *icmp, int family, struct err *err);

/*
 * Sends ECHO now, or as soon as the socket's buffer has room; `done` tells how
 * it went, also when the kernel refuses it (no route). Answers that arrive
 * while many are sent are taken in between, so that the socket's buffer does
 * not overflow. False and ERR only where icmp_open() fails, or too many (65 536
 * of a family) are known already.
 */
bool icmp_send(struct icmp *icmp, struct icmp_echo *echo, struct err *err);

/* `done` is not called any more, and the memory is the caller's. Of an echo
 * that was never sent, or is forgotten: does nothing. */
void icmp_forget(struct icmp *icmp, struct icmp_echo *echo);

/*
 * Why an echo that is done has no answer, as it stands behind the target's name
 * in a sentence: "no answer within 3 s", "host unreachable, says 10.0.0.1",
 * "TTL exceeded at 10.0.0.1".
 */
void icmp_explain(const struct icmp_echo *echo, struct err *err);

struct icmp_counts icmp_counts(const struct icmp *icmp);

#endif
