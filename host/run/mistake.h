/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes in a declaration, as sentences with file and line. All of these
 * raise, in the state of the script.
 */
#ifndef RUN_MISTAKE_H
#define RUN_MISTAKE_H

#include <lua.h>
#include <stdbool.h>

#include "run/declaration.h"

/* Leaves "file:line: " of KEY inside PARENT (NULL: at the top) on the stack. */
const char *push_place(lua_State *L, const struct declaration *d,
		       const char *parent, const char *key);

/* KEY inside PARENT is not in KNOWN, which ends with NULL. */
void mistake_unknown_key(lua_State *L, const struct declaration *d,
			 const char *parent, const char *key,
			 const char *const *known);

/* KEY = value at the top of the stack has the wrong type. */
void mistake_type(lua_State *L, const struct declaration *d, const char *parent,
		  const char *key, const char *expected);

/* The key below the top must be a string that KNOWN lists (NULL: any). */
const char *check_declared_key(lua_State *L, const struct declaration *d,
			       const char *parent, const char *const *known);

/* The string at the top of the stack as C keeps it: without a zero byte. The
 * caller's; NULL when it is no string. */
char *copy_text(lua_State *L, const struct declaration *d, const char *parent,
		const char *key);

/* Is the value at INDEX what can stand behind "--"? */
bool flag_name_valid(lua_State *L, int index);

#endif
