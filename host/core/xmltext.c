/* SPDX-License-Identifier: Apache-2.0 */
#include "core/xmltext.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <strings.h>

enum {
	NAME_MAX_LEN = 24,
	DECLARATION_MAX = 256, /* bytes in which an encoding is looked for */
	PIECE = 16 << 10,      /* bytes converted at a time */
};

static bool begins(struct str text, const char *bytes, size_t len)
{
	return text.len >= len && memcmp(text.data, bytes, len) == 0;
}

/* What a mark, or the first two characters, say; *MARK bytes are the mark. */
static const char *encoding_by_bytes(struct str text, size_t *mark)
{
	*mark = 0;
	if (begins(text, "\xEF\xBB\xBF", 3)) {
		*mark = 3;
		return "UTF-8";
	}
	if (begins(text, "\xFF\xFE", 2) || begins(text, "\xFE\xFF", 2)) {
		*mark = 2;
		return *text.data == '\xFF' ? "UTF-16LE" : "UTF-16BE";
	}
	if (begins(text, "<\0?\0", 4))
		return "UTF-16LE";
	if (begins(text, "\0<\0?", 4))
		return "UTF-16BE";
	return NULL;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._-:/", c));
}

/* The value of encoding="..." in <?xml ...?>, in NAME; "" without one. False
 * when it is no name: NAME is then its beginning. */
static bool declared_encoding(struct str text, char name[NAME_MAX_LEN])
{
	struct str head = { text.data, text.len };
	const char *p, *end;
	size_t len = 0;

	*name = '\0';
	if (!begins(text, "<?xml", 5) || text.len < 6 ||
	    !isspace((unsigned char)text.data[5]))
		return true;
	if (head.len > DECLARATION_MAX)
		head.len = DECLARATION_MAX;
	end = memmem(head.data, head.len, "?>", 2);
	p = memmem(head.data, head.len, "encoding", 8);
	if (!end || !p || p > end)
		return true;
	for (p += 8; p < end && (isspace((unsigned char)*p) || *p == '=');)
		p++;
	if (*p != '"' && *p != '\'')
		return true;
	while (++p < end && is_name_char(*p) && len < NAME_MAX_LEN - 1)
		name[len++] = *p;
	name[len] = '\0';
	return *p == '"' || *p == '\'';
}

/* Only encodings of which every byte stands for a character, and that iconv
 * converts without state. */
static const char *known_encoding(const char *name)
{
	static const char *const ascii[] = { "UTF-8", "UTF8", "US-ASCII",
					     "ASCII" };

	for (size_t i = 0; i < sizeof ascii / sizeof *ascii; i++)
		if (strcasecmp(name, ascii[i]) == 0)
			return "UTF-8";
	if (strcasecmp(name, "latin1") == 0)
		return "ISO-8859-1";
	if (strncasecmp(name, "windows-125", 11) == 0 && isdigit(name[11]) &&
	    !name[12])
		return name;
	if (strncasecmp(name, "ISO-8859-", 9) == 0 && isdigit(name[9]) &&
	    (!name[10] || (isdigit(name[10]) && !name[11])))
		return name;
	return NULL;
}

static bool fail_at(struct str text, const char *p, const char *encoding,
		    struct err *err)
{
	size_t line = 1;

	for (const char *at = text.data; at < p; at++)
		line += *at == '\n';
	return err_set(err, ERR_INPUT, "xml: line %zu: bytes that are not %s",
		       line, encoding);
}

static bool convert(iconv_t cd, struct str text, const char *encoding,
		    struct buf *buf, struct err *err)
{
	char piece[PIECE], *in = (char *)text.data, *out;
	size_t left = text.len, room, result;

	do {
		out = piece;
		room = sizeof piece;
		result = iconv(cd, &in, &left, &out, &room);
		if (!buf_add(buf, piece, (size_t)(out - piece)))
			return err_set(err, ERR_LIMIT,
				       "xml: more than %zu bytes as UTF-8",
				       buf->max);
		if (result == (size_t)-1 && errno != E2BIG)
			return fail_at(text, in, encoding, err);
	} while (left > 0);
	return true;
}

static bool to_utf8(struct str text, const char *encoding, struct buf *buf,
		    struct err *err)
{
	iconv_t cd = iconv_open("UTF-8", encoding);
	bool ok;

	if (cd == (iconv_t)-1)
		return err_set(err, ERR_INPUT,
			       "xml: encoding %s is not known here", encoding);
	ok = convert(cd, text, encoding, buf, err);
	iconv_close(cd);
	return ok;
}

static bool is_utf8(const char *encoding)
{
	return strcmp(encoding, "UTF-8") == 0;
}

bool xmltext_utf8(struct str text, struct buf *buf, struct str *utf8,
		  struct err *err)
{
	char name[NAME_MAX_LEN];
	const char *encoding;
	size_t mark;

	encoding = encoding_by_bytes(text, &mark);
	text.data += mark;
	text.len -= mark;
	if (!encoding) {
		if (!declared_encoding(text, name) ||
		    (*name && !known_encoding(name)))
			return err_set(err, ERR_INPUT,
				       "xml: encoding '%s' is not read", name);
		encoding = *name ? known_encoding(name) : "UTF-8";
	}
	*utf8 = text;
	if (is_utf8(encoding))
		return true;
	if (!to_utf8(text, encoding, buf, err))
		return false;
	*utf8 = (struct str){ buf_text(buf), buf->len };
	return true;
}
