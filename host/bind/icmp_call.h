/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the functions of the module icmp share: the sockets of the state, the
 * options of an echo, a name on its way to an address, sentences and reasons.
 */
#ifndef BIND_ICMP_CALL_H
#define BIND_ICMP_CALL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/icmp.h"
#include "net/loop.h"
#include "net/resolve.h"

#define ICMP_TIMEOUT 3.0

/* What a script gets behind the message, when an echo has no answer. */
enum icmp_reason {
	ICMP_NO_REASON,
	ICMP_BY_TIMEOUT,
	ICMP_BY_UNREACHABLE,
	ICMP_BY_TTL,
	ICMP_BY_TOO_BIG,
	ICMP_BY_NAME,
	ICMP_BY_NOT_SENT,
	ICMP_BY_DENIED,
};

struct icmp_failure {
	enum icmp_reason reason; /* ICMP_NO_REASON: there is none */
	struct err err;
};

struct icmp_options {
	struct icmp_shape shape;
	double timeout; /* seconds */
	int family;	/* AF_UNSPEC: any */
};

#define ICMP_OPTIONS                                                           \
	"timeout", "size", "ttl", "dont_fragment", "source", "family"

/*
 * A zeroed operation of SIZE with the metatable CLASS, and in ICMP the sockets
 * of L's state, which live as long as it. They are made when first asked for.
 * May raise (memory).
 */
void *push_icmp_operation(lua_State *L, size_t size, const char *class,
			  struct icmp **icmp);

/* The state does not keep its sockets for the next operation. */
void icmp_release(lua_State *L);

/* Who is asked. */
struct icmp_target {
	const char *host;	   /* as the script says it; on its stack */
	union address to;	   /* family AF_UNSPEC: HOST is a name */
	struct resolver *resolver; /* of a name */
};

void check_icmp_target(lua_State *L, int index, struct icmp_target *target);

/* Those of ICMP_OPTIONS in the table at ARG; what else may be there is in
 * KNOWN, which has them, too. */
void check_icmp_options(lua_State *L, int arg, const char *const *known,
			struct icmp_options *options);

/* nil, message, reason; and a line in the trace. Returns 3. */
int push_icmp_failure(lua_State *L, const struct icmp_failure *failure);

/* ---- never raise ---- */

/*
 * Sends ECHO, whose address and timeout are known, if the sockets allow it.
 * False and FAILURE where they do not: `done` will not be called.
 */
bool icmp_call_send(struct icmp *icmp, struct icmp_echo *echo, const char *host,
		    struct icmp_failure *failure);

/* Of an echo to HOST that is done: its sentence and reason, or none. */
void icmp_call_judge(const struct icmp_echo *echo, const char *host,
		     struct icmp_failure *failure);

/* False and FAILURE when HOST is a number of another family than FAMILY. */
bool icmp_target_fits(const struct icmp_target *target, int family,
		      struct icmp_failure *failure);

/*
 * A name that becomes an address within a time. The caller zeroes it; its
 * memory and the name stay until `done`, which is called once unless it is
 * cancelled, or icmp_lookup_cancel(), which may be called at any time.
 */
struct icmp_lookup {
	/* the caller's */
	void (*done)(struct icmp_lookup *lookup);
	void *arg;

	bool ok;
	union address address; /* the one that is preferred */
	struct icmp_failure failure;

	/* private */
	struct resolver *resolver;
	struct resolve resolve;
	struct timer timer;
	double seconds;
};

/* TARGET is a name, and is not kept. */
void icmp_lookup_start(struct icmp_lookup *lookup, struct loop *loop,
		       const struct icmp_target *target, int family,
		       double seconds);
void icmp_lookup_cancel(struct icmp_lookup *lookup);

#endif
