/* SPDX-License-Identifier: Apache-2.0 */
#include "run/mistake.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/nearest.h"
#include "run/source.h"

const char *push_place(lua_State *L, const struct declaration *d,
		       const char *parent, const char *key)
{
	int line = source_line(d->source, parent, key);

	if (line)
		return lua_pushfstring(L, "%s:%d: ", d->path, line);
	return lua_pushfstring(L, "%s: ", d->path);
}

void mistake_unknown_key(lua_State *L, const struct declaration *d,
			 const char *parent, const char *key,
			 const char *const *known)
{
	const char *near = nearest(key, known);

	luaL_error(L, "%sunknown key '%s'%s%s%s%s%s%s",
		   push_place(L, d, parent, key), key, parent ? " in '" : "",
		   parent ? parent : "", parent ? "'" : "",
		   near ? "; did you mean '" : "", near ? near : "",
		   near ? "'?" : "");
}

void mistake_type(lua_State *L, const struct declaration *d, const char *parent,
		  const char *key, const char *expected)
{
	const char *type = luaL_typename(L, -1);

	luaL_error(L, "%s'%s%s%s': expected %s, got %s",
		   push_place(L, d, parent, key), parent ? parent : "",
		   parent ? "." : "", key, expected, type);
}

const char *check_declared_key(lua_State *L, const struct declaration *d,
			       const char *parent, const char *const *known)
{
	const char *key;

	if (lua_type(L, -2) != LUA_TSTRING)
		luaL_error(L,
			   "%s: the table%s%s has the key %s; keys are names",
			   d->path, parent ? " " : "", parent ? parent : "",
			   luaL_tolstring(L, -2, NULL));
	key = lua_tostring(L, -2);
	for (int i = 0; known && known[i]; i++)
		if (strcmp(known[i], key) == 0)
			return key;
	if (known)
		mistake_unknown_key(L, d, parent, key, known);
	return key;
}

char *copy_text(lua_State *L, const struct declaration *d, const char *parent,
		const char *key)
{
	size_t len;
	const char *s = lua_tolstring(L, -1, &len);

	if (s && strlen(s) != len)
		mistake_type(L, d, parent, key, "text without a zero byte");
	return mem_string(s);
}

#define FLAG_CHARACTERS                                                        \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

bool flag_name_valid(lua_State *L, int index)
{
	const char *name =
		lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";

	return strspn(name, FLAG_CHARACTERS) == lua_rawlen(L, index) &&
	       isalpha((unsigned char)name[0]);
}
