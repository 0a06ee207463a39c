/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module `page` of lunex-spec: pages for what renders them.
 *
 *   page.new(from, to)   -> a page with the gauge spec{n="I"} I, I from FROM to
 *                           TO
 */
#ifndef BIND_PAGE_H
#define BIND_PAGE_H

#include <lua.h>

int luaopen_page(lua_State *L);

#endif
