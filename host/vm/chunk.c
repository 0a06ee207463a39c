/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/chunk.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "net/files.h"
#include "net/seen.h"
#include "vm/state.h"

/* Bytes before the program: a byte order mark and a line for the kernel, whose
 * end stays so that lines keep their numbers. */
static size_t preamble(const char *text)
{
	size_t n = strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	return text[n] == '#' ? n + strcspn(text + n, "\n") : n;
}

static void note(lua_State *L, const char *path, const char *text, size_t len)
{
	struct seen_list *seen = vm_seen_code(vm_of(L));
	struct seen_list more;
	size_t n;

	if (!seen)
		return;
	n = seen->n;
	seen_list_init(&more);
	seen_add_file(&more, path, text, len);
	seen_list_add_all(seen, &more);
	if (seen->n > n)
		vm_tell_seen(vm_of(L), &more);
	seen_list_release(&more);
}

/* What is read belongs to nobody that Lua knows, so nothing may raise until it
 * is free again: luaL_loadbufferx() does not, but for memory in words. */
int chunk_load(lua_State *L, const char *path)
{
	const char *chunk = lua_pushfstring(L, "@%s", path);
	struct err err;
	size_t len, skip;
	char *text;
	int status;

	text = files_read(path, CHUNK_MAX, &len, &err);
	note(L, path, text, len);
	if (!text) {
		lua_pushstring(L, err.text);
		lua_remove(L, -2);
		return LUA_ERRFILE;
	}
	skip = preamble(text);
	status = luaL_loadbufferx(L, text + skip, len - skip, chunk, "t");
	free(text);
	lua_remove(L, -2);
	return status;
}

void chunk_note_missing(lua_State *L, const char *name, const char *templates)
{
	const char *file, *end;

	if (!vm_seen_code(vm_of(L)))
		return;
	name = luaL_gsub(L, name, ".", "/");
	for (const char *p = templates; *p; p = *end ? end + 1 : end) {
		end = p + strcspn(p, ";");
		if (end == p)
			continue;
		lua_pushlstring(L, p, (size_t)(end - p));
		file = luaL_gsub(L, lua_tostring(L, -1), "?", name);
		note(L, file, NULL, 0);
		lua_pop(L, 2);
	}
	lua_pop(L, 1);
}
