/* SPDX-License-Identifier: Apache-2.0 */
#include "run/convention.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"
#include "core/openmetrics.h"
#include "core/render.h"

/* A family, and those it stands among. */
struct looking {
	struct lint *lint;
	const struct declaration *declaration;
	const struct metadata *metadata;
	const struct label_schema *schema;
	bool units;		     /* some family of the script has one */
	const struct metadata **all; /* N, by name */
	size_t n;
};

static void advise(const struct looking *at, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void advise(const struct looking *at, const char *format, ...)
{
	const char *name = at->metadata->name;
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	lint_add(at->lint, name, name, text);
}

static bool begins_with(const char *s, const char *begin)
{
	return strncmp(s, begin, strlen(begin)) == 0;
}

/* Do the LEN bytes at S end in _WORD? */
static bool ends_in(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len > n && s[len - n - 1] == '_' &&
	       memcmp(s + len - n, word, n) == 0;
}

/* ---- units ---- */

/* The length of the name without the _total of a counter. */
static size_t stem_length(const struct metadata *m)
{
	size_t n = strlen("_total");

	return m->type == METRIC_COUNTER &&
			       ends_in(m->name, m->name_len, "total")
		       ? m->name_len - n
		       : m->name_len;
}

static bool may_have_unit(enum metric_type type)
{
	return type != METRIC_INFO && type != METRIC_STATESET;
}

/* A unit that is declared: OpenMetrics wants it at the end of the name. */
static void check_unit(const struct looking *at)
{
	const struct metadata *m = at->metadata;
	size_t stem = stem_length(m);

	if (!may_have_unit(m->type))
		advise(at, "%s has no unit in OpenMetrics",
		       m->type == METRIC_INFO ? "an info" : "a stateset");
	else if (!openmetrics_unit_valid(m))
		advise(at, "its unit is not one of OpenMetrics, where it is "
			   "left out: [a-zA-Z0-9_:]+");
	else if (!ends_in(m->name, stem, m->unit))
		advise(at,
		       "its unit is %s, so OpenMetrics wants the name "
		       "%.*s_%s%s",
		       m->unit, (int)stem, m->name, m->unit, m->name + stem);
}

static bool observes(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_GAUGEHISTOGRAM ||
	       type == METRIC_SUMMARY;
}

/* None is declared. */
static void check_no_unit(const struct looking *at)
{
	const struct metadata *m = at->metadata;
	const char *base;
	size_t start, len;
	bool named = lint_unit(m->name, &start, &len, &base);

	if (named && at->units && may_have_unit(m->type) &&
	    start + len == stem_length(m))
		advise(at,
		       "unit = \"%.*s\" is missing, which other metrics of "
		       "this script have",
		       (int)len, m->name + start);
	else if (!named && observes(m->type) &&
		 !ends_in(m->name, m->name_len, "ratio"))
		advise(at, "neither the name nor a unit says in what it is "
			   "measured");
}

static void check_percent(const struct looking *at)
{
	static const char *const words[] = { "percent", "percentage", "pct" };
	const struct metadata *m = at->metadata;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (ends_in(m->name, stem_length(m), words[i]))
			advise(at, "use the base unit ratio instead of %s",
			       words[i]);
}

/* ---- names ---- */

/* NAME is one that not every reader knows; what others see instead. */
static void advise_legacy(const struct looking *at, const char *what,
			  const char *name)
{
	struct buf shown;

	buf_init(&shown, SIZE_MAX / 2);
	name_escape(&shown, (struct str){ name, strlen(name) },
		    ESCAPING_UNDERSCORES);
	advise(at,
	       "%s'%s' is '%s' to readers that do not ask for UTF-8 names, as "
	       "Prometheus before 3.0",
	       what, name, buf_text(&shown));
	buf_release(&shown);
}

static void check_name(const struct looking *at)
{
	static const char *const hosts[] = { "lunex_", "process_" };
	const struct metadata *m = at->metadata;
	bool capital = false, camel = false;

	if (!name_is_legacy((struct str){ m->name, m->name_len }))
		advise_legacy(at, "", m->name);
	if (m->type == METRIC_INFO && !ends_in(m->name, m->name_len, "info"))
		advise(at, "the name of an info ends in _info");
	for (int i = 0; i < 2; i++)
		if (begins_with(m->name, hosts[i]))
			advise(at,
			       "names that begin with %s are the host's, which "
			       "shows one of the two alone",
			       hosts[i]);
	if (strcmp(m->name, "up") == 0 || begins_with(m->name, "scrape_"))
		advise(at, "Prometheus has metrics of its own that are called "
			   "up, or begin with scrape_");
	for (const char *p = m->name; *p; p++) {
		bool upper = isupper((unsigned char)*p);

		capital |= upper;
		camel |= upper && p > m->name && islower((unsigned char)p[-1]);
	}
	if (capital && !camel) /* promtool tells the other */
		advise(at, "names are written in snake_case");
}

static void check_openmetrics(const struct looking *at)
{
	const struct form form = { FORMAT_OPENMETRICS, ESCAPING_NONE, true };
	const struct metadata *m = at->metadata;
	bool counter = m->type == METRIC_COUNTER;

	if (ends_in(m->name, m->name_len, counter ? "total" : "info") &&
	    render_is_unknown(form, m, at->all, at->n))
		advise(at,
		       "OpenMetrics shows it as %s, because its names there "
		       "are those of another metric, too",
		       counter ? "unknown" : "a gauge");
}

/* ---- labels ---- */

static void check_label(const struct looking *at, const char *label)
{
	if (!name_is_legacy_label((struct str){ label, strlen(label) }))
		advise_legacy(at, "the label ", label);
	if (label[0] == '_')
		advise(at,
		       "OpenMetrics reserves label names that begin with _, "
		       "such as '%s'",
		       label);
	if (strcmp(label, "job") == 0 || strcmp(label, "instance") == 0)
		advise(at,
		       "Prometheus adds a label '%s' of its own; it renames "
		       "this one to 'exported_%s'",
		       label, label);
}

static void check_labels(const struct looking *at)
{
	const struct declaration *d = at->declaration;

	for (unsigned i = 0; i < at->schema->count; i++)
		check_label(at, at->schema->names[i]);
	for (unsigned i = 0; i < d->nlabels; i++)
		check_label(at, d->labels[i].name);
}

/* ---- all ---- */

static void look(struct looking *at, struct family *family)
{
	at->metadata = family_metadata(family);
	at->schema = family_schema(family);
	if (*at->metadata->unit)
		check_unit(at);
	else
		check_no_unit(at);
	check_percent(at);
	check_name(at);
	check_openmetrics(at);
	check_labels(at);
}

void convention_check(struct lint *lint, struct registry *registry,
		      const struct declaration *declaration)
{
	const char *const *names = registry_names(registry);
	struct looking at = { .lint = lint, .declaration = declaration };

	while (names[at.n])
		at.n++;
	at.all = mem_array(at.n, sizeof *at.all);
	for (size_t i = 0; i < at.n; i++) {
		at.all[i] = family_metadata(registry_find(registry, names[i]));
		at.units |= *at.all[i]->unit != '\0';
	}
	for (size_t i = 0; i < at.n; i++)
		look(&at, registry_find(registry, names[i]));
	free(at.all);
}
