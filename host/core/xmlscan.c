/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xmlscan.h"

#include <stdio.h>

struct scanner {
	struct xmlscan *scan;
	const char *begin, *at, *end;
	size_t depth;
	size_t nodes; /* the ceiling */
	struct err *err;
};

static bool refuse(struct scanner *s, const char *what)
{
	size_t line = 1;

	for (const char *p = s->begin; p < s->at; p++)
		line += *p == '\n';
	return err_set(s->err, ERR_LIMIT, "xml: line %zu: %s", line, what);
}

/* Goes on behind MARK, or to the end. */
static void skip_to(struct scanner *s, const char *from, struct str mark)
{
	const char *p = NULL;

	if (from < s->end)
		p = memmem(from, (size_t)(s->end - from), mark.data, mark.len);
	s->at = p ? p + mark.len : s->end;
}

static bool looking_at(const struct scanner *s, const char *p, struct str mark)
{
	return (size_t)(s->end - p) >= mark.len &&
	       memcmp(p, mark.data, mark.len) == 0;
}

static bool check_nodes(struct scanner *s)
{
	char text[96];

	if (s->scan->elements + s->scan->attributes <= s->nodes)
		return true;
	snprintf(text, sizeof text, "more than %zu elements and attributes",
		 s->nodes);
	return refuse(s, text);
}

/* A value, which begins with the quote at P; what follows it. */
static const char *skip_value(struct scanner *s, const char *p)
{
	const char *q = memchr(p + 1, *p, (size_t)(s->end - p - 1));

	if (!q)
		q = s->end - 1;
	s->scan->attributes++;
	s->scan->values += (size_t)(q - p) + 1;
	return q + 1;
}

static bool start_tag(struct scanner *s)
{
	size_t before = s->scan->attributes;
	const char *p = s->at + 1;

	s->scan->elements++;
	while (p < s->end && *p != '>')
		p = *p == '"' || *p == '\'' ? skip_value(s, p) : p + 1;
	if (s->scan->attributes - before > XMLSCAN_ATTRIBUTES_MAX)
		return refuse(s, "a tag with more than 256 attributes");
	s->scan->tags += (size_t)(p - s->at);
	if (p < s->end && p[-1] != '/' && ++s->depth > XMLSCAN_DEPTH_MAX)
		return refuse(s, "elements nested more than 256 deep");
	s->at = p < s->end ? p + 1 : s->end;
	return check_nodes(s);
}

/* Behind a part of the declaration in which > and quotes mean nothing, or a
 * literal; NULL when it has no end. */
static const char *skip_declared(const char *p, const char *end)
{
	const char *q;
	size_t left = (size_t)(end - p);

	if (*p == '"' || *p == '\'') {
		q = memchr(p + 1, *p, left - 1);
		return q ? q + 1 : NULL;
	}
	if (left >= 4 && memcmp(p, "<!--", 4) == 0) {
		q = memmem(p + 4, left - 4, "-->", 3);
		return q ? q + 3 : NULL;
	}
	if (left >= 2 && memcmp(p, "<?", 2) == 0) {
		q = memmem(p + 2, left - 2, "?>", 2);
		return q ? q + 2 : NULL;
	}
	return p + 1;
}

static bool doctype(struct scanner *s)
{
	const char *p = s->at + 9, *end = s->end;
	bool inside = false;

	if (end - s->at > XMLSCAN_DOCTYPE_MAX)
		end = s->at + XMLSCAN_DOCTYPE_MAX;
	while (p && p < end && (inside || *p != '>')) {
		if (*p == '[')
			inside = s->scan->entities = true;
		else if (*p == ']')
			inside = false;
		p = skip_declared(p, end);
	}
	if ((!p || p >= end) && end < s->end)
		return refuse(s, "a DOCTYPE of more than 16 KiB");
	s->at = p && p < end ? p + 1 : s->end;
	return true;
}

static bool other_markup(struct scanner *s)
{
	const char *from = s->at;

	if (looking_at(s, s->at, STR("<!--"))) {
		skip_to(s, s->at + 4, STR("-->"));
	} else if (looking_at(s, s->at, STR("<![CDATA["))) {
		skip_to(s, s->at + 9, STR("]]>"));
		s->scan->text += (size_t)(s->at - from);
	} else if (looking_at(s, s->at, STR("<!DOCTYPE")) &&
		   s->scan->elements == 0 && !s->scan->entities) {
		return doctype(s);
	} else if (looking_at(s, s->at, STR("<?"))) {
		skip_to(s, s->at + 2, STR("?>"));
	} else {
		s->at = s->end;
	}
	return true;
}

/* AT is at a <. */
static bool markup(struct scanner *s)
{
	char c = s->at + 1 < s->end ? s->at[1] : '!';
	const char *gt;

	if (c == '!' || c == '?')
		return other_markup(s);
	if (c != '/')
		return start_tag(s);
	gt = memchr(s->at, '>', (size_t)(s->end - s->at));
	s->at = gt ? gt + 1 : s->end;
	if (s->depth > 0)
		s->depth--;
	return true;
}

bool xmlscan_run(struct str text, size_t nodes, struct xmlscan *scan,
		 struct err *err)
{
	struct scanner s = { .scan = scan, .nodes = nodes, .err = err };
	const char *next;

	*scan = (struct xmlscan){ 0 };
	s.begin = s.at = text.data;
	s.end = text.data + text.len;
	while (s.at < s.end) {
		next = memchr(s.at, '<', (size_t)(s.end - s.at));
		if (!next)
			next = s.end;
		scan->text += (size_t)(next - s.at);
		s.at = next;
		if (next < s.end && !markup(&s))
			return false;
	}
	return true;
}
