/* SPDX-License-Identifier: Apache-2.0 */
#include "run/source.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"

char *source_read(const char *path, size_t *len, struct err *err)
{
	FILE *file = fopen(path, "rb");
	char piece[16384];
	struct buf text;
	size_t n;
	bool failed;

	if (!file) {
		err_set(err, ERR_USAGE, "cannot read %s: %s", path,
			strerror(errno));
		return NULL;
	}
	buf_init(&text, SOURCE_MAX);
	errno = 0;
	while (!text.full && (n = fread(piece, 1, sizeof piece, file)) > 0)
		buf_add(&text, piece, n);
	failed = ferror(file) != 0;
	if (failed)
		err_set(err, ERR_USAGE, "cannot read %s: %s", path,
			strerror(errno));
	else if (text.full)
		err_set(err, ERR_LIMIT,
			"cannot read %s: it is larger than %d "
			"bytes",
			path, SOURCE_MAX);
	fclose(file);
	if (failed || text.full) {
		buf_release(&text);
		return NULL;
	}
	return buf_take(&text, len);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Is KEY, which is at P, all of `KEY =`, in one of its two spellings? */
static bool assigns(const char *text, const char *p, const char *key)
{
	const char *end = p + strlen(key);

	if (is_word(*end))
		return false;
	if (p > text && is_word(p[-1]))
		return false;
	if (*end == '"' || *end == '\'')
		end++;
	if (*end == ']')
		end++;
	while (*end == ' ' || *end == '\t')
		end++;
	return end[0] == '=' && end[1] != '=';
}

static const char *find(const char *text, const char *from, const char *key)
{
	const char *p = strstr(from, key);

	while (p && !assigns(text, p, key))
		p = strstr(p + 1, key);
	return p;
}

/* Where the last `return` at the start of a line begins. */
static const char *last_return(const char *text)
{
	const char *found = text, *p = text;

	if (strncmp(text, "return", 6) == 0)
		found = text;
	while ((p = strstr(p, "\nreturn")) != NULL)
		found = ++p;
	return found;
}

int source_line(const char *text, const char *parent, const char *key)
{
	const char *from = last_return(text), *at;
	int line = 1;

	if (parent) {
		const char *p = find(text, from, parent);

		from = p ? p + strlen(parent) : from;
	}
	at = find(text, from, key);
	if (!at)
		at = find(text, text, key);
	if (!at)
		return 0;
	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return line;
}

void source_place(char *out, size_t size, const char *path, const char *text,
		  const char *parent, const char *key)
{
	int line = source_line(text, parent, key);

	if (line)
		snprintf(out, size, "%s:%d", path, line);
	else
		snprintf(out, size, "%s", path);
}
