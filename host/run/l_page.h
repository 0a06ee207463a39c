/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page as a Lua value: a userdata that holds one reference. Made by the
 * module `pages`, read by whatever renders pages.
 */
#ifndef RUN_L_PAGE_H
#define RUN_L_PAGE_H

#include <lauxlib.h>
#include <lua.h>

#include "core/page.h"

#define PAGE_CLASS "pages.page"

/* Makes the class, once per state, with these METHODS, and __gc and __close
 * that give the reference back. Leaves nothing on the stack. */
void page_class(lua_State *L, const luaL_Reg *methods);

/* Leaves a page value that has no page yet. The caller moves a reference into
 * it, after this call, which may raise: owner before resource. */
struct page **push_page(lua_State *L);

/* The page of argument ARG, borrowed while the value lives; raises when it is
 * none or is closed. */
struct page *check_page(lua_State *L, int arg);

#endif
