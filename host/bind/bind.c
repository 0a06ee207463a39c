/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/bind.h"

#include <math.h>
#include <string.h>

#include "core/number.h"
#include "vm/state.h"
#include "vm/task.h"

enum { PORT_MAX = 65535 };

void bind_class(lua_State *L, const char *name, const luaL_Reg *methods,
		const luaL_Reg *metas)
{
	if (!luaL_newmetatable(L, name)) { /* also sets __name */
		lua_pop(L, 1);
		return;
	}
	luaL_setfuncs(L, metas, 0);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

void push_strict(lua_State *L, int values)
{
	values = lua_absindex(L, values);
	lua_newtable(L); /* missing assigned strict */
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, values);
	lua_setfield(L, -2, "__index");
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__newindex");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_createtable(L, 0, 1); /* missing assigned strict meta */
	lua_pushvalue(L, -4);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, values);
	lua_replace(L, -3); /* strict assigned */
	lua_pop(L, 1);
}

void *push_object(lua_State *L, size_t size, const char *name, int uservalues)
{
	void *object = lua_newuserdatauv(L, size, uservalues);

	memset(object, 0, size);
	luaL_setmetatable(L, name);
	return object;
}

const char *push_number(lua_State *L, double number)
{
	char text[NUMBER_MAX];

	return lua_pushlstring(L, text, number_format(text, number));
}

void push_strings(lua_State *L, char *const *strings)
{
	lua_newtable(L);
	for (lua_Integer i = 0; strings[i]; i++) {
		lua_pushstring(L, strings[i]);
		lua_rawseti(L, -2, i + 1);
	}
}

int push_failure(lua_State *L, const struct err *err)
{
	lua_pushnil(L);
	lua_pushstring(L, err->text);
	return 2;
}

struct str check_str(lua_State *L, int arg)
{
	struct str str;

	luaL_checktype(L, arg, LUA_TSTRING);
	str.data = lua_tolstring(L, arg, &str.len);
	return str;
}

bool in_sandbox(lua_State *L)
{
	return vm_allow(vm_of(L)) != NULL;
}

unsigned check_port(lua_State *L, int arg)
{
	int is_integer;
	lua_Integer port = lua_tointegerx(L, arg, &is_integer);

	luaL_argcheck(L, is_integer && port > 0 && port <= PORT_MAX, arg,
		      "expected a port, 1 to 65535");
	return (unsigned)port;
}

static bool is_seconds(lua_Number n)
{
	return isfinite(n) && n >= 0;
}

double check_seconds(lua_State *L, int arg)
{
	lua_Number n = luaL_checknumber(L, arg);

	luaL_argcheck(L, is_seconds(n), arg,
		      "expected seconds, finite and not negative");
	return n;
}

double within_deadline(lua_State *L, double seconds)
{
	double deadline = task_deadline(task_current(L));
	double left = deadline - loop_now(vm_loop(vm_of(L)));
	double margin = left * 0.02 < 0.1 ? left * 0.02 : 0.1;

	if (deadline == 0 || (seconds >= 0 && seconds < left - margin))
		return seconds;
	return left > margin ? left - margin : 0;
}

/* ---- option tables ------------------------------------------------------ */

static bool is_known(const char *key, const char *const *known)
{
	while (*known && strcmp(*known, key) != 0)
		known++;
	return *known;
}

static int unknown_option(lua_State *L, const char *key,
			  const char *const *known)
{
	const char *near = nearest(key, known);

	if (near)
		return luaL_error(L, "unknown option '%s'; did you mean '%s'?",
				  key, near);
	return luaL_error(L, "unknown option '%s'", key);
}

void check_options(lua_State *L, int arg, const char *const *known)
{
	if (lua_isnoneornil(L, arg))
		return;
	luaL_checktype(L, arg, LUA_TTABLE);
	luaL_checkstack(L, 4, "to read options");
	for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			luaL_error(L, "options have names, got a %s as key",
				   luaL_typename(L, -2));
		if (!is_known(lua_tostring(L, -2), known))
			unknown_option(L, lua_tostring(L, -2), known);
	}
}

/* The option on top of the stack; false, and nothing there, when absent. The
 * table itself has it: what a metamethod gives, nobody would keep alive. */
static bool get_option(lua_State *L, int arg, const char *key)
{
	if (lua_isnoneornil(L, arg))
		return false;
	luaL_checktype(L, arg, LUA_TTABLE);
	lua_pushstring(L, key);
	if (lua_rawget(L, arg) != LUA_TNIL)
		return true;
	lua_pop(L, 1);
	return false;
}

static int wrong_option(lua_State *L, const char *key, const char *expected)
{
	return luaL_error(L, "option '%s': expected %s, got %s", key, expected,
			  luaL_typename(L, -1));
}

double opt_seconds(lua_State *L, int arg, const char *key, double fallback)
{
	double seconds;

	if (!get_option(L, arg, key))
		return fallback;
	if (lua_type(L, -1) != LUA_TNUMBER)
		wrong_option(L, key, "seconds");
	seconds = lua_tonumber(L, -1);
	if (!is_seconds(seconds))
		luaL_error(L,
			   "option '%s': expected seconds, finite and not "
			   "negative",
			   key);
	lua_pop(L, 1);
	return seconds;
}

bool opt_boolean(lua_State *L, int arg, const char *key, bool fallback)
{
	bool value;

	if (!get_option(L, arg, key))
		return fallback;
	if (!lua_isboolean(L, -1))
		wrong_option(L, key, "a boolean");
	value = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return value;
}

lua_Integer opt_integer(lua_State *L, int arg, const char *key,
			lua_Integer fallback, lua_Integer min, lua_Integer max)
{
	lua_Integer value;
	int is_integer;

	if (!get_option(L, arg, key))
		return fallback;
	if (lua_type(L, -1) != LUA_TNUMBER)
		wrong_option(L, key, "an integer");
	value = lua_tointegerx(L, -1, &is_integer);
	if (!is_integer || value < min || value > max)
		luaL_error(L, "option '%s': expected an integer, %I to %I", key,
			   (LUAI_UACINT)min, (LUAI_UACINT)max);
	lua_pop(L, 1);
	return value;
}

struct str opt_str(lua_State *L, int arg, const char *key)
{
	struct str str = { NULL, 0 };

	if (!get_option(L, arg, key))
		return str;
	if (lua_type(L, -1) != LUA_TSTRING)
		wrong_option(L, key, "a string");
	str.data = lua_tolstring(L, -1, &str.len);
	lua_pop(L, 1);
	return str;
}
