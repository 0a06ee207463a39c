/* SPDX-License-Identifier: Apache-2.0 */
#include "core/extras.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* A list of N pointers instead of OLD, which has WAS of them. */
static void *grown(void *old, uint32_t was, uint32_t n)
{
	char *list;

	if (!old || n == was)
		return old;
	list = mem_realloc(old, n * sizeof(void *));
	memset(list + was * sizeof(void *), 0, (n - was) * sizeof(void *));
	return list;
}

void extras_grow(struct extras *extras, uint32_t n)
{
	extras->natives = grown(extras->natives, extras->n, n);
	extras->windows = grown(extras->windows, extras->n, n);
	extras->exemplars = grown(extras->exemplars, extras->n, n);
	extras->n = n;
}

void extras_release(struct extras *extras)
{
	bool any = extras->natives || extras->windows || extras->exemplars;

	for (uint32_t i = 0; any && i < extras->n; i++)
		extras_clear(extras, i);
	free(extras->natives);
	free(extras->windows);
	free(extras->exemplars);
	*extras = (struct extras){ 0 };
}

struct native **extras_native(struct extras *extras, uint32_t i)
{
	if (!extras->natives)
		extras->natives = mem_array(extras->n, sizeof *extras->natives);
	return &extras->natives[i];
}

struct window **extras_window(struct extras *extras, uint32_t i)
{
	if (!extras->windows)
		extras->windows = mem_array(extras->n, sizeof *extras->windows);
	return &extras->windows[i];
}

struct exemplars **extras_exemplars(struct extras *extras, uint32_t i)
{
	if (!extras->exemplars)
		extras->exemplars =
			mem_array(extras->n, sizeof *extras->exemplars);
	return &extras->exemplars[i];
}

void extras_clear(struct extras *extras, uint32_t i)
{
	if (extras->natives) {
		native_unref(extras->natives[i]);
		extras->natives[i] = NULL;
	}
	if (extras->windows) {
		window_unref(extras->windows[i]);
		extras->windows[i] = NULL;
	}
	if (extras->exemplars) {
		exemplars_unref(extras->exemplars[i]);
		extras->exemplars[i] = NULL;
	}
}

void extras_copy(struct extras *extras, uint32_t i, const struct extras *from,
		 uint32_t from_i)
{
	struct native *native = extras_native_at(from, from_i);
	struct window *window = extras_window_at(from, from_i);
	struct exemplars *exemplars = extras_exemplars_at(from, from_i);

	if (native)
		native_ref(native);
	if (window)
		window_ref(window);
	if (exemplars)
		exemplars_ref(exemplars);
	extras_clear(extras, i);
	if (native)
		*extras_native(extras, i) = native;
	if (window)
		*extras_window(extras, i) = window;
	if (exemplars)
		*extras_exemplars(extras, i) = exemplars;
}

bool extras_same(const struct extras *a, const struct extras *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (extras_native_at(a, i) != extras_native_at(b, i) ||
		    extras_window_at(a, i) != extras_window_at(b, i) ||
		    extras_exemplars_at(a, i) != extras_exemplars_at(b, i))
			return false;
	return true;
}
