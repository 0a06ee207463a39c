/* SPDX-License-Identifier: Apache-2.0 */
#include "run/roster.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct roster *roster_new(size_t n, struct loop *owner,
			  void (*gone)(struct roster *roster), void *arg)
{
	struct roster *roster =
		mem_alloc(sizeof *roster + n * sizeof roster->entries[0]);

	atomic_init(&roster->refs, 1);
	roster->owner = owner;
	roster->gone = gone;
	roster->arg = arg;
	roster->n = n;
	return roster;
}

struct roster *roster_ref(struct roster *roster)
{
	atomic_fetch_add_explicit(&roster->refs, 1, memory_order_relaxed);
	return roster;
}

static void release(struct roster *roster)
{
	for (size_t i = 0; i < roster->n; i++) {
		free(roster->entries[i].name);
		free(roster->entries[i].script);
		free(roster->entries[i].error);
		entry_unref(roster->entries[i].entry);
	}
	free(roster->config_error);
	free(roster);
}

static void deliver_gone(struct message *message)
{
	struct roster *roster = (void *)message;

	roster->gone(roster);
	release(roster);
}

void roster_unref(struct roster *roster)
{
	if (!roster || atomic_fetch_sub_explicit(&roster->refs, 1,
						 memory_order_acq_rel) > 1)
		return;
	roster->message.deliver = deliver_gone;
	if (roster->owner)
		loop_post(roster->owner, &roster->message);
	else
		release(roster);
}

struct roster *roster_of(struct exporter *const *exporters, size_t n)
{
	struct roster *roster = roster_new(n, NULL, NULL, NULL);

	roster->config_loaded = true;
	roster->config_error = mem_string("");
	for (size_t i = 0; i < n; i++) {
		struct roster_entry *entry = &roster->entries[i];

		entry->exporter = exporters[i];
		entry->name = mem_string(exporter_name(exporters[i]));
		entry->script =
			mem_string(exporter_declaration(exporters[i])->path);
		entry->loaded = true;
		entry->error = mem_string("");
	}
	return roster;
}

const struct roster_entry *roster_find(const struct roster *roster,
				       const char *name)
{
	for (size_t i = 0; i < roster->n; i++)
		if (strcmp(roster->entries[i].name, name) == 0)
			return &roster->entries[i];
	return NULL;
}
