/* SPDX-License-Identifier: Apache-2.0 */
#include "core/label_text.h"

#include <stdint.h>

#include "core/escape.h"

size_t label_text_raw(char *out, struct str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '\\') {
			c = text.data[++i];
			c = c == 'n' ? '\n' : c;
		}
		out[n++] = c;
	}
	return n;
}

bool label_text_quoted(struct str text)
{
	struct label_text label;
	size_t at = 0;

	/* Mostly this tells: a value may end with a comma. */
	if (!text.len ||
	    (*text.data != '"' && !memmem(text.data, text.len, ",\"", 2)))
		return false;
	while (label_text_next(text, &at, &label))
		if (label.quoted)
			return true;
	return false;
}

void label_text_name(struct buf *out, const struct label_text *label,
		     enum escaping scheme)
{
	struct buf raw;

	if (!label->quoted) {
		buf_add(out, label->name.data, label->name.len);
		return;
	}
	buf_init(&raw, SIZE_MAX / 2);
	buf_reserve(&raw, label->name.len);
	raw.len = label_text_raw(raw.data, label->name);
	name_escape_label(out, (struct str){ raw.data, raw.len }, scheme);
	buf_release(&raw);
}

void label_text_escape(struct buf *out, struct str text, enum escaping scheme)
{
	struct label_text label;
	size_t at = 0;

	while (label_text_next(text, &at, &label)) {
		if (label.name.data > text.data + 1)
			buf_addch(out, ',');
		label_text_name(out, &label, scheme);
		buf_addstr(out, "=\"");
		buf_add(out, label.value.data, label.value.len);
		buf_addch(out, '"');
	}
}
