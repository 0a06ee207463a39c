/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver of a Lua state (net/resolve.h), which all modules that need
 * names share, and a task's wait for a name.
 */
#ifndef BIND_RESOLVER_H
#define BIND_RESOLVER_H

#include <lua.h>

#include "net/resolve.h"
#include "vm/task.h"

/*
 * Made on first use, kept in the registry, freed with the state: whoever has a
 * question there forgets it when its operation is cancelled, and in its __gc at
 * the latest. May raise.
 */
struct resolver *resolver_of(lua_State *L);

/* Frees it now; the next use makes another. For specs, which look at what is
 * left behind. */
void resolver_drop(lua_State *L);

/* The option `family`: AF_INET for 4, AF_INET6 for 6, AF_UNSPEC when absent. */
int opt_family(lua_State *L, int arg);

/*
 * A question that a task waits for, a userdata:
 *
 *	lookup = push_lookup(L, 1, family, -1, seconds);
 *	return task_await(L, &lookup->op, ctx, k);
 *
 * In k it has ended; `resolve` has the result. Its end is bounded by SECONDS
 * (negative: not), and comes before the deadline of the task, with a sentence
 * that says who did not answer.
 */
struct lookup {
	struct op op;
	struct resolve resolve;
	struct resolver *resolver; /* private */
	struct timer timer;	   /* private */
	double seconds;		   /* private */
};

/* The name is the string at ARG, without NUL; it is kept in the user value. */
struct lookup *push_lookup(lua_State *L, int arg, int family, double max_age,
			   double seconds);

#endif
