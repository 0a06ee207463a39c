/* SPDX-License-Identifier: Apache-2.0 */
/*
 * icmp: echoes, on net/icmp.h and net/resolve.h. A call lies on the stack of
 * the task that waits for it and owns the echo, and the name on its way to an
 * address. Callbacks send what was found and wake the task; series and sweeps
 * have files of their own.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/icmp_call.h"
#include "bind/icmp_series.h"
#include "bind/icmp_sweep.h"
#include "bind/scope.h"
#include "core/mem.h"
#include "vm/state.h"
#include "vm/task.h"

#define CALL "icmp.call"

int luaopen_icmp(lua_State *L);

/* On the stack of the function that waits: host, options, and this. */
enum { CALL_AT = 3 };

struct call {
	struct op op;
	struct icmp *icmp;	    /* NULL: over */
	struct icmp_lookup *lookup; /* NULL: the host is a number */
	struct loop *loop;
	const char *host;
	bool named;  /* the host is a name */
	double ends; /* loop_now() seconds; of a name only */
	struct icmp_echo echo;
	struct icmp_shape shape;
};

static void end_call(struct call *call)
{
	if (!call->icmp)
		return;
	icmp_forget(call->icmp, &call->echo);
	if (call->lookup)
		icmp_lookup_cancel(call->lookup);
	free(call->lookup);
	call->lookup = NULL;
	call->icmp = NULL;
}

static void on_cancel(struct op *op)
{
	end_call((struct call *)(void *)op);
}

static void on_echo_done(struct icmp_echo *echo)
{
	task_wake(&((struct call *)(void *)((char *)echo -
					    offsetof(struct call, echo)))
			   ->op);
}

/* What is wrong with the lookup stands in its failure, also when it was fine
 * and the echo cannot be sent. */
static void on_lookup_done(struct icmp_lookup *lookup)
{
	struct call *call = lookup->arg;

	call->echo.to = lookup->address;
	call->echo.timeout = fmax(call->ends - loop_now(call->loop), 0);
	if (!lookup->ok || !icmp_call_send(call->icmp, &call->echo, call->host,
					   &lookup->failure))
		task_wake(&call->op);
}

static void look_up(struct call *call, const struct icmp_target *target,
		    int family, double timeout)
{
	call->ends = loop_now(call->loop) + timeout;
	call->lookup = mem_alloc(sizeof *call->lookup);
	call->lookup->done = on_lookup_done;
	call->lookup->arg = call;
	icmp_lookup_start(call->lookup, call->loop, target, family, timeout);
}

/* ---- icmp.echo ---- */

/* Of an IPv4 address there is one spelling, and the script has it. */
static void push_address(lua_State *L, const struct call *call)
{
	const union address *from = &call->echo.from;
	char text[ADDRESS_TEXT_MAX];

	if (!call->named && from->any.sa_family == AF_INET &&
	    address_same_host(from, &call->echo.to)) {
		lua_pushvalue(L, 1);
		return;
	}
	address_host_text(&from->any, text);
	lua_pushstring(L, text);
}

static int push_reply(lua_State *L, const struct call *call)
{
	const struct icmp_echo *echo = &call->echo;

	lua_createtable(L, 0, 4);
	lua_pushnumber(L, echo->rtt);
	lua_setfield(L, -2, "rtt");
	lua_pushinteger(L, echo->ttl);
	lua_setfield(L, -2, "ttl");
	push_address(L, call);
	lua_setfield(L, -2, "address");
	lua_pushinteger(L, echo->size);
	lua_setfield(L, -2, "size");
	return 1;
}

static void trace(lua_State *L, const struct call *call)
{
	trace_line(scope_trace(L), "ping %s: %u bytes, ttl %u, %.3f ms",
		   call->host, call->echo.size, call->echo.ttl,
		   call->echo.rtt * 1e3);
}

static int k_echo(lua_State *L, int status, lua_KContext ctx)
{
	struct call *call = lua_touserdata(L, CALL_AT);
	struct icmp_failure failure = { 0 };

	(void)status;
	(void)ctx;
	if (call->lookup && call->lookup->failure.reason)
		failure = call->lookup->failure;
	else
		icmp_call_judge(&call->echo, call->host, &failure);
	end_call(call);
	if (failure.reason)
		return push_icmp_failure(L, &failure);
	trace(L, call);
	return push_reply(L, call);
}

static struct call *push_call(lua_State *L, const struct icmp_target *target,
			      const struct icmp_options *options)
{
	struct icmp *icmp;
	struct call *call = push_icmp_operation(L, sizeof *call, CALL, &icmp);

	call->op.cancel = on_cancel;
	call->icmp = icmp;
	call->loop = vm_loop(vm_of(L));
	call->host = target->host;
	call->named = target->resolver;
	call->shape = options->shape;
	call->echo.to = target->to;
	call->echo.shape = &call->shape;
	call->echo.done = on_echo_done;
	return call;
}

/* icmp.echo(host [, options]) -> reply | nil, message, reason */
static int l_echo(lua_State *L)
{
	static const char *const known[] = { ICMP_OPTIONS, NULL };
	struct icmp_options options;
	struct icmp_target target;
	struct icmp_failure failure;
	struct call *call;
	double timeout;

	task_check(L);
	check_icmp_target(L, 1, &target);
	check_icmp_options(L, 2, known, &options);
	lua_settop(L, CALL_AT - 1);
	if (!icmp_target_fits(&target, options.family, &failure))
		return push_icmp_failure(L, &failure);
	call = push_call(L, &target, &options);
	timeout = within_deadline(L, options.timeout);
	call->echo.timeout = timeout;
	if (target.resolver)
		look_up(call, &target, options.family, timeout);
	else if (!icmp_call_send(call->icmp, &call->echo, target.host,
				 &failure))
		return push_icmp_failure(L, &failure);
	return task_await(L, &call->op, 0, k_echo);
}

static int l_call_gc(lua_State *L)
{
	end_call(luaL_checkudata(L, 1, CALL));
	return 0;
}

/* ---- the module ---- */

static const luaL_Reg functions[] = {
	{ "echo", l_echo },
	{ "series", l_icmp_series },
	{ "sweep", l_icmp_sweep },
	{ NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg call_metas[] = {
	{ "__gc", l_call_gc },
	{ NULL, NULL },
};

int luaopen_icmp(lua_State *L)
{
	bind_class(L, CALL, no_methods, call_metas);
	icmp_series_open(L);
	icmp_sweep_open(L);
	luaL_newlib(L, functions);
	return 1;
}
