/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promlint reads a page, so a family is looked at as the page shows it: its
 * head is rendered and read back. The rules have promlint's names and order.
 */
#include "run/lint.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/render.h"

/* ---- findings ---- */

void lint_add(struct lint *lint, const char *family, const char *metric,
	      const char *text)
{
	for (size_t i = lint->n; i-- > 0;)
		if (strcmp(lint->items[i].metric, metric) == 0 &&
		    strcmp(lint->items[i].text, text) == 0)
			return;
	lint->items =
		mem_realloc(lint->items, (lint->n + 1) * sizeof *lint->items);
	lint->items[lint->n++] =
		(struct lint_finding){ mem_string(family), mem_string(metric),
				       mem_string(text) };
}

static int by_metric_and_text(const void *a, const void *b)
{
	const struct lint_finding *x = a, *y = b;
	int order = strcmp(x->metric, y->metric);

	return order ? order : strcmp(x->text, y->text);
}

void lint_sort(struct lint *lint)
{
	if (lint->n)
		qsort(lint->items, lint->n, sizeof *lint->items,
		      by_metric_and_text);
}

void lint_release(struct lint *lint)
{
	for (size_t i = 0; i < lint->n; i++) {
		free(lint->items[i].family);
		free(lint->items[i].metric);
		free(lint->items[i].text);
	}
	free(lint->items);
	*lint = (struct lint){ 0 };
}

/* ---- what a page shows ---- */

enum type { COUNTER, GAUGE, HISTOGRAM, SUMMARY, UNTYPED, TYPES };

static const char *const types[TYPES] = { "counter", "gauge", "histogram",
					  "summary", "untyped" };

/* A family of a page. */
struct family_seen {
	struct lint *lint;
	const char *declared; /* its name in the script */
	char *name;
	char *lower; /* the name in small letters */
	enum type type;
	bool help;
	const char *own; /* a label that the type brings along, or NULL */
	const struct label_schema *schema;
	const struct label_pair *constant;
	unsigned nconstant;
};

static void say(const struct family_seen *f, const char *text)
{
	lint_add(f->lint, f->declared, f->name, text);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

/* Does NAME have WORD between two _ or behind the last one? */
static bool has_word(const char *name, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = name; (p = strstr(p, word)) != NULL; p++)
		if (p > name && p[-1] == '_' && (p[n] == '\0' || p[n] == '_'))
			return true;
	return false;
}

static bool is_camel_case(const char *s)
{
	for (; *s; s++)
		if (s[0] >= 'a' && s[0] <= 'z' && s[1] >= 'A' && s[1] <= 'Z')
			return true;
	return false;
}

/* ---- units ---- */

static const struct {
	const char *word, *base;
} units[] = {
	/* Base units. */
	{ "amperes", "amperes" },
	{ "bytes", "bytes" },
	{ "celsius", "celsius" },
	{ "grams", "grams" },
	{ "joules", "joules" },
	{ "kelvin", "kelvin" },
	{ "meters", "meters" },
	{ "metres", "metres" },
	{ "seconds", "seconds" },
	{ "volts", "volts" },
	/* Others. */
	{ "minutes", "seconds" },
	{ "hours", "seconds" },
	{ "days", "seconds" },
	{ "weeks", "seconds" },
	{ "kelvins", "kelvin" },
	{ "fahrenheit", "celsius" },
	{ "rankine", "celsius" },
	{ "inches", "meters" },
	{ "yards", "meters" },
	{ "miles", "meters" },
	{ "bits", "bytes" },
	{ "calories", "joules" },
	{ "pounds", "grams" },
	{ "ounces", "grams" },
};

/* In the order in which they are tried. */
static const char *const unit_prefixes[] = {
	"pico",	 "nano", "micro", "milli", "centi", "deci", "deca",
	"hecto", "kilo", "kibi",  "mega",  "mibi",  "giga", "gibi",
	"tera",	 "tebi", "peta",  "pebi",  "",
};

static const char *const unit_abbreviations[] = { "s",	"ms", "us", "ns", "sec",
						  "b",	"kb", "mb", "gb", "tb",
						  "pb", "m",  "h",  "d" };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Places in both tables. */
struct unit {
	size_t unit, prefix;
};

static bool is_unit(const char *word, size_t len, struct unit *found)
{
	for (size_t u = 0; u < COUNT(units); u++) {
		size_t n = strlen(units[u].word);

		if (n > len || memcmp(word + len - n, units[u].word, n) != 0)
			continue;
		for (size_t p = 0; p < COUNT(unit_prefixes); p++) {
			*found = (struct unit){ u, p };
			if (strlen(unit_prefixes[p]) == len - n &&
			    memcmp(word, unit_prefixes[p], len - n) == 0)
				return true;
		}
	}
	return false;
}

/* Of different units promlint takes one by chance: here it is the first. Of
 * one with several prefixes that which is tried first. */
bool lint_unit(const char *name, size_t *at, size_t *len, const char **base)
{
	struct unit best = { COUNT(units), 0 }, found;

	for (size_t i = 0;; i++) {
		size_t n = strcspn(name + i, "_");

		if (is_unit(name + i, n, &found) &&
		    (best.unit == COUNT(units) ||
		     (best.unit == found.unit && found.prefix < best.prefix))) {
			best = found;
			*at = i;
			*len = n;
		}
		i += n;
		if (name[i] == '\0')
			break;
	}
	if (best.unit == COUNT(units))
		return false;
	*base = units[best.unit].base;
	return true;
}

/* ---- the rules ---- */

static void lint_help(const struct family_seen *f)
{
	if (!f->help)
		say(f, "no help text");
}

static void lint_metric_units(const struct family_seen *f)
{
	const char *base;
	char text[100];
	size_t at, len;

	if (!lint_unit(f->name, &at, &len, &base) ||
	    (strlen(base) == len && memcmp(base, f->name + at, len) == 0))
		return;
	snprintf(text, sizeof text, "use base unit \"%s\" instead of \"%.*s\"",
		 base, (int)len, f->name + at);
	say(f, text);
}

static void lint_counter(const struct family_seen *f)
{
	bool total = ends_with(f->name, "_total");

	if (f->type == COUNTER && !total)
		say(f, "counter metrics should have \"_total\" suffix");
	else if (f->type != UNTYPED && f->type != COUNTER && total)
		say(f, "non-counter metrics should not have \"_total\" suffix");
}

/* Of later versions than 2.42. */
static void lint_gauge(const struct family_seen *f)
{
	if (f->type != UNTYPED && f->type != GAUGE &&
	    ends_with(f->name, "_timestamp_seconds"))
		say(f, "non-gauge metrics should not have "
		       "\"_timestamp_seconds\" suffix");
}

static const char *label_at(const struct family_seen *f, unsigned i)
{
	if (i < f->schema->count)
		return f->schema->names[i];
	i -= f->schema->count;
	return i < f->nconstant ? f->constant[i].name : f->own;
}

/* How many of label_at() there are. */
static unsigned count_labels(const struct family_seen *f)
{
	return f->schema->count + f->nconstant + (f->own != NULL);
}

static bool has_label(const struct family_seen *f, const char *name)
{
	for (unsigned i = 0; i < count_labels(f); i++)
		if (strcmp(label_at(f, i), name) == 0)
			return true;
	return false;
}

static void lint_histogram_summary_reserved(const struct family_seen *f)
{
	bool histogram = f->type == HISTOGRAM;
	bool either = histogram || f->type == SUMMARY;

	if (f->type == UNTYPED)
		return;
	if (!histogram && ends_with(f->name, "_bucket"))
		say(f, "non-histogram metrics should not have \"_bucket\" "
		       "suffix");
	if (!either && ends_with(f->name, "_count"))
		say(f, "non-histogram and non-summary metrics should not have "
		       "\"_count\" suffix");
	if (!either && ends_with(f->name, "_sum"))
		say(f, "non-histogram and non-summary metrics should not have "
		       "\"_sum\" suffix");
	if (!histogram && has_label(f, "le"))
		say(f, "non-histogram metrics should not have \"le\" label");
	if (f->type != SUMMARY && has_label(f, "quantile"))
		say(f, "non-summary metrics should not have \"quantile\" "
		       "label");
}

/* Later versions look for the family's own type alone. */
static void lint_metric_type_in_name(const struct family_seen *f)
{
	static const char *const words[] = { "counter", "gauge", "histogram",
					     "summary", "gauge_histogram" };
	char text[100];

	for (size_t i = 0; i < COUNT(words); i++) {
		if (!has_word(f->lower, words[i]))
			continue;
		snprintf(text, sizeof text,
			 "metric name should not include type '%s'", words[i]);
		say(f, text);
	}
}

static void lint_reserved_chars(const struct family_seen *f)
{
	if (strchr(f->name, ':'))
		say(f, "metric names should not contain ':'");
}

static void lint_camel_case(const struct family_seen *f)
{
	if (is_camel_case(f->name))
		say(f, "metric names should be written in 'snake_case' not "
		       "'camelCase'");
	for (unsigned i = 0; i < count_labels(f); i++)
		if (is_camel_case(label_at(f, i)))
			say(f, "label names should be written in 'snake_case' "
			       "not 'camelCase'");
}

static void lint_unit_abbreviations(const struct family_seen *f)
{
	for (size_t i = 0; i < COUNT(unit_abbreviations); i++)
		if (has_word(f->lower, unit_abbreviations[i]))
			say(f, "metric names should not contain abbreviated "
			       "units");
}

static void lint_family(const struct family_seen *f)
{
	lint_help(f);
	lint_metric_units(f);
	lint_counter(f);
	lint_gauge(f);
	lint_histogram_summary_reserved(f);
	lint_metric_type_in_name(f);
	lint_reserved_chars(f);
	lint_camel_case(f);
	lint_unit_abbreviations(f);
}

/* ---- from declarations to pages ---- */

/* HEAD is "# HELP name text", if there is a text, and "# TYPE name type"; a
 * text of blanks is none to those who read it. */
static void read_head(struct family_seen *f, const char *head)
{
	bool help = strncmp(head, "# HELP ", 7) == 0;
	const char *line = help ? strchr(head, '\n') + 1 : head;
	const char *name = strstr(line, "TYPE ") + strlen("TYPE ");
	size_t len = strcspn(name, " ");
	const char *type = name + len + 1;

	f->name = mem_copy(name, len);
	f->help = help && head[7 + len + strspn(head + 7 + len, " \t")] != '\n';
	f->lower = mem_copy(name, len);
	for (char *p = f->lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	f->type = COUNTER;
	while (strncmp(type, types[f->type], strlen(types[f->type])) != 0)
		f->type++;
}

static void lint_part(struct family_seen *seen, struct buf *head,
		      const struct shown_family *shown)
{
	buf_clear(head);
	render_head(head, form_plain, shown);
	read_head(seen, buf_text(head));
	lint_family(seen);
	free(seen->name);
	free(seen->lower);
}

void lint_promtool(struct lint *lint, const struct metadata *metadata,
		   const struct label_schema *schema,
		   const struct label_pair *constant, unsigned nconstant)
{
	struct shown_family shown = { .metadata = metadata };
	struct family_seen seen = {
		.lint = lint,
		.declared = metadata->name,
		.own = metadata->type == METRIC_STATESET ? metadata->name
							 : NULL,
		.schema = schema,
		.constant = constant,
		.nconstant = nconstant,
	};
	unsigned parts = render_parts(form_plain, metadata);
	struct buf head;

	buf_init(&head, SIZE_MAX / 2);
	for (; shown.part < parts; shown.part++)
		lint_part(&seen, &head, &shown);
	buf_release(&head);
}
