/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metadata.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
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
	static const char *const gauge[] = { "_bucket", "_gsum", "_gcount",
					     NULL };

	switch (type) {
	case METRIC_HISTOGRAM: return all;
	case METRIC_GAUGEHISTOGRAM: return gauge;
	case METRIC_SUMMARY: return all + 1;
	default: return all + 3;
	}
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
	if (strchr(d->name, ':'))
		return err_set(err, ERR_USAGE,
			       "%s: the name of a stateset is that of its "
			       "label, too, and has no colon",
			       d->name);
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

static bool has_buckets(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_GAUGEHISTOGRAM;
}

static bool check_bounds(const struct metadata_desc *d, struct err *err)
{
	if (!has_buckets(d->type))
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

static bool check_native(const struct metadata_desc *d, struct err *err)
{
	const struct native_options *native = d->native;

	if (d->type != METRIC_HISTOGRAM || !native)
		return true;
	if (native->schema < NATIVE_SCHEMA_MIN ||
	    native->schema > NATIVE_SCHEMA_MAX)
		return err_set(err, ERR_USAGE,
			       "%s: the schema of native buckets is %d to %d, "
			       "got %d",
			       d->name, NATIVE_SCHEMA_MIN, NATIVE_SCHEMA_MAX,
			       native->schema);
	if (!isfinite(native->zero_threshold) || native->zero_threshold < 0)
		return err_set(err, ERR_USAGE,
			       "%s: the zero threshold is not a finite number "
			       "from 0 on",
			       d->name);
	return true;
}

static bool check_quantiles(const struct metadata_desc *d, struct err *err)
{
	if (d->type != METRIC_SUMMARY)
		return true;
	if (d->nquantiles > METADATA_QUANTILES_MAX)
		return err_set(err, ERR_LIMIT, "%s: more than %d quantiles",
			       d->name, METADATA_QUANTILES_MAX);
	for (unsigned i = 0; i < d->nquantiles; i++) {
		if (!(d->quantiles[i] >= 0 && d->quantiles[i] <= 1))
			return err_set(err, ERR_USAGE,
				       "%s: quantile %u is not from 0 to 1",
				       d->name, i + 1);
		if (i && d->quantiles[i] <= d->quantiles[i - 1])
			return err_set(err, ERR_USAGE,
				       "%s: quantiles must rise, but quantile "
				       "%u does not",
				       d->name, i + 1);
	}
	if (!isfinite(d->window) || d->window < 0)
		return err_set(err, ERR_USAGE,
			       "%s: the window is not a number of seconds",
			       d->name);
	return true;
}

static bool refuse_name(const char *name, struct err *err)
{
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	utf8_repair(&text, name, strlen(name));
	err_set(err, ERR_USAGE, "metric name '%s' is not UTF-8",
		buf_text(&text));
	buf_release(&text);
	return false;
}

static bool check(const struct metadata_desc *d, struct err *err)
{
	if (!*d->name)
		return err_set(err, ERR_USAGE, "the name of a metric is empty");
	if (!metric_name_valid(d->name))
		return refuse_name(d->name, err);
	if (d->help && !utf8_valid(d->help, strlen(d->help)))
		return err_set(err, ERR_USAGE, "%s: the help is not UTF-8",
			       d->name);
	return check_states(d, err) && check_bounds(d, err) &&
	       check_native(d, err) && check_quantiles(d, err);
}

/* ---- making ---- */

static bool counts(enum metric_type type)
{
	return type == METRIC_COUNTER || type == METRIC_HISTOGRAM ||
	       type == METRIC_SUMMARY;
}

static unsigned numbers_of(const struct metadata_desc *d)
{
	switch (d->type) {
	case METRIC_STATESET: return d->nstates;
	case METRIC_SUMMARY: return 2 + d->nquantiles;
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM: return d->nbounds + 2;
	default: return 1;
	}
}

static void lay_out(struct metadata *m, const struct metadata_desc *d)
{
	m->width = numbers_of(d);
	if (counts(d->type))
		m->created = m->width++;
	if (d->timestamps)
		m->time = m->width++;
}

/* The N NUMBERS, and how the old text format and OpenMetrics spell them: there
 * a number in a label has a point or an exponent. */
static double *copy_numbers(const double *numbers, unsigned n, char **plain,
			    char **canonical)
{
	double *copy = mem_array(n, sizeof *copy);
	char text[NUMBER_MAX + 2];

	for (unsigned i = 0; i < n; i++) {
		size_t len;

		copy[i] = numbers[i] + 0.0; /* -0 is 0 */
		len = number_bound(text, copy[i]);
		plain[i] = mem_copy(text, len);
		if (!memchr(text, '.', len) && !memchr(text, 'e', len)) {
			memcpy(text + len, ".0", 2);
			len += 2;
		}
		canonical[i] = mem_copy(text, len);
	}
	return copy;
}

static void copy_states(struct metadata *m, const struct metadata_desc *d)
{
	m->nstates = d->nstates;
	m->states = mem_array(d->nstates, sizeof *m->states);
	for (unsigned i = 0; i < d->nstates; i++)
		m->states[i] = mem_string(d->states[i]);
}

static void copy_buckets(struct metadata *m, const struct metadata_desc *d)
{
	unsigned n = d->nbounds;

	m->nbounds = n;
	m->le = mem_array(n + 1, sizeof *m->le);
	m->canonical = mem_array(n + 1, sizeof *m->canonical);
	m->bounds = copy_numbers(d->bounds, n, m->le, m->canonical);
	m->le[n] = mem_string("+Inf");
	m->canonical[n] = mem_string("+Inf");
	m->native = d->native && d->type == METRIC_HISTOGRAM;
	m->classic = n > 0 || !m->native;
	if (m->native)
		m->native_options = *d->native;
}

static void copy_quantiles(struct metadata *m, const struct metadata_desc *d)
{
	unsigned n = d->nquantiles;

	m->nquantiles = n;
	m->ranks = mem_array(n, sizeof *m->ranks);
	m->canonical_ranks = mem_array(n, sizeof *m->canonical_ranks);
	m->quantiles =
		copy_numbers(d->quantiles, n, m->ranks, m->canonical_ranks);
	m->window = d->window > 0 ? d->window : METADATA_WINDOW;
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
	m->quoted = !name_is_legacy((struct str){ m->name, m->name_len });
	m->help = mem_string(desc->help ? desc->help : "");
	m->unit = mem_string(desc->unit ? desc->unit : "");
	lay_out(m, desc);
	if (desc->type == METRIC_STATESET)
		copy_states(m, desc);
	if (has_buckets(desc->type))
		copy_buckets(m, desc);
	if (desc->type == METRIC_SUMMARY)
		copy_quantiles(m, desc);
	return m;
}

struct metadata *metadata_ref(struct metadata *metadata)
{
	atomic_fetch_add_explicit(&metadata->refs, 1, memory_order_relaxed);
	return metadata;
}

static void free_texts(char **texts, unsigned n)
{
	for (unsigned i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

void metadata_unref(struct metadata *m)
{
	if (!m ||
	    atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	free_texts(m->states, m->nstates);
	free_texts(m->le, m->nbounds + 1);
	free_texts(m->canonical, m->nbounds + 1);
	free_texts(m->ranks, m->nquantiles);
	free_texts(m->canonical_ranks, m->nquantiles);
	free(m->bounds);
	free(m->quantiles);
	free(m->name);
	free(m->help);
	free(m->unit);
	free(m);
}

unsigned metadata_added(const struct metadata *m)
{
	return m->width - m->nquantiles - (m->created > 0) - (m->time > 0);
}

/* ---- two of them ---- */

static bool same_states(const struct metadata *a, const struct metadata *b)
{
	if (a->nstates != b->nstates)
		return false;
	for (unsigned i = 0; i < a->nstates; i++)
		if (strcmp(a->states[i], b->states[i]) != 0)
			return false;
	return true;
}

static bool same_numbers(const double *a, unsigned na, const double *b,
			 unsigned nb)
{
	if (na != nb)
		return false;
	for (unsigned i = 0; i < na; i++)
		if (a[i] < b[i] || a[i] > b[i])
			return false;
	return true;
}

/* What makes their numbers mean something else; NULL: nothing. */
static const char *unlike(const struct metadata *a, const struct metadata *b)
{
	if (a->type != b->type)
		return "types";
	if (!same_states(a, b))
		return "states";
	if (a->native != b->native || a->classic != b->classic)
		return "kinds of buckets";
	if (!same_numbers(a->bounds, a->nbounds, b->bounds, b->nbounds))
		return "buckets";
	if (!same_numbers(a->quantiles, a->nquantiles, b->quantiles,
			  b->nquantiles))
		return "quantiles";
	return a->time == b->time ? NULL : "timestamps";
}

bool metadata_alike(const struct metadata *a, const struct metadata *b)
{
	return !unlike(a, b);
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
	else
		what = unlike(a, b);
	if (!what)
		return true;
	return err_set(err, ERR_USAGE, "%s: declared with different %s",
		       a->name, what);
}

/* Is NAME one of the sample names that a family of TYPE named FAMILY makes with
 * a suffix? */
static bool makes(enum metric_type type, const char *family, const char *name)
{
	const char *const *suffix = metric_type_suffixes(type);
	size_t len = strlen(family);

	if (strncmp(name, family, len) != 0)
		return false;
	while (*suffix && strcmp(name + len, *suffix) != 0)
		suffix++;
	return *suffix;
}

static bool belongs(const struct metadata *a, const struct metadata *b,
		    struct err *err)
{
	err_set(err, ERR_USAGE, "%s: belongs to the %s '%s'", b->name,
		metric_type_name(a->type), a->name);
	return false;
}

/* Are they apart when readers have their names as X and Y? */
static bool apart_as(const struct metadata *a, const char *x,
		     const struct metadata *b, const char *y, struct err *err)
{
	if (makes(a->type, x, y))
		return belongs(a, b, err);
	if (makes(b->type, y, x))
		return belongs(b, a, err);
	if (strcmp(x, y) != 0)
		return true;
	return err_set(err, ERR_USAGE,
		       "%s: is '%s' to readers that know no UTF-8 names, "
		       "as is '%s'",
		       b->name, x, a->name);
}

static bool apart_under(enum escaping scheme, const struct metadata *a,
			const struct metadata *b, struct err *err)
{
	struct buf x, y;
	bool apart;

	buf_init(&x, SIZE_MAX / 2);
	buf_init(&y, SIZE_MAX / 2);
	name_escape(&x, (struct str){ a->name, a->name_len }, scheme);
	name_escape(&y, (struct str){ b->name, b->name_len }, scheme);
	apart = apart_as(a, buf_text(&x), b, buf_text(&y), err);
	buf_release(&x);
	buf_release(&y);
	return apart;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* Do the names of A and B, both not legacy, differ first by a letter or digit
 * each? No scheme changes these, and what is before them is written alike: so
 * neither is the other, or begins it. Most pairs are told apart by this. */
static bool surely_apart(const struct metadata *a, const struct metadata *b)
{
	size_t i = 0;

	while (a->name[i] && a->name[i] == b->name[i])
		i++;
	return a->quoted && b->quoted && i > 0 && is_plain(a->name[i]) &&
	       is_plain(b->name[i]);
}

bool metadata_apart(const struct metadata *a, const struct metadata *b,
		    struct err *err)
{
	if (strcmp(a->name, b->name) == 0)
		return err_set(err, ERR_USAGE, "%s: declared twice", a->name);
	if (!apart_as(a, a->name, b, b->name, err))
		return false;
	return (!a->quoted && !b->quoted) || surely_apart(a, b) ||
	       (apart_under(ESCAPING_UNDERSCORES, a, b, err) &&
		apart_under(ESCAPING_DOTS, a, b, err) &&
		apart_under(ESCAPING_VALUES, a, b, err));
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
