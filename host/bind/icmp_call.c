/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/icmp_call.h"

#include <stddef.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/bind.h"
#include "bind/resolver.h"
#include "bind/scope.h"
#include "vm/state.h"

#define SOCKETS "icmp.sockets"

/* ---- the sockets of a state ---- */

struct sockets {
	struct icmp *icmp;
};

static int l_sockets_gc(lua_State *L)
{
	struct sockets *sockets = luaL_checkudata(L, 1, SOCKETS);

	icmp_free(sockets->icmp);
	sockets->icmp = NULL;
	return 0;
}

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg sockets_metas[] = {
	{ "__gc", l_sockets_gc },
	{ NULL, NULL },
};

static const char key;

static struct sockets *push_sockets(lua_State *L)
{
	struct sockets *sockets;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TNIL)
		return lua_touserdata(L, -1);
	lua_pop(L, 1);
	bind_class(L, SOCKETS, no_methods, sockets_metas);
	sockets = push_object(L, sizeof *sockets, SOCKETS, 0);
	sockets->icmp = icmp_new(vm_loop(vm_of(L)), vm_allow(vm_of(L)));
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
	return sockets;
}

/* The operation is younger than the sockets, so that it is finalized before
 * them when both go at once. */
void *push_icmp_operation(lua_State *L, size_t size, const char *class,
			  struct icmp **icmp)
{
	struct sockets *sockets = push_sockets(L);
	void *operation = push_object(L, size, class, 1);

	lua_insert(L, -2);
	lua_setiuservalue(L, -2, 1);
	*icmp = sockets->icmp;
	return operation;
}

void icmp_release(lua_State *L)
{
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

/* ---- arguments ---- */

void check_icmp_target(lua_State *L, int index, struct icmp_target *target)
{
	size_t len;

	if (lua_type(L, index) != LUA_TSTRING)
		luaL_error(L, "host: expected a name or an address, got %s",
			   luaL_typename(L, index));
	target->host = lua_tolstring(L, index, &len);
	target->resolver = NULL;
	if (strlen(target->host) != len)
		luaL_error(L, "host: contains a NUL");
	if (address_number(&target->to, target->host))
		return;
	target->to.any.sa_family = AF_UNSPEC;
	target->resolver = resolver_of(L);
}

static void read_source(lua_State *L, int arg, struct icmp_options *options)
{
	union address *source = &options->shape.source;
	struct str text = opt_str(L, arg, "source");

	if (!text.data)
		return;
	if (strlen(text.data) != text.len || !address_number(source, text.data))
		luaL_error(L, "option 'source': expected an address of this "
			      "host, such as \"192.0.2.1\"");
	if (options->family == AF_UNSPEC)
		options->family = source->any.sa_family;
	if (options->family != source->any.sa_family)
		luaL_error(L, "option 'source': not of the family %d",
			   options->family == AF_INET ? 4 : 6);
}

void check_icmp_options(lua_State *L, int arg, const char *const *known,
			struct icmp_options *options)
{
	struct icmp_shape *shape = &options->shape;

	memset(options, 0, sizeof *options);
	shape->size = ICMP_SIZE_DEFAULT;
	options->timeout = ICMP_TIMEOUT;
	if (lua_isnoneornil(L, arg))
		return;
	check_options(L, arg, known);
	options->timeout = opt_seconds(L, arg, "timeout", ICMP_TIMEOUT);
	options->family = opt_family(L, arg);
	shape->size = (unsigned)opt_integer(L, arg, "size", ICMP_SIZE_DEFAULT,
					    ICMP_SIZE_MIN, ICMP_SIZE_MAX);
	shape->ttl = (unsigned)opt_integer(L, arg, "ttl", 0, 1, UINT8_MAX);
	shape->dont_fragment = opt_boolean(L, arg, "dont_fragment", false);
	read_source(L, arg, options);
}

/* ---- sentences ---- */

static const char *const reasons[] = {
	[ICMP_NO_REASON] = "",
	[ICMP_BY_TIMEOUT] = "timeout",
	[ICMP_BY_UNREACHABLE] = "unreachable",
	[ICMP_BY_TTL] = "ttl",
	[ICMP_BY_TOO_BIG] = "too big",
	[ICMP_BY_NAME] = "name",
	[ICMP_BY_NOT_SENT] = "not sent",
	[ICMP_BY_DENIED] = "denied",
};

static const enum icmp_reason reason_of[] = {
	[ICMP_WAITING] = ICMP_BY_TIMEOUT,
	[ICMP_REPLY] = ICMP_NO_REASON,
	[ICMP_TIMED_OUT] = ICMP_BY_TIMEOUT,
	[ICMP_UNREACHABLE] = ICMP_BY_UNREACHABLE,
	[ICMP_TTL_EXCEEDED] = ICMP_BY_TTL,
	[ICMP_TOO_BIG] = ICMP_BY_TOO_BIG,
	[ICMP_FAILED] = ICMP_BY_NOT_SENT,
};

int push_icmp_failure(lua_State *L, const struct icmp_failure *failure)
{
	trace_line(scope_trace(L), "%s", failure->err.text);
	push_failure(L, &failure->err);
	lua_pushstring(L, reasons[failure->reason]);
	return 3;
}

/* "ping meter.lan (10.0.0.7): WHY", the address where it says more. */
static void tell(struct icmp_failure *failure, enum icmp_reason reason,
		 const union address *to, const char *host,
		 const struct err *why)
{
	char text[ADDRESS_TEXT_MAX];

	address_host_text(&to->any, text);
	failure->reason = reason;
	if (strcmp(text, host) == 0)
		err_set(&failure->err, why->code, "ping %s: %s", host,
			why->text);
	else
		err_set(&failure->err, why->code, "ping %s (%s): %s", host,
			text, why->text);
}

bool icmp_call_send(struct icmp *icmp, struct icmp_echo *echo, const char *host,
		    struct icmp_failure *failure)
{
	struct err err;

	if (!icmp_may_ask(icmp, host, &echo->to, &err)) {
		failure->reason = ICMP_BY_DENIED;
		return err_set(&failure->err, err.code, "ping %s", err.text);
	}
	if (!icmp_open(icmp, echo->to.any.sa_family, &err)) {
		tell(failure,
		     err.code == ERR_DENIED ? ICMP_BY_DENIED : ICMP_BY_NOT_SENT,
		     &echo->to, host, &err);
		return false;
	}
	if (!icmp_send(icmp, echo, &err)) {
		tell(failure, ICMP_BY_NOT_SENT, &echo->to, host, &err);
		return false;
	}
	return true;
}

void icmp_call_judge(const struct icmp_echo *echo, const char *host,
		     struct icmp_failure *failure)
{
	struct err err;

	failure->reason = reason_of[echo->outcome];
	if (failure->reason == ICMP_NO_REASON)
		return;
	icmp_explain(echo, &err);
	tell(failure, failure->reason, &echo->to, host, &err);
}

bool icmp_target_fits(const struct icmp_target *target, int family,
		      struct icmp_failure *failure)
{
	if (target->resolver || family == AF_UNSPEC ||
	    family == target->to.any.sa_family)
		return true;
	failure->reason = ICMP_BY_NAME;
	return err_set(&failure->err, ERR_IO, "ping %s: not an IPv%d address",
		       target->host, family == AF_INET ? 4 : 6);
}

/* ---- names ---- */

/* Nothing of ours looks at LOOKUP after its caller was told. */
static void end_lookup(struct icmp_lookup *lookup)
{
	const struct resolve *resolve = &lookup->resolve;

	icmp_lookup_cancel(lookup);
	lookup->ok = resolve->ok;
	if (resolve->ok) {
		lookup->address = resolve->addresses[0];
	} else {
		lookup->failure.reason = ICMP_BY_NAME;
		err_set(&lookup->failure.err, resolve->err.code, "ping %s",
			resolve->err.text);
	}
	lookup->done(lookup);
}

static void on_resolved(struct resolve *resolve)
{
	end_lookup((struct icmp_lookup *)(void *)((char *)resolve -
						  offsetof(struct icmp_lookup,
							   resolve)));
}

static void on_lookup_timeout(struct timer *timer)
{
	struct icmp_lookup *lookup =
		(struct icmp_lookup *)(void *)((char *)timer -
					       offsetof(struct icmp_lookup,
							timer));

	resolve_expire(lookup->resolver, &lookup->resolve, lookup->seconds);
	end_lookup(lookup);
}

void icmp_lookup_start(struct icmp_lookup *lookup, struct loop *loop,
		       const struct icmp_target *target, int family,
		       double seconds)
{
	lookup->resolver = target->resolver;
	lookup->seconds = seconds;
	lookup->resolve.name = target->host;
	lookup->resolve.family = family;
	lookup->resolve.max_age = -1;
	lookup->resolve.done = on_resolved;
	timer_init(loop, &lookup->timer, on_lookup_timeout);
	timer_start(&lookup->timer, seconds);
	resolve_start(lookup->resolver, &lookup->resolve);
}

void icmp_lookup_cancel(struct icmp_lookup *lookup)
{
	if (!lookup->resolver)
		return;
	resolve_forget(lookup->resolver, &lookup->resolve);
	timer_release(&lookup->timer);
	lookup->resolver = NULL;
}
