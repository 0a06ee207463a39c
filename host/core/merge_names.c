/* SPDX-License-Identifier: Apache-2.0 */
#include "core/merge_names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"

struct named {
	const char *shown; /* in `text`, or the metadata's name */
	char *text;	   /* NULL: it is not escaped */
	size_t number;	   /* by name */
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

		list[i] =
			(struct named){ metadata->name, NULL, i, families[i] };
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

static void tell(const struct named *kept, const struct named *dropped,
		 struct homonyms *homonyms)
{
	homonyms->kept = kept->family;
	homonyms->dropped = dropped->family;
	err_set(&homonyms->why, ERR_USAGE, "%s: is shown as '%s', as is '%s'",
		dropped->family.metadata->name, dropped->shown,
		kept->family.metadata->name);
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
	struct named *list;
	const struct named *dropped = NULL;
	size_t left = 0;

	if (scheme == ESCAPING_NONE || !any_quoted(families, n))
		return n;
	list = name_all(families, n, scheme);
	qsort(list, n, sizeof *list, by_shown_name);
	for (size_t i = 0; i < n; i++)
		if (!i || strcmp(list[i].shown, list[i - 1].shown) != 0)
			families[left++] = list[i].family;
		else if (!dropped)
			dropped = &list[i];
	if (dropped)
		tell(dropped - 1, dropped, homonyms);
	for (size_t i = 0; i < n; i++)
		free(list[i].text);
	free(list);
	return left;
}
