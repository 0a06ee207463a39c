/* SPDX-License-Identifier: Apache-2.0 */
#include "web/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* A part of a path between slashes. */
struct segment {
	const char *at, *end;
};

/* The next segment of *PATH, which moves behind it; false at the end. */
static bool next_segment(const char **path, struct segment *segment)
{
	if (**path != '/')
		return false;
	segment->at = *path + 1;
	*path = segment->at + strcspn(segment->at, "/");
	segment->end = *path;
	return true;
}

static bool is_parameter(const struct segment *segment)
{
	return segment->at < segment->end && *segment->at == ':';
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character at *P, decoded. "%00" stays: for C a text would end there. */
static char decode(const char **p, const char *end)
{
	const char *s = *p;
	int high = -1, low = -1;

	if (*s == '%' && end - s > 2) {
		high = hex(s[1]);
		low = hex(s[2]);
	}
	if (high < 0 || low < 0 || (high == 0 && low == 0)) {
		*p = s + 1;
		return *s;
	}
	*p = s + 3;
	return (char)(high << 4 | low);
}

static bool same_text(const struct segment *pattern, const struct segment *sent)
{
	const char *p = pattern->at, *s = sent->at;

	while (p < pattern->end && s < sent->end)
		if (*p++ != decode(&s, sent->end))
			return false;
	return p == pattern->end && s == sent->end;
}

bool path_matches(const char *pattern, const char *path)
{
	struct segment p, s;

	while (next_segment(&pattern, &p)) {
		if (!next_segment(&path, &s))
			return false;
		if (is_parameter(&p) ? s.at == s.end : !same_text(&p, &s))
			return false;
	}
	return *path == '\0';
}

bool path_is_nearer(const char *a, const char *b)
{
	struct segment x, y;

	while (next_segment(&a, &x) && next_segment(&b, &y))
		if (is_parameter(&x) != is_parameter(&y))
			return is_parameter(&y);
	return false;
}

static bool same_segment(const struct segment *a, const struct segment *b)
{
	if (is_parameter(a) || is_parameter(b))
		return is_parameter(a) && is_parameter(b);
	return a->end - a->at == b->end - b->at &&
	       memcmp(a->at, b->at, (size_t)(a->end - a->at)) == 0;
}

bool path_equal(const char *a, const char *b)
{
	struct segment x, y;

	while (next_segment(&a, &x))
		if (!next_segment(&b, &y) || !same_segment(&x, &y))
			return false;
	return *b == '\0';
}

/* ---- parameters ---- */

static void tell(const struct segment *name, const struct segment *sent,
		 void (*each)(void *arg, const char *name, const char *value),
		 void *arg)
{
	char *key = mem_copy(name->at + 1, (size_t)(name->end - name->at - 1));
	char *value = mem_copy(sent->at, (size_t)(sent->end - sent->at));
	char *out = value;

	for (const char *s = sent->at; s < sent->end;)
		*out++ = decode(&s, sent->end);
	*out = '\0';
	each(arg, key, value);
	free(key);
	free(value);
}

void path_parameters(const char *pattern, const char *path,
		     void (*each)(void *arg, const char *name,
				  const char *value),
		     void *arg)
{
	struct segment p, s;

	while (next_segment(&pattern, &p) && next_segment(&path, &s))
		if (is_parameter(&p))
			tell(&p, &s, each, arg);
}

/* ---- patterns ---- */

static bool is_name(const struct segment *parameter)
{
	const char *p = parameter->at + 1;

	if (p == parameter->end || isdigit((unsigned char)*p))
		return false;
	for (; p < parameter->end; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return true;
}

static bool names_differ(const char *pattern)
{
	struct segment a, b;
	const char *rest;

	while (next_segment(&pattern, &a)) {
		rest = pattern;
		while (is_parameter(&a) && next_segment(&rest, &b))
			if (is_parameter(&b) && a.end - a.at == b.end - b.at &&
			    memcmp(a.at, b.at, (size_t)(a.end - a.at)) == 0)
				return false;
	}
	return true;
}

static bool check_characters(const char *pattern, struct err *err)
{
	for (const char *p = pattern; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("?#%", *p))
			return err_set(err, ERR_USAGE,
				       "the path '%s' holds a space or one of "
				       "? # %%; write it without escapes",
				       pattern);
	return true;
}

bool path_check(const char *pattern, struct err *err)
{
	const char *rest = pattern;
	struct segment s;

	if (*pattern != '/')
		return err_set(err, ERR_USAGE,
			       "the path '%s' does not begin with a slash",
			       pattern);
	if (strlen(pattern) > PATH_MAX_LENGTH)
		return err_set(err, ERR_USAGE, "a path is longer than %d bytes",
			       PATH_MAX_LENGTH);
	if (!check_characters(pattern, err))
		return false;
	while (next_segment(&rest, &s))
		if (is_parameter(&s) && !is_name(&s))
			return err_set(err, ERR_USAGE,
				       "the path '%s': '%.*s' is not the name "
				       "of a parameter, such as :id",
				       pattern, (int)(s.end - s.at), s.at);
	if (!names_differ(pattern))
		return err_set(err, ERR_USAGE,
			       "the path '%s' has two parameters of one name",
			       pattern);
	return true;
}
