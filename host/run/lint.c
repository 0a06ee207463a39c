/* SPDX-License-Identifier: Apache-2.0 */
#include "run/lint.h"

#include <ctype.h>
#include <string.h>

/* Words of a name that stand for another unit than the base unit. */
static const struct {
	const char *word, *base;
} units[] = {
	{ "ms", "seconds" },
	{ "milliseconds", "seconds" },
	{ "microseconds", "seconds" },
	{ "nanoseconds", "seconds" },
	{ "minutes", "seconds" },
	{ "hours", "seconds" },
	{ "days", "seconds" },
	{ "kilobytes", "bytes" },
	{ "megabytes", "bytes" },
	{ "gigabytes", "bytes" },
	{ "bits", "bytes" },
	{ "percent", "ratio" },
	{ "pct", "ratio" },
	{ "fahrenheit", "celsius" },
	{ "milliamperes", "amperes" },
	{ "millivolts", "volts" },
};

/* What histograms and summaries add to the names of their series. */
static const char *const reserved[] = { "_bucket", "_count", "_sum", NULL };

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len > n && strcmp(s + len - n, end) == 0;
}

static bool has_word(const char *name, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = name; (p = strstr(p, word)) != NULL; p++)
		if ((p == name || p[-1] == '_') &&
		    (p[n] == '\0' || p[n] == '_'))
			return true;
	return false;
}

static bool has_capital(const char *s)
{
	while (*s && !isupper((unsigned char)*s))
		s++;
	return *s != '\0';
}

/* Fills ADVICE; true, so that a check can return it. */
#define ADVISE(...) (err_set(advice, ERR_INPUT, __VA_ARGS__), true)

static bool lint_type(const struct metadata *m, struct err *advice)
{
	bool total = ends_with(m->name, "_total");

	if (m->type == METRIC_COUNTER && !total)
		return ADVISE("%s: the name of a counter ends in _total",
			      m->name);
	if (m->type != METRIC_COUNTER && total)
		return ADVISE("%s: only the name of a counter ends in _total",
			      m->name);
	if (m->type == METRIC_INFO && !ends_with(m->name, "_info"))
		return ADVISE("%s: the name of an info ends in _info", m->name);
	if (has_word(m->name, metric_type_name(m->type)) &&
	    m->type != METRIC_INFO)
		return ADVISE("%s: the name repeats the type", m->name);
	return false;
}

bool lint_metric(const struct metadata *m, struct err *advice)
{
	if (m->help[0] == '\0')
		return ADVISE("%s: there is no help text", m->name);
	if (lint_type(m, advice))
		return true;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (has_word(m->name, units[i].word))
			return ADVISE("%s: use the base unit %s instead of %s",
				      m->name, units[i].base, units[i].word);
	for (size_t i = 0; reserved[i]; i++)
		if (ends_with(m->name, reserved[i]))
			return ADVISE("%s: the ending %s belongs to histograms "
				      "and summaries",
				      m->name, reserved[i]);
	if (has_capital(m->name))
		return ADVISE("%s: names are written in snake_case", m->name);
	return false;
}
