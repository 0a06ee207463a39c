/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json_text.h"

#include <math.h>
#include <string.h>

#include "core/label.h"
#include "core/number.h"

void json_text_init(struct json_text *json, struct buf *out)
{
	json->out = out;
	json->follows = false;
}

/* ---- strings ---- */

/* Two characters for what has them; NULL: it has none. */
static const char *short_escape(char c)
{
	switch (c) {
	case '"': return "\\\"";
	case '\\': return "\\\\";
	case '\b': return "\\b";
	case '\f': return "\\f";
	case '\n': return "\\n";
	case '\r': return "\\r";
	case '\t': return "\\t";
	default: return NULL;
	}
}

/* S is UTF-8. */
static void add_escaped(struct buf *out, const char *s, size_t len)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		const char *escape = short_escape(s[i]);

		if (!escape && (unsigned char)s[i] >= ' ')
			continue;
		buf_add(out, s + from, i - from);
		if (escape)
			buf_addstr(out, escape);
		else
			buf_addf(out, "\\u%04x", (unsigned)s[i]);
		from = i + 1;
	}
	buf_add(out, s + from, len - from);
}

static void add_string(struct buf *out, const char *s)
{
	size_t len = strlen(s);
	struct buf repaired;

	buf_addch(out, '"');
	if (utf8_valid(s, len)) {
		add_escaped(out, s, len);
	} else {
		buf_init(&repaired, 3 * len);
		utf8_repair(&repaired, s, len);
		add_escaped(out, buf_text(&repaired), repaired.len);
		buf_release(&repaired);
	}
	buf_addch(out, '"');
}

/* ---- values ---- */

/* What stands before a value. */
static void begin(struct json_text *json, const char *key)
{
	if (json->follows)
		buf_addch(json->out, ',');
	json->follows = true;
	if (!key)
		return;
	add_string(json->out, key);
	buf_addch(json->out, ':');
}

static void open_bracket(struct json_text *json, const char *key, char bracket)
{
	begin(json, key);
	buf_addch(json->out, bracket);
	json->follows = false;
}

static void close_bracket(struct json_text *json, char bracket)
{
	buf_addch(json->out, bracket);
	json->follows = true;
}

void json_text_object(struct json_text *json, const char *key)
{
	open_bracket(json, key, '{');
}

void json_text_end_object(struct json_text *json)
{
	close_bracket(json, '}');
}

void json_text_array(struct json_text *json, const char *key)
{
	open_bracket(json, key, '[');
}

void json_text_end_array(struct json_text *json)
{
	close_bracket(json, ']');
}

void json_text_string(struct json_text *json, const char *key,
		      const char *value)
{
	if (!value) {
		json_text_null(json, key);
		return;
	}
	begin(json, key);
	add_string(json->out, value);
}

void json_text_number(struct json_text *json, const char *key, double value)
{
	char text[NUMBER_MAX];

	if (!isfinite(value)) {
		json_text_null(json, key);
		return;
	}
	begin(json, key);
	buf_add(json->out, text, number_format(text, value));
}

void json_text_count(struct json_text *json, const char *key, uint64_t value)
{
	char text[NUMBER_MAX];

	begin(json, key);
	buf_add(json->out, text, number_format_u64(text, value));
}

void json_text_bool(struct json_text *json, const char *key, bool value)
{
	begin(json, key);
	buf_addstr(json->out, value ? "true" : "false");
}

void json_text_null(struct json_text *json, const char *key)
{
	begin(json, key);
	buf_addstr(json->out, "null");
}
