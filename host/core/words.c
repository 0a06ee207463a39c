/* SPDX-License-Identifier: Apache-2.0 */
#include "core/words.h"

#include <stdio.h>

bool words_next(struct words *w)
{
	return proto_lex_next(&w->lex, w->err);
}

bool words_is(const struct words *w, const char *word)
{
	return proto_lex_is(&w->lex, word);
}

bool words_expected(const struct words *w, const char *what)
{
	return proto_lex_expected(&w->lex, w->err, what);
}

bool words_expect(struct words *w, char symbol)
{
	const char word[] = { symbol, '\0' };
	const char what[] = { '\'', symbol, '\'', '\0' };

	return words_is(w, word) ? words_next(w) : words_expected(w, what);
}

struct proto_place words_place(const struct words *w)
{
	return (struct proto_place){ w->lex.file, w->lex.line, w->lex.column };
}

bool words_ident(struct words *w, const char *what, struct str *out)
{
	if (w->lex.type != PROTO_IDENT)
		return words_expected(w, what);
	if (w->lex.text.len > PROTO_NAME_MAX)
		return proto_lex_error(&w->lex, w->err, "name too long");
	*out = w->lex.text;
	return words_next(w);
}

/* Adds one word to a name that must not become too long. */
static bool add_word(struct words *w, char *name, size_t *len)
{
	if (*len + w->lex.text.len > PROTO_NAME_MAX)
		return proto_lex_error(&w->lex, w->err, "name too long");
	memcpy(name + *len, w->lex.text.data, w->lex.text.len);
	*len += w->lex.text.len;
	name[*len] = '\0';
	return words_next(w);
}

/* [.] word { . word } */
bool words_dotted(struct words *w, const char *what,
		  char name[PROTO_NAME_MAX + 1])
{
	size_t len = 0;

	if (words_is(w, ".") && !add_word(w, name, &len))
		return false;
	for (;;) {
		if (w->lex.type != PROTO_IDENT)
			return words_expected(w, what);
		if (!add_word(w, name, &len))
			return false;
		if (!words_is(w, "."))
			return true;
		if (!add_word(w, name, &len))
			return false;
	}
}

/* An integer with its sign; MAGNITUDE is without. */
bool words_integer(struct words *w, bool *negative, uint64_t *magnitude)
{
	*negative = words_is(w, "-");
	if (*negative && !words_next(w))
		return false;
	if (w->lex.type != PROTO_INTEGER)
		return words_expected(w, "an integer");
	*magnitude = w->lex.integer;
	return words_next(w);
}

bool words_int32(struct words *w, int32_t *out)
{
	struct proto_lex at = w->lex;
	uint64_t magnitude;
	bool negative;

	if (!words_integer(w, &negative, &magnitude))
		return false;
	if (magnitude > (uint64_t)INT32_MAX + negative)
		return proto_lex_error(&at, w->err,
				       "number is not within 32 bits");
	*out = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
	return true;
}

/* One or more string literals, put together. */
bool words_string(struct words *w, struct buf *out)
{
	if (w->lex.type != PROTO_QUOTED)
		return words_expected(w, "a string");
	while (w->lex.type == PROTO_QUOTED)
		if (!proto_lex_unquote(&w->lex, out, w->err) || !words_next(w))
			return false;
	return true;
}

/* Goes to the first of the symbols STOPS that is outside of all brackets. */
bool words_skip_to(struct words *w, const char *stops)
{
	struct proto_lex from = w->lex;
	unsigned depth = 0;

	for (;;) {
		char c = w->lex.type == PROTO_SYMBOL ? *w->lex.text.data : ' ';

		if (w->lex.type == PROTO_EOF)
			return proto_lex_error(&from, w->err,
					       "statement without end");
		if (depth == 0 && strchr(stops, c))
			return true;
		if (strchr("{[(", c))
			depth++;
		else if (strchr("}])", c) && depth-- == 0)
			return words_expected(w, "';'");
		if (!words_next(w))
			return false;
	}
}

bool words_skip_statement(struct words *w)
{
	return words_skip_to(w, ";") && words_next(w);
}

/* service Name { ... } and extend Name { ... } */
bool words_skip_block(struct words *w)
{
	return words_skip_to(w, "{") && words_next(w) &&
	       words_skip_to(w, "}") && words_next(w);
}

/* SCOPE.NAME, or NAME in the outermost scope. */
bool words_join(struct words *w, const char *scope, struct str name,
		char out[PROTO_NAME_MAX + 1])
{
	int n = snprintf(out, PROTO_NAME_MAX + 1, "%s%s%.*s", scope,
			 *scope ? "." : "", (int)name.len, name.data);

	if (n > PROTO_NAME_MAX)
		return proto_lex_error(&w->lex, w->err, "name too long");
	return true;
}
