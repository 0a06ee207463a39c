/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: lines of the host's log from scripts, on core/log.h, which leaves out
 * what is too much. Each carries the exporter's name; fields come in the order
 * of their names, so that two lines of one kind look alike.
 */
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "bind/bind.h"
#include "bind/scope.h"
#include "core/log.h"
#include "vm/state.h"

enum { FIELDS_MAX = 12 };

int luaopen_log(lua_State *L);

struct field {
	const char *key;
	const char *value;
};

static int by_key(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* Reads the table at 2. The texts stay on the stack: two slots per field. */
static int check_fields(lua_State *L, struct field *fields)
{
	int n = 0;

	if (lua_isnoneornil(L, 2))
		return 0;
	luaL_checktype(L, 2, LUA_TTABLE);
	luaL_checkstack(L, 2 * FIELDS_MAX + LUA_MINSTACK, "too many fields");
	lua_pushnil(L);
	while (lua_next(L, 2)) { /* key value */
		luaL_argcheck(L, n < FIELDS_MAX, 2, "at most 12 fields");
		luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 2,
			      "the names of fields are strings");
		fields[n].key = lua_tostring(L, -2);
		fields[n++].value = luaL_tolstring(L, -1, NULL);
		lua_replace(L, -2);   /* key text */
		lua_pushvalue(L, -2); /* key text key: for lua_next */
	}
	qsort(fields, (size_t)n, sizeof *fields, by_key);
	return n;
}

/* Whoever debugs a run reads every level. */
static void write_trace(lua_State *L, enum log_level level, const char *message,
			const struct field *fields, int n)
{
	static const char *const names[] = { [LOG_DEBUG] = "debug",
					     [LOG_INFO] = "info",
					     [LOG_WARN] = "warn",
					     [LOG_ERROR] = "error" };
	struct trace *trace = scope_trace(L);
	struct buf line;

	if (!trace)
		return;
	buf_init(&line, TRACE_LINE_MAX);
	buf_addf(&line, "log %s: %.500s", names[level], message);
	for (int i = 0; i < n; i++)
		buf_addf(&line, " %.100s=%.500s", fields[i].key,
			 fields[i].value);
	trace_line(trace, "%s", buf_text(&line));
	buf_release(&line);
}

static int write_line(lua_State *L, enum log_level level)
{
	const char *message = luaL_checkstring(L, 1);
	struct field f[FIELDS_MAX] = { { NULL, NULL } };
	int n = check_fields(L, f);

	write_trace(L, level, message, f, n);

	while (n < FIELDS_MAX)
		f[n++] = (struct field){ "", NULL }; /* is left out */
	log_from(vm_log(vm_of(L)), level, vm_name(vm_of(L)), message, f[0].key,
		 f[0].value, f[1].key, f[1].value, f[2].key, f[2].value,
		 f[3].key, f[3].value, f[4].key, f[4].value, f[5].key,
		 f[5].value, f[6].key, f[6].value, f[7].key, f[7].value,
		 f[8].key, f[8].value, f[9].key, f[9].value, f[10].key,
		 f[10].value, f[11].key, f[11].value, (char *)0);
	return 0;
}

/* log.debug(message [, fields]) */
static int l_debug(lua_State *L)
{
	return write_line(L, LOG_DEBUG);
}

/* log.info(message [, fields]) */
static int l_info(lua_State *L)
{
	return write_line(L, LOG_INFO);
}

/* log.warn(message [, fields]) */
static int l_warn(lua_State *L)
{
	return write_line(L, LOG_WARN);
}

/* log.error(message [, fields]) */
static int l_error(lua_State *L)
{
	return write_line(L, LOG_ERROR);
}

static const luaL_Reg functions[] = {
	{ "debug", l_debug }, { "error", l_error }, { "info", l_info },
	{ "warn", l_warn },   { NULL, NULL },
};

int luaopen_log(lua_State *L)
{
	luaL_newlib(L, functions);
	return 1;
}
