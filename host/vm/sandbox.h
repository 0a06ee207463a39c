/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state whose script is not trusted: what is taken out of what vm/library.c
 * made, by lists of what may stay. All of it is taken away before any script
 * runs, so nothing can have kept a copy.
 *
 * `package`, as the script sees it, is another table than the one with which
 * `require` works: what is put into it changes nothing.
 */
#ifndef VM_SANDBOX_H
#define VM_SANDBOX_H

#include <lua.h>
#include <stdbool.h>

/* The names of os and debug that stay, for vm/library.c; they end with NULL. */
extern const char *const sandbox_os_names[];
extern const char *const sandbox_debug_names[];

/* To be called when all is open: the last step before the script. Raises. */
void sandbox_close(lua_State *L);

/* Is NAME a global that there would be without a sandbox? */
bool sandbox_lacks(const char *name);

#endif
