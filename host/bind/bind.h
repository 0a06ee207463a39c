/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What binding files share: arguments, option tables, classes, results. Knows
 * no module. The prefixes tell the calling convention: l_ and k_ are called by
 * Lua, check_ and opt_ raise a message that names the argument, push_ leaves
 * exactly one value and may raise, everything else never raises.
 */
#ifndef BIND_BIND_H
#define BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/nearest.h"

/*
 * Registers the metatable NAME once per state: METHODS become __index, METAS
 * (with __gc and __close) its metamethods, __name is NAME, __metatable false.
 * Leaves nothing on the stack.
 */
void bind_class(lua_State *L, const char *name, const luaL_Reg *methods,
		const luaL_Reg *metas);

/*
 * Pops two functions, and leaves a table that is empty itself and shows the
 * fields of the table at VALUES: the first function is called for a field that
 * is not there, the second for any assignment; both as metamethods.
 */
void push_strict(lua_State *L, int values);

/* A zeroed userdata of SIZE with the metatable NAME and USERVALUES user values,
 * on the stack before anything is acquired: owner before resource. */
void *push_object(lua_State *L, size_t size, const char *name, int uservalues);

/* NUMBER for a sentence, in as few digits as tell it, whole ones without a dot:
 * "5", "0.1", "NaN". Leaves and returns it. */
const char *push_number(lua_State *L, double number);

/* A list of STRINGS, the last of which is NULL. */
void push_strings(lua_State *L, char *const *strings);

/* nil, message: the world failed. Returns 2, for `return push_failure(...)`. */
int push_failure(lua_State *L, const struct err *err);

/* A string argument as bytes; a number is not accepted. */
struct str check_str(lua_State *L, int arg);

/* The script is not trusted: see vm_options.sandbox. */
bool in_sandbox(lua_State *L);

/* 1 to 65535, also as a numeric string. */
unsigned check_port(lua_State *L, int arg);

/* A finite number of seconds, not negative. */
double check_seconds(lua_State *L, int arg);

/*
 * SECONDS, or less where the running task ends before: its deadline ends it
 * without a word, so a wait ends a little earlier, and the script can say what
 * did not answer. Negative SECONDS have no end of their own; the result is
 * negative when there is no deadline either.
 */
double within_deadline(lua_State *L, double seconds);

/*
 * The option table at ARG (nil and none count as empty). KNOWN is a
 * NULL-terminated list; any other key raises: unknown option 'timout'; did you
 * mean 'timeout'?
 */
void check_options(lua_State *L, int arg, const char *const *known);

/* Fields of the option table at ARG, or the fallback when absent. They raise
 * "option 'timeout': expected seconds, got string". */
double opt_seconds(lua_State *L, int arg, const char *key, double fallback);
bool opt_boolean(lua_State *L, int arg, const char *key, bool fallback);
lua_Integer opt_integer(lua_State *L, int arg, const char *key,
			lua_Integer fallback, lua_Integer min, lua_Integer max);
/* Borrowed from the table: valid while it is. NULL data when absent. */
struct str opt_str(lua_State *L, int arg, const char *key);

#endif
