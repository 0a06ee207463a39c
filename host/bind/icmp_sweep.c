/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation for the echoes of thousands of hosts. They are sent in batches,
 * so that answers, and other tasks, come in between; a name that was found
 * waits for its turn like a number. What has an answer or will never have one
 * is settled; the operation is complete when all are.
 *
 * Memory: 24 bytes for a host in the userdata. The echo of one that has
 * answered is the next host's; that of one that has not says why. So there are
 * as many as were in flight at a time, or went unanswered.
 */
#include "bind/icmp_sweep.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/icmp_call.h"
#include "bind/scope.h"
#include "core/mem.h"
#include "vm/state.h"
#include "vm/task.h"

#define SWEEP "icmp.sweep"

enum {
	HOSTS_MAX = 65536,
	BATCH = 256,  /* echoes in a round of the loop */
	LOOKUPS = 64, /* names at a time, found ones included */
	SLOTS = 64,   /* echoes that are allocated at once */
};

/* On the stack of the function that waits: hosts, options, and these. */
enum { NAMES_AT = 3, SWEEP_AT };

enum state {
	WAITING, /* for its turn, or for its address */
	ASKED,	 /* in flight; or it is over, and the echo says why */
	ANSWERED,
	REFUSED, /* it was never sent */
};

struct host {
	const char *name; /* in the table of names */
	union {
		struct slot *slot; /* ASKED */
		double rtt;	   /* ANSWERED */
		char *why;	   /* REFUSED */
	};
	uint8_t state;
	bool named; /* not a number */
};

/* An echo in flight, or one that nobody answered. */
struct slot {
	struct icmp_echo echo;
	struct sweep *sweep;
	struct host *host;
	struct slot *next; /* free ones */
};

struct chunk {
	struct chunk *next;
	struct slot slots[SLOTS];
};

/* A name on its way to an address, and then to its turn. */
struct query {
	struct icmp_lookup lookup;
	struct host *host;
	double started;
	TAILQ_ENTRY(query) next;
};

TAILQ_HEAD(queries, query);

struct sweep {
	struct op op;
	struct icmp *icmp; /* NULL: over */
	struct resolver *resolver;
	struct loop *loop;
	struct icmp_options options;
	double interval;      /* between two echoes; 0: none */
	double started, ends; /* loop_now() seconds */
	struct timer timer;   /* runs while something is to be sent */
	bool ticking;
	struct chunk *chunks;
	struct slot *free;
	struct queries asked, found;
	unsigned nqueries;
	unsigned n;
	unsigned next_number, next_name; /* cursors */
	unsigned turns, settled, denied;
	struct host hosts[];
};

static void tick(struct sweep *sweep);

/* ---- the end ---- */

static void free_query(struct sweep *sweep, struct queries *list,
		       struct query *query)
{
	TAILQ_REMOVE(list, query, next);
	icmp_lookup_cancel(&query->lookup);
	free(query);
	sweep->nqueries--;
}

static void free_queries(struct sweep *sweep, struct queries *list)
{
	struct query *query;

	while ((query = TAILQ_FIRST(list)) != NULL)
		free_query(sweep, list, query);
}

/* Also forgets what was in flight. */
static void free_chunks(struct sweep *sweep)
{
	struct chunk *chunk;

	while ((chunk = sweep->chunks) != NULL) {
		for (unsigned i = 0; i < SLOTS; i++)
			icmp_forget(sweep->icmp, &chunk->slots[i].echo);
		sweep->chunks = chunk->next;
		free(chunk);
	}
	sweep->free = NULL;
}

static void end_sweep(struct sweep *sweep)
{
	if (!sweep->icmp)
		return;
	timer_release(&sweep->timer);
	free_queries(sweep, &sweep->asked);
	free_queries(sweep, &sweep->found);
	free_chunks(sweep);
	for (unsigned i = 0; i < sweep->n; i++)
		if (sweep->hosts[i].state == REFUSED)
			free(sweep->hosts[i].why);
	sweep->icmp = NULL;
}

static void on_cancel(struct op *op)
{
	end_sweep((struct sweep *)(void *)op);
}

static void settle(struct sweep *sweep)
{
	sweep->settled++;
	if (sweep->settled == sweep->n)
		task_wake(&sweep->op);
}

static void refuse(struct sweep *sweep, struct host *host,
		   const struct icmp_failure *failure)
{
	host->state = REFUSED;
	host->why = mem_string(failure->err.text);
	sweep->denied += failure->reason == ICMP_BY_DENIED;
	settle(sweep);
}

/* ---- slots ---- */

static void give_slot(struct sweep *sweep, struct slot *slot)
{
	slot->next = sweep->free;
	sweep->free = slot;
}

static void add_chunk(struct sweep *sweep)
{
	struct chunk *chunk = mem_alloc(sizeof *chunk);

	chunk->next = sweep->chunks;
	sweep->chunks = chunk;
	for (unsigned i = SLOTS; i > 0; i--)
		give_slot(sweep, &chunk->slots[i - 1]);
}

static struct slot *take_slot(struct sweep *sweep)
{
	struct slot *slot;

	if (!sweep->free)
		add_chunk(sweep);
	slot = sweep->free;
	sweep->free = slot->next;
	return slot;
}

/* ---- sending ---- */

static void on_echo_done(struct icmp_echo *echo)
{
	struct slot *slot = (struct slot *)(void *)echo;
	struct sweep *sweep = slot->sweep;

	if (echo->outcome == ICMP_REPLY) {
		slot->host->state = ANSWERED;
		slot->host->rtt = echo->rtt;
		icmp_forget(sweep->icmp, echo);
		give_slot(sweep, slot);
	}
	settle(sweep);
}

/* False and FAILURE when the sockets do not allow it. */
static bool send_from_slot(struct sweep *sweep, struct host *host,
			   const union address *to, double timeout,
			   struct icmp_failure *failure)
{
	struct slot *slot = take_slot(sweep);

	slot->echo = (struct icmp_echo){
		.to = *to,
		.shape = &sweep->options.shape,
		.timeout = timeout,
		.done = on_echo_done,
	};
	slot->sweep = sweep;
	slot->host = host;
	host->state = ASKED;
	host->slot = slot;
	if (icmp_call_send(sweep->icmp, &slot->echo, host->name, failure))
		return true;
	give_slot(sweep, slot);
	return false;
}

static void refuse_late(struct sweep *sweep, struct host *host)
{
	struct icmp_failure failure = { .reason = ICMP_BY_NOT_SENT };

	err_set(&failure.err, ERR_TIMEOUT,
		"ping %s: not sent before the deadline", host->name);
	refuse(sweep, host, &failure);
}

static void send_echo(struct sweep *sweep, struct host *host,
		      const union address *to, double timeout, double now)
{
	struct icmp_failure failure;
	double left = sweep->ends - now;

	sweep->turns++;
	if (left <= 0)
		refuse_late(sweep, host);
	else if (!send_from_slot(sweep, host, to, fmin(timeout, left),
				 &failure))
		refuse(sweep, host, &failure);
}

/* Names come first: their time is running. */
static bool send_found(struct sweep *sweep, double now)
{
	struct query *query = TAILQ_FIRST(&sweep->found);
	struct host *host;
	union address to;
	double left;

	if (!query)
		return false;
	host = query->host;
	to = query->lookup.address;
	left = sweep->options.timeout - (now - query->started);
	free_query(sweep, &sweep->found, query);
	send_echo(sweep, host, &to, fmax(left, 0), now);
	return true;
}

static bool send_number(struct sweep *sweep, double now)
{
	struct host *host;
	union address to;

	while (sweep->next_number < sweep->n) {
		host = &sweep->hosts[sweep->next_number++];
		if (host->named || host->state != WAITING)
			continue;
		address_number(&to, host->name);
		send_echo(sweep, host, &to, sweep->options.timeout, now);
		return true;
	}
	return false;
}

/* How many hosts have their turn now; all that are left, when it is too late
 * for an echo. */
static unsigned allowed(const struct sweep *sweep, double now)
{
	double due;

	if (now >= sweep->ends)
		return sweep->n;
	if (sweep->interval <= 0)
		return BATCH;
	due = floor((now - sweep->started) / sweep->interval) + 1 -
	      sweep->turns;
	return due < BATCH ? (unsigned)fmax(due, 0) : BATCH;
}

/* ---- names ---- */

static void on_lookup_done(struct icmp_lookup *lookup)
{
	struct query *query = (struct query *)(void *)lookup;
	struct sweep *sweep = lookup->arg;
	struct host *host = query->host;

	if (lookup->ok) {
		TAILQ_REMOVE(&sweep->asked, query, next);
		TAILQ_INSERT_TAIL(&sweep->found, query, next);
	} else {
		refuse(sweep, host, &lookup->failure);
		free_query(sweep, &sweep->asked, query);
	}
	if (!sweep->ticking)
		tick(sweep);
}

static void look_up(struct sweep *sweep, struct host *host)
{
	const struct icmp_target target = { .host = host->name,
					    .resolver = sweep->resolver };
	struct query *query = mem_alloc(sizeof *query);
	double now = loop_now(sweep->loop);

	query->host = host;
	query->started = now;
	query->lookup.done = on_lookup_done;
	query->lookup.arg = sweep;
	TAILQ_INSERT_TAIL(&sweep->asked, query, next);
	sweep->nqueries++;
	icmp_lookup_start(
		&query->lookup, sweep->loop, &target, sweep->options.family,
		fmax(fmin(sweep->options.timeout, sweep->ends - now), 0));
}

static void ask_names(struct sweep *sweep, double now)
{
	struct host *host;

	while (sweep->nqueries < LOOKUPS && sweep->next_name < sweep->n) {
		host = &sweep->hosts[sweep->next_name++];
		if (!host->named)
			continue;
		if (now < sweep->ends)
			look_up(sweep, host);
		else
			refuse_late(sweep, host);
	}
}

/* ---- a round ---- */

static void on_timer(struct timer *timer)
{
	tick((struct sweep *)(void *)((char *)timer -
				      offsetof(struct sweep, timer)));
}

static void tick(struct sweep *sweep)
{
	double now = loop_now(sweep->loop);
	unsigned n = allowed(sweep, now);

	while (n > 0 && (send_found(sweep, now) || send_number(sweep, now)))
		n--;
	ask_names(sweep, now);
	sweep->ticking =
		sweep->next_number < sweep->n || !TAILQ_EMPTY(&sweep->found);
	if (sweep->ticking)
		timer_start(&sweep->timer,
			    fmin(sweep->interval, fmax(sweep->ends - now, 0)));
}

/* ---- results ---- */

/* Returns the number of answers. */
static unsigned push_rtts(lua_State *L, const struct sweep *sweep)
{
	unsigned answers = 0;

	lua_createtable(L, (int)sweep->n, 0);
	for (unsigned i = 0; i < sweep->n; i++) {
		const struct host *host = &sweep->hosts[i];

		if (host->state == ANSWERED)
			lua_pushnumber(L, host->rtt);
		else
			lua_pushboolean(L, 0);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
		answers += host->state == ANSWERED;
	}
	return answers;
}

static void push_failures(lua_State *L, const struct sweep *sweep)
{
	struct icmp_failure failure;

	lua_newtable(L);
	for (unsigned i = 0; i < sweep->n; i++) {
		const struct host *host = &sweep->hosts[i];

		if (host->state == ANSWERED)
			continue;
		if (host->state == ASKED)
			icmp_call_judge(&host->slot->echo, host->name,
					&failure);
		lua_pushstring(L, host->state == REFUSED ? host->why
							 : failure.err.text);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* No echo was allowed at all: the first sentence is about the sockets. */
static int push_denied(lua_State *L, struct sweep *sweep)
{
	struct icmp_failure failure = { .reason = ICMP_BY_DENIED };

	err_set(&failure.err, ERR_IO, "%s", sweep->hosts[0].why);
	end_sweep(sweep);
	return push_icmp_failure(L, &failure);
}

static int k_sweep(lua_State *L, int status, lua_KContext ctx)
{
	struct sweep *sweep = lua_touserdata(L, SWEEP_AT);
	unsigned answers;

	(void)status;
	(void)ctx;
	if (sweep->n > 0 && sweep->denied == sweep->n)
		return push_denied(L, sweep);
	answers = push_rtts(L, sweep);
	push_failures(L, sweep);
	trace_line(scope_trace(L), "ping %u hosts: %u answers within %.3f s",
		   sweep->n, answers, loop_now(sweep->loop) - sweep->started);
	end_sweep(sweep);
	return 2;
}

/* ---- the function ---- */

static int push_too_many(lua_State *L, size_t n)
{
	struct icmp_failure failure = { .reason = ICMP_BY_NOT_SENT };

	err_set(&failure.err, ERR_LIMIT,
		"ping: %zu hosts are too many at a time, at most %d", n,
		HOSTS_MAX);
	return push_icmp_failure(L, &failure);
}

static void read_host(lua_State *L, struct sweep *sweep, unsigned i)
{
	struct host *host = &sweep->hosts[i];
	struct icmp_target target;
	struct icmp_failure failure;

	if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TSTRING)
		luaL_error(L,
			   "hosts[%d]: expected a name or an address, got %s",
			   (int)i + 1, luaL_typename(L, -1));
	check_icmp_target(L, -1, &target);
	host->name = target.host;
	host->named = target.resolver;
	if (target.resolver)
		sweep->resolver = target.resolver;
	if (!icmp_target_fits(&target, sweep->options.family, &failure))
		refuse(sweep, host, &failure);
	lua_rawseti(L, NAMES_AT, (lua_Integer)i + 1);
}

/* Names that are kept while they are looked up must not depend on a table that
 * another task may change. */
static struct sweep *push_operation(lua_State *L, unsigned n)
{
	size_t size = sizeof(struct sweep) + n * sizeof(struct host);
	struct icmp *icmp;
	struct sweep *sweep;

	lua_createtable(L, (int)n, 0);
	sweep = push_icmp_operation(L, size, SWEEP, &icmp);
	sweep->icmp = icmp;
	sweep->op.cancel = on_cancel;
	sweep->loop = vm_loop(vm_of(L));
	sweep->n = n;
	TAILQ_INIT(&sweep->asked);
	TAILQ_INIT(&sweep->found);
	return sweep;
}

static void start(lua_State *L, struct sweep *sweep)
{
	double left = within_deadline(L, -1);

	sweep->started = loop_now(sweep->loop);
	sweep->ends = left < 0 ? HUGE_VAL : sweep->started + left;
	timer_init(sweep->loop, &sweep->timer, on_timer);
	tick(sweep);
	if (sweep->n == 0)
		task_wake(&sweep->op);
}

int l_icmp_sweep(lua_State *L)
{
	static const char *const known[] = { "interval", ICMP_OPTIONS, NULL };
	struct icmp_options options;
	struct sweep *sweep;
	size_t n;
	double interval;

	task_check(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	check_icmp_options(L, 2, known, &options);
	interval = opt_seconds(L, 2, "interval", 0);
	n = lua_rawlen(L, 1);
	if (n > HOSTS_MAX)
		return push_too_many(L, n);
	lua_settop(L, NAMES_AT - 1);
	sweep = push_operation(L, (unsigned)n);
	sweep->options = options;
	sweep->interval = interval;
	for (unsigned i = 0; i < sweep->n; i++)
		read_host(L, sweep, i);
	start(L, sweep);
	return task_await(L, &sweep->op, 0, k_sweep);
}

static int l_gc(lua_State *L)
{
	end_sweep(luaL_checkudata(L, 1, SWEEP));
	return 0;
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg metas[] = {
	{ "__gc", l_gc },
	{ NULL, NULL },
};

void icmp_sweep_open(lua_State *L)
{
	bind_class(L, SWEEP, no_methods, metas);
}
