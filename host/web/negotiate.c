/* SPDX-License-Identifier: Apache-2.0 */
#include "web/negotiate.h"

#include <string.h>
#include <strings.h>

#include "core/buf.h"

/* Quality in thousandths; what was not named has none. */
enum { UNNAMED = -1 };

static struct str trim(struct str s)
{
	while (s.len && (*s.data == ' ' || *s.data == '\t')) {
		s.data++;
		s.len--;
	}
	while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes what stands before SEPARATOR off REST. */
static struct str cut(struct str *rest, char separator)
{
	const char *at = memchr(rest->data, separator, rest->len);
	size_t len = at ? (size_t)(at - rest->data) : rest->len;
	struct str piece = { rest->data, len };

	rest->data += at ? len + 1 : len;
	rest->len -= at ? len + 1 : len;
	return trim(piece);
}

static bool same(struct str s, const char *name)
{
	return s.len == strlen(name) && !strncasecmp(s.data, name, s.len);
}

/* "1", "0.5", "0.125"; UNNAMED for anything else. */
static int parse_q(struct str s)
{
	int q, scale = 100;

	if (!s.len || (s.data[0] != '0' && s.data[0] != '1'))
		return UNNAMED;
	q = (s.data[0] - '0') * 1000;
	if (s.len > 1 && s.data[1] != '.')
		return UNNAMED;
	for (size_t i = 2; i < s.len; i++, scale /= 10) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return UNNAMED;
		q += (s.data[i] - '0') * scale;
	}
	return q > 1000 ? UNNAMED : q;
}

static int quality(struct str parameters)
{
	while (parameters.len) {
		struct str parameter = cut(&parameters, ';');
		struct str name = cut(&parameter, '=');

		if (same(name, "q"))
			return parse_q(trim(parameter));
	}
	return 1000;
}

/* The quality of NAME in a list such as "gzip;q=0.5, *"; the highest one, if it
 * is named several times. */
static int quality_of(const char *list, const char *name)
{
	struct str rest = { list, strlen(list) };
	int best = UNNAMED;

	while (rest.len) {
		struct str item = cut(&rest, ',');
		struct str value = cut(&item, ';');
		int q = same(value, name) ? quality(item) : UNNAMED;

		if (q > best)
			best = q;
	}
	return best;
}

bool negotiate_gzip(const char *accept_encoding)
{
	int gzip, identity;

	if (!accept_encoding)
		return false;
	gzip = quality_of(accept_encoding, "gzip");
	identity = quality_of(accept_encoding, "identity");
	if (identity == UNNAMED)
		identity = quality_of(accept_encoding, "*");
	return gzip > 0 && gzip >= identity;
}

/* Is TYPE named, with a q that text/plain does not exceed? */
static bool prefers(const char *accept, const char *type)
{
	int q;

	if (!accept)
		return false;
	q = quality_of(accept, type);
	return q > 0 && q >= quality_of(accept, "text/plain");
}

bool negotiate_html(const char *accept)
{
	return prefers(accept, "text/html");
}

bool negotiate_json(const char *accept)
{
	return prefers(accept, "application/json");
}
