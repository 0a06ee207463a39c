/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metadata.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/label.h"
#include "core/mem.h"
#include "core/number.h"

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
	[METRIC_SUMMARY] = "summary",
	[METRIC_INFO] = "info",
	[METRIC_STATESET] = "stateset",
	[METRIC_UNKNOWN] = "unknown",
	[METRIC_GAUGEHISTOGRAM] = "gaugehistogram",
};

const char *metric_type_name(enum metric_type type)
{
	return type_names[type];
}

const char *const *metric_type_suffixes(enum metric_type type)
{
	static const char *const all[] = { "_bucket", "_sum", "_count", NULL };

	if (type == METRIC_HISTOGRAM)
		return all;
	return type == METRIC_SUMMARY ? all + 1 : all + 3;
}

bool metric_type_parse(const char *name, enum metric_type *type)
{
	for (int i = 0; i <= METRIC_UNKNOWN; i++) {
		if (strcmp(type_names[i], name) == 0) {
			*type = (enum metric_type)i;
			return true;
		}
	}
	return false;
}

static bool check_states(const struct metadata_desc *d, struct err *err)
{
	if (d->type != METRIC_STATESET)
		return true;
	if (d->nstates == 0 || d->nstates > METADATA_STATES_MAX)
		return err_set(err, ERR_USAGE,
			       "%s: a stateset has 1 to %d states, got %u",
			       d->name, METADATA_STATES_MAX, d->nstates);
	for (unsigned i = 0; i < d->nstates; i++) {
		if (!utf8_valid(d->states[i], strlen(d->states[i])))
			return err_set(err, ERR_USAGE,
				       "%s: state %u is not UTF-8", d->name,
				       i + 1);
		for (unsigned k = 0; k < i; k++)
			if (strcmp(d->states[i], d->states[k]) == 0)
				return err_set(err, ERR_USAGE,
					       "%s: state '%s' is given twice",
					       d->name, d->states[i]);
	}
	return true;
}

static bool check_bounds(const struct metadata_desc *d, struct err *err)
{
	if (d->type != METRIC_HISTOGRAM)
		return true;
	if (d->nbounds > METADATA_BUCKETS_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d buckets",
			       d->name, METADATA_BUCKETS_MAX);
	for (unsigned i = 0; i < d->nbounds; i++) {
		if (!isfinite(d->bounds[i]))
			return err_set(err, ERR_USAGE,
				       "%s: bucket %u is not a finite number "
				       "(+Inf is added by itself)",
				       d->name, i + 1);
		if (i && d->bounds[i] <= d->bounds[i - 1])
			return err_set(err, ERR_USAGE,
				       "%s: buckets must rise, but bucket %u "
				       "does not",
				       d->name, i + 1);
	}
	return true;
}

static bool check(const struct metadata_desc *d, struct err *err)
{
	if (!metric_name_valid(d->name))
		return err_set(err, ERR_USAGE,
			       "metric name '%s' is not valid "
			       "([a-zA-Z_:][a-zA-Z0-9_:]*)",
			       d->name);
	if (d->help && !utf8_valid(d->help, strlen(d->help)))
		return err_set(err, ERR_USAGE, "%s: the help is not UTF-8",
			       d->name);
	return check_states(d, err) && check_bounds(d, err);
}

static unsigned width_of(const struct metadata_desc *d)
{
	switch (d->type) {
	case METRIC_STATESET: return d->nstates;
	case METRIC_SUMMARY: return 2;
	case METRIC_HISTOGRAM: return d->nbounds + 2;
	default: return 1;
	}
}

static void copy_bounds(struct metadata *m, const struct metadata_desc *d)
{
	char text[NUMBER_MAX];

	m->nbounds = d->nbounds;
	m->bounds = mem_array(d->nbounds, sizeof *m->bounds);
	m->le = mem_array(d->nbounds + 1, sizeof *m->le);
	for (unsigned i = 0; i < d->nbounds; i++) {
		m->bounds[i] = d->bounds[i];
		m->le[i] = mem_copy(text, number_bound(text, d->bounds[i]));
	}
	m->le[d->nbounds] = mem_string("+Inf");
}

struct metadata *metadata_new(const struct metadata_desc *desc, struct err *err)
{
	struct metadata *m;

	if (!check(desc, err))
		return NULL;
	m = mem_alloc(sizeof *m);
	atomic_init(&m->refs, 1);
	m->type = desc->type;
	m->name = mem_string(desc->name);
	m->name_len = strlen(desc->name);
	m->help = mem_string(desc->help ? desc->help : "");
	m->unit = mem_string(desc->unit ? desc->unit : "");
	m->width = width_of(desc);
	if (desc->type == METRIC_STATESET) {
		m->nstates = desc->nstates;
		m->states = mem_array(desc->nstates, sizeof *m->states);
		for (unsigned i = 0; i < desc->nstates; i++)
			m->states[i] = mem_string(desc->states[i]);
	}
	if (desc->type == METRIC_HISTOGRAM)
		copy_bounds(m, desc);
	return m;
}

struct metadata *metadata_ref(struct metadata *metadata)
{
	atomic_fetch_add_explicit(&metadata->refs, 1, memory_order_relaxed);
	return metadata;
}

void metadata_unref(struct metadata *m)
{
	if (!m ||
	    atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < m->nstates; i++)
		free(m->states[i]);
	for (unsigned i = 0; m->le && i <= m->nbounds; i++)
		free(m->le[i]);
	free(m->states);
	free(m->le);
	free(m->bounds);
	free(m->name);
	free(m->help);
	free(m->unit);
	free(m);
}

static bool same_states(const struct metadata *a, const struct metadata *b)
{
	if (a->nstates != b->nstates)
		return false;
	for (unsigned i = 0; i < a->nstates; i++)
		if (strcmp(a->states[i], b->states[i]) != 0)
			return false;
	return true;
}

static bool same_bounds(const struct metadata *a, const struct metadata *b)
{
	if (a->nbounds != b->nbounds)
		return false;
	for (unsigned i = 0; i < a->nbounds; i++)
		if (a->bounds[i] < b->bounds[i] || a->bounds[i] > b->bounds[i])
			return false;
	return true;
}

bool metadata_alike(const struct metadata *a, const struct metadata *b)
{
	return a->type == b->type && same_states(a, b) && same_bounds(a, b);
}

bool metadata_agree(const struct metadata *a, const struct metadata *b,
		    struct err *err)
{
	const char *what = NULL;

	if (a == b)
		return true;
	if (a->type != b->type)
		return err_set(err, ERR_USAGE, "%s: declared as %s and as %s",
			       a->name, metric_type_name(a->type),
			       metric_type_name(b->type));
	if (strcmp(a->help, b->help) != 0)
		what = "help texts";
	else if (strcmp(a->unit, b->unit) != 0)
		what = "units";
	else if (!same_states(a, b))
		what = "states";
	else if (!same_bounds(a, b))
		what = "buckets";
	if (!what)
		return true;
	return err_set(err, ERR_USAGE, "%s: declared with different %s",
		       a->name, what);
}

/* Is NAME one of the sample names that A makes with a suffix? */
static bool makes(const struct metadata *a, const char *name)
{
	const char *const *suffix = metric_type_suffixes(a->type);

	if (strncmp(name, a->name, a->name_len) != 0)
		return false;
	while (*suffix && strcmp(name + a->name_len, *suffix) != 0)
		suffix++;
	return *suffix;
}

bool metadata_apart(const struct metadata *a, const struct metadata *b,
		    struct err *err)
{
	if (strcmp(a->name, b->name) == 0)
		return err_set(err, ERR_USAGE, "%s: declared twice", a->name);
	if (makes(a, b->name))
		return err_set(err, ERR_USAGE, "%s: belongs to the %s '%s'",
			       b->name, metric_type_name(a->type), a->name);
	if (makes(b, a->name))
		return err_set(err, ERR_USAGE, "%s: belongs to the %s '%s'",
			       a->name, metric_type_name(b->type), b->name);
	return true;
}

int metadata_state(const struct metadata *metadata, const char *name,
		   size_t len)
{
	for (unsigned i = 0; i < metadata->nstates; i++)
		if (strlen(metadata->states[i]) == len &&
		    memcmp(metadata->states[i], name, len) == 0)
			return (int)i;
	return -1;
}
