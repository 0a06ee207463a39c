/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_default.h"

#include <math.h>

#include "core/number.h"
#include "core/proto_parse.h"

static bool default_integer(struct words *w, struct proto_field *field,
			    int64_t min, uint64_t max)
{
	struct proto_lex at = w->lex;
	uint64_t magnitude;
	bool negative;

	if (!words_integer(w, &negative, &magnitude))
		return false;
	if (negative ? magnitude > 0 - (uint64_t)min : magnitude > max)
		return proto_lex_error(&at, w->err,
				       "the default does not fit %s",
				       proto_type_name(field->type));
	/* The members of the union share their bits. */
	field->value.u64 = negative ? 0 - magnitude : magnitude;
	return true;
}

static bool default_number(struct words *w, struct proto_field *field)
{
	bool negative = words_is(w, "-");
	struct str text;
	double value;

	if (negative && !words_next(w))
		return false;
	text = w->lex.text;
	if (w->lex.type == PROTO_REAL && strchr("fF", text.data[text.len - 1]))
		text.len--;
	if (w->lex.type == PROTO_INTEGER)
		value = (double)w->lex.integer;
	else if (words_is(w, "inf"))
		value = (double)INFINITY;
	else if (words_is(w, "nan"))
		value = (double)NAN;
	else if (w->lex.type != PROTO_REAL)
		return words_expected(w, "a number");
	else if (!number_parse(text.data, text.len, &value))
		return proto_lex_error(&w->lex, w->err, "number too large");
	field->value.number = negative ? -value : value;
	return words_next(w);
}

static bool default_boolean(struct words *w, struct proto_field *field)
{
	if (!words_is(w, "true") && !words_is(w, "false"))
		return words_expected(w, "true or false");
	field->value.boolean = words_is(w, "true");
	return words_next(w);
}

static bool default_string(struct words *w, struct proto_field *field)
{
	struct buf text;
	bool ok;

	buf_init(&text, PROTO_TEXT_MAX);
	ok = words_string(w, &text);
	if (ok)
		proto_field_set_string(
			field, (struct str){ buf_text(&text), text.len });
	buf_release(&text);
	return ok;
}

/* The constant of a scalar field. */
bool proto_default_parse(struct words *w, struct proto_field *field)
{
	field->has_default = true;
	switch (field->type) {
	case PROTO_DOUBLE:
	case PROTO_FLOAT: return default_number(w, field);
	case PROTO_BOOL: return default_boolean(w, field);
	case PROTO_STRING:
	case PROTO_BYTES: return default_string(w, field);
	case PROTO_UINT32:
	case PROTO_FIXED32: return default_integer(w, field, 0, UINT32_MAX);
	case PROTO_UINT64:
	case PROTO_FIXED64: return default_integer(w, field, 0, UINT64_MAX);
	case PROTO_INT64:
	case PROTO_SINT64:
	case PROTO_SFIXED64:
		return default_integer(w, field, INT64_MIN, INT64_MAX);
	default: return default_integer(w, field, INT32_MIN, INT32_MAX);
	}
}
