/* SPDX-License-Identifier: Apache-2.0 */
#include "core/merge_samples.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct sought {
	const struct metadata *metadata;
	const char *suffix;
};

/* The name of the one with its suffix, beside that of the other. */
static int by_sample(const void *one, const void *other)
{
	const struct sought *sought = one;
	const char *name =
		((const struct merged_family *)other)->metadata->name;
	const struct metadata *m = sought->metadata;
	int order = strncmp(m->name, name, m->name_len);

	return order ? order : strcmp(sought->suffix, name + m->name_len);
}

/* The first one to go is told of. */
static void leave_out(const struct merged_family *kept,
		      const struct merged_family *dropped,
		      struct left_out *conflicts)
{
	if (conflicts->count++)
		return;
	metadata_apart(kept->metadata, dropped->metadata, &conflicts->why);
	conflicts->first = kept->page;
	conflicts->again = dropped->page;
}

/* OUT has a place for each family. */
static void compare(const struct merged_family *families, size_t n, size_t i,
		    bool *out, struct left_out *conflicts)
{
	const struct merged_family *own = &families[i];
	const char *const *suffix = metric_type_suffixes(own->metadata->type);

	for (; *suffix && !out[i]; suffix++) {
		struct sought sought = { own->metadata, *suffix };
		const struct merged_family *other = bsearch(
			&sought, families, n, sizeof *families, by_sample);

		if (!other || out[other - families])
			continue;
		if (own->page <= other->page) {
			out[other - families] = true;
			leave_out(own, other, conflicts);
		} else {
			out[i] = true;
			leave_out(other, own, conflicts);
		}
	}
}

size_t merge_samples(struct merged_family *families, size_t n,
		     struct left_out *conflicts)
{
	bool *out = mem_array(n, sizeof *out);
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (!out[i])
			compare(families, n, i, out, conflicts);
	for (size_t i = 0; i < n; i++)
		if (!out[i])
			families[left++] = families[i];
	free(out);
	return left;
}
