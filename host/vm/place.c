/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/place.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vm/embedded.h"

/* Is this the chunk name of a module inside the program, "=http.call.lua"? */
static bool is_embedded(const char *source)
{
	const char *end = strrchr(source, '.');
	size_t len;

	if (source[0] != '=' || !end || strcmp(end, ".lua") != 0)
		return false;
	len = (size_t)(end - ++source);
	for (const struct embedded *f = embedded_files; f->name; f++)
		if (strlen(f->name) == len && memcmp(f->name, source, len) == 0)
			return true;
	return false;
}

void place_find(lua_State *L, char buf[PLACE_MAX])
{
	lua_Debug ar;

	buf[0] = '\0';
	for (int level = 0; L && lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline <= 0 || is_embedded(ar.source))
			continue;
		snprintf(buf, PLACE_MAX, "%s:%d: ", ar.short_src,
			 ar.currentline);
		return;
	}
}
