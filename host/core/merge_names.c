/* SPDX-License-Identifier: Apache-2.0 */
#include "core/merge_names.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"

struct named {
	const char *shown; /* in `text`, or the metadata's name */
	char *text;	   /* NULL: it is not escaped */
	size_t number;	   /* by name */
	bool out;	   /* it is dropped */
	struct merged_family family;
};

static bool any_quoted(const struct merged_family *families, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (families[i].metadata->quoted)
			return true;
	return false;
}

static struct named *name_all(const struct merged_family *families, size_t n,
			      enum escaping scheme)
{
	struct named *list = mem_array(n, sizeof *list);

	for (size_t i = 0; i < n; i++) {
		const struct metadata *metadata = families[i].metadata;
		struct str name = { metadata->name, metadata->name_len };
		struct buf text;

		list[i] = (struct named){ .shown = metadata->name,
					  .number = i,
					  .family = families[i] };
		if (!metadata->quoted)
			continue;
		buf_init(&text, SIZE_MAX / 2);
		name_escape(&text, name, scheme);
		list[i].shown = list[i].text = buf_take(&text, NULL);
	}
	return list;
}

static int by_shown_name(const void *one, const void *other)
{
	const struct named *a = one, *b = other;
	int order = strcmp(a->shown, b->shown);

	if (order)
		return order;
	if (!a->text != !b->text)
		return a->text ? 1 : -1;
	return a->number < b->number ? -1 : 1;
}

/* Which of them go. */
struct dropping {
	struct named *list; /* sorted */
	size_t n;
	struct homonyms *homonyms;
	bool told;
};

static bool is_first(struct dropping *dropping, const struct named *kept,
		     const struct named *dropped)
{
	if (dropping->told)
		return false;
	dropping->told = true;
	dropping->homonyms->kept = kept->family;
	dropping->homonyms->dropped = dropped->family;
	return true;
}

/* Of several with one name all but the first. */
static void drop_homonyms(struct dropping *dropping)
{
	struct named *list = dropping->list;
	size_t left = 0;

	for (size_t i = 0; i < dropping->n; i++) {
		const struct named *kept = left ? &list[left - 1] : NULL;

		if (!kept || strcmp(list[i].shown, kept->shown) != 0) {
			list[left++] = list[i];
			continue;
		}
		if (is_first(dropping, kept, &list[i]))
			err_set(&dropping->homonyms->why, ERR_USAGE,
				"%s: is shown as '%s', as is '%s'",
				list[i].family.metadata->name, list[i].shown,
				kept->family.metadata->name);
		free(list[i].text);
	}
	dropping->n = left;
}

struct sought {
	const char *base, *suffix;
};

static int by_sample(const void *one, const void *other)
{
	const struct sought *sought = one;
	const char *shown = ((const struct named *)other)->shown;
	size_t len = strlen(sought->base);
	int order = strncmp(sought->base, shown, len);

	return order ? order : strcmp(sought->suffix, shown + len);
}

/* SAMPLE is called like a sample of BASE: that of the later page goes. */
static void drop_one(struct dropping *dropping, struct named *base,
		     struct named *sample)
{
	bool keep = base->family.page <= sample->family.page;
	const struct named *kept = keep ? base : sample;
	struct named *dropped = keep ? sample : base;

	dropped->out = true;
	if (is_first(dropping, kept, dropped))
		err_set(&dropping->homonyms->why, ERR_USAGE,
			"%s: the %s '%s' has a sample '%s', as which '%s' is "
			"shown",
			dropped->family.metadata->name,
			metric_type_name(base->family.metadata->type),
			base->family.metadata->name, sample->shown,
			sample->family.metadata->name);
}

/* Families that are called like a sample of another, or those others. */
static void drop_samples(struct dropping *dropping)
{
	for (size_t i = 0; i < dropping->n; i++) {
		struct named *base = &dropping->list[i];
		const char *const *suffix =
			metric_type_suffixes(base->family.metadata->type);

		for (; *suffix && !base->out; suffix++) {
			const struct sought sought = { base->shown, *suffix };
			struct named *sample =
				bsearch(&sought, dropping->list, dropping->n,
					sizeof *base, by_sample);

			if (sample && !sample->out)
				drop_one(dropping, base, sample);
		}
	}
}

/* A copy of METADATA that knows its type and the name that SCHEME shows. */
static const struct metadata *renamed(const struct metadata *metadata,
				      enum escaping scheme)
{
	struct metadata *copy = mem_alloc(sizeof *copy);
	struct str name = { metadata->name, metadata->name_len };
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	name_escape(&text, name, scheme);
	*copy = (struct metadata){ .type = metadata->type };
	copy->name = buf_take(&text, &copy->name_len);
	return copy;
}

const struct metadata **merge_names(const struct merged_family *families,
				    size_t n, enum escaping scheme)
{
	const struct metadata **names = mem_array(n, sizeof *names);

	for (size_t i = 0; i < n; i++) {
		const struct metadata *metadata = families[i].metadata;

		names[i] = metadata->quoted && scheme != ESCAPING_NONE
				   ? renamed(metadata, scheme)
				   : metadata;
	}
	return names;
}

void merge_names_free(const struct metadata **names,
		      const struct merged_family *families, size_t n)
{
	for (size_t i = 0; names && i < n; i++) {
		if (names[i] == families[i].metadata)
			continue;
		free(names[i]->name);
		free((struct metadata *)(uintptr_t)names[i]);
	}
	free(names);
}

size_t merge_order(struct merged_family *families, size_t n,
		   enum escaping scheme, struct homonyms *homonyms)
{
	struct dropping dropping = { .n = n, .homonyms = homonyms };
	size_t left = 0;

	if (scheme == ESCAPING_NONE || !any_quoted(families, n))
		return n;
	dropping.list = name_all(families, n, scheme);
	qsort(dropping.list, n, sizeof *dropping.list, by_shown_name);
	drop_homonyms(&dropping);
	drop_samples(&dropping);
	for (size_t i = 0; i < dropping.n; i++) {
		if (!dropping.list[i].out)
			families[left++] = dropping.list[i].family;
		free(dropping.list[i].text);
	}
	free(dropping.list);
	return left;
}
