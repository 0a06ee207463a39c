/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp: connected sockets and servers, on net/udp.h. A socket owns its
 * descriptor; a wait, a userdata on the stack of the task that waits, owns the
 * timer and the datagram that it brings. Socket and wait know each other only
 * while the wait lasts; closing the socket, the end of the wait and a cancelled
 * task all part them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/resolver.h"
#include "net/address.h"
#include "net/udp.h"
#include "vm/state.h"
#include "vm/task.h"

#define SOCKET "udp.socket"
#define SERVER "udp.server"
#define WAIT "udp.wait"

int luaopen_udp(lua_State *L);

/* What a wait gives back besides the data. */
enum kind { RECEIVE, REQUEST, SERVE };

struct wait;

struct socket {
	struct udp *udp; /* NULL: closed */
	struct wait *wait;
};

struct wait {
	struct op op;
	struct socket *socket; /* NULL: over */
	struct timer timer;
	double started;
	double seconds; /* of the timer; 0: none */
	bool timed_out;
	bool failed;
	struct err err;
	struct udp_datagram datagram;
};

/* Where a wait lies on the stack of the function that waits. */
enum { LOOKUP_AT = 3, WAIT_AT = 4 };

static struct socket *check_open(lua_State *L, const char *class)
{
	struct socket *socket = luaL_checkudata(L, 1, class);

	luaL_argcheck(L, socket->udp, 1, "the socket is closed");
	return socket;
}

/* ---- waits
 * ------------------------------------------------------------------- */

static void part(struct wait *wait)
{
	struct socket *socket = wait->socket;

	timer_release(&wait->timer);
	wait->socket = NULL;
	if (!socket)
		return;
	socket->wait = NULL;
	if (socket->udp)
		udp_forget(socket->udp);
}

static void on_wait_cancel(struct op *op)
{
	part((struct wait *)(void *)((char *)op - offsetof(struct wait, op)));
}

static void on_told(void *arg, const struct err *err)
{
	struct wait *wait = arg;

	if (err) {
		wait->failed = true;
		wait->err = *err;
	}
	task_wake(&wait->op);
}

static void on_timeout(struct timer *timer)
{
	struct wait *wait =
		(struct wait *)(void *)((char *)timer -
					offsetof(struct wait, timer));

	wait->timed_out = true;
	udp_collect(wait->socket->udp);
	task_wake(&wait->op);
}

static struct wait *push_wait(lua_State *L, struct socket *socket)
{
	struct wait *wait;

	lua_settop(L, WAIT_AT - 1);
	wait = push_object(L, sizeof *wait, WAIT, 0);
	wait->op.cancel = on_wait_cancel;
	wait->started = loop_now(vm_loop(vm_of(L)));
	wait->socket = socket;
	socket->wait = wait;
	return wait;
}

static void start_timer(lua_State *L, struct wait *wait, double seconds)
{
	seconds = within_deadline(L, seconds);
	if (seconds < 0)
		return;
	wait->seconds = seconds;
	timer_init(vm_loop(vm_of(L)), &wait->timer, on_timeout);
	timer_start(&wait->timer, seconds);
}

static double opt_timeout(lua_State *L, int arg)
{
	return lua_isnoneornil(L, arg) ? -1 : check_seconds(L, arg);
}

/* ---- receiving
 * ----------------------------------------------------------------- */

static int push_datagram(lua_State *L, struct wait *wait, enum kind kind)
{
	struct udp_datagram *datagram = &wait->datagram;
	char peer[ADDRESS_TEXT_MAX];

	lua_pushlstring(L, datagram->data, datagram->len);
	free(datagram->data);
	datagram->data = NULL;
	if (kind == RECEIVE)
		return 1;
	if (kind == REQUEST) {
		lua_pushnumber(L, datagram->time - wait->started);
		return 2;
	}
	address_text((struct sockaddr *)&datagram->from, peer);
	lua_pushstring(L, peer);
	return 2;
}

static int push_timeout(lua_State *L, struct udp *udp, enum kind kind,
			double seconds)
{
	struct err err;

	err_set(&err, ERR_TIMEOUT, "udp %s: no %s within %.3g s",
		udp_label(udp), kind == SERVE ? "datagram" : "answer", seconds);
	push_failure(L, &err);
	lua_pushliteral(L, "timeout");
	return 3;
}

static int k_receive(lua_State *L, int status, lua_KContext kind)
{
	struct wait *wait = lua_touserdata(L, WAIT_AT);
	struct udp *udp = wait->socket ? wait->socket->udp : NULL;

	(void)status;
	if (udp && udp_take(udp, &wait->datagram)) {
		part(wait);
		return push_datagram(L, wait, (enum kind)kind);
	}
	if (wait->failed) {
		part(wait);
		return push_failure(L, &wait->err);
	}
	if (wait->timed_out) {
		part(wait);
		return push_timeout(L, udp, (enum kind)kind, wait->seconds);
	}
	/* Nothing yet, or another task has drained it. */
	wait->op.woken = false;
	udp_wait(udp, on_told, wait);
	return task_await(L, &wait->op, kind, k_receive);
}

static void check_idle(lua_State *L, struct socket *socket)
{
	if (socket->wait)
		luaL_error(L, "another task waits for this socket");
	task_check(L);
}

static int receive(lua_State *L, struct socket *socket, enum kind kind)
{
	double seconds = opt_timeout(L, 2);
	struct wait *wait;

	check_idle(L, socket);
	wait = push_wait(L, socket);
	if (!udp_pending(socket->udp))
		start_timer(L, wait, seconds);
	return k_receive(L, LUA_OK, kind);
}

/* socket:receive([timeout]) -> data | nil, message [, "timeout"] */
static int l_socket_receive(lua_State *L)
{
	return receive(L, check_open(L, SOCKET), RECEIVE);
}

/* server:receive([timeout]) -> data, peer | nil, message [, "timeout"] */
static int l_server_receive(lua_State *L)
{
	return receive(L, check_open(L, SERVER), SERVE);
}

/* socket:request(data [, timeout]) -> data, seconds | nil, message [,
 * "timeout"] */
static int l_socket_request(lua_State *L)
{
	struct socket *socket = check_open(L, SOCKET);
	struct str data = check_str(L, 2);
	double seconds = opt_timeout(L, 3);
	struct wait *wait;

	check_idle(L, socket);
	wait = push_wait(L, socket);
	udp_drain(socket->udp);
	wait->started = loop_now(vm_loop(vm_of(L)));
	if (!udp_send(socket->udp, data.data, data.len, &wait->err)) {
		part(wait);
		return push_failure(L, &wait->err);
	}
	start_timer(L, wait, seconds);
	return k_receive(L, LUA_OK, REQUEST);
}

/* ---- sending
 * ------------------------------------------------------------------- */

static int push_sent(lua_State *L, bool sent, const struct err *err)
{
	if (!sent)
		return push_failure(L, err);
	lua_pushboolean(L, 1);
	return 1;
}

/* socket:send(data) -> true | nil, message */
static int l_socket_send(lua_State *L)
{
	struct socket *socket = check_open(L, SOCKET);
	struct str data = check_str(L, 2);
	struct err err;
	bool sent = udp_send(socket->udp, data.data, data.len, &err);

	return push_sent(L, sent, &err);
}

/* nil, "udp " and what the sandbox says of a peer or a port */
static int push_denied(lua_State *L, const struct err *why)
{
	struct err err;

	err_set(&err, why->code, "udp %s", why->text);
	return push_failure(L, &err);
}

/* server:send(data, peer) -> true | nil, message */
static int l_server_send(lua_State *L)
{
	struct socket *socket = check_open(L, SERVER);
	struct str data = check_str(L, 2);
	struct sockaddr_storage peer;
	struct err err;
	bool sent;

	luaL_argcheck(L, address_parse(&peer, luaL_checkstring(L, 3)), 3,
		      "expected a peer, such as \"192.0.2.1:5000\"");
	if (!allow_check(vm_allow(vm_of(L)), NULL, (struct sockaddr *)&peer,
			 address_port((struct sockaddr *)&peer), &err))
		return push_denied(L, &err);
	sent = udp_send_to(socket->udp, (struct sockaddr *)&peer, data.data,
			   data.len, &err);
	return push_sent(L, sent, &err);
}

/* ---- the rest of a socket
 * --------------------------------------------------------- */

static struct socket *check_either(lua_State *L)
{
	struct socket *socket = luaL_testudata(L, 1, SERVER);

	if (!socket)
		return check_open(L, SOCKET);
	luaL_argcheck(L, socket->udp, 1, "the socket is closed");
	return socket;
}

/* socket:drain() -> count */
static int l_drain(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)udp_drain(check_either(L)->udp));
	return 1;
}

/* socket:address() -> "host:port" */
static int l_address(lua_State *L)
{
	lua_pushstring(L, udp_name(check_either(L)->udp));
	return 1;
}

/* socket:peer() -> "host:port" */
static int l_socket_peer(lua_State *L)
{
	lua_pushstring(L, udp_peer(check_open(L, SOCKET)->udp));
	return 1;
}

/* server:port() -> integer */
static int l_port(lua_State *L)
{
	lua_pushinteger(L, udp_port(check_either(L)->udp));
	return 1;
}

/* socket:dropped() -> count */
static int l_dropped(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)udp_dropped(check_either(L)->udp));
	return 1;
}

/* Also for sockets that are closed already. Who waits is told. */
static int close_socket(struct socket *socket)
{
	struct wait *wait = socket->wait;

	if (wait && socket->udp) {
		wait->failed = true;
		err_set(&wait->err, ERR_CLOSED, "udp %s: closed",
			udp_label(socket->udp));
		part(wait);
		task_wake(&wait->op);
	}
	udp_free(socket->udp);
	socket->udp = NULL;
	return 0;
}

/* socket:close() */
static int l_socket_close(lua_State *L)
{
	return close_socket(luaL_checkudata(L, 1, SOCKET));
}

static int l_server_close(lua_State *L)
{
	return close_socket(luaL_checkudata(L, 1, SERVER));
}

static int l_tostring(lua_State *L)
{
	struct socket *socket = lua_touserdata(L, 1);

	luaL_getmetafield(L, 1, "__name");
	lua_pushfstring(L, "%s (%s)", lua_tostring(L, -1),
			socket->udp ? udp_label(socket->udp) : "closed");
	return 1;
}

static int l_wait_gc(lua_State *L)
{
	struct wait *wait = luaL_checkudata(L, 1, WAIT);

	part(wait);
	free(wait->datagram.data);
	wait->datagram.data = NULL;
	return 0;
}

/* ---- the module
 * ------------------------------------------------------------------- */

/* Keeps those of the addresses that the script may talk to; false and ERR when
 * there are none. */
static bool keep_allowed(lua_State *L, struct resolve *resolve, unsigned port,
			 struct err *err)
{
	const struct allow *allow = vm_allow(vm_of(L));
	size_t kept = 0;

	for (size_t i = 0; i < resolve->n; i++)
		if (allow_check(allow, resolve->name,
				&resolve->addresses[i].any, port, err))
			resolve->addresses[kept++] = resolve->addresses[i];
	resolve->n = kept;
	return kept > 0;
}

/* The socket on top, if it was opened and the script may have one more. */
static int push_opened(lua_State *L, struct socket *socket, struct err *err)
{
	if (!socket->udp)
		return push_failure(L, err);
	if (allow_descriptor(vm_allow(vm_of(L)), udp_descriptor(socket->udp),
			     err))
		return 1;
	udp_free(socket->udp);
	socket->udp = NULL;
	return push_denied(L, err);
}

static int k_connect(lua_State *L, int status, lua_KContext port)
{
	struct lookup *lookup = lua_touserdata(L, LOOKUP_AT);
	struct resolve *resolve = &lookup->resolve;
	struct socket *socket;
	struct err err;

	(void)status;
	if (!resolve->ok)
		return push_failure(L, &resolve->err);
	if (!keep_allowed(L, resolve, (unsigned)port, &err))
		return push_denied(L, &err);
	socket = push_object(L, sizeof *socket, SOCKET, 0);
	socket->udp = udp_connect(vm_loop(vm_of(L)), resolve->name,
				  resolve->addresses, resolve->n,
				  (unsigned)port, &err);
	return push_opened(L, socket, &err);
}

/* udp.connect(host, port) -> socket | nil, message */
static int l_udp_connect(lua_State *L)
{
	unsigned port = check_port(L, 2);
	struct lookup *lookup;

	lua_settop(L, LOOKUP_AT - 1);
	lookup = push_lookup(L, 1, AF_UNSPEC, -1, -1);
	return task_await(L, &lookup->op, (lua_KContext)port, k_connect);
}

/*
 * What a task opens that has no deadline, as `start` is, passes to the next
 * version. What is opened in a collection, a route or a probe is closed at its
 * end, and receives until then whatever becomes of the version.
 */
static struct ports *ports_for(lua_State *L)
{
	struct task *task = task_current(L);

	return task && task_deadline(task) > 0 ? NULL : vm_ports(vm_of(L));
}

/* udp.listen(host, port) -> server | nil, message */
static int l_udp_listen(lua_State *L)
{
	const char *host = luaL_checkstring(L, 1);
	lua_Integer port = luaL_checkinteger(L, 2);
	struct socket *socket;
	struct err err;

	luaL_argcheck(L, port >= 0 && port <= 65535, 2,
		      "expected a port, 0 to 65535");
	if (!allow_listen(vm_allow(vm_of(L)), (unsigned)port, &err))
		return push_denied(L, &err);
	socket = push_object(L, sizeof *socket, SERVER, 0);
	socket->udp = udp_listen(vm_loop(vm_of(L)), ports_for(L), host,
				 (unsigned)port, &err);
	return push_opened(L, socket, &err);
}

static const luaL_Reg module[] = {
	{ "connect", l_udp_connect },
	{ "listen", l_udp_listen },
	{ NULL, NULL },
};

static const luaL_Reg socket_methods[] = {
	{ "send", l_socket_send },
	{ "receive", l_socket_receive },
	{ "request", l_socket_request },
	{ "drain", l_drain },
	{ "address", l_address },
	{ "peer", l_socket_peer },
	{ "dropped", l_dropped },
	{ "close", l_socket_close },
	{ NULL, NULL },
};

static const luaL_Reg socket_metas[] = {
	{ "__gc", l_socket_close },
	{ "__close", l_socket_close },
	{ "__tostring", l_tostring },
	{ NULL, NULL },
};

static const luaL_Reg server_methods[] = {
	{ "send", l_server_send },   { "receive", l_server_receive },
	{ "drain", l_drain },	     { "address", l_address },
	{ "port", l_port },	     { "dropped", l_dropped },
	{ "close", l_server_close }, { NULL, NULL },
};

static const luaL_Reg server_metas[] = {
	{ "__gc", l_server_close },
	{ "__close", l_server_close },
	{ "__tostring", l_tostring },
	{ NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg wait_metas[] = {
	{ "__gc", l_wait_gc },
	{ NULL, NULL },
};

int luaopen_udp(lua_State *L)
{
	bind_class(L, SOCKET, socket_methods, socket_metas);
	bind_class(L, SERVER, server_methods, server_metas);
	bind_class(L, WAIT, no_methods, wait_metas);
	luaL_newlib(L, module);
	return 1;
}
