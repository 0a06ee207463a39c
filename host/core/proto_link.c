/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_link.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"

struct proto_symbol {
	const char *name;	       /* of the message or enum */
	struct proto_message *message; /* one of the two */
	struct proto_enum *enumeration;
	struct proto_place place;
};

struct proto_reference {
	struct proto_message *message;
	uint32_t index;
	char *type;
	char *fallback;
	bool packed;
	struct proto_place place;
};

bool proto_place_error(struct proto_place place, struct err *err,
		       const char *sentence)
{
	return err_set(err, ERR_INPUT, "%s:%u:%u: %s", place.file, place.line,
		       place.column, sentence);
}

void proto_link_init(struct proto_link *link, struct proto_schema *schema)
{
	*link = (struct proto_link){ .schema = schema };
}

void proto_link_release(struct proto_link *link)
{
	for (size_t i = 0; i < link->nreferences; i++) {
		free(link->references[i].type);
		free(link->references[i].fallback);
	}
	free(link->references);
	free(link->symbols);
	*link = (struct proto_link){ 0 };
}

/* ---- collecting -----------------------------------------------------------
 */

/* The number of symbols is bounded by PROTO_TYPES_MAX, that of references by
 * PROTO_FIELDS_MAX: every one belongs to a thing that was counted. */
static struct proto_symbol *add_symbol(struct proto_link *link)
{
	if ((link->nsymbols & (link->nsymbols - 1)) == 0)
		link->symbols =
			mem_realloc(link->symbols,
				    (link->nsymbols ? 2 * link->nsymbols : 1) *
					    sizeof *link->symbols);
	return &link->symbols[link->nsymbols++];
}

void proto_link_message(struct proto_link *link, struct proto_message *message,
			struct proto_place place)
{
	*add_symbol(link) = (struct proto_symbol){ .name = message->name,
						   .message = message,
						   .place = place };
}

void proto_link_enum(struct proto_link *link, struct proto_enum *e,
		     struct proto_place place)
{
	*add_symbol(link) = (struct proto_symbol){ .name = e->name,
						   .enumeration = e,
						   .place = place };
}

void proto_link_field(struct proto_link *link, struct proto_message *message,
		      uint32_t index, const char *type, const char *fallback,
		      bool packed, struct proto_place place)
{
	size_t n = link->nreferences;

	if ((n & (n - 1)) == 0)
		link->references =
			mem_realloc(link->references,
				    (n ? 2 * n : 1) * sizeof *link->references);
	link->references[link->nreferences++] = (struct proto_reference){
		.message = message,
		.index = index,
		.type = mem_string(type),
		.fallback = mem_string(fallback),
		.packed = packed,
		.place = place,
	};
}

/* ---- resolving ------------------------------------------------------------
 */

static int compare_symbols(const void *a, const void *b)
{
	const struct proto_symbol *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Of two with the same name the later one is to be blamed. */
static int compare_places(const void *a, const void *b)
{
	const struct proto_symbol *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	return x->place.column < y->place.column ? -1 : 1;
}

static bool sort_symbols(struct proto_link *link, struct err *err)
{
	char text[PROTO_NAME_MAX + 64];

	if (link->nsymbols == 0)
		return true;
	qsort(link->symbols, link->nsymbols, sizeof *link->symbols,
	      compare_places);
	for (size_t i = 1; i < link->nsymbols; i++) {
		struct proto_symbol *symbol = &link->symbols[i];

		if (strcmp(symbol->name, symbol[-1].name) != 0)
			continue;
		snprintf(text, sizeof text, "'%s' is defined twice",
			 symbol->name);
		return proto_place_error(symbol->place, err, text);
	}
	return true;
}

static struct proto_symbol *find_symbol(struct proto_link *link,
					const char *name)
{
	struct proto_symbol key = { .name = name };

	if (link->nsymbols == 0)
		return NULL;
	return bsearch(&key, link->symbols, link->nsymbols, sizeof key,
		       compare_symbols);
}

/* TYPE as seen from within SCOPE: the innermost scope that knows it. */
static struct proto_symbol *resolve(struct proto_link *link, const char *scope,
				    const char *type)
{
	char name[2 * PROTO_NAME_MAX + 2];
	size_t len = strlen(scope);
	struct proto_symbol *symbol;

	if (*type == '.')
		return find_symbol(link, type + 1);
	for (;;) {
		snprintf(name, sizeof name, "%.*s%s%s", (int)len, scope,
			 len ? "." : "", type);
		symbol = find_symbol(link, name);
		if (symbol || len == 0)
			return symbol;
		while (len > 0 && scope[--len] != '.')
			;
	}
}

static bool link_enum_default(struct proto_field *field,
			      const struct proto_reference *reference,
			      struct err *err)
{
	char text[2 * PROTO_NAME_MAX + 64];
	int32_t number;

	if (!reference->fallback)
		return true;
	if (proto_enum_number(field->enumeration, reference->fallback,
			      &number)) {
		field->has_default = true;
		field->value.i64 = number;
		return true;
	}
	snprintf(text, sizeof text, "enum '%s' has no value '%s'",
		 field->enumeration->name, reference->fallback);
	return proto_place_error(reference->place, err, text);
}

static bool link_reference(struct proto_link *link,
			   const struct proto_reference *reference,
			   struct err *err)
{
	struct proto_field *field;
	struct proto_symbol *symbol;
	char text[PROTO_NAME_MAX + 64];

	field = &reference->message->fields[reference->index];
	symbol = resolve(link, reference->message->name, reference->type);
	if (!symbol) {
		snprintf(text, sizeof text, "unknown type '%s'",
			 reference->type);
		return proto_place_error(reference->place, err, text);
	}
	if (symbol->enumeration) {
		field->type = PROTO_ENUM;
		field->enumeration = symbol->enumeration;
		field->packed = field->repeated && reference->packed;
		return link_enum_default(field, reference, err);
	}
	field->message = symbol->message;
	if (reference->fallback)
		return proto_place_error(reference->place, err,
					 "a message cannot have a default");
	return true;
}

static bool seal_enums(struct proto_link *link, struct err *err)
{
	struct err inner;

	for (size_t i = 0; i < link->nsymbols; i++) {
		struct proto_symbol *symbol = &link->symbols[i];

		if (symbol->enumeration &&
		    !proto_enum_seal(symbol->enumeration, &inner))
			return proto_place_error(symbol->place, err,
						 inner.text);
	}
	return true;
}

static bool seal_messages(struct proto_link *link, struct err *err)
{
	struct proto_schema *schema = link->schema;
	struct proto_symbol *symbol;
	struct err inner;

	for (size_t i = 0; i < schema->nmessages; i++) {
		if (proto_message_seal(schema->messages[i], &inner))
			continue;
		symbol = find_symbol(link, schema->messages[i]->name);
		return proto_place_error(symbol->place, err, inner.text);
	}
	return true;
}

static int compare_simple(const void *a, const void *b)
{
	const struct proto_message *x = *(struct proto_message *const *)a;
	const struct proto_message *y = *(struct proto_message *const *)b;
	int order;

	if (x->entry != y->entry)
		return x->entry - y->entry;
	order = strcmp(proto_message_simple(x), proto_message_simple(y));
	return order ? order : x->imported - y->imported;
}

static bool same_simple(const struct proto_message *a,
			const struct proto_message *b)
{
	return a->entry == b->entry &&
	       strcmp(proto_message_simple(a), proto_message_simple(b)) == 0;
}

/* The messages from FIRST to LAST share their simple name, own ones first. */
static void mark_group(struct proto_link *link, struct proto_message **first,
		       struct proto_message **last)
{
	const struct proto_symbol *symbol;

	if (first != last && first[0]->imported == first[1]->imported)
		return;
	/* A full name means what it says. */
	symbol = find_symbol(link, proto_message_simple(*first));
	(*first)->unique = !symbol || symbol->message == *first;
}

static void mark_unique(struct proto_link *link)
{
	struct proto_message **messages = link->schema->messages;
	size_t count = link->schema->nmessages, from = 0;

	if (count == 0)
		return;
	qsort(messages, count, sizeof *messages, compare_simple);
	for (size_t i = 1; i <= count; i++) {
		if (i < count && same_simple(messages[from], messages[i]))
			continue;
		mark_group(link, &messages[from], &messages[i - 1]);
		from = i;
	}
}

bool proto_link_finish(struct proto_link *link, struct err *err)
{
	if (!sort_symbols(link, err) || !seal_enums(link, err))
		return false;
	/* Fields are found by their index until the messages are sealed. */
	for (size_t i = 0; i < link->nreferences; i++)
		if (!link_reference(link, &link->references[i], err))
			return false;
	if (!seal_messages(link, err))
		return false;
	mark_unique(link);
	return true;
}
