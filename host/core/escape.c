/* SPDX-License-Identifier: Apache-2.0 */
#include "core/escape.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/utf8.h"

/* ---- legacy names ---- */

static bool is_letter(uint32_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* May C stand in a legacy name? COLON: the name is a metric's. */
static bool is_legacy(uint32_t c, bool first, bool colon)
{
	return is_letter(c) || (c == ':' && colon) ||
	       (c >= '0' && c <= '9' && !first);
}

static bool all_legacy(struct str name, bool colon)
{
	for (size_t i = 0; i < name.len; i++)
		if (!is_legacy((unsigned char)name.data[i], i == 0, colon))
			return false;
	return name.len > 0;
}

bool name_is_legacy(struct str name)
{
	return all_legacy(name, true);
}

bool name_is_legacy_label(struct str name)
{
	return all_legacy(name, false);
}

/* ---- schemes ---- */

static void add_values(struct buf *out, uint32_t c, bool legacy)
{
	if (c == '_')
		buf_addstr(out, "__");
	else if (legacy)
		buf_addch(out, (char)c);
	else
		buf_addf(out, "_%x_", (unsigned)c);
}

static void add_dots(struct buf *out, uint32_t c, bool legacy)
{
	if (c == '.')
		buf_addstr(out, "_dot_");
	else if (legacy && c != '_')
		buf_addch(out, (char)c);
	else
		buf_addstr(out, "__");
}

static void add_underscores(struct buf *out, uint32_t c, bool legacy)
{
	buf_addch(out, legacy ? (char)c : '_');
}

static void escape(struct buf *out, struct str name, enum escaping scheme,
		   bool colon)
{
	static void (*const schemes[])(struct buf *, uint32_t, bool) = {
		[ESCAPING_UNDERSCORES] = add_underscores,
		[ESCAPING_DOTS] = add_dots,
		[ESCAPING_VALUES] = add_values,
	};
	uint32_t c;

	if (scheme == ESCAPING_NONE || all_legacy(name, colon)) {
		buf_add(out, name.data, name.len);
		return;
	}
	if (scheme == ESCAPING_VALUES && name.len)
		buf_addstr(out, "U__");
	for (size_t i = 0, n; i < name.len; i += n) {
		n = utf8_next(name.data + i, name.len - i, &c);
		schemes[scheme](out, c, is_legacy(c, i == 0, colon));
	}
}

void name_escape(struct buf *out, struct str name, enum escaping scheme)
{
	escape(out, name, scheme, true);
}

void name_escape_label(struct buf *out, struct str name, enum escaping scheme)
{
	escape(out, name, scheme, false);
}

/* ---- names that meet ---- */

struct escaped {
	char *text;
	const char *name;
};

static int by_text(const void *a, const void *b)
{
	const struct escaped *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* Fills ALL, N + 1 of them, in the order of their texts. */
static void escape_all(struct escaped *all, const char *const *names,
		       unsigned n, enum escaping scheme)
{
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	for (unsigned i = 0; i < n; i++) {
		struct str name = { names[i], strlen(names[i]) };

		name_escape_label(&text, name, scheme);
		all[i].text = buf_take(&text, NULL);
		all[i].name = names[i];
	}
	all[n].text = mem_string("__name__");
	all[n].name = NULL;
	qsort(all, n + 1, sizeof *all, by_text);
}

static bool meet(const char *const *names, unsigned n, enum escaping scheme,
		 struct names_met *met)
{
	struct escaped *all = mem_array(n + 1, sizeof *all);
	bool found = false;

	escape_all(all, names, n, scheme);
	for (unsigned i = 0; i <= n; i++) {
		if (!found && i < n &&
		    strcmp(all[i].text, all[i + 1].text) == 0) {
			bool second = !all[i].name;

			met->a = all[i + second].name;
			met->b = all[i + !second].name;
			met->escaped = mem_string(all[i].text);
			found = true;
		}
		free(all[i].text);
	}
	free(all);
	return found;
}

bool names_meet(const char *const *names, unsigned n, struct names_met *met)
{
	bool legacy = true;

	for (unsigned i = 0; i < n; i++)
		legacy &= name_is_legacy_label(
			(struct str){ names[i], strlen(names[i]) });
	return !legacy && (meet(names, n, ESCAPING_UNDERSCORES, met) ||
			   meet(names, n, ESCAPING_DOTS, met) ||
			   meet(names, n, ESCAPING_VALUES, met));
}

/* ---- quotes ---- */

void text_escape(struct buf *out, struct str text)
{
	size_t from = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c != '\\' && c != '"' && c != '\n')
			continue;
		buf_add(out, text.data + from, i - from);
		buf_addstr(out, c == '\\' ? "\\\\" : c == '"' ? "\\\"" : "\\n");
		from = i + 1;
	}
	buf_add(out, text.data + from, text.len - from);
}

void text_show(struct buf *out, struct str text)
{
	uint32_t c;

	for (size_t i = 0, n; i < text.len; i += n) {
		n = utf8_next(text.data + i, text.len - i, &c);
		if (c == '\n')
			buf_addstr(out, "\\n");
		else if (c < ' ' || c == 0x7F)
			buf_addf(out, "\\x%02x", (unsigned)c);
		else if (c >= 0x80 && c < 0xA0)
			buf_addf(out, "\\u%04x", (unsigned)c);
		else
			buf_add(out, text.data + i, n);
	}
}

void name_quote(struct buf *out, struct str name)
{
	buf_addch(out, '"');
	text_escape(out, name);
	buf_addch(out, '"');
}

/* ---- their names ---- */

static const char *const names[] = {
	[ESCAPING_UNDERSCORES] = "underscores",
	[ESCAPING_DOTS] = "dots",
	[ESCAPING_VALUES] = "values",
	[ESCAPING_NONE] = "allow-utf-8",
};

const char *escaping_name(enum escaping scheme)
{
	return names[scheme];
}

bool escaping_parse(struct str word, enum escaping *scheme)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (word.len != strlen(names[i]) ||
		    memcmp(word.data, names[i], word.len) != 0)
			continue;
		*scheme = (enum escaping)i;
		return true;
	}
	return false;
}
