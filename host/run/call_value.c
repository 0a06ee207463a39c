/* SPDX-License-Identifier: Apache-2.0 */
#include "run/call_value.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/nearest.h"

#define PLAIN "text/plain; charset=utf-8"
#define JSON "application/json"

enum { STATUS_MIN = 200, STATUS_MAX = 599, HEADERS_MAX = 64 };

/* ---- the request ---- */

static void push_lower(lua_State *L, const char *s)
{
	luaL_Buffer lower;

	luaL_buffinit(L, &lower);
	for (; *s; s++)
		luaL_addchar(&lower, (char)tolower((unsigned char)*s));
	luaL_pushresult(&lower);
}

/* Names in lower case; those that come again are joined by ", ". */
static void push_headers(lua_State *L, const struct pairs *headers)
{
	const char *name, *value = NULL;

	lua_newtable(L);
	while (pairs_next(headers, &name, &value)) {
		push_lower(L, name);
		lua_pushvalue(L, -1); /* headers name name */
		if (lua_rawget(L, -3) == LUA_TNIL)
			lua_pushstring(L, value);
		else
			lua_pushfstring(L, "%s, %s", lua_tostring(L, -1),
					value);
		lua_remove(L, -2);
		lua_rawset(L, -3);
	}
}

void push_call_request(lua_State *L, const struct call *call)
{
	luaL_checkstack(L, 8, "request");
	lua_createtable(L, 0, 7);
	lua_pushstring(L, call->method);
	lua_setfield(L, -2, "method");
	lua_pushstring(L, call->path);
	lua_setfield(L, -2, "path");
	lua_pushstring(L, call->peer);
	lua_setfield(L, -2, "peer");
	push_pairs(L, &call->params);
	lua_setfield(L, -2, "params");
	push_pairs(L, &call->query);
	lua_setfield(L, -2, "query");
	push_headers(L, &call->headers);
	lua_setfield(L, -2, "headers");
	lua_pushlstring(L, call->body, call->body_len);
	lua_setfield(L, -2, "body");
}

/* ---- the answer ---- */

static const char *const answer_keys[] = { "status", "headers", "body", "json",
					   NULL };

/* Of the connection, and so the server's alone. */
static const char *const hop_headers[] = {
	"Connection", "Content-Length",	   "Date",    "Keep-Alive",
	"Trailer",    "Transfer-Encoding", "Upgrade", NULL,
};

/* A sentence about what the route gave. */
static int wrong(lua_State *L, const struct call *call, const char *sentence)
{
	return luaL_error(L, "%s: the route '%s' %s", call->route->place,
			  call->route->key, sentence);
}

static bool is_token(const char *s, size_t len)
{
	if (len == 0 || strlen(s) != len)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) &&
		    !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

/* libmicrohttpd takes no tabs. */
static bool is_field_value(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

static bool is_hop_header(const char *name)
{
	for (int i = 0; hop_headers[i]; i++)
		if (strcasecmp(hop_headers[i], name) == 0)
			return true;
	return false;
}

/* The value of header NAME is on top of the stack. */
static void add_header(lua_State *L, struct call *call, const char *name)
{
	const char *value;
	size_t len;

	if (!lua_isstring(L, -1))
		wrong(L, call,
		      lua_pushfstring(L,
				      "gives the header '%s' as a %s; "
				      "expected a string or a list of them",
				      name, luaL_typename(L, -1)));
	lua_pushvalue(L, -1); /* a number would change in the script's table */
	value = lua_tolstring(L, -1, &len);
	if (!is_field_value(value, len))
		wrong(L, call,
		      lua_pushfstring(L,
				      "gives the header '%s' a value with "
				      "control characters",
				      name));
	/* Nor does it take empty values, which say nothing. */
	if (len > 0 && (!pairs_add(&call->answer_headers, name, value) ||
			pairs_count(&call->answer_headers) > HEADERS_MAX))
		wrong(L, call,
		      lua_pushfstring(L,
				      "gives more than %d headers or %d bytes "
				      "of them",
				      HEADERS_MAX, CALL_HEADERS_MAX));
	lua_pop(L, 1);
}

static const char *check_header_name(lua_State *L, const struct call *call)
{
	const char *name;
	size_t len;

	if (lua_type(L, -2) != LUA_TSTRING)
		wrong(L, call, "gives a header whose name is no string");
	name = lua_tolstring(L, -2, &len);
	if (!is_token(name, len))
		wrong(L, call,
		      "gives a header whose name is not one (letters, digits "
		      "and -)");
	if (is_hop_header(name))
		wrong(L, call,
		      lua_pushfstring(L,
				      "gives the header '%s', which is the "
				      "server's",
				      name));
	return name;
}

static void add_headers(lua_State *L, struct call *call, int table)
{
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *name = check_header_name(L, call);

		if (lua_istable(L, -1)) {
			lua_Integer n = (lua_Integer)lua_rawlen(L, -1);

			for (lua_Integer i = 1; i <= n; i++) {
				lua_rawgeti(L, -1, i);
				add_header(L, call, name);
				lua_pop(L, 1);
			}
		} else {
			add_header(L, call, name);
		}
		lua_pop(L, 1);
	}
}

static bool has_header(const struct call *call, const char *wanted)
{
	const char *name, *value = NULL;

	while (pairs_next(&call->answer_headers, &name, &value))
		if (strcasecmp(name, wanted) == 0)
			return true;
	return false;
}

/* The body is on top of the stack. */
static void set_body(lua_State *L, struct call *call, const char *type)
{
	size_t len;
	const char *body = lua_tolstring(L, -1, &len);

	if (len > CALL_BODY_MAX)
		wrong(L, call,
		      lua_pushfstring(L, "gives a body of more than %d bytes",
				      CALL_BODY_MAX));
	if (len > 0 && !has_header(call, "Content-Type"))
		pairs_add(&call->answer_headers, "Content-Type", type);
	free(call->answer_body);
	call->answer_body = mem_copy(body, len);
	call->answer_len = len;
}

/* The value on top of the stack is replaced by its JSON. */
static void encode(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "json");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "encode");
	lua_replace(L, -2);
	lua_insert(L, -2);
	lua_call(L, 1, 1);
}

static void check_keys(lua_State *L, const struct call *call, int table)
{
	lua_pushnil(L);
	while (lua_next(L, table)) {
		const char *key = luaL_tolstring(L, -2, NULL), *near;
		bool known = false;

		for (int i = 0; answer_keys[i]; i++)
			known |= lua_type(L, -3) == LUA_TSTRING &&
				 strcmp(answer_keys[i], key) == 0;
		near = nearest(key, answer_keys);
		if (!known)
			wrong(L, call,
			      lua_pushfstring(
				      L,
				      "returned a table with the unknown key "
				      "'%s'%s%s%s",
				      key, near ? "; did you mean '" : "",
				      near ? near : "", near ? "'?" : ""));
		lua_pop(L, 2);
	}
}

static void check_status(lua_State *L, struct call *call, int table)
{
	int is_integer = 1;
	lua_Integer status = STATUS_MIN;

	if (lua_getfield(L, table, "status") != LUA_TNIL)
		status = lua_tointegerx(L, -1, &is_integer);
	if (!is_integer || status < STATUS_MIN || status > STATUS_MAX)
		wrong(L, call, "gives a status that is none, 200 to 599");
	call->status = (unsigned)status;
	lua_pop(L, 1);
}

static void check_headers(lua_State *L, struct call *call, int table)
{
	int type = lua_getfield(L, table, "headers");

	if (type == LUA_TTABLE)
		add_headers(L, call, lua_gettop(L));
	else if (type != LUA_TNIL)
		wrong(L, call,
		      lua_pushfstring(L, "gives 'headers' as a %s, not a table",
				      luaL_typename(L, -1)));
	lua_pop(L, 1);
}

static void check_body(lua_State *L, struct call *call, int table)
{
	int json = lua_getfield(L, table, "json");
	int body = lua_getfield(L, table, "body"); /* json body */

	if (json != LUA_TNIL && body != LUA_TNIL)
		wrong(L, call, "gives both 'json' and 'body'");
	if (json != LUA_TNIL) {
		lua_pop(L, 1);
		encode(L);
		set_body(L, call, JSON);
	} else if (body == LUA_TNIL) {
		lua_pushliteral(L, "");
		set_body(L, call, PLAIN);
	} else if (body == LUA_TSTRING) {
		set_body(L, call, PLAIN);
	} else {
		wrong(L, call,
		      lua_pushfstring(L, "gives 'body' as a %s, not a string",
				      luaL_typename(L, -1)));
	}
}

void check_call_answer(lua_State *L, struct call *call)
{
	int answer = lua_gettop(L) - 1;

	luaL_checkstack(L, 12, "answer");
	if (lua_isnil(L, answer) && lua_type(L, -1) == LUA_TSTRING)
		luaL_error(L, "%s: %s", call->route->place,
			   lua_tostring(L, -1));
	lua_settop(L, answer);
	call->status = STATUS_MIN;
	if (lua_type(L, answer) == LUA_TSTRING) {
		set_body(L, call, PLAIN);
		return;
	}
	if (!lua_istable(L, answer))
		wrong(L, call,
		      lua_pushfstring(L,
				      "returned %s; expected a string, or a "
				      "table with status, headers and body or "
				      "json",
				      lua_isnil(L, answer)
					      ? "nothing"
					      : luaL_typename(L, answer)));
	check_keys(L, call, answer);
	check_status(L, call, answer);
	check_headers(L, call, answer);
	check_body(L, call, answer);
	lua_settop(L, answer);
}
