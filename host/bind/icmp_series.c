/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation sends the echoes of a series, an interval apart, and ends when
 * each is answered or lost. All of them stay known to the sockets until then,
 * so that a second answer, or one that is late, is counted where it belongs.
 */
#include "bind/icmp_series.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/icmp_call.h"
#include "bind/scope.h"
#include "core/mem.h"
#include "vm/state.h"
#include "vm/task.h"

#define SERIES "icmp.series"

enum { COUNT_DEFAULT = 5, COUNT_MAX = 10000 };

#define INTERVAL_DEFAULT 1.0

/* On the stack of the function that waits: host, options, and this. */
enum { SERIES_AT = 3 };

struct series {
	struct op op;
	struct icmp *icmp; /* NULL: over */
	struct loop *loop;
	const char *host;
	struct icmp_lookup *lookup; /* NULL: HOST is a number */
	struct icmp_shape shape;
	union address to;
	double timeout, interval;
	double ends; /* nothing waits longer, loop_now() seconds */
	double due;  /* of the next echo */
	struct timer timer;
	struct icmp_failure failure; /* the last one */
	unsigned count;		     /* so many are to be sent */
	unsigned sent, settled;
	struct icmp_echo echoes[];
};

struct statistics {
	unsigned received, duplicates, late;
	double min, mean, max, stddev, jitter;
	uint8_t ttl; /* of the last answer */
};

/* ---- the operation ---- */

static void end_series(struct series *series)
{
	if (!series->icmp)
		return;
	for (unsigned i = 0; i < series->sent; i++)
		icmp_forget(series->icmp, &series->echoes[i]);
	timer_release(&series->timer);
	if (series->lookup)
		icmp_lookup_cancel(series->lookup);
	free(series->lookup);
	series->lookup = NULL;
	series->icmp = NULL;
}

static void on_cancel(struct op *op)
{
	end_series((struct series *)(void *)op);
}

static void settle(struct series *series)
{
	if (series->settled == series->count)
		task_wake(&series->op);
}

/* The shape of an echo lies in its series. */
static void on_echo_done(struct icmp_echo *echo)
{
	struct series *series =
		(struct series *)(void *)((char *)(uintptr_t)echo->shape -
					  offsetof(struct series, shape));

	if (echo->outcome != ICMP_REPLY)
		icmp_call_judge(echo, series->host, &series->failure);
	series->settled++;
	settle(series);
}

static bool send_echo(struct series *series, double now)
{
	struct icmp_echo *echo = &series->echoes[series->sent];

	echo->to = series->to;
	echo->shape = &series->shape;
	echo->timeout = fmin(series->timeout, fmax(series->ends - now, 0));
	echo->done = on_echo_done;
	if (!icmp_call_send(series->icmp, echo, series->host, &series->failure))
		return false;
	series->sent++;
	return true;
}

/* An interval after the last time, which need not have been kept exactly; but
 * who is late by more than half of it does not catch up. */
static double next_due(const struct series *series, double now)
{
	double due = series->due + series->interval;

	return due - now > series->interval / 2 ? due : now + series->interval;
}

/* The last is sent so that an answer has the time that it has between two:
 * shortly before the deadline there is none. */
static void send_next(struct series *series)
{
	double now = loop_now(series->loop);
	double least = fmin(series->interval, series->timeout);

	if (!send_echo(series, now))
		series->count = series->sent;
	series->due = next_due(series, now);
	if (series->due + least > series->ends)
		series->count = series->sent;
	if (series->sent < series->count)
		timer_start(&series->timer, series->due - now);
	settle(series);
}

static void on_timer(struct timer *timer)
{
	send_next((struct series *)(void *)((char *)timer -
					    offsetof(struct series, timer)));
}

static void begin(struct series *series, const union address *to)
{
	series->to = *to;
	series->due = loop_now(series->loop);
	send_next(series);
}

static void on_lookup_done(struct icmp_lookup *lookup)
{
	struct series *series = lookup->arg;

	if (lookup->ok) {
		begin(series, &lookup->address);
		return;
	}
	series->failure = lookup->failure;
	series->count = 0;
	settle(series);
}

/* ---- statistics ---- */

static void add_spread(struct series *series, struct statistics *s)
{
	double squares = 0, steps = 0, previous = -1;

	for (unsigned i = 0; i < series->sent; i++) {
		double rtt = series->echoes[i].rtt;

		if (series->echoes[i].outcome != ICMP_REPLY)
			continue;
		squares += (rtt - s->mean) * (rtt - s->mean);
		if (previous >= 0)
			steps += fabs(rtt - previous);
		previous = rtt;
	}
	s->stddev = sqrt(squares / s->received);
	s->jitter = s->received > 1 ? steps / (s->received - 1) : 0;
}

static void summarize(struct series *series, struct statistics *s)
{
	double sum = 0;

	*s = (struct statistics){ .min = HUGE_VAL };
	for (unsigned i = 0; i < series->sent; i++) {
		const struct icmp_echo *echo = &series->echoes[i];

		s->duplicates += echo->duplicates;
		s->late += echo->late;
		if (echo->outcome != ICMP_REPLY)
			continue;
		s->received++;
		s->ttl = echo->ttl;
		s->min = fmin(s->min, echo->rtt);
		s->max = fmax(s->max, echo->rtt);
		sum += echo->rtt;
	}
	if (s->received == 0)
		return;
	s->mean = sum / s->received;
	add_spread(series, s);
}

/* ---- results ---- */

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value)
{
	lua_pushnumber(L, value);
	lua_setfield(L, -2, name);
}

static void push_rtts(lua_State *L, const struct series *series)
{
	lua_createtable(L, (int)series->sent, 0);
	for (unsigned i = 0; i < series->sent; i++) {
		if (series->echoes[i].outcome == ICMP_REPLY)
			lua_pushnumber(L, series->echoes[i].rtt);
		else
			lua_pushboolean(L, 0);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void set_answers(lua_State *L, const struct statistics *s)
{
	set_number(L, "min", s->min);
	set_number(L, "mean", s->mean);
	set_number(L, "max", s->max);
	set_number(L, "stddev", s->stddev);
	set_number(L, "jitter", s->jitter);
	set_integer(L, "ttl", s->ttl);
}

static void push_series(lua_State *L, const struct series *series,
			const struct statistics *s)
{
	char address[ADDRESS_TEXT_MAX];

	address_host_text(&series->to.any, address);
	lua_createtable(L, 0, 16);
	set_integer(L, "sent", series->sent);
	set_integer(L, "received", s->received);
	set_number(L, "loss",
		   (double)(series->sent - s->received) / series->sent);
	set_integer(L, "duplicates", s->duplicates);
	set_integer(L, "late", s->late);
	lua_pushstring(L, address);
	lua_setfield(L, -2, "address");
	push_rtts(L, series);
	lua_setfield(L, -2, "rtts");
	if (s->received > 0)
		set_answers(L, s);
	if (series->failure.reason == ICMP_NO_REASON)
		return;
	push_icmp_failure(L, &series->failure); /* series nil message reason */
	lua_setfield(L, -4, "reason");
	lua_setfield(L, -3, "error");
	lua_pop(L, 1);
}

static void trace(lua_State *L, const struct series *series,
		  const struct statistics *s)
{
	trace_line(scope_trace(L),
		   "ping %s: %u sent, %u received, mean %.3f ms%s%s",
		   series->host, series->sent, s->received, s->mean * 1e3,
		   series->failure.reason ? "; " : "",
		   series->failure.reason ? series->failure.err.text : "");
}

static int k_series(lua_State *L, int status, lua_KContext ctx)
{
	struct series *series = lua_touserdata(L, SERIES_AT);
	struct statistics statistics;

	(void)status;
	(void)ctx;
	if (series->sent == 0) {
		end_series(series);
		return push_icmp_failure(L, &series->failure);
	}
	summarize(series, &statistics);
	trace(L, series, &statistics);
	push_series(L, series, &statistics);
	end_series(series);
	return 1;
}

/* ---- the function ---- */

static struct series *push_operation(lua_State *L, unsigned count)
{
	size_t size = sizeof(struct series) + count * sizeof(struct icmp_echo);
	struct icmp *icmp;
	struct series *series = push_icmp_operation(L, size, SERIES, &icmp);
	double left = within_deadline(L, -1);

	series->icmp = icmp;
	series->op.cancel = on_cancel;
	series->loop = vm_loop(vm_of(L));
	series->ends = left < 0 ? HUGE_VAL : loop_now(series->loop) + left;
	series->count = count;
	return series;
}

static void look_up(struct series *series, const struct icmp_target *target,
		    const struct icmp_options *options)
{
	double left = series->ends - loop_now(series->loop);

	series->lookup = mem_alloc(sizeof *series->lookup);
	series->lookup->done = on_lookup_done;
	series->lookup->arg = series;
	icmp_lookup_start(series->lookup, series->loop, target, options->family,
			  fmin(options->timeout, left));
}

static void start(struct series *series, const struct icmp_target *target,
		  const struct icmp_options *options)
{
	series->host = target->host;
	series->shape = options->shape;
	series->timeout = options->timeout;
	timer_init(series->loop, &series->timer, on_timer);
	if (target->resolver)
		look_up(series, target, options);
	else
		begin(series, &target->to);
}

int l_icmp_series(lua_State *L)
{
	static const char *const known[] = { "count", "interval", ICMP_OPTIONS,
					     NULL };
	struct icmp_options options;
	struct icmp_target target;
	struct icmp_failure failure;
	struct series *series;
	double interval;

	task_check(L);
	check_icmp_target(L, 1, &target);
	check_icmp_options(L, 2, known, &options);
	interval = opt_seconds(L, 2, "interval", INTERVAL_DEFAULT);
	lua_settop(L, SERIES_AT - 1);
	if (!icmp_target_fits(&target, options.family, &failure))
		return push_icmp_failure(L, &failure);
	series = push_operation(L, (unsigned)opt_integer(L, 2, "count",
							 COUNT_DEFAULT, 1,
							 COUNT_MAX));
	series->interval = interval;
	start(series, &target, &options);
	return task_await(L, &series->op, 0, k_series);
}

static int l_gc(lua_State *L)
{
	end_series(luaL_checkudata(L, 1, SERIES));
	return 0;
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg metas[] = {
	{ "__gc", l_gc },
	{ NULL, NULL },
};

void icmp_series_open(lua_State *L)
{
	bind_class(L, SERIES, no_methods, metas);
}
