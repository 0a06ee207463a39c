/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_lex.h"

#include <stdarg.h>
#include <stdio.h>

/* <ctype.h> depends on the locale. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The value of a hexadecimal digit, 16 for anything else. */
static unsigned digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* ---- messages -------------------------------------------------------------
 */

bool proto_lex_error(const struct proto_lex *lex, struct err *err,
		     const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_set(err, ERR_INPUT, "%s:%u:%u: %s", lex->file, lex->line,
		       lex->column, text);
}

bool proto_lex_expected(const struct proto_lex *lex, struct err *err,
			const char *what)
{
	int len = lex->text.len > 40 ? 40 : (int)lex->text.len;

	if (lex->type == PROTO_EOF)
		return proto_lex_error(lex, err, "expected %s, got the end",
				       what);
	return proto_lex_error(lex, err, "expected %s, got '%.*s'", what, len,
			       lex->text.data);
}

/* ---- blanks ---------------------------------------------------------------
 */

static void place_token(struct proto_lex *lex)
{
	lex->line = lex->line_next;
	lex->column = (unsigned)(lex->p - lex->line_start) + 1;
	lex->text = (struct str){ lex->p, 0 };
}

static void newline(struct proto_lex *lex)
{
	lex->line_next++;
	lex->line_start = lex->p + 1;
}

static bool skip_block_comment(struct proto_lex *lex, struct err *err)
{
	place_token(lex);
	for (lex->p += 2; lex->end - lex->p >= 2; lex->p++) {
		if (lex->p[0] == '*' && lex->p[1] == '/') {
			lex->p += 2;
			return true;
		}
		if (*lex->p == '\n')
			newline(lex);
	}
	return proto_lex_error(lex, err, "comment without end");
}

static bool skip_blanks(struct proto_lex *lex, struct err *err)
{
	for (; lex->p < lex->end; lex->p++) {
		char next = lex->end - lex->p > 1 ? lex->p[1] : '\0';

		if (*lex->p == '\n') {
			newline(lex);
		} else if (*lex->p == '/' && next == '/') {
			while (lex->end - lex->p > 1 && lex->p[1] != '\n')
				lex->p++;
		} else if (*lex->p == '/' && next == '*') {
			if (!skip_block_comment(lex, err))
				return false;
			lex->p--;
		} else if (!strchr(" \t\r\f\v", *lex->p) || !*lex->p) {
			return true;
		}
	}
	return true;
}

/* ---- tokens ---------------------------------------------------------------
 */

static bool lex_digits(struct proto_lex *lex, unsigned base, struct err *err)
{
	const char *from = lex->p;

	lex->integer = 0;
	for (; lex->p < lex->end; lex->p++) {
		unsigned digit = digit_value(*lex->p);

		if (digit >= base)
			break;
		if (lex->integer > (UINT64_MAX - digit) / base)
			return proto_lex_error(lex, err, "number too large");
		lex->integer = lex->integer * base + digit;
	}
	lex->type = PROTO_INTEGER;
	if (lex->p == from && base == 16)
		return proto_lex_error(lex, err, "malformed number");
	return true;
}

/* The end of a decimal number with a point or an exponent; NULL when there is
 * neither behind the digits at P. */
static const char *real_end(const char *p, const char *end)
{
	const char *from, *q;

	while (p < end && is_digit(*p))
		p++;
	from = p;
	if (p < end && *p == '.')
		for (p++; p < end && is_digit(*p);)
			p++;
	if (p < end && (*p == 'e' || *p == 'E')) {
		q = p + 1;
		if (q < end && (*q == '+' || *q == '-'))
			q++;
		if (q < end && is_digit(*q))
			for (p = q; p < end && is_digit(*p);)
				p++;
	}
	return p == from ? NULL : p;
}

static bool lex_number(struct proto_lex *lex, struct err *err)
{
	const char *real = real_end(lex->p, lex->end);
	char second = lex->end - lex->p > 1 ? lex->p[1] : '\0';

	if (*lex->p == '0' && (second == 'x' || second == 'X')) {
		lex->p += 2;
		if (!lex_digits(lex, 16, err))
			return false;
	} else if (real) {
		lex->type = PROTO_REAL;
		lex->p = real;
		if (lex->p < lex->end && (*lex->p == 'f' || *lex->p == 'F'))
			lex->p++;
	} else if (!lex_digits(lex, *lex->p == '0' ? 8 : 10, err)) {
		return false;
	}
	if (lex->p < lex->end && (is_letter(*lex->p) || is_digit(*lex->p)))
		return proto_lex_error(lex, err, "malformed number");
	return true;
}

static bool lex_string(struct proto_lex *lex, struct err *err)
{
	char quote = *lex->p++;

	lex->type = PROTO_QUOTED;
	for (; lex->p < lex->end && *lex->p != '\n'; lex->p++) {
		if (*lex->p == quote) {
			lex->p++;
			return true;
		}
		if (*lex->p == '\\' && lex->end - lex->p > 1 &&
		    lex->p[1] != '\n')
			lex->p++;
	}
	return proto_lex_error(lex, err, "string without end");
}

static bool lex_token(struct proto_lex *lex, struct err *err)
{
	char c = *lex->p;

	if (is_letter(c)) {
		lex->type = PROTO_IDENT;
		while (lex->p < lex->end &&
		       (is_letter(*lex->p) || is_digit(*lex->p)))
			lex->p++;
		return true;
	}
	if (is_digit(c) ||
	    (c == '.' && lex->end - lex->p > 1 && is_digit(lex->p[1])))
		return lex_number(lex, err);
	if (c == '"' || c == '\'')
		return lex_string(lex, err);
	if ((unsigned char)c < ' ' || (unsigned char)c > '~')
		return proto_lex_error(lex, err, "unexpected byte 0x%02x",
				       (unsigned)(unsigned char)c);
	lex->type = PROTO_SYMBOL;
	lex->p++;
	return true;
}

bool proto_lex_next(struct proto_lex *lex, struct err *err)
{
	if (!skip_blanks(lex, err))
		return false;
	place_token(lex);
	if (lex->p == lex->end) {
		lex->type = PROTO_EOF;
		return true;
	}
	if (!lex_token(lex, err))
		return false;
	lex->text.len = (size_t)(lex->p - lex->text.data);
	return true;
}

bool proto_lex_init(struct proto_lex *lex, const char *file, struct str text,
		    struct err *err)
{
	const char *data = text.data ? text.data : "";

	*lex = (struct proto_lex){ .file = file, .line_next = 1 };
	lex->p = data;
	lex->end = data + text.len;
	if (text.len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
		lex->p += 3;
	lex->line_start = lex->p;
	return proto_lex_next(lex, err);
}

bool proto_lex_is(const struct proto_lex *lex, const char *word)
{
	if (lex->type != PROTO_IDENT && lex->type != PROTO_SYMBOL)
		return false;
	return lex->text.len == strlen(word) &&
	       memcmp(lex->text.data, word, lex->text.len) == 0;
}

/* ---- strings --------------------------------------------------------------
 */

static void add_utf8(struct buf *out, unsigned c)
{
	if (c < 0x80) {
		buf_addch(out, (char)c);
	} else if (c < 0x800) {
		buf_addch(out, (char)(0xC0 | c >> 6));
		buf_addch(out, (char)(0x80 | (c & 0x3F)));
	} else {
		if (c < 0x10000) {
			buf_addch(out, (char)(0xE0 | c >> 12));
		} else {
			buf_addch(out, (char)(0xF0 | c >> 18));
			buf_addch(out, (char)(0x80 | (c >> 12 & 0x3F)));
		}
		buf_addch(out, (char)(0x80 | (c >> 6 & 0x3F)));
		buf_addch(out, (char)(0x80 | (c & 0x3F)));
	}
}

/* At most MOST digits of BASE at *P; false when there is none. */
static bool read_digits(const char **p, const char *end, unsigned base,
			unsigned most, unsigned *value)
{
	unsigned n = 0;

	*value = 0;
	for (; n < most && *p < end && digit_value(**p) < base; n++, (*p)++)
		*value = *value * base + digit_value(**p);
	return n > 0;
}

/* What follows a backslash; *P is moved behind it. */
static bool read_escape(const char **p, const char *end, struct buf *out)
{
	static const char letters[] = "abfnrtv\\'\"?";
	static const char meanings[] = "\a\b\f\n\r\t\v\\'\"?";
	const char *found = **p ? strchr(letters, **p) : NULL;
	unsigned value, width;

	if (found) {
		(*p)++;
		return buf_addch(out, meanings[found - letters]);
	}
	if (read_digits(p, end, 8, 3, &value))
		return value < 256 && buf_addch(out, (char)value);
	width = **p == 'u' ? 4 : **p == 'U' ? 8 : 2;
	if (width == 2 && **p != 'x' && **p != 'X')
		return false;
	(*p)++;
	found = *p;
	if (!read_digits(p, end, 16, width, &value))
		return false;
	if (width == 2)
		return buf_addch(out, (char)value);
	if (*p - found != (int)width || value > 0x10FFFF ||
	    (value >= 0xD800 && value <= 0xDFFF))
		return false;
	add_utf8(out, value);
	return !out->full;
}

bool proto_lex_unquote(const struct proto_lex *lex, struct buf *out,
		       struct err *err)
{
	const char *p = lex->text.data + 1;
	const char *end = lex->text.data + lex->text.len - 1;

	while (p < end) {
		if (*p != '\\') {
			buf_addch(out, *p++);
			continue;
		}
		p++;
		if (!read_escape(&p, end, out) && !out->full)
			return proto_lex_error(lex, err,
					       "malformed escape in string");
	}
	if (out->full)
		return proto_lex_error(lex, err, "string too long");
	return true;
}
