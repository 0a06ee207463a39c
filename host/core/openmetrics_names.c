/* SPDX-License-Identifier: Apache-2.0 */
#include "core/openmetrics_names.h"

#include <string.h>

#include "core/buf.h"

struct names {
	const struct metadata *own; /* whose name is no other's */
	const struct metadata *const *all;
	size_t n;
};

/* As strcmp(), of NAME and BASE with SUFFIX behind it. */
static int compare(const char *name, struct str base, const char *suffix)
{
	int order = strncmp(name, base.data, base.len);

	return order ? order : strcmp(name + base.len, suffix);
}

/* Another family whose name is BASE with SUFFIX, or NULL. */
static const struct metadata *find(const struct names *names, struct str base,
				   const char *suffix)
{
	size_t from = 0, to = names->n;

	while (from < to) {
		size_t at = from + (to - from) / 2;
		int order = compare(names->all[at]->name, base, suffix);

		if (order == 0)
			return names->all[at] == names->own ? NULL
							    : names->all[at];
		if (order < 0)
			from = at + 1;
		else
			to = at;
	}
	return NULL;
}

static bool is(const struct metadata *family, enum metric_type type)
{
	return family && family->type == type;
}

static bool cut(struct str *name, const char *suffix)
{
	size_t len = strlen(suffix);

	if (name->len < len ||
	    memcmp(name->data + name->len - len, suffix, len) != 0)
		return false;
	name->len -= len;
	return true;
}

/* May a family of TYPE have samples with SUFFIX? */
static bool has_samples(enum metric_type type, const char *suffix)
{
	static const char *const of[][5] = {
		[METRIC_HISTOGRAM] = { "_bucket", "_count", "_sum",
				       "_created" },
		[METRIC_GAUGEHISTOGRAM] = { "_bucket", "_gcount", "_gsum" },
		[METRIC_SUMMARY] = { "_count", "_sum", "_created" },
		[METRIC_UNKNOWN] = { NULL },
	};

	for (size_t i = 0; of[type][i]; i++)
		if (strcmp(of[type][i], suffix) == 0)
			return true;
	return false;
}

/* Is TAKEN the name of a sample of another family? */
static bool is_sample(const struct names *names, struct str taken)
{
	static const char *const suffixes[] = { "_bucket", "_count", "_created",
						"_gcount", "_gsum",  "_sum" };

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		struct str base = taken;
		const struct metadata *family;

		if (!cut(&base, suffixes[i]))
			continue;
		family = find(names, base, "");
		if (family && has_samples(family->type, suffixes[i]))
			return true;
		if (strcmp(suffixes[i], "_created") == 0 &&
		    is(find(names, base, "_total"), METRIC_COUNTER))
			return true;
	}
	return false;
}

static bool is_taken(const struct names *names, struct str name)
{
	return find(names, name, "") ||
	       is(find(names, name, "_total"), METRIC_COUNTER) ||
	       is(find(names, name, "_info"), METRIC_INFO) ||
	       is_sample(names, name);
}

static bool created_is_taken(const struct names *names, struct str family)
{
	struct buf name;
	bool taken;

	buf_init(&name, SIZE_MAX / 2);
	buf_add(&name, family.data, family.len);
	buf_addstr(&name, "_created");
	taken = is_taken(names, (struct str){ name.data, name.len });
	buf_release(&name);
	return taken;
}

bool openmetrics_is_unknown(const struct metadata *metadata,
			    const struct metadata *const *all, size_t n)
{
	const struct names names = { metadata, all, n };
	struct str name = { metadata->name, metadata->name_len };
	struct str family = name;
	bool counter = metadata->type == METRIC_COUNTER;

	if (metadata->type == METRIC_HISTOGRAM ||
	    metadata->type == METRIC_SUMMARY)
		return created_is_taken(&names, name);
	if (!counter && metadata->type != METRIC_INFO)
		return false;
	if (!cut(&family, counter ? "_total" : "_info") || !family.len)
		return true;
	return is_taken(&names, family) || is_taken(&names, name) ||
	       (counter && created_is_taken(&names, family));
}
