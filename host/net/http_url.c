/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_url.h"

#include <stdbool.h>

static const char ALNUM[] = "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* How many bytes of S are letters, digits or one of MORE. */
static size_t span(struct str s, const char *more)
{
	size_t n = 0;

	while (n < s.len && s.data[n] &&
	       (strchr(ALNUM, s.data[n]) || strchr(more, s.data[n])))
		n++;
	return n;
}

/* How many bytes of S come before the first of STOPS. */
static size_t until(struct str s, const char *stops)
{
	size_t n = 0;

	while (n < s.len && !strchr(stops, s.data[n]))
		n++;
	return n;
}

static struct str head(struct str s, size_t len)
{
	return (struct str){ s.data, len };
}

static struct str behind(struct str s, size_t len)
{
	return (struct str){ s.data + len, s.len - len };
}

static void add(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c > ' ' && c < 0x7f)
			buf_addch(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

/* The part of an authority behind its user; all of it when there is none. */
static struct str without_user(struct str authority)
{
	for (size_t i = authority.len; i > 0; i--)
		if (authority.data[i - 1] == '@')
			return behind(authority, i);
	return authority;
}

/* host[:port]. A password with a slash in it looks like a port that is none. */
static bool is_host(struct str s)
{
	size_t n;

	if (s.len && s.data[0] == '[') {
		n = span(s, "[:.%-_~");
		if (n == s.len || s.data[n] != ']')
			return false;
		n++;
	} else {
		n = until(s, ":");
	}
	if (n == s.len)
		return s.len > 0;
	if (s.data[n] != ':')
		return false;
	for (n++; n < s.len && s.data[n] >= '0' && s.data[n] <= '9'; n++)
		;
	return n == s.len;
}

/* A path may have parameters, and ";jsessionid=..." is as good as a password.
 */
static void add_path(struct buf *out, struct str path)
{
	while (path.len) {
		size_t n = until(path, ";");

		add(out, head(path, n));
		path = behind(path, n);
		n = until(path, "=/");
		add(out, head(path, n));
		path = behind(path, n);
		if (path.len && path.data[0] == '=') {
			buf_addstr(out, "=...");
			path = behind(path, 1);
			path = behind(path, until(path, "/;"));
		}
	}
}

static void add_query(struct buf *out, struct str query)
{
	char separator = '?';

	while (query.len) {
		struct str pair = behind(query, 1);
		size_t len = until(pair, "&"), name = until(pair, "=&");

		buf_addch(out, separator);
		/* Without "=" it may be a value itself. */
		if (name < len) {
			add(out, head(pair, name));
			buf_addch(out, '=');
		}
		if (len)
			buf_addstr(out, "...");
		query = behind(pair, len);
		separator = '&';
	}
}

static void add_rest(struct buf *out, struct str rest)
{
	struct str path, shown;
	size_t len;

	rest = head(rest, until(rest, "#"));
	len = until(rest, "?");
	path = head(rest, len);
	shown = without_user(path);
	/* "/12@host/" may be the end of a password with a slash in it;
	 * "/@scope/" is a name. */
	if (shown.data > path.data && shown.data[-2] != '/') {
		buf_addstr(out, "/...@");
		path = shown;
	}
	add_path(out, path);
	add_query(out, behind(rest, len));
}

static void redact(struct buf *out, struct str url)
{
	size_t scheme = span(url, "+-.");
	struct str authority, host;

	if (url.len < scheme + 3 || memcmp(url.data + scheme, "://", 3)) {
		/* Not a URL at all: where a password would be is unknown. */
		if (until(url, "@") < url.len)
			buf_addstr(out, "...");
		else
			add_rest(out, url);
		return;
	}
	add(out, head(url, scheme + 3));
	url = behind(url, scheme + 3);
	authority = head(url, until(url, "/?#"));
	host = without_user(authority);
	if (!is_host(host)) {
		buf_addstr(out, "...");
		return;
	}
	add(out, host);
	add_rest(out, behind(url, authority.len));
}

struct str http_url_authority(const char *url)
{
	const char *start = strstr(url, "://");
	struct str rest = { start ? start + 3 : "", 0 };

	rest.len = strcspn(rest.data, "/?#");
	return without_user(rest);
}

void http_url_redact(struct buf *out, const char *url)
{
	struct buf text;

	buf_init(&text, HTTP_URL_SHOWN);
	redact(&text, (struct str){ url, strlen(url) });
	buf_addstr(out, buf_text(&text));
	if (text.full)
		buf_addstr(out, "...");
	buf_release(&text);
}
