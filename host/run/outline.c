/* SPDX-License-Identifier: Apache-2.0 */
#include "run/outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/source.h"

/* ---- labels ---- */

static int by_label(const void *a, const void *b)
{
	return strcmp(((const struct label_pair *)a)->name,
		      ((const struct label_pair *)b)->name);
}

static bool is_given(const struct label_pair *labels, unsigned nlabels,
		     const char *name)
{
	for (unsigned i = 0; i < nlabels; i++)
		if (strcmp(labels[i].name, name) == 0)
			return true;
	return false;
}

static void add_label(struct outline *outline, const struct label_pair *label)
{
	outline->labels[outline->nlabels].name = mem_string(label->name);
	outline->labels[outline->nlabels++].value = mem_string(label->value);
}

struct outline *outline_new(const struct declaration *d,
			    const struct label_pair *labels, unsigned nlabels)
{
	struct outline *outline = mem_alloc(sizeof *outline);

	outline->labels =
		mem_array(d->nlabels + nlabels, sizeof *outline->labels);
	for (unsigned i = 0; i < nlabels; i++)
		add_label(outline, &labels[i]);
	for (unsigned i = 0; i < d->nlabels; i++)
		if (!is_given(labels, nlabels, d->labels[i].name))
			add_label(outline, &d->labels[i]);
	if (outline->nlabels)
		qsort(outline->labels, outline->nlabels,
		      sizeof *outline->labels, by_label);
	return outline;
}

void outline_free(struct outline *outline)
{
	if (!outline)
		return;
	for (unsigned i = 0; i < outline->nlabels; i++) {
		free((char *)(uintptr_t)outline->labels[i].name);
		free((char *)(uintptr_t)outline->labels[i].value);
	}
	for (size_t i = 0; i < outline->nfamilies; i++)
		metadata_unref(outline->families[i].metadata);
	free(outline->labels);
	free(outline->families);
	free(outline);
}

/* ---- families ---- */

static int by_family(const void *a, const void *b)
{
	return strcmp(((const struct outline_family *)a)->metadata->name,
		      ((const struct outline_family *)b)->metadata->name);
}

void outline_read(struct outline *outline, const struct declaration *d,
		  struct registry *registry)
{
	const char *const *names = registry_names(registry);
	size_t n = 0;

	while (names[n])
		n++;
	outline->families = mem_array(n, sizeof *outline->families);
	for (size_t i = 0; i < n; i++) {
		struct family *family = registry_find(registry, names[i]);

		outline->families[i] = (struct outline_family){
			/* The registry's, which shares it as pages do. */
			metadata_ref((struct metadata *)(uintptr_t)
					     family_metadata(family)),
			family_schema(family)->count,
			source_line(d->source, "metrics", names[i]),
		};
	}
	outline->nfamilies = n;
	if (n)
		qsort(outline->families, n, sizeof *outline->families,
		      by_family);
}

/* ---- do two go together? ---- */

static bool same_labels(const struct outline *a, const struct outline *b)
{
	if (a->nlabels != b->nlabels)
		return false;
	for (unsigned i = 0; i < a->nlabels; i++)
		if (strcmp(a->labels[i].name, b->labels[i].name) != 0 ||
		    strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

static void write_place(char *place, size_t size, const char *script, int line)
{
	if (line)
		snprintf(place, size, "%s:%d", script, line);
	else
		snprintf(place, size, "%s", script);
}

static bool differ(const struct outline_owner *first,
		   const struct outline_family *theirs,
		   const struct outline_owner *second,
		   const struct outline_family *ours, const struct err *why,
		   struct err *err)
{
	char here[200], there[200];

	write_place(here, sizeof here, second->script, ours->line);
	write_place(there, sizeof there, first->script, theirs->line);
	return err_set(err, ERR_USAGE,
		       "%s: %s; the exporter '%s' declares it at %s", here,
		       why->text, first->name, there);
}

static bool repeat(const struct outline_owner *first,
		   const struct outline_owner *second, const char *family,
		   struct err *err)
{
	return err_set(err, ERR_USAGE,
		       "%s: the exporter '%s' would show the same series as "
		       "'%s' (%s), such as %s: give it other labels",
		       second->where, second->name, first->name, first->where,
		       family);
}

static int by_name(const void *name, const void *family)
{
	return strcmp(name,
		      ((const struct outline_family *)family)->metadata->name);
}

/* The family of OUTLINE that is called like a sample of BASE, or NULL: beside
 * the histogram h nobody can have an h_count. */
static const struct outline_family *namesake(const struct outline *outline,
					     const struct metadata *base)
{
	const char *const *suffix = metric_type_suffixes(base->type);
	const struct outline_family *found = NULL;

	for (; *suffix && !found && outline->nfamilies; suffix++) {
		char *name = mem_alloc(base->name_len + strlen(*suffix) + 1);

		memcpy(name, base->name, base->name_len);
		strcpy(name + base->name_len, *suffix);
		found = bsearch(name, outline->families, outline->nfamilies,
				sizeof *outline->families, by_name);
		free(name);
	}
	return found;
}

/* Is no family of B called like a sample of A's? Otherwise both, and WHY. */
static bool names_agree(const struct outline *a, const struct outline *b,
			const struct outline_family **base,
			const struct outline_family **other, struct err *why)
{
	for (size_t i = 0; i < a->nfamilies; i++) {
		*base = &a->families[i];
		*other = namesake(b, (*base)->metadata);
		if (*other)
			return err_set(why, ERR_USAGE,
				       "%s: its '%s' is declared as well",
				       (*base)->metadata->name,
				       (*other)->metadata->name);
	}
	return true;
}

bool outline_agree(const struct outline_owner *first,
		   const struct outline_owner *second, struct err *err)
{
	const struct outline *a = first->outline, *b = second->outline;
	const struct outline_family *theirs, *ours;
	bool same = same_labels(a, b);
	struct err why;

	if (!names_agree(a, b, &theirs, &ours, &why) ||
	    !names_agree(b, a, &ours, &theirs, &why))
		return differ(first, theirs, second, ours, &why, err);
	for (size_t i = 0, k = 0; i < a->nfamilies && k < b->nfamilies;) {
		int order;

		theirs = &a->families[i];
		ours = &b->families[k];
		order = by_family(theirs, ours);
		i += order <= 0;
		k += order >= 0;
		if (order)
			continue;
		if (!metadata_agree(ours->metadata, theirs->metadata, &why))
			return differ(first, theirs, second, ours, &why, err);
		if (same && !theirs->labels && !ours->labels)
			return repeat(first, second, ours->metadata->name, err);
	}
	return true;
}

bool outline_continues(const struct outline_owner *former,
		       const struct outline_owner *next, struct err *err)
{
	const struct outline *a = former->outline, *b = next->outline;

	for (size_t i = 0; i < b->nfamilies; i++) {
		const struct outline_family *ours = &b->families[i], *theirs;
		const char *name = ours->metadata->name;
		char here[200];

		theirs = a->nfamilies ? bsearch(name, a->families, a->nfamilies,
						sizeof *a->families, by_name)
				      : NULL;
		if (!theirs || theirs->metadata->type == ours->metadata->type)
			continue;
		write_place(here, sizeof here, next->script, ours->line);
		return err_set(err, ERR_USAGE,
			       "%s: %s is a %s here and a %s in the version "
			       "that runs: give it another name, or restart "
			       "lunex",
			       here, name,
			       metric_type_name(ours->metadata->type),
			       metric_type_name(theirs->metadata->type));
	}
	return true;
}
