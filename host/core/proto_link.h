/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second half of reading .proto texts: when all files have been parsed,
 * the names that fields use as types become messages and enums, and the schema
 * is sealed. Collects what the parser finds. One thread at a time.
 */
#ifndef CORE_PROTO_LINK_H
#define CORE_PROTO_LINK_H

#include "core/proto.h"

/* A place in a text, for messages. The file name must outlive the link. */
struct proto_place {
	const char *file;
	unsigned line, column;
};

/* Fields of private structs are nobody else's. */
struct proto_link {
	struct proto_schema *schema; /* borrowed */
	struct proto_symbol *symbols;
	size_t nsymbols;
	struct proto_reference *references;
	size_t nreferences;
};

void proto_link_init(struct proto_link *link, struct proto_schema *schema);
void proto_link_release(struct proto_link *link);

/* A type has been declared at PLACE. */
void proto_link_message(struct proto_link *link, struct proto_message *message,
			struct proto_place place);
void proto_link_enum(struct proto_link *link, struct proto_enum *e,
		     struct proto_place place);

/*
 * Field number INDEX (as added) of MESSAGE has the type TYPE, to be looked for
 * from the message's own scope outwards. FALLBACK is the name of the enum value
 * given as default, NULL when there is none. Both are copied. PACKED: pack the
 * values if it is an enum.
 */
void proto_link_field(struct proto_link *link, struct proto_message *message,
		      uint32_t index, const char *type, const char *fallback,
		      bool packed, struct proto_place place);

/* Resolves and seals everything. */
bool proto_link_finish(struct proto_link *link, struct err *err);

/* "file:line:column: sentence". Always false. */
bool proto_place_error(struct proto_place place, struct err *err,
		       const char *sentence);

#endif
