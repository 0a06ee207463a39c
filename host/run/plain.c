/* SPDX-License-Identifier: Apache-2.0 */
#include "run/plain.h"

#include <assert.h>
#include <string.h>

#include <lauxlib.h>

/* A value is one of these and what follows; a table ends with END. */
enum tag {
	END = '}',
	FALSE = 'f',
	FUNCTION = '!',
	INTEGER = 'i',
	NUMBER = 'n',
	STRING = 's',
	TABLE = '{',
	TRUE = 't',
};

/* ---- writing ---- */

static void add(struct buf *out, enum tag tag, const void *data, size_t len)
{
	buf_addch(out, (char)tag);
	buf_add(out, data, len);
}

static void write_number(lua_State *L, struct buf *out)
{
	lua_Integer integer = lua_tointeger(L, -1);
	lua_Number number = lua_tonumber(L, -1);

	if (lua_isinteger(L, -1))
		add(out, INTEGER, &integer, sizeof integer);
	else
		add(out, NUMBER, &number, sizeof number);
}

static void write_string(lua_State *L, struct buf *out)
{
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);

	add(out, STRING, &len, sizeof len);
	buf_add(out, text, len);
}

static bool is_plain(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TBOOLEAN:
	case LUA_TNUMBER:
	case LUA_TSTRING:
	case LUA_TFUNCTION:
	case LUA_TTABLE: return true;
	default: return false;
	}
}

static bool write_top(lua_State *L, struct buf *out, int depth,
		      struct err *err);

/* Both of a pair, or none. A key is no function and no table. */
static bool write_pair(lua_State *L, struct buf *out, int depth,
		       struct err *err)
{
	int key = lua_type(L, -2);
	bool good;

	if (!is_plain(L, -1) || !is_plain(L, -2) || key == LUA_TFUNCTION ||
	    key == LUA_TTABLE)
		return true;
	lua_pushvalue(L, -2);
	good = write_top(L, out, depth, err);
	lua_pop(L, 1);
	return good && write_top(L, out, depth, err);
}

static bool write_table(lua_State *L, struct buf *out, int depth,
			struct err *err)
{
	if (depth == PLAIN_DEPTH_MAX || !lua_checkstack(L, 4))
		return err_set(err, ERR_LIMIT, "tables inside tables, %d deep",
			       depth);
	buf_addch(out, TABLE);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (!write_pair(L, out, depth + 1, err) || out->full) {
			lua_pop(L, 2);
			break;
		}
		lua_pop(L, 1);
	}
	buf_addch(out, END);
	return !err->code;
}

/* The value on top, which stays. */
static bool write_top(lua_State *L, struct buf *out, int depth, struct err *err)
{
	switch (lua_type(L, -1)) {
	case LUA_TBOOLEAN:
		buf_addch(out, lua_toboolean(L, -1) ? TRUE : FALSE);
		break;
	case LUA_TNUMBER: write_number(L, out); break;
	case LUA_TSTRING: write_string(L, out); break;
	case LUA_TFUNCTION: buf_addch(out, FUNCTION); break;
	case LUA_TTABLE: return write_table(L, out, depth, err);
	}
	return true;
}

bool plain_write(lua_State *L, int index, struct buf *out, struct err *err)
{
	err->code = ERR_NONE;
	if (!lua_checkstack(L, 4))
		return err_set(err, ERR_LIMIT, "no room on the stack");
	lua_pushvalue(L, index);
	write_top(L, out, 0, err);
	lua_pop(L, 1);
	if (!err->code && out->full)
		err_set(err, ERR_LIMIT, "more than %zu bytes", out->max);
	return !err->code;
}

/* ---- reading: these bytes are ours ---- */

struct reader {
	const char *at, *end;
};

static enum tag take_tag(struct reader *r)
{
	return r->at < r->end ? (enum tag) * r->at++ : END;
}

static void take(struct reader *r, void *data, size_t len)
{
	assert(len <= (size_t)(r->end - r->at));
	memcpy(data, r->at, len);
	r->at += len;
}

static int l_function(lua_State *L)
{
	return luaL_error(L, "a function of a script in a sandbox is not here");
}

static void push_number(lua_State *L, struct reader *r, enum tag tag)
{
	lua_Integer integer;
	lua_Number number;

	if (tag == INTEGER) {
		take(r, &integer, sizeof integer);
		lua_pushinteger(L, integer);
	} else {
		take(r, &number, sizeof number);
		lua_pushnumber(L, number);
	}
}

static void push_string(lua_State *L, struct reader *r)
{
	size_t len;

	take(r, &len, sizeof len);
	assert(len <= (size_t)(r->end - r->at));
	lua_pushlstring(L, r->at, len);
	r->at += len;
}

static bool push_value(lua_State *L, struct reader *r);

static void push_table(lua_State *L, struct reader *r)
{
	luaL_checkstack(L, 4, "to copy a table");
	lua_newtable(L);
	while (push_value(L, r)) {
		push_value(L, r);
		lua_rawset(L, -3);
	}
}

/* False at the end of a table, which pushes nothing. */
static bool push_value(lua_State *L, struct reader *r)
{
	enum tag tag = take_tag(r);

	switch (tag) {
	case END: return false;
	case FALSE:
	case TRUE: lua_pushboolean(L, tag == TRUE); break;
	case FUNCTION: lua_pushcfunction(L, l_function); break;
	case INTEGER:
	case NUMBER: push_number(L, r, tag); break;
	case STRING: push_string(L, r); break;
	case TABLE: push_table(L, r); break;
	}
	return true;
}

void push_plain(lua_State *L, struct str bytes)
{
	struct reader r = { bytes.data, bytes.data + bytes.len };

	if (!push_value(L, &r))
		lua_pushnil(L);
}
