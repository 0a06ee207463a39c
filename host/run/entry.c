/* SPDX-License-Identifier: Apache-2.0 */
#include "run/entry.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct entry *entry_new(void)
{
	struct entry *entry = mem_alloc(sizeof *entry);

	atomic_init(&entry->refs, 1);
	entry->interval = entry->timeout = -1;
	return entry;
}

struct entry *entry_ref(struct entry *entry)
{
	atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
	return entry;
}

/* ---- the end ---- */

/* What is constant for everybody else is the entry's. */
static void drop(const void *memory)
{
	free((void *)(uintptr_t)memory);
}

static void drop_config(const struct config *config)
{
	config_free((struct config *)(uintptr_t)config);
}

static void release(struct entry *entry)
{
	drop(entry->script);
	drop(entry->name);
	drop(entry->where);
	drop(entry->lua_path);
	drop(entry->lua_cpath);
	drop(entry->mistake);
	drop_config(entry->config);
	for (char **text = entry->allow; text && *text; text++)
		free(*text);
	free(entry->allow);
	for (unsigned i = 0; i < entry->nlabels; i++) {
		drop(entry->labels[i].name);
		drop(entry->labels[i].value);
	}
	for (size_t i = 0; i < entry->nprofiles; i++) {
		drop(entry->profiles[i].name);
		drop_config(entry->profiles[i].config);
	}
	for (size_t i = 0; i < entry->npush; i++)
		drop_config(entry->push[i]);
	free(entry->labels);
	free(entry->profiles);
	free(entry->push);
}

void entry_unref(struct entry *entry)
{
	if (!entry || atomic_fetch_sub_explicit(&entry->refs, 1,
						memory_order_acq_rel) > 1)
		return;
	release(entry);
	free(entry);
}

/* ---- comparing ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Their order comes from a table of Lua, and means nothing. */
static bool has_label(const struct entry *entry, const struct label_pair *label)
{
	for (unsigned i = 0; i < entry->nlabels; i++)
		if (strcmp(entry->labels[i].name, label->name) == 0)
			return strcmp(entry->labels[i].value, label->value) ==
			       0;
	return false;
}

static bool same_labels(const struct entry *a, const struct entry *b)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (unsigned i = 0; i < a->nlabels; i++)
		if (!has_label(b, &a->labels[i]))
			return false;
	return true;
}

static bool has_profile(const struct entry *entry,
			const struct exporter_profile *profile)
{
	for (size_t i = 0; i < entry->nprofiles; i++)
		if (strcmp(entry->profiles[i].name, profile->name) == 0)
			return config_equal(entry->profiles[i].config,
					    profile->config);
	return false;
}

static bool same_profiles(const struct entry *a, const struct entry *b)
{
	if (a->nprofiles != b->nprofiles)
		return false;
	for (size_t i = 0; i < a->nprofiles; i++)
		if (!has_profile(b, &a->profiles[i]))
			return false;
	return true;
}

static bool same_limits(const struct vm_limits *a, const struct vm_limits *b)
{
	return a->memory == b->memory && a->cpu == b->cpu &&
	       a->series == b->series && a->body == b->body &&
	       a->operations == b->operations;
}

static bool same_sandbox(const struct entry *a, const struct entry *b)
{
	size_t i = 0;

	if (a->sandbox != b->sandbox || !a->allow != !b->allow)
		return false;
	while (a->allow && a->allow[i] && same_text(a->allow[i], b->allow[i]))
		i++;
	return !a->allow || same_text(a->allow[i], b->allow[i]);
}

bool entry_equal(const struct entry *a, const struct entry *b)
{
	return same_text(a->script, b->script) && same_text(a->name, b->name) &&
	       config_equal(a->config, b->config) && same_labels(a, b) &&
	       same_profiles(a, b) && a->interval == b->interval &&
	       a->timeout == b->timeout &&
	       same_limits(&a->limits, &b->limits) &&
	       same_text(a->lua_path, b->lua_path) &&
	       same_text(a->lua_cpath, b->lua_cpath) && same_sandbox(a, b) &&
	       same_text(a->mistake, b->mistake);
}
