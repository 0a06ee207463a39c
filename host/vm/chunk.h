/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua files that a script loads: text alone, from regular files (a pipe could
 * keep the thread waiting for ever), and noted with the very bytes that were
 * loaded, so that a change of them is noticed.
 */
#ifndef VM_CHUNK_H
#define VM_CHUNK_H

#include <lua.h>

enum { CHUNK_MAX = 4 * 1024 * 1024 }; /* bytes of a file */

/* Leaves the function, or a message, on the stack, and answers with a status of
 * lua_load. May raise (memory). */
int chunk_load(lua_State *L, const char *path);

/* Notes that there is no file at any of TEMPLATES, which are those of
 * package.path, for the module NAME. May raise (memory). */
void chunk_note_missing(lua_State *L, const char *name, const char *templates);

#endif
