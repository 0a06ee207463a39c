/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pairs.h"

#include <string.h>

void pairs_init(struct pairs *pairs, size_t max)
{
	buf_init(&pairs->text, max);
}

void pairs_release(struct pairs *pairs)
{
	buf_release(&pairs->text);
}

bool pairs_add(struct pairs *pairs, const char *name, const char *value)
{
	size_t n = strlen(name) + 1, m = strlen(value) + 1;

	return buf_reserve(&pairs->text, n + m) &&
	       buf_add(&pairs->text, name, n) &&
	       buf_add(&pairs->text, value, m);
}

bool pairs_next(const struct pairs *pairs, const char **name,
		const char **value)
{
	const char *start = buf_text(&pairs->text);

	*name = *value ? *value + strlen(*value) + 1 : start;
	if (*name == start + pairs->text.len)
		return false;
	*value = *name + strlen(*name) + 1;
	return true;
}

size_t pairs_count(const struct pairs *pairs)
{
	const char *name, *value = NULL;
	size_t n = 0;

	while (pairs_next(pairs, &name, &value))
		n++;
	return n;
}

void push_pairs(lua_State *L, const struct pairs *pairs)
{
	const char *name, *value = NULL;

	lua_newtable(L);
	while (pairs_next(pairs, &name, &value)) {
		if (lua_getfield(L, -1, name) == LUA_TNIL) {
			lua_pushstring(L, value);
			lua_setfield(L, -3, name);
		}
		lua_pop(L, 1);
	}
}
