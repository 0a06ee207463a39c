/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua tables to protobuf bytes and back, along a sealed message. Tables are
 * read and written raw, so no Lua code runs meanwhile.
 */
#ifndef BIND_PROTOBUF_CODEC_H
#define BIND_PROTOBUF_CODEC_H

#include <lua.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/proto.h"

/* Leaves the table that BYTES stand for; or, when they are malformed, returns
 * false with ERR and leaves nothing. */
bool push_protobuf_table(lua_State *L, const struct proto_message *message,
			 struct str bytes, struct err *err);

/* Adds the bytes of the table at ARG to OUT, which must be owned by a userdata:
 * raises a sentence naming the field for what does not fit the message. */
void check_protobuf_table(lua_State *L, int arg,
			  const struct proto_message *message, struct buf *out);

/* One value of FIELD at stack index ARG; raises as above. A string is borrowed
 * from the stack. */
union proto_value check_protobuf_value(lua_State *L, int arg,
				       const struct proto_message *message,
				       const struct proto_field *field);

#endif
