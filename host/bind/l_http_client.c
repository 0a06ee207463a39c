/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client: what lua/http stands on, not for scripts. Clients on
 * net/http_client.h, and the trace of the running task. What arguments mean was
 * looked at in Lua already; what they are is looked at here, since a script can
 * require this module, too.
 *
 * An exchange is one transfer that a task waits for. It lies on the stack of
 * that task, and in the client's list for as long as the client does not know
 * its end. The end is copied into memory of ours, because no callback enters
 * Lua; the task makes the answer from it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/scope.h"
#include "core/mem.h"
#include "net/http_client.h"
#include "vm/place.h"
#include "vm/state.h"
#include "vm/task.h"

#define CLIENT "http_client.client"
#define EXCHANGE "http_client.exchange"

int luaopen_http_client(lua_State *L);

/* A response, in one piece: behind the fields lie the URL, and name and value
 * of each header, all with their NUL, and last the body. */
struct copy {
	unsigned status;
	struct http_timings timings;
	double certificate_expiry;
	size_t nheaders;
	size_t body_len;
	char bytes[];
};

struct client {
	struct http_client *http; /* NULL: closed */
	struct exchange *first;
};

struct exchange {
	struct op op;
	struct client *client; /* NULL: over, or the client is closed */
	struct exchange *next, **previous;
	struct http_transfer *transfer; /* NULL: over */
	struct copy *copy;		/* of the response, if there was one */
	struct http_pool *pool;		/* counts its body */
	struct err err;
	bool limited;  /* the ceiling of the body is the script's limit */
	bool body_met; /* and the body was larger */
};

static struct client *check_client(lua_State *L)
{
	struct client *client = luaL_checkudata(L, 1, CLIENT);

	if (!client->http)
		luaL_error(L, "the client is closed");
	return client;
}

/* ---- the end of an exchange ---- */

static void unlink_exchange(struct exchange *exchange)
{
	if (!exchange->client)
		return;
	*exchange->previous = exchange->next;
	if (exchange->next)
		exchange->next->previous = exchange->previous;
	exchange->client = NULL;
}

static void link_exchange(struct exchange *exchange, struct client *client)
{
	exchange->client = client;
	exchange->next = client->first;
	exchange->previous = &client->first;
	if (client->first)
		client->first->previous = &exchange->next;
	client->first = exchange;
}

static void end_exchange(struct exchange *exchange)
{
	if (exchange->transfer)
		http_cancel(exchange->transfer);
	exchange->transfer = NULL;
	unlink_exchange(exchange);
	if (exchange->copy)
		exchange->pool->used -= exchange->copy->body_len;
	free(exchange->copy);
	exchange->copy = NULL;
}

static void on_cancel(struct op *op)
{
	end_exchange((struct exchange *)(void *)op);
}

static size_t copy_size(const struct http_response *response)
{
	size_t size = strlen(response->url) + 1 + response->body.len;

	for (size_t i = 0; i < response->nheaders; i++)
		size += strlen(response->headers[i].name) + 1 +
			strlen(response->headers[i].value) + 1;
	return size;
}

static char *add_text(char *at, const char *text)
{
	size_t size = strlen(text) + 1;

	memcpy(at, text, size);
	return at + size;
}

static struct copy *copy_response(const struct http_response *response)
{
	struct copy *copy = mem_alloc(sizeof *copy + copy_size(response));
	char *at = copy->bytes;

	copy->status = response->status;
	copy->timings = response->timings;
	copy->certificate_expiry = response->certificate_expiry;
	copy->nheaders = response->nheaders;
	copy->body_len = response->body.len;
	at = add_text(at, response->url);
	for (size_t i = 0; i < response->nheaders; i++) {
		at = add_text(at, response->headers[i].name);
		at = add_text(at, response->headers[i].value);
	}
	if (response->body.len > 0)
		memcpy(at, response->body.data, response->body.len);
	return copy;
}

static void on_done(void *arg, const struct http_response *response,
		    const struct err *err)
{
	struct exchange *exchange = arg;

	exchange->transfer = NULL;
	unlink_exchange(exchange);
	if (err) {
		exchange->err = *err;
	} else {
		exchange->copy = copy_response(response);
		exchange->pool->used += exchange->copy->body_len;
	}
	task_wake(&exchange->op);
}

/* ---- answers ---- */

static const char *push_text(lua_State *L, const char *at)
{
	size_t len = strlen(at);

	lua_pushlstring(L, at, len);
	return at + len + 1;
}

/*
 * The header whose name and value are on top, which are popped. A name that
 * comes again gets a list as its value and goes into the list of those, so that
 * no answer costs more than its size. Stack: headers repeated name value
 */
static void set_header(lua_State *L)
{
	lua_pushvalue(L, -2);
	switch (lua_rawget(L, -5)) {
	case LUA_TNIL:
		lua_pop(L, 1);
		lua_rawset(L, -4);
		return;
	case LUA_TSTRING:
		lua_createtable(L, 2, 0); /* ... name value former list */
		lua_insert(L, -2);
		lua_rawseti(L, -2, 1);
		lua_insert(L, -2);
		lua_rawseti(L, -2, 2); /* headers repeated name list */
		lua_pushvalue(L, -2);
		lua_rawseti(L, -4, (lua_Integer)lua_rawlen(L, -4) + 1);
		lua_rawset(L, -4);
		return;
	default:
		lua_insert(L, -2); /* ... name list value */
		lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
		lua_pop(L, 2);
	}
}

static void set_number(lua_State *L, const char *name, double value)
{
	lua_pushnumber(L, value);
	lua_setfield(L, -2, name);
}

static void push_timings(lua_State *L, const struct http_timings *timings)
{
	lua_createtable(L, 0, 5);
	set_number(L, "resolve", timings->resolve);
	set_number(L, "connect", timings->connect);
	set_number(L, "tls", timings->tls);
	set_number(L, "first_byte", timings->first_byte);
	set_number(L, "total", timings->total);
}

/* Pushes two: the answer, and a list of the headers whose value is a list. */
static void push_answer(lua_State *L, const struct copy *copy)
{
	const char *at = copy->bytes;

	lua_createtable(L, 0, 6);
	lua_createtable(L, 0, (int)copy->nheaders);
	lua_newtable(L); /* answer headers repeated */
	at = push_text(L, at);
	lua_setfield(L, -4, "url");
	for (size_t i = 0; i < copy->nheaders; i++) {
		at = push_text(L, at);
		at = push_text(L, at);
		set_header(L);
	}
	lua_insert(L, -3);
	lua_setfield(L, -2, "headers");
	lua_pushlstring(L, at, copy->body_len);
	lua_setfield(L, -2, "body");
	lua_pushinteger(L, copy->status);
	lua_setfield(L, -2, "status");
	push_timings(L, &copy->timings);
	lua_setfield(L, -2, "timings");
	if (copy->certificate_expiry > 0)
		set_number(L, "certificate_expiry", copy->certificate_expiry);
	lua_insert(L, -2);
}

/* ---- clients ---- */

/* http_client.new(cookies, connections) -> client | nil, message */
static int l_new(lua_State *L)
{
	struct http_client_options options = {
		.loop = vm_loop(vm_of(L)),
		.cookies = lua_toboolean(L, 1),
		.host_connections = (unsigned)luaL_checkinteger(L, 2),
		.allow = vm_allow(vm_of(L)),
	};
	struct client *client = push_object(L, sizeof *client, CLIENT, 0);
	struct err err;

	client->http = http_client_new(&options, &err);
	return client->http ? 1 : push_failure(L, &err);
}

/* The arguments of l_send, which stay on the stack while it waits. */
enum {
	SELF = 1,
	METHOD,
	URL,
	HEADERS,
	BODY,
	SECONDS,
	OPTIONS,
	DEFAULTS,
	EXCHANGE_AT
};

static const char *check_text(lua_State *L, struct str str, const char *name)
{
	if (str.data && strlen(str.data) != str.len)
		luaL_error(L, "option '%s' contains a NUL", name);
	return str.data;
}

static const char *opt_text(lua_State *L, const char *key)
{
	struct str str = opt_str(L, OPTIONS, key);

	if (!str.data)
		str = opt_str(L, DEFAULTS, key);
	return check_text(L, str, key);
}

static lua_Integer opt_count(lua_State *L, const char *key, lua_Integer other)
{
	other = opt_integer(L, DEFAULTS, key, other, 0, LUA_MAXINTEGER);
	return opt_integer(L, OPTIONS, key, other, 0, LUA_MAXINTEGER);
}

/* A list of names and values, borrowed from it. The array is left on the
 * stack. */
static void read_headers(lua_State *L, struct http_request *request)
{
	struct http_header *headers;
	size_t n;

	luaL_checktype(L, HEADERS, LUA_TTABLE);
	n = (size_t)lua_rawlen(L, HEADERS) / 2;
	headers = lua_newuserdatauv(L, n * sizeof *headers + 1, 0);
	for (size_t i = 0; i < n; i++) {
		lua_rawgeti(L, HEADERS, (lua_Integer)(2 * i + 1));
		lua_rawgeti(L, HEADERS, (lua_Integer)(2 * i + 2));
		headers[i].name = check_text(L, check_str(L, -2), "headers");
		headers[i].value = check_text(L, check_str(L, -1), "headers");
		lua_pop(L, 2);
	}
	request->headers = headers;
	request->nheaders = n;
}

/* Who brings a user does not want the token of the defaults. */
static void read_login(lua_State *L, struct http_request *request)
{
	bool own = opt_str(L, OPTIONS, "user").data ||
		   opt_str(L, OPTIONS, "password").data;

	request->user = opt_text(L, "user");
	request->password = opt_text(L, "password");
	if (own)
		request->bearer =
			check_text(L, opt_str(L, OPTIONS, "bearer"), "bearer");
	else
		request->bearer = opt_text(L, "bearer");
}

static void read_options(lua_State *L, struct http_request *request)
{
	read_login(L, request);
	request->redirects = (int)opt_count(L, "redirects", HTTP_REDIRECTS);
	request->proxy = opt_text(L, "proxy");
	request->unix_socket = opt_text(L, "unix_socket");
	request->ca_file = opt_text(L, "ca_file");
	request->cert_file = opt_text(L, "cert_file");
	request->key_file = opt_text(L, "key_file");
	request->server_name = opt_text(L, "server_name");
	request->insecure =
		opt_boolean(L, OPTIONS, "insecure",
			    opt_boolean(L, DEFAULTS, "insecure", false));
}

/*
 * The pool of the state: bodies on their way are memory of C, and together may
 * be no larger than what Lua may have. It lies in the registry without a
 * finalizer, so that it is there as long as any client.
 */
static struct http_pool *pool_of(lua_State *L)
{
	static const char key;
	struct http_pool *pool;

	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
		pool = lua_newuserdatauv(L, sizeof *pool, 0);
		*pool = (struct http_pool){ 0 };
		lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
		lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
	}
	pool = lua_touserdata(L, -1);
	lua_pop(L, 1);
	pool->max = vm_limits(vm_of(L))->memory;
	return pool;
}

/* The option asks for less than the limit of the script allows, or in vain. */
static void read_ceiling(lua_State *L, struct http_request *request,
			 struct exchange *exchange)
{
	size_t most = vm_limits(vm_of(L))->body;
	size_t asked = (size_t)opt_count(L, "body_max", 0);

	exchange->limited = !asked || asked > most;
	request->body_max = exchange->limited ? most : asked;
	request->body_met = &exchange->body_met;
	request->pool = exchange->pool = pool_of(L);
}

static void read_request(lua_State *L, struct http_request *request)
{
	request->method = check_text(L, check_str(L, METHOD), "method");
	request->url = check_text(L, check_str(L, URL), "url");
	if (!lua_isnil(L, BODY))
		request->body = check_str(L, BODY);
	request->timeout = check_seconds(L, SECONDS);
	read_options(L, request);
	if (!lua_isnil(L, HEADERS))
		read_headers(L, request);
}

/* The sentence of an answer that was larger than the script may have. */
static void push_over_limit(lua_State *L, const struct err *err)
{
	char place[PLACE_MAX];

	vm_limit_met(vm_of(L), VM_LIMIT_BODY);
	place_find(L, place);
	lua_pushnil(L);
	lua_pushfstring(L, "%s%s" VM_LIMIT_HINT("body"), place, err->text);
}

static int push_end(lua_State *L, const struct exchange *exchange)
{
	const struct err *err = &exchange->err;
	static const char *const codes[] = {
		[ERR_LIMIT] = "limit",	 [ERR_TIMEOUT] = "timeout",
		[ERR_IO] = "io",	 [ERR_USAGE] = "usage",
		[ERR_CLOSED] = "closed", [ERR_DENIED] = "denied"
	};

	if (exchange->limited && exchange->body_met)
		push_over_limit(L, err);
	else
		push_failure(L, err);
	lua_pushstring(L, codes[err->code]);
	return 3;
}

static int k_send(lua_State *L, int status, lua_KContext ctx)
{
	struct exchange *exchange = lua_touserdata(L, EXCHANGE_AT);

	(void)status;
	(void)ctx;
	if (!exchange->copy)
		return push_end(L, exchange);
	push_answer(L, exchange->copy);
	end_exchange(exchange);
	return 2;
}

/*
 * client:send(method, url, headers, body, seconds, options, defaults)
 * -> answer, repeated | nil, message, code
 *
 * `headers` is a list of names and values; any but the first two may be nil, an
 * option that is not in `options` is taken from `defaults`.
 */
static int l_send(lua_State *L)
{
	struct http_request request = { 0 };
	struct client *client = check_client(L);
	struct exchange *exchange;

	task_check(L);
	lua_settop(L, DEFAULTS);
	exchange = push_object(L, sizeof *exchange, EXCHANGE, 0);
	exchange->op.cancel = on_cancel;
	read_request(L, &request);
	read_ceiling(L, &request, exchange);
	exchange->transfer = http_start(client->http, &request, on_done,
					exchange, &exchange->err);
	if (!exchange->transfer)
		return push_end(L, exchange);
	link_exchange(exchange, client);
	return task_await(L, &exchange->op, 0, k_send);
}

/* client:transfers() -> count */
static int l_transfers(lua_State *L)
{
	struct client *client = check_client(L);

	lua_pushinteger(L, (lua_Integer)http_client_transfers(client->http));
	return 1;
}

/* client:clear_cookies() */
static int l_clear_cookies(lua_State *L)
{
	http_client_clear_cookies(check_client(L)->http);
	return 0;
}

/* client:close(), also __gc. Who waits is told. */
static int l_client_close(lua_State *L)
{
	struct client *client = luaL_checkudata(L, 1, CLIENT);
	struct exchange *exchange;

	http_client_free(client->http);
	client->http = NULL;
	while ((exchange = client->first) != NULL) {
		exchange->transfer = NULL;
		unlink_exchange(exchange);
		err_set(&exchange->err, ERR_CLOSED, "the client was closed");
		task_wake(&exchange->op);
	}
	return 0;
}

static int l_exchange_gc(lua_State *L)
{
	end_exchange(luaL_checkudata(L, 1, EXCHANGE));
	return 0;
}

/* ---- the rest ---- */

enum { REDACTED_MAX = 2048 };

/* http_client.redact(url) -> text that may be in a log */
static int l_redact(lua_State *L)
{
	const char *url = luaL_checkstring(L, 1);
	char redacted[REDACTED_MAX];
	struct buf text;
	size_t len;

	buf_init(&text, sizeof redacted);
	http_url_redact(&text, url);
	len = text.len;
	memcpy(redacted, buf_text(&text), len);
	buf_release(&text); /* before what may raise */
	lua_pushlstring(L, redacted, len);
	return 1;
}

/* http_client.check(): raises where the running function cannot wait */
static int l_check(lua_State *L)
{
	task_check(L);
	return 0;
}

/* http_client.in_sandbox() -> boolean: options that lead outside are refused */
static int l_in_sandbox(lua_State *L)
{
	lua_pushboolean(L, in_sandbox(L));
	return 1;
}

/* http_client.is_traced() -> boolean: somebody reads what trace() writes */
static int l_is_traced(lua_State *L)
{
	lua_pushboolean(L, scope_trace(L) != NULL);
	return 1;
}

/* http_client.trace(line) */
static int l_trace(lua_State *L)
{
	trace_line(scope_trace(L), "%s", luaL_checkstring(L, 1));
	return 0;
}

enum { NAMES_MAX = 63 };

/* http_client.nearest(name, names) -> the one that was meant, or nil */
static int l_nearest(lua_State *L)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	lua_Integer n;

	luaL_checktype(L, 2, LUA_TTABLE);
	n = (lua_Integer)lua_rawlen(L, 2);
	luaL_argcheck(L, n <= NAMES_MAX, 2, "too many names");
	luaL_checkstack(L, (int)n, "to compare names");
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 2, i);
		names[i - 1] = luaL_checkstring(L, -1);
	}
	lua_pushstring(L, nearest(luaL_checkstring(L, 1), names));
	return 1;
}

static const luaL_Reg module[] = {
	{ "check", l_check },
	{ "in_sandbox", l_in_sandbox },
	{ "is_traced", l_is_traced },
	{ "nearest", l_nearest },
	{ "new", l_new },
	{ "redact", l_redact },
	{ "trace", l_trace },
	{ NULL, NULL },
};

static const luaL_Reg client_methods[] = {
	{ "send", l_send },
	{ "transfers", l_transfers },
	{ "clear_cookies", l_clear_cookies },
	{ "close", l_client_close },
	{ NULL, NULL },
};

static const luaL_Reg client_metas[] = {
	{ "__gc", l_client_close },
	{ NULL, NULL },
};

static const luaL_Reg no_methods[] = { { NULL, NULL } };

static const luaL_Reg exchange_metas[] = {
	{ "__gc", l_exchange_gc },
	{ NULL, NULL },
};

int luaopen_http_client(lua_State *L)
{
	bind_class(L, CLIENT, client_methods, client_metas);
	bind_class(L, EXCHANGE, no_methods, exchange_metas);
	luaL_newlib(L, module);
	return 1;
}
