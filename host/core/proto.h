/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf schemas: messages, fields and enums, as made by hand or read from a
 * .proto text (core/proto_parse.h). A schema owns its messages and enums and is
 * counted; whoever keeps a message keeps a reference to its schema. Sealed
 * messages are not changed any more. One thread at a time.
 */
#ifndef CORE_PROTO_H
#define CORE_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	PROTO_NAME_MAX = 255,		 /* bytes of a full name */
	PROTO_MESSAGE_FIELDS_MAX = 2048, /* fields of one message */
	PROTO_FIELDS_MAX = 16384,	 /* fields of one schema */
	PROTO_TYPES_MAX = 8192,		 /* messages and enums of one schema */
	PROTO_ENUM_VALUES_MAX = 32768,	 /* enum values of one schema */
};

enum proto_type {
	PROTO_DOUBLE,
	PROTO_FLOAT,
	PROTO_INT32,
	PROTO_INT64,
	PROTO_UINT32,
	PROTO_UINT64,
	PROTO_SINT32,
	PROTO_SINT64,
	PROTO_FIXED32,
	PROTO_FIXED64,
	PROTO_SFIXED32,
	PROTO_SFIXED64,
	PROTO_BOOL,
	PROTO_STRING,
	PROTO_BYTES,
	PROTO_ENUM,
	PROTO_MESSAGE,
	PROTO_GROUP,
};

/* Which member counts follows from the type. */
union proto_value {
	int64_t i64;	/* int, sint, sfixed, enum */
	uint64_t u64;	/* uint, fixed */
	double number;	/* double, float */
	bool boolean;	/* bool */
	struct str str; /* string, bytes */
};

struct proto_enum_value {
	char *name;
	int32_t number;
};

struct proto_enum {
	struct proto_schema *schema;
	char *name;			 /* full */
	struct proto_enum_value *values; /* as declared */
	size_t count;
	uint32_t *by_number; /* private: indices */
	uint32_t *by_name;   /* private: indices */
};

struct proto_field {
	char *name;
	uint32_t number;
	enum proto_type type;
	bool repeated; /* maps as well */
	bool packed;   /* how it is written; both are read */
	bool presence; /* absent is nil, unless there is a default */
	bool required;
	bool utf8;	    /* a string that must be well-formed */
	bool has_default;   /* the schema gives one */
	bool map;	    /* of the entries `message`: key = 1, value = 2 */
	unsigned char wire; /* wire type of one value, once sealed */
	uint16_t oneof;	    /* index in the message's oneofs + 1, or 0 */
	uint16_t sibling;   /* next field of that oneof, a ring */
	struct proto_message *message;
	struct proto_enum *enumeration;
	/* What stands for an absent value: the default given, or zero, or the
	 * first value of the enum. Its string belongs to the field. */
	union proto_value value;
};

struct proto_message {
	struct proto_schema *schema;
	char *name; /* full: package.Outer.Inner */
	bool entry; /* of a map */
	bool imported;
	bool unique;		    /* its simple name means no other message */
	struct proto_field *fields; /* by number, once sealed */
	uint32_t count;
	uint32_t filled; /* fields that are never nil, once sealed */
	char **oneofs;
	uint16_t noneofs;
	uint16_t *direct;   /* private: number -> index + 1, 0: no field */
	uint32_t ndirect;   /* private */
	uint16_t *by_name;  /* private: indices by name */
	const char **names; /* the field names, NULL at the end */
};

struct proto_schema {
	unsigned refs; /* private */
	struct proto_message **messages;
	size_t nmessages;
	struct proto_enum **enums;
	size_t nenums;
	size_t nfields;		    /* private */
	size_t nvalues;		    /* private */
	struct proto_schema **used; /* private: schemas of foreign messages */
	size_t nused;		    /* private */
	size_t *account;	    /* private: it counts there, or NULL ... */
	size_t bytes;		    /* private: ... so much */
};

/* An empty schema with one reference. */
struct proto_schema *proto_schema_new(void);
struct proto_schema *proto_schema_ref(struct proto_schema *schema);
/* Gives one reference back; NULL is allowed. */
void proto_schema_unref(struct proto_schema *schema);

/* Keeps OTHER alive as long as SCHEMA, whose fields may then refer to the
 * messages of OTHER. OTHER must not, directly or not, use SCHEMA. */
void proto_schema_use(struct proto_schema *schema, struct proto_schema *other);

/* About the memory that it takes counts in *ACCOUNT from now on until it is
 * gone. Once, when it is whole. */
void proto_schema_count(struct proto_schema *schema, size_t *account);

/* The message of that full name, or NULL. Linear. */
struct proto_message *proto_schema_find(const struct proto_schema *schema,
					const char *name);

/* New and empty; NULL and ERR above the ceilings. The name is copied. */
struct proto_message *proto_message_add(struct proto_schema *schema,
					struct str name, struct err *err);
struct proto_enum *proto_enum_add(struct proto_schema *schema, struct str name,
				  struct err *err);
bool proto_enum_value_add(struct proto_enum *e, struct str name, int32_t number,
			  struct err *err);

/*
 * A new field of a message that is not sealed, a required-less double without
 * presence until the caller says otherwise. NULL and ERR when the number is
 * out of range or reserved by protobuf itself, or above a ceiling. The pointer
 * is good until the next field is added.
 */
struct proto_field *proto_field_add(struct proto_message *message,
				    struct str name, int64_t number,
				    struct err *err);

/* Copies STR as the default of a string or bytes field. */
void proto_field_set_string(struct proto_field *field, struct str str);

/* A new oneof; its index + 1 is for field->oneof. 0 and ERR above a ceiling. */
uint16_t proto_oneof_add(struct proto_message *message, struct str name,
			 struct err *err);

/* An enum is complete: it must have a value and no name twice. */
bool proto_enum_seal(struct proto_enum *e, struct err *err);

/*
 * A message is complete: sorts its fields, builds the indices, fills in the
 * value of absent fields (their enums must be sealed). Fails on a number or
 * name that stands twice.
 */
bool proto_message_seal(struct proto_message *message, struct err *err);

/* Of a sealed message; NULL when there is no such field. */
const struct proto_field *proto_message_field(
	const struct proto_message *message, uint32_t number);
const struct proto_field *proto_message_named(
	const struct proto_message *message, const char *name);

/* The name without package and outer messages. Borrowed. */
const char *proto_message_simple(const struct proto_message *message);

/* The first declared name of NUMBER, or NULL. */
const char *proto_enum_name(const struct proto_enum *e, int32_t number);

/* False when the sealed enum has no value NAME. */
bool proto_enum_number(const struct proto_enum *e, const char *name,
		       int32_t *number);

/* "double" ... "bytes" to a type and back; false when NAME is no scalar. */
bool proto_type_named(struct str name, enum proto_type *type);
const char *proto_type_name(enum proto_type type);

/* The names of all scalars, NULL at the end. */
const char *const *proto_type_names(void);

/* Whether values are messages, groups included. */
bool proto_type_nested(enum proto_type type);

/* Whether a field that did not occur has a value all the same. */
bool proto_field_filled(const struct proto_field *field);

/* The wire type of one unpacked value. */
unsigned proto_wire_type(enum proto_type type);

/* Whether values of TYPE may be packed: all but strings and messages. */
bool proto_type_packable(enum proto_type type);

#endif
