/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_declare.h"

#include "core/proto_default.h"
#include "core/proto_parse.h"

enum label { LABEL_NONE, LABEL_OPTIONAL, LABEL_REQUIRED, LABEL_REPEATED };

/* A field as written, before it is known what its type is. */
struct declaration {
	struct proto_place place;
	char type[PROTO_NAME_MAX + 1];
	struct str name;
	int64_t number;
	enum label label;
	uint16_t oneof;
	bool packed, has_packed;
	bool has_default;
	struct proto_lex at_default; /* looks at the constant */
};

static bool parse_body(struct words *w, struct proto_message *message);

/* ---- fields ---------------------------------------------------------------
 */

/* The value of an option that matters, or of one that does not. */
static bool parse_field_option(struct words *w, struct declaration *d)
{
	bool is_default = words_is(w, "default"),
	     is_packed = words_is(w, "packed");

	if (words_is(w, "("))
		return words_skip_to(w, ",]");
	if (w->lex.type != PROTO_IDENT)
		return words_expected(w, "an option");
	if (!words_next(w))
		return false;
	if (!words_is(w, "=") || !(is_default || is_packed))
		return words_skip_to(w, ",]");
	if (!words_next(w))
		return false;
	if (is_packed) {
		d->has_packed = true;
		d->packed = words_is(w, "true");
		if (!d->packed && !words_is(w, "false"))
			return words_expected(w, "true or false");
		return words_next(w);
	}
	if (w->proto3)
		return proto_lex_error(&w->lex, w->err,
				       "proto3 has no default values");
	d->has_default = true;
	d->at_default = w->lex;
	return words_skip_to(w, ",]");
}

static bool parse_field_options(struct words *w, struct declaration *d)
{
	if (!words_is(w, "["))
		return true;
	do {
		if (!words_next(w) || !parse_field_option(w, d))
			return false;
	} while (words_is(w, ","));
	return words_expect(w, ']');
}

/* name = number [options] */
static bool parse_name_and_number(struct words *w, struct declaration *d)
{
	struct proto_lex at;
	uint64_t magnitude;
	bool negative;

	d->place = words_place(w);
	if (!words_ident(w, "a field name", &d->name) || !words_expect(w, '='))
		return false;
	at = w->lex;
	if (!words_integer(w, &negative, &magnitude))
		return false;
	if (negative || magnitude > INT32_MAX)
		return proto_lex_error(&at, w->err,
				       "field number out of range");
	d->number = (int64_t)magnitude;
	return parse_field_options(w, d);
}

/* The field of an existing type; NULL after an error. */
static struct proto_field *add_field(struct words *w,
				     struct proto_message *message,
				     const struct declaration *d,
				     enum proto_type type)
{
	struct proto_field *field;
	struct err inner;

	field = proto_field_add(message, d->name, d->number, &inner);
	if (!field) {
		proto_place_error(d->place, w->err, inner.text);
		return NULL;
	}
	field->type = type;
	field->repeated = d->label == LABEL_REPEATED;
	field->required = d->label == LABEL_REQUIRED;
	/* The entry of a map always has a key and a value. */
	field->presence =
		!message->entry && (!w->proto3 || d->label == LABEL_OPTIONAL);
	field->utf8 = w->proto3 && type == PROTO_STRING;
	field->oneof = d->oneof;
	return field;
}

static bool check_options(const struct words *w, const struct declaration *d,
			  bool packable)
{
	if (d->has_default && d->label == LABEL_REPEATED)
		return proto_place_error(d->place, w->err,
					 "a repeated field has no default");
	if (d->packed && !(packable && d->label == LABEL_REPEATED))
		return proto_place_error(d->place, w->err,
					 "only repeated numbers can be packed");
	return true;
}

static bool add_scalar(struct words *w, struct proto_message *message,
		       const struct declaration *d, enum proto_type type)
{
	struct proto_lex after = w->lex;
	struct proto_field *field;
	bool ok;

	if (!check_options(w, d, proto_type_packable(type)))
		return false;
	field = add_field(w, message, d, type);
	if (!field)
		return false;
	field->packed = field->repeated && proto_type_packable(type) &&
			(d->has_packed ? d->packed : w->proto3);
	if (!d->has_default)
		return true;
	w->lex = d->at_default;
	ok = proto_default_parse(w, field);
	if (ok && !words_is(w, ",") && !words_is(w, "]"))
		ok = words_expected(w, "']'");
	w->lex = after;
	return ok;
}

/* A field whose type is known only when all files have been read. */
static bool add_named(struct words *w, struct proto_message *message,
		      const struct declaration *d)
{
	char fallback[PROTO_NAME_MAX + 1];
	const struct proto_lex *constant = &d->at_default;

	if (!check_options(w, d, true) ||
	    !add_field(w, message, d, PROTO_MESSAGE))
		return false;
	if (d->has_default) {
		if (constant->type != PROTO_IDENT ||
		    constant->text.len > PROTO_NAME_MAX)
			return proto_lex_expected(constant, w->err,
						  "the name of a value");
		memcpy(fallback, constant->text.data, constant->text.len);
		fallback[constant->text.len] = '\0';
	}
	proto_link_field(w->link, message, message->count - 1, d->type,
			 d->has_default ? fallback : NULL,
			 d->has_packed ? d->packed : w->proto3, d->place);
	return true;
}

static bool add_declared(struct words *w, struct proto_message *message,
			 const struct declaration *d)
{
	struct str type = { d->type, strlen(d->type) };
	enum proto_type scalar;

	if (proto_type_named(type, &scalar))
		return add_scalar(w, message, d, scalar);
	return add_named(w, message, d);
}

static struct proto_message *add_message(struct words *w, const char *name,
					 struct proto_place place)
{
	struct proto_message *message;
	struct err inner;

	message = proto_message_add(w->link->schema,
				    (struct str){ name, strlen(name) }, &inner);
	if (!message) {
		proto_place_error(place, w->err, inner.text);
		return NULL;
	}
	message->imported = w->imported;
	proto_link_message(w->link, message, place);
	return message;
}

/* group Name = number { ... }: a message, and a field in small letters. */
static bool parse_group(struct words *w, struct proto_message *message,
			struct declaration *d)
{
	char scope[PROTO_NAME_MAX + 1], name[PROTO_NAME_MAX + 1];
	struct proto_message *inner;
	struct proto_field *field;

	if (!words_next(w) || !parse_name_and_number(w, d) ||
	    !words_join(w, message->name, d->name, scope))
		return false;
	inner = add_message(w, scope, d->place);
	if (!inner)
		return false;
	for (size_t i = 0; i < d->name.len; i++) {
		char c = d->name.data[i];

		name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	d->name.data = name;
	field = add_field(w, message, d, PROTO_GROUP);
	if (!field)
		return false;
	field->message = inner;
	return parse_body(w, inner);
}

static bool parse_label(struct words *w, struct declaration *d)
{
	if (words_is(w, "optional"))
		d->label = LABEL_OPTIONAL;
	else if (words_is(w, "required"))
		d->label = LABEL_REQUIRED;
	else if (words_is(w, "repeated"))
		d->label = LABEL_REPEATED;
	if (d->label == LABEL_NONE && (w->proto3 || d->oneof))
		return true;
	if (d->label == LABEL_NONE)
		return words_expected(w,
				      "'optional', 'required' or 'repeated'");
	if (d->oneof || (w->proto3 && d->label == LABEL_REQUIRED))
		return proto_lex_error(&w->lex, w->err,
				       "'%.*s' is not possible here",
				       (int)w->lex.text.len, w->lex.text.data);
	return words_next(w);
}

static bool parse_field(struct words *w, struct proto_message *message,
			uint16_t oneof)
{
	struct declaration d = { .oneof = oneof };

	if (!parse_label(w, &d))
		return false;
	if (!w->proto3 && words_is(w, "group"))
		return parse_group(w, message, &d);
	return words_dotted(w, "a type", d.type) &&
	       parse_name_and_number(w, &d) && add_declared(w, message, &d) &&
	       words_expect(w, ';');
}

static bool parse_oneof(struct words *w, struct proto_message *message)
{
	struct proto_lex at;
	struct str name;
	struct err inner;
	uint16_t oneof;

	if (!words_next(w))
		return false;
	at = w->lex;
	if (!words_ident(w, "a name", &name))
		return false;
	oneof = proto_oneof_add(message, name, &inner);
	if (!oneof)
		return proto_lex_error(&at, w->err, "%s", inner.text);
	if (!words_expect(w, '{'))
		return false;
	while (!words_is(w, "}")) {
		bool ok = words_is(w, "option") ? words_skip_statement(w)
			  : words_is(w, ";")	? words_next(w)
					     : parse_field(w, message, oneof);

		if (!ok)
			return false;
	}
	return words_next(w);
}

/* ---- maps -----------------------------------------------------------------
 */

static bool key_type_allowed(enum proto_type type)
{
	return type != PROTO_DOUBLE && type != PROTO_FLOAT &&
	       type != PROTO_BYTES;
}

/* field_name -> Outer.FieldNameEntry, as protoc names it. */
static bool entry_name(struct words *w, const char *scope, struct str field,
		       char out[PROTO_NAME_MAX + 1])
{
	char name[PROTO_NAME_MAX + sizeof "Entry"];
	size_t n = 0;
	bool upper = true;

	for (size_t i = 0; i < field.len; i++) {
		char c = field.data[i];

		if (c != '_')
			name[n++] = upper && c >= 'a' && c <= 'z'
					    ? (char)(c - 'a' + 'A')
					    : c;
		upper = c == '_';
	}
	memcpy(name + n, "Entry", sizeof "Entry" - 1);
	n += sizeof "Entry" - 1;
	return words_join(w, scope, (struct str){ name, n }, out);
}

static bool add_map(struct words *w, struct proto_message *message,
		    struct declaration *d, enum proto_type key_type)
{
	struct declaration key = { .place = d->place,
				   .name = STR("key"),
				   .number = 1 };
	struct declaration value = { .place = d->place,
				     .name = STR("value"),
				     .number = 2 };
	char name[PROTO_NAME_MAX + 1];
	struct proto_message *entry;
	struct proto_field *field;

	if (!entry_name(w, message->name, d->name, name))
		return false;
	entry = add_message(w, name, d->place);
	if (!entry)
		return false;
	entry->entry = true;
	memcpy(value.type, d->type, sizeof value.type);
	d->label = LABEL_REPEATED;
	field = add_field(w, message, d, PROTO_MESSAGE);
	if (!field)
		return false;
	field->map = true;
	field->message = entry;
	return add_scalar(w, entry, &key, key_type) &&
	       add_declared(w, entry, &value);
}

/* map < key , value > name = number ; with the lexer at '<' */
static bool parse_map(struct words *w, struct proto_message *message)
{
	struct declaration d = { .oneof = 0 };
	enum proto_type key;

	if (!words_next(w))
		return false;
	if (w->lex.type != PROTO_IDENT ||
	    !proto_type_named(w->lex.text, &key) || !key_type_allowed(key))
		return words_expected(w,
				      "an integer type, bool or string as key");
	return words_next(w) && words_expect(w, ',') &&
	       words_dotted(w, "a type", d.type) && words_expect(w, '>') &&
	       parse_name_and_number(w, &d) && add_map(w, message, &d, key) &&
	       words_expect(w, ';');
}

/* ---- enums ----------------------------------------------------------------
 */

static bool parse_enum_value(struct words *w, struct proto_enum *e)
{
	struct declaration ignored;
	struct proto_lex at = w->lex;
	struct str name;
	struct err inner;
	int32_t number = 0;

	if (!words_ident(w, "the name of a value", &name) ||
	    !words_expect(w, '=') || !words_int32(w, &number) ||
	    !parse_field_options(w, &ignored))
		return false;
	if (w->proto3 && e->count == 0 && number != 0)
		return proto_lex_error(&at, w->err,
				       "the first value of an enum of proto3 "
				       "must be 0");
	if (!proto_enum_value_add(e, name, number, &inner))
		return proto_lex_error(&at, w->err, "%s", inner.text);
	return words_expect(w, ';');
}

static bool parse_enum_body(struct words *w, struct proto_enum *e)
{
	if (!words_expect(w, '{'))
		return false;
	while (!words_is(w, "}")) {
		bool skipped = words_is(w, "option") || words_is(w, "reserved");
		bool ok = skipped	     ? words_skip_statement(w)
			  : words_is(w, ";") ? words_next(w)
					     : parse_enum_value(w, e);

		if (!ok)
			return false;
	}
	return words_next(w);
}

bool proto_declare_enum(struct words *w, const char *scope)
{
	char full[PROTO_NAME_MAX + 1];
	struct proto_place place;
	struct proto_enum *e;
	struct str name;
	struct err inner;

	if (!words_next(w))
		return false;
	place = words_place(w);
	if (!words_ident(w, "the name of an enum", &name) ||
	    !words_join(w, scope, name, full))
		return false;
	e = proto_enum_add(w->link->schema, (struct str){ full, strlen(full) },
			   &inner);
	if (!e)
		return proto_place_error(place, w->err, inner.text);
	proto_link_enum(w->link, e, place);
	return parse_enum_body(w, e);
}

/* ---- messages -------------------------------------------------------------
 */

static bool at_map(struct words *w, bool *map)
{
	struct proto_lex before = w->lex;

	*map = false;
	if (!words_is(w, "map"))
		return true;
	if (!words_next(w))
		return false;
	*map = words_is(w, "<");
	if (!*map)
		w->lex = before;
	return true;
}

static bool parse_member(struct words *w, struct proto_message *message)
{
	bool map;

	if (words_is(w, ";"))
		return words_next(w);
	if (words_is(w, "message"))
		return proto_declare_message(w, message->name);
	if (words_is(w, "enum"))
		return proto_declare_enum(w, message->name);
	if (words_is(w, "oneof"))
		return parse_oneof(w, message);
	if (words_is(w, "extend"))
		return words_skip_block(w);
	if (words_is(w, "option") || words_is(w, "reserved") ||
	    words_is(w, "extensions"))
		return words_skip_statement(w);
	if (!at_map(w, &map))
		return false;
	return map ? parse_map(w, message) : parse_field(w, message, 0);
}

static bool parse_body(struct words *w, struct proto_message *message)
{
	if (w->nesting >= PROTO_NESTING_MAX)
		return proto_lex_error(&w->lex, w->err,
				       "messages nested deeper than %d",
				       PROTO_NESTING_MAX);
	if (!words_expect(w, '{'))
		return false;
	w->nesting++;
	while (!words_is(w, "}"))
		if (!parse_member(w, message))
			return false;
	w->nesting--;
	return words_next(w);
}

bool proto_declare_message(struct words *w, const char *scope)
{
	char full[PROTO_NAME_MAX + 1];
	struct proto_message *message;
	struct proto_place place;
	struct str name;

	if (!words_next(w))
		return false;
	place = words_place(w);
	if (!words_ident(w, "the name of a message", &name) ||
	    !words_join(w, scope, name, full))
		return false;
	message = add_message(w, full, place);
	return message && parse_body(w, message);
}
