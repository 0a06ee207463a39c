/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/wire.h"

enum {
	/* Numbers below are found by an index, the others by bisection. */
	DIRECT_MAX = 256,
	RESERVED_FIRST = 19000,
	RESERVED_LAST = 19999,
};

static const char *const scalar_names[] = {
	"double", "float",  "int32",   "int64",	  "uint32",   "uint64",
	"sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
	"bool",	  "string", "bytes",   NULL,
};

/* Room for one more element in an array that doubles at powers of two. */
static void *grow(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return mem_realloc(array, (count ? 2 * count : 1) * size);
}

static int compare_text(const char *a, size_t len, const char *b)
{
	int order = strncmp(a, b, len);

	return order ? order : -(b[len] != '\0');
}

/* ---- types ----------------------------------------------------------------
 */

bool proto_type_named(struct str name, enum proto_type *type)
{
	for (unsigned i = 0; scalar_names[i]; i++) {
		if (compare_text(name.data, name.len, scalar_names[i]) == 0) {
			*type = (enum proto_type)i;
			return true;
		}
	}
	return false;
}

const char *proto_type_name(enum proto_type type)
{
	switch (type) {
	case PROTO_ENUM: return "enum";
	case PROTO_MESSAGE: return "message";
	case PROTO_GROUP: return "group";
	default: return scalar_names[type];
	}
}

const char *const *proto_type_names(void)
{
	return scalar_names;
}

unsigned proto_wire_type(enum proto_type type)
{
	switch (type) {
	case PROTO_DOUBLE:
	case PROTO_FIXED64:
	case PROTO_SFIXED64: return WIRE_FIXED64;
	case PROTO_FLOAT:
	case PROTO_FIXED32:
	case PROTO_SFIXED32: return WIRE_FIXED32;
	case PROTO_STRING:
	case PROTO_BYTES:
	case PROTO_MESSAGE: return WIRE_BYTES;
	case PROTO_GROUP: return WIRE_GROUP;
	default: return WIRE_VARINT;
	}
}

bool proto_type_packable(enum proto_type type)
{
	unsigned wire = proto_wire_type(type);

	return wire != WIRE_BYTES && wire != WIRE_GROUP;
}

bool proto_type_nested(enum proto_type type)
{
	return type == PROTO_MESSAGE || type == PROTO_GROUP;
}

bool proto_field_filled(const struct proto_field *field)
{
	if (field->oneof)
		return false;
	if (field->repeated || field->has_default)
		return true;
	return !field->presence && !proto_type_nested(field->type);
}

/* ---- schemas --------------------------------------------------------------
 */

struct proto_schema *proto_schema_new(void)
{
	struct proto_schema *schema = mem_alloc(sizeof *schema);

	schema->refs = 1;
	return schema;
}

struct proto_schema *proto_schema_ref(struct proto_schema *schema)
{
	schema->refs++;
	return schema;
}

static bool holds_string(const struct proto_field *field)
{
	return field->type == PROTO_STRING || field->type == PROTO_BYTES;
}

static void field_release(struct proto_field *field)
{
	if (holds_string(field))
		free((char *)field->value.str.data);
	free(field->name);
}

static void message_free(struct proto_message *message)
{
	for (uint32_t i = 0; i < message->count; i++)
		field_release(&message->fields[i]);
	for (uint16_t i = 0; i < message->noneofs; i++)
		free(message->oneofs[i]);
	free(message->fields);
	free(message->oneofs);
	free(message->direct);
	free(message->by_name);
	free(message->names);
	free(message->name);
	free(message);
}

static void enum_free(struct proto_enum *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->values[i].name);
	free(e->values);
	free(e->by_number);
	free(e->by_name);
	free(e->name);
	free(e);
}

static void schema_free(struct proto_schema *schema)
{
	for (size_t i = 0; i < schema->nmessages; i++)
		message_free(schema->messages[i]);
	for (size_t i = 0; i < schema->nenums; i++)
		enum_free(schema->enums[i]);
	for (size_t i = 0; i < schema->nused; i++)
		proto_schema_unref(schema->used[i]);
	if (schema->account)
		*schema->account -= schema->bytes;
	free(schema->messages);
	free(schema->enums);
	free(schema->used);
	free(schema);
}

static size_t size_of_message(const struct proto_message *message)
{
	size_t bytes = sizeof *message + message->ndirect * sizeof(uint16_t);

	for (uint32_t i = 0; i < message->count; i++)
		bytes += sizeof *message->fields + sizeof(uint16_t) +
			 sizeof(char *) + strlen(message->fields[i].name) + 16;
	return bytes;
}

static size_t size_of_enum(const struct proto_enum *e)
{
	size_t bytes = sizeof *e;

	for (size_t i = 0; i < e->count; i++)
		bytes += sizeof *e->values + 2 * sizeof(uint32_t) +
			 strlen(e->values[i].name) + 16;
	return bytes;
}

void proto_schema_count(struct proto_schema *schema, size_t *account)
{
	schema->account = account;
	schema->bytes = sizeof *schema;
	for (size_t i = 0; i < schema->nmessages; i++)
		schema->bytes += size_of_message(schema->messages[i]);
	for (size_t i = 0; i < schema->nenums; i++)
		schema->bytes += size_of_enum(schema->enums[i]);
	*account += schema->bytes;
}

void proto_schema_unref(struct proto_schema *schema)
{
	if (schema && --schema->refs == 0)
		schema_free(schema);
}

void proto_schema_use(struct proto_schema *schema, struct proto_schema *other)
{
	if (other == schema)
		return;
	for (size_t i = 0; i < schema->nused; i++)
		if (schema->used[i] == other)
			return;
	schema->used = grow(schema->used, schema->nused, sizeof other);
	schema->used[schema->nused++] = proto_schema_ref(other);
}

struct proto_message *proto_schema_find(const struct proto_schema *schema,
					const char *name)
{
	for (size_t i = 0; i < schema->nmessages; i++)
		if (strcmp(schema->messages[i]->name, name) == 0)
			return schema->messages[i];
	return NULL;
}

/* ---- building -------------------------------------------------------------
 */

static bool may_add_type(const struct proto_schema *schema, struct str name,
			 struct err *err)
{
	if (name.len > PROTO_NAME_MAX)
		return err_set(err, ERR_LIMIT, "'%.32s...': longer than %d",
			       name.data, PROTO_NAME_MAX);
	if (schema->nmessages + schema->nenums >= PROTO_TYPES_MAX)
		return err_set(err, ERR_LIMIT,
			       "more than %d messages and enums",
			       PROTO_TYPES_MAX);
	return true;
}

struct proto_message *proto_message_add(struct proto_schema *schema,
					struct str name, struct err *err)
{
	struct proto_message *message;

	if (!may_add_type(schema, name, err))
		return NULL;
	message = mem_alloc(sizeof *message);
	message->schema = schema;
	message->name = mem_copy(name.data, name.len);
	schema->messages =
		grow(schema->messages, schema->nmessages, sizeof message);
	schema->messages[schema->nmessages++] = message;
	return message;
}

struct proto_enum *proto_enum_add(struct proto_schema *schema, struct str name,
				  struct err *err)
{
	struct proto_enum *e;

	if (!may_add_type(schema, name, err))
		return NULL;
	e = mem_alloc(sizeof *e);
	e->schema = schema;
	e->name = mem_copy(name.data, name.len);
	schema->enums = grow(schema->enums, schema->nenums, sizeof e);
	schema->enums[schema->nenums++] = e;
	return e;
}

bool proto_enum_value_add(struct proto_enum *e, struct str name, int32_t number,
			  struct err *err)
{
	struct proto_enum_value *value;

	if (e->schema->nvalues >= PROTO_ENUM_VALUES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d enum values",
			       PROTO_ENUM_VALUES_MAX);
	e->values = grow(e->values, e->count, sizeof *e->values);
	value = &e->values[e->count++];
	value->name = mem_copy(name.data, name.len);
	value->number = number;
	e->schema->nvalues++;
	return true;
}

static bool number_usable(int64_t number, struct err *err)
{
	if (number < 1 || number > WIRE_FIELD_MAX)
		return err_set(err, ERR_INPUT,
			       "field number %lld is not within 1 to %d",
			       (long long)number, WIRE_FIELD_MAX);
	if (number >= RESERVED_FIRST && number <= RESERVED_LAST)
		return err_set(err, ERR_INPUT,
			       "field number %lld is reserved by protobuf "
			       "(%d to %d)",
			       (long long)number, RESERVED_FIRST,
			       RESERVED_LAST);
	return true;
}

struct proto_field *proto_field_add(struct proto_message *message,
				    struct str name, int64_t number,
				    struct err *err)
{
	struct proto_field *field;

	if (!number_usable(number, err))
		return NULL;
	if (message->count >= PROTO_MESSAGE_FIELDS_MAX ||
	    message->schema->nfields >= PROTO_FIELDS_MAX) {
		err_set(err, ERR_LIMIT,
			"more than %d fields in a message or %d in all",
			PROTO_MESSAGE_FIELDS_MAX, PROTO_FIELDS_MAX);
		return NULL;
	}
	message->fields = grow(message->fields, message->count, sizeof *field);
	field = &message->fields[message->count++];
	*field = (struct proto_field){ .number = (uint32_t)number };
	field->name = mem_copy(name.data, name.len);
	message->schema->nfields++;
	return field;
}

void proto_field_set_string(struct proto_field *field, struct str str)
{
	free((char *)field->value.str.data);
	field->value.str.data = mem_copy(str.data, str.len);
	field->value.str.len = str.len;
}

uint16_t proto_oneof_add(struct proto_message *message, struct str name,
			 struct err *err)
{
	if (message->noneofs >= PROTO_MESSAGE_FIELDS_MAX) {
		err_set(err, ERR_LIMIT, "more than %d oneofs in a message",
			PROTO_MESSAGE_FIELDS_MAX);
		return 0;
	}
	message->oneofs = grow(message->oneofs, message->noneofs,
			       sizeof *message->oneofs);
	message->oneofs[message->noneofs++] = mem_copy(name.data, name.len);
	return message->noneofs;
}

/* ---- sealing --------------------------------------------------------------
 */

static int compare_enum_numbers(const void *a, const void *b, void *ctx)
{
	const struct proto_enum_value *values = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (values[x].number != values[y].number)
		return values[x].number < values[y].number ? -1 : 1;
	return x < y ? -1 : 1; /* aliases: the first declared is first */
}

static int compare_enum_names(const void *a, const void *b, void *ctx)
{
	const struct proto_enum_value *values = ctx;

	return strcmp(values[*(const uint32_t *)a].name,
		      values[*(const uint32_t *)b].name);
}

bool proto_enum_seal(struct proto_enum *e, struct err *err)
{
	if (e->count == 0)
		return err_set(err, ERR_INPUT, "enum '%s' has no value",
			       e->name);
	e->by_number = mem_array(e->count, sizeof *e->by_number);
	e->by_name = mem_array(e->count, sizeof *e->by_name);
	for (uint32_t i = 0; i < e->count; i++)
		e->by_number[i] = e->by_name[i] = i;
	qsort_r(e->by_number, e->count, sizeof *e->by_number,
		compare_enum_numbers, e->values);
	qsort_r(e->by_name, e->count, sizeof *e->by_name, compare_enum_names,
		e->values);
	for (size_t i = 1; i < e->count; i++) {
		const char *name = e->values[e->by_name[i]].name;

		if (strcmp(name, e->values[e->by_name[i - 1]].name) == 0)
			return err_set(err, ERR_INPUT,
				       "enum '%s': '%s' stands twice", e->name,
				       name);
	}
	return true;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct proto_field *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int compare_names(const void *a, const void *b, void *ctx)
{
	const struct proto_field *fields = ctx;

	return strcmp(fields[*(const uint16_t *)a].name,
		      fields[*(const uint16_t *)b].name);
}

static bool index_numbers(struct proto_message *message, struct err *err)
{
	struct proto_field *fields = message->fields;

	for (uint32_t i = 1; i < message->count; i++)
		if (fields[i].number == fields[i - 1].number)
			return err_set(err, ERR_INPUT,
				       "message '%s': '%s' and '%s' have the "
				       "same number %u",
				       message->name, fields[i - 1].name,
				       fields[i].name, fields[i].number);
	message->ndirect = fields[message->count - 1].number + 1;
	if (message->ndirect > DIRECT_MAX)
		message->ndirect = DIRECT_MAX;
	message->direct = mem_array(message->ndirect, sizeof(uint16_t));
	for (uint16_t i = 0; i < message->count; i++)
		if (fields[i].number < message->ndirect)
			message->direct[fields[i].number] = (uint16_t)(i + 1);
	return true;
}

static bool index_names(struct proto_message *message, struct err *err)
{
	message->by_name = mem_array(message->count, sizeof(uint16_t));
	for (uint16_t i = 0; i < message->count; i++)
		message->by_name[i] = i;
	qsort_r(message->by_name, message->count, sizeof(uint16_t),
		compare_names, message->fields);
	for (uint32_t i = 0; i < message->count; i++) {
		message->names[i] = message->fields[message->by_name[i]].name;
		if (i && strcmp(message->names[i - 1], message->names[i]) == 0)
			return err_set(err, ERR_INPUT,
				       "message '%s': field '%s' stands twice",
				       message->name, message->names[i]);
	}
	return true;
}

/* Every oneof becomes a ring of its fields. */
static void link_oneofs(struct proto_message *message)
{
	uint16_t *last = mem_array(message->noneofs + 1u, sizeof *last);
	uint16_t *first = mem_array(message->noneofs + 1u, sizeof *first);

	for (uint16_t i = 0; i < message->count; i++) {
		uint16_t oneof = message->fields[i].oneof;

		if (!oneof)
			continue;
		if (!last[oneof])
			first[oneof] = i;
		else
			message->fields[last[oneof] - 1].sibling = i;
		message->fields[i].sibling = first[oneof];
		last[oneof] = (uint16_t)(i + 1);
	}
	free(first);
	free(last);
}

static void complete_field(struct proto_field *field)
{
	field->wire = (unsigned char)proto_wire_type(field->type);
	if (field->type == PROTO_ENUM && !field->has_default)
		field->value.i64 = field->enumeration->values[0].number;
	if (holds_string(field) && !field->value.str.data)
		proto_field_set_string(field, STR(""));
}

bool proto_message_seal(struct proto_message *message, struct err *err)
{
	message->names = mem_array(message->count + 1u, sizeof(char *));
	if (message->count == 0)
		return true;
	qsort(message->fields, message->count, sizeof *message->fields,
	      compare_numbers);
	if (!index_numbers(message, err) || !index_names(message, err))
		return false;
	for (uint32_t i = 0; i < message->count; i++) {
		complete_field(&message->fields[i]);
		message->filled += proto_field_filled(&message->fields[i]);
	}
	link_oneofs(message);
	return true;
}

/* ---- looking up -----------------------------------------------------------
 */

const struct proto_field *proto_message_field(
	const struct proto_message *message, uint32_t number)
{
	uint32_t low = 0, high = message->count;

	if (number < message->ndirect) {
		uint16_t i = message->direct[number];

		return i ? &message->fields[i - 1] : NULL;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (message->fields[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < message->count && message->fields[low].number == number)
		return &message->fields[low];
	return NULL;
}

const struct proto_field *proto_message_named(
	const struct proto_message *message, const char *name)
{
	uint32_t low = 0, high = message->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint16_t i = message->by_name[middle];
		int order = strcmp(message->fields[i].name, name);

		if (order == 0)
			return &message->fields[i];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *proto_message_simple(const struct proto_message *message)
{
	const char *dot = strrchr(message->name, '.');

	return dot ? dot + 1 : message->name;
}

const char *proto_enum_name(const struct proto_enum *e, int32_t number)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (e->values[e->by_number[middle]].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < e->count && e->values[e->by_number[low]].number == number)
		return e->values[e->by_number[low]].name;
	return NULL;
}

bool proto_enum_number(const struct proto_enum *e, const char *name,
		       int32_t *number)
{
	size_t low = 0, high = e->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct proto_enum_value *value;
		int order;

		value = &e->values[e->by_name[middle]];
		order = strcmp(value->name, name);
		if (order == 0) {
			*number = value->number;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
