/* SPDX-License-Identifier: Apache-2.0 */
#include "run/advice.h"

#include <stddef.h>

#include "run/lint.h"
#include "run/source.h"

bool advice_register(struct declaration *declaration, struct vm *vm,
		     struct registry **registry, struct err *err)
{
	static const struct registry_options options = { 0 };
	bool configured = declaration_configure(declaration, vm, NULL, err);

	*registry = NULL;
	if (declaration->asks_metrics && !configured)
		return true;
	*registry = registry_new(&options);
	return declaration_register(declaration, vm, *registry, err);
}

void push_advice(lua_State *L, const struct declaration *d,
		 struct registry *registry)
{
	const char *const *name;
	struct err advice;
	lua_Integer n = 0;
	int line;

	lua_newtable(L);
	if (!registry)
		return;
	for (name = registry_names(registry); *name; name++) {
		struct family *f = registry_find(registry, *name);

		if (!lint_metric(family_metadata(f), &advice))
			continue;
		line = source_line(d->source, "metrics", *name);
		if (line)
			lua_pushfstring(L, "%s:%d: %s", d->path, line,
					advice.text);
		else
			lua_pushfstring(L, "%s: %s", d->path, advice.text);
		lua_rawseti(L, -2, ++n);
	}
}
