/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdio.h>

#include <lauxlib.h>

#include "core/registry.h"
#include "run/l_page.h"

static struct page *make_page(int from, int to)
{
	static const char *const label = "n";
	struct registry *registry =
		registry_new(&(struct registry_options){ 0 });
	struct family_options options = {
		.metadata = { .type = METRIC_GAUGE, .name = "spec" },
		.labels = &label,
		.nlabels = 1,
	};
	struct family *family = registry_add(registry, &options, NULL);
	struct page *page;

	for (int i = from; i <= to; i++) {
		char text[16];
		struct str value = { text, 0 };
		uint32_t row;

		value.len = (size_t)snprintf(text, sizeof text, "%d", i);
		if (family_row(family, &value, &row, NULL))
			family_set(family, row, REGISTRY_LIVE, i, 0);
	}
	page = registry_publish(registry, 0);
	registry_free(registry);
	return page;
}

/* page.new(from, to) -> page */
static int l_new(lua_State *L)
{
	int from = (int)luaL_checkinteger(L, 1);
	int to = (int)luaL_checkinteger(L, 2);
	struct page **page = push_page(L);

	*page = make_page(from, to);
	return 1;
}

int luaopen_page(lua_State *L)
{
	static const luaL_Reg functions[] = { { "new", l_new },
					      { NULL, NULL } };
	static const luaL_Reg no_methods[] = { { NULL, NULL } };

	page_class(L, no_methods);
	luaL_newlib(L, functions);
	return 1;
}
