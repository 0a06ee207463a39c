/* SPDX-License-Identifier: Apache-2.0 */
#include "run/advice.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "bind/metric_declare.h"
#include "bind/metric_registry.h"
#include "core/mem.h"
#include "run/collect.h"
#include "run/convention.h"
#include "run/mistake.h"
#include "run/prober.h"
#include "run/source.h"

/* The host's own families, as the exporter adds them when it loads. */
static bool add_host_families(struct registry *registry,
			      const struct declaration *d, struct vm *vm,
			      struct err *err)
{
	const struct prober_options probing = { .vm = vm, .declaration = d };
	const struct collector_options collecting = { .vm = vm,
						      .registry = registry,
						      .declaration = d };
	struct prober *prober = NULL;
	struct collector *collector;

	if (d->has_probe) {
		prober = prober_new(&probing, registry, err);
		if (!prober)
			return false;
	}
	collector = collector_new(&collecting, err);
	collector_free(collector);
	prober_free(prober);
	return collector != NULL;
}

static void ask_promtool(struct lint *lint, struct registry *registry,
			 const struct declaration *d)
{
	const char *const *name = registry_names(registry);

	for (; *name; name++) {
		struct family *f = registry_find(registry, *name);

		lint_promtool(lint, family_metadata(f), family_schema(f),
			      d->labels, d->nlabels);
	}
	lint_sort(lint);
}

bool advice_take(struct advice *advice, struct declaration *d, struct vm *vm,
		 struct err *err)
{
	const struct registry_options options = { .labels = d->labels,
						  .nlabels = d->nlabels };
	bool configured = declaration_configure(d, vm, NULL, &advice->unasked);

	if (d->asks_metrics && !configured)
		return true;
	advice->unasked.text[0] = '\0';
	advice->registry = registry_new(&options);
	if (!declaration_register(d, vm, advice->registry, err))
		return false;
	convention_check(&advice->further, advice->registry, d);
	if (!add_host_families(advice->registry, d, vm, err))
		return false;
	ask_promtool(&advice->promtool, advice->registry, d);
	return true;
}

void advice_release(struct advice *advice)
{
	lint_release(&advice->promtool);
	lint_release(&advice->further);
	lint_release(&advice->registries);
	registry_free(advice->registry);
	*advice = (struct advice){ 0 };
}

/* Leaves the place of FAMILY on the stack, "file:line: ": of its key in the
 * text, or of the call that made its declaration when it has no key there. */
static void push_family_place(lua_State *L, const struct declaration *d,
			      const char *family)
{
	int top = lua_gettop(L);

	push_place(L, d, "metrics", family);
	if (source_line(d->source, "metrics", family) || d->asks_metrics)
		return;
	declaration_push(L, d);
	if (lua_getfield(L, -1, "metrics") != LUA_TTABLE) {
		lua_settop(L, top + 1);
		return;
	}
	lua_pushstring(L, family);
	lua_rawget(L, -2);
	if (metric_is_declaration(L, -1) && *push_metric_place(L))
		lua_replace(L, top + 1);
	lua_settop(L, top + 1);
}

/* The list is on top of the stack. */
static void add_findings(lua_State *L, const struct declaration *d,
			 const struct lint *lint, const char *format)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, -1);

	for (size_t i = 0; i < lint->n; i++) {
		const struct lint_finding *finding = &lint->items[i];

		push_family_place(L, d, finding->family);
		lua_pushfstring(L, format, finding->metric, finding->text);
		lua_concat(L, 2);
		lua_rawseti(L, -2, ++n);
	}
}

/* ---- registries of the script's own ---- */

/* As far as promtool asks for them: the names of constant labels. */
static unsigned copy_names(const struct labels *labels,
			   struct label_pair *pairs, unsigned max)
{
	struct str pair, name;
	unsigned n = 0;
	char *raw;

	if (!labels)
		return 0;
	raw = mem_alloc(labels->len);
	for (size_t at = 0; n < max && labels_next(labels, &at, &pair); n++) {
		name = label_name(pair, raw);
		pairs[n].name = mem_copy(name.data, name.len);
	}
	free(raw);
	return n;
}

static void look_at_registry(void *arg, const char *where,
			     struct registry *registry)
{
	const char *const *name = registry_names(registry);
	struct label_pair constant[LABELS_MAX];
	struct lint *lint = arg;
	size_t before = lint->n;
	unsigned n =
		copy_names(registry_constant(registry), constant, LABELS_MAX);

	for (; *name; name++) {
		struct family *f = registry_find(registry, *name);

		lint_promtool(lint, family_metadata(f), family_schema(f),
			      constant, n);
	}
	while (n)
		free((char *)(uintptr_t)constant[--n].name);
	for (; before < lint->n; before++) {
		free(lint->items[before].family);
		lint->items[before].family = mem_string(where);
	}
}

static void add_registries(lua_State *L, struct lint *lint)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, -1);

	metric_registry_each(L, look_at_registry, lint);
	lint_sort(lint);
	for (size_t i = 0; i < lint->n; i++) {
		const struct lint_finding *finding = &lint->items[i];

		lua_pushfstring(L, "%s%s %s", finding->family, finding->metric,
				finding->text);
		lua_rawseti(L, -2, ++n);
	}
}

/* ---- all ---- */

void push_advice(lua_State *L, const struct declaration *d,
		 struct advice *advice)
{
	lua_newtable(L);
	add_findings(L, d, &advice->promtool, "%s %s");
	add_registries(L, &advice->registries);
	add_findings(L, d, &advice->further, "%s: %s");
	if (!advice->unasked.text[0])
		return;
	push_place(L, d, NULL, "metrics");
	lua_pushfstring(L,
			"its metrics were not looked at, which depend on the "
			"configuration (%s)",
			advice->unasked.text);
	lua_concat(L, 2);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}
