/* SPDX-License-Identifier: Apache-2.0 */
#include "run/l_page.h"

#include "bind/bind.h"

struct page **push_page(lua_State *L)
{
	return push_object(L, sizeof(struct page *), PAGE_CLASS, 0);
}

struct page *check_page(lua_State *L, int arg)
{
	struct page **page = luaL_checkudata(L, arg, PAGE_CLASS);

	luaL_argcheck(L, *page, arg, "the page is closed");
	return *page;
}

/* __gc and __close */
static int l_page_close(lua_State *L)
{
	struct page **page = luaL_checkudata(L, 1, PAGE_CLASS);

	page_unref(*page);
	*page = NULL;
	return 0;
}

static const luaL_Reg metas[] = {
	{ "__gc", l_page_close },
	{ "__close", l_page_close },
	{ NULL, NULL },
};

void page_class(lua_State *L, const luaL_Reg *methods)
{
	bind_class(L, PAGE_CLASS, methods, metas);
}
