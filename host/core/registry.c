/* SPDX-License-Identifier: Apache-2.0 */
#include "core/registry.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/escape.h"
#include "core/family.h"
#include "core/mem.h"
#include "core/snapshot.h"

struct registry {
	struct series_pool pool;
	struct family **families; /* in name order */
	const char **names;
	uint32_t nfamilies;
	struct label_pair *labels;
	unsigned nlabels;
	struct labels *constant; /* those as a set; NULL: none */
	struct page *page;	 /* the last one published */
};

static uint64_t new_seed(const void *address)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)(uintptr_t)address;
}

/* NULL too when they are not valid, which the first family will say. */
static struct labels *constant_of(const struct registry *registry)
{
	struct label_schema *schema;
	struct labels *labels;

	if (!registry->nlabels)
		return NULL;
	schema = label_schema_new(NULL, 0, registry->labels, registry->nlabels,
				  NULL);
	labels = schema ? labels_new(schema, NULL, NULL) : NULL;
	label_schema_unref(schema);
	return labels;
}

static bool is_shared(const struct series_pool *pool)
{
	return pool->limit != &pool->own;
}

struct registry *registry_new(const struct registry_options *options)
{
	struct registry *registry = mem_alloc(sizeof *registry);

	registry->pool.seed = new_seed(registry);
	intern_init(&registry->pool.sets, registry->pool.seed);
	registry->pool.own.max =
		options->series_max ? options->series_max : REGISTRY_SERIES_MAX;
	registry->pool.limit =
		options->limit ? options->limit : &registry->pool.own;
	registry->pool.clock = options->clock;
	registry->nlabels = options->nlabels;
	registry->labels =
		mem_array(options->nlabels, sizeof *registry->labels);
	for (unsigned i = 0; i < options->nlabels; i++) {
		registry->labels[i].name = mem_string(options->labels[i].name);
		registry->labels[i].value =
			mem_string(options->labels[i].value);
	}
	registry->constant = constant_of(registry);
	registry->names = mem_array(1, sizeof *registry->names);
	return registry;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	registry->pool.limit->used -= registry->pool.used;
	if (is_shared(&registry->pool))
		registry->pool.limit->used -= registry->nfamilies;
	for (uint32_t i = 0; i < registry->nfamilies; i++)
		family_free(registry->families[i]);
	for (unsigned i = 0; i < registry->nlabels; i++) {
		free((char *)(uintptr_t)registry->labels[i].name);
		free((char *)(uintptr_t)registry->labels[i].value);
	}
	registry->pool.limit->bytes -=
		registry->pool.sets.bytes + registry->pool.explained;
	intern_release(&registry->pool.sets);
	page_unref(registry->page);
	labels_unref(registry->constant);
	free(registry->labels);
	free(registry->families);
	free(registry->names);
	free(registry);
}

bool registry_is_full(const struct registry *registry)
{
	const struct series_limit *limit = registry->pool.limit;

	return limit->used >= limit->max ||
	       limit->bytes >= series_limit_bytes(limit);
}

/* Where NAME is or belongs in the families, which are in name order. */
static uint32_t place_of(const struct registry *registry, const char *name,
			 bool *found)
{
	uint32_t low = 0, high = registry->nfamilies;

	*found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(registry->families[middle]->metadata->name,
				   name);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct family *registry_find(struct registry *registry, const char *name)
{
	bool found;
	uint32_t i = place_of(registry, name, &found);

	return found ? registry->families[i] : NULL;
}

/* Are both the same label to readers that know no UTF-8 names? */
static bool is_taken(const char *label, const char *taken)
{
	const char *const names[] = { label, taken };
	struct names_met met;
	bool meet = names_meet(names, 2, &met);

	if (meet)
		free(met.escaped);
	return meet && met.b;
}

/* LABEL must not be the one that the type itself adds. */
static bool check_label(const struct metadata_desc *m, const char *label,
			struct err *err)
{
	const char *taken = NULL;

	switch (m->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM: taken = "le"; break;
	case METRIC_SUMMARY: taken = "quantile"; break;
	case METRIC_STATESET: taken = m->name; break;
	default: break;
	}

	if (!taken || (strcmp(label, taken) != 0 && !is_taken(label, taken)))
		return true;
	if (strcmp(label, taken) == 0)
		return err_set(err, ERR_USAGE,
			       "%s: a %s has the label '%s' already", m->name,
			       metric_type_name(m->type), taken);
	return err_set(err, ERR_USAGE,
		       "%s: a %s has the label '%s' already, which '%s' is, "
		       "too, to readers that know no UTF-8 names",
		       m->name, metric_type_name(m->type), taken, label);
}

static bool check_labels(const struct registry *registry,
			 const struct family_options *options, struct err *err)
{
	for (unsigned i = 0; i < options->nlabels; i++)
		if (!check_label(&options->metadata, options->labels[i], err))
			return false;
	for (unsigned i = 0; i < registry->nlabels; i++)
		if (!check_label(&options->metadata, registry->labels[i].name,
				 err))
			return false;
	return true;
}

/* Does a family of TYPE have samples whose names end in SUFFIX? */
static bool has_suffix(enum metric_type type, const char *suffix)
{
	const char *const *own = metric_type_suffixes(type);

	while (*own && strcmp(*own, suffix) != 0)
		own++;
	return *own;
}

/* No two families may have samples of the same name. */
static bool check_suffix(struct registry *registry,
			 const struct metadata_desc *m, const char *suffix,
			 struct err *err)
{
	size_t len = strlen(m->name), n = strlen(suffix);
	bool ends = len > n && strcmp(m->name + len - n, suffix) == 0;
	char *longer = mem_alloc(len + n + 1);
	char *shorter = mem_copy(m->name, ends ? len - n : len);
	struct family *base = ends ? registry_find(registry, shorter) : NULL;
	bool taken;

	memcpy(longer, m->name, len);
	memcpy(longer + len, suffix, n);
	taken = has_suffix(m->type, suffix) && registry_find(registry, longer);
	if (taken)
		err_set(err, ERR_USAGE, "%s: its '%s' is declared as well",
			m->name, longer);
	else if (base && has_suffix(base->metadata->type, suffix)) {
		taken = true;
		err_set(err, ERR_USAGE, "%s: belongs to the %s '%s'", m->name,
			metric_type_name(base->metadata->type), shorter);
	}
	free(longer);
	free(shorter);
	return !taken;
}

static bool check_name(struct registry *registry, const struct metadata_desc *m,
		       struct err *err)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count",
						"_gsum", "_gcount" };

	if (registry_find(registry, m->name))
		return err_set(err, ERR_USAGE, "%s: declared twice", m->name);
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (!check_suffix(registry, m, suffixes[i], err))
			return false;
	return true;
}

/* Where a name is not legacy: is it of no other family once it is escaped? */
static bool check_escaped(const struct registry *registry,
			  const struct metadata *m, struct err *err)
{
	for (uint32_t i = 0; i < registry->nfamilies; i++) {
		const struct metadata *other = registry->families[i]->metadata;

		if ((m->quoted || other->quoted) &&
		    !metadata_apart(other, m, err))
			return false;
	}
	return true;
}

static void insert(struct registry *registry, uint32_t at,
		   struct family *family)
{
	uint32_t n = registry->nfamilies++;

	registry->families = mem_realloc(registry->families,
					 (n + 1) * sizeof *registry->families);
	memmove(registry->families + at + 1, registry->families + at,
		(n - at) * sizeof *registry->families);
	registry->families[at] = family;
	registry->names =
		mem_realloc(registry->names, (n + 2) * sizeof *registry->names);
	memmove(registry->names + at + 1, registry->names + at,
		(n - at) * sizeof *registry->names);
	registry->names[at] = family->metadata->name;
	registry->names[n + 1] = NULL;
}

/* Families with equal label names share a schema. */
static struct label_schema *take_schema(const struct registry *registry,
					const struct family_options *options,
					struct err *err)
{
	struct label_schema *schema;
	struct err why;

	for (uint32_t i = 0; i < registry->nfamilies; i++) {
		schema = registry->families[i]->schema;
		if (label_schema_has(schema, options->labels, options->nlabels))
			return label_schema_ref(schema);
	}
	schema = label_schema_new(options->labels, options->nlabels,
				  registry->labels, registry->nlabels, &why);
	if (!schema)
		err_set(err, why.code, "%s: %s", options->metadata.name,
			why.text);
	return schema;
}

/* A place for one more family, where they count. */
static bool take_place(struct series_pool *pool, const char *name,
		       struct err *err)
{
	if (!is_shared(pool))
		return true;
	if (pool->limit->used >= pool->limit->max)
		return err_set(err, ERR_LIMIT,
			       "%s: the limit of %zu series is reached", name,
			       pool->limit->max);
	pool->limit->used++;
	return true;
}

struct family *registry_add(struct registry *registry,
			    const struct family_options *options,
			    struct err *err)
{
	const struct metadata_desc *m = &options->metadata;
	struct label_schema *schema;
	struct metadata *metadata;
	struct family *family;
	bool found;

	if (!check_name(registry, m, err) ||
	    !check_labels(registry, options, err))
		return NULL;
	schema = take_schema(registry, options, err);
	if (!schema)
		return NULL;
	metadata = metadata_new(m, err);
	if (!metadata || !check_escaped(registry, metadata, err) ||
	    !take_place(&registry->pool, m->name, err)) {
		metadata_unref(metadata);
		label_schema_unref(schema);
		return NULL;
	}
	registry->pool.quoted |= metadata->quoted || schema->quoted;
	family = family_new(&registry->pool, metadata, schema, options);
	insert(registry, place_of(registry, m->name, &found), family);
	return family;
}

size_t registry_series(const struct registry *registry)
{
	return registry->pool.series;
}

const struct labels *registry_constant(const struct registry *registry)
{
	return registry->constant;
}

const char *const *registry_names(struct registry *registry)
{
	return registry->names;
}

void registry_commit(struct registry *registry, unsigned part, double now)
{
	for (uint32_t i = 0; i < registry->nfamilies; i++)
		family_commit(registry->families[i], part, now);
}

void registry_drop(struct registry *registry, unsigned part, double now)
{
	for (uint32_t i = 0; i < registry->nfamilies; i++)
		family_drop(registry->families[i], part, now);
}

void registry_tidy(struct registry *registry, double now)
{
	for (uint32_t i = 0; i < registry->nfamilies; i++)
		family_tidy(registry->families[i], now);
}

bool registry_changed(struct registry *registry, double now)
{
	bool changed = !registry->page;

	for (uint32_t i = 0; i < registry->nfamilies; i++) {
		family_expire(registry->families[i], now);
		family_turn(registry->families[i], now);
		changed |= registry->families[i]->changed;
	}
	return changed;
}

struct page *registry_publish(struct registry *registry, double now)
{
	uint32_t n = registry->nfamilies, used = 0;
	struct page *page;
	size_t *shown;

	if (!registry_changed(registry, now))
		return page_ref(registry->page);
	shown = mem_array(n, sizeof *shown);
	for (uint32_t i = 0; i < n; i++) {
		shown[i] = snapshot_take(registry->families[i]);
		used += shown[i] > 0;
	}
	page = page_new(used);
	page->quoted = registry->pool.quoted;
	if (registry->constant)
		page->constant = labels_ref(registry->constant);
	for (uint32_t i = 0, k = 0; i < n; i++) {
		if (shown[i])
			snapshot_show(registry->families[i],
				      &page->families[k++]);
		page->series += shown[i];
	}
	free(shown);
	page_unref(registry->page);
	registry->page = page;
	if (registry->pool.removed > registry->pool.sets.used / 4)
		series_pool_sweep(&registry->pool);
	return page_ref(page);
}
