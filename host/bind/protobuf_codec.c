/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/protobuf_codec.h"

#include <lauxlib.h>

#include "bind/bind.h"
#include "core/proto_decode.h"
#include "core/wire.h"

enum {
	/* Slots one level of nesting needs at most, with room to spare. */
	SLOTS = 12,
	/* Fields that may be nil get this much room in advance. */
	SPARE_FIELDS = 8,
};

/* The field that a message is about. */
struct site {
	const struct proto_message *message;
	const struct proto_field *field;
	size_t index; /* in a list, from 1, or 0 */
};

/* ---- decoding: the visitor builds the table on top of the stack -----------
 */

static void push_value(lua_State *L, const struct proto_field *field,
		       const union proto_value *value)
{
	const char *name;

	switch (field->type) {
	case PROTO_DOUBLE:
	case PROTO_FLOAT: lua_pushnumber(L, value->number); break;
	case PROTO_UINT32:
	case PROTO_FIXED32:
	case PROTO_UINT64:
	case PROTO_FIXED64:
		if (value->u64 <= INT64_MAX)
			lua_pushinteger(L, (lua_Integer)value->u64);
		else
			lua_pushnumber(L, (lua_Number)value->u64);
		break;
	case PROTO_BOOL: lua_pushboolean(L, value->boolean); break;
	case PROTO_STRING:
	case PROTO_BYTES:
		lua_pushlstring(L, value->str.data, value->str.len);
		break;
	case PROTO_ENUM:
		name = proto_enum_name(field->enumeration, (int32_t)value->i64);
		if (name)
			lua_pushstring(L, name);
		else
			lua_pushinteger(L, value->i64);
		break;
	default: lua_pushinteger(L, value->i64); break;
	}
}

/* Takes the value on top into the table below it. */
static void store(lua_State *L, const struct proto_field *field, size_t index)
{
	if (index)
		lua_rawseti(L, -2, (lua_Integer)index);
	else
		lua_setfield(L, -2, field->name);
}

static void push_fields(lua_State *L, const struct proto_message *message)
{
	uint32_t room = message->filled + SPARE_FIELDS;

	if (room > message->count)
		room = message->count;
	lua_createtable(L, 0, (int)room);
}

/* Whether the table on top has one for FIELD, which is left on top then. */
static bool push_present(lua_State *L, const struct proto_field *field)
{
	if (lua_getfield(L, -1, field->name) == LUA_TTABLE)
		return true;
	lua_pop(L, 1);
	return false;
}

static void visit_value(void *ctx, const struct proto_field *field,
			size_t index, const union proto_value *value)
{
	lua_State *L = ctx;

	push_value(L, field, value);
	store(L, field, index);
}

static bool visit_enter(void *ctx, const struct proto_field *field,
			size_t index, bool again)
{
	lua_State *L = ctx;

	luaL_checkstack(L, SLOTS, "message nested too deeply");
	if (again && index == 0 && push_present(L, field))
		return true;
	push_fields(L, field->message);
	return false;
}

static void visit_leave(void *ctx, const struct proto_field *field,
			size_t index)
{
	lua_State *L = ctx;

	if (!field->map) {
		store(L, field, index);
		return;
	}
	/* map entry */
	lua_getfield(L, -1, "key");
	lua_getfield(L, -2, "value");
	/* map entry key value */
	lua_rawset(L, -4);
	lua_pop(L, 1);
}

static size_t visit_list(void *ctx, const struct proto_field *field,
			 size_t hint, bool again)
{
	lua_State *L = ctx;

	luaL_checkstack(L, SLOTS, "message nested too deeply");
	if (again && push_present(L, field))
		return field->map ? 0 : (size_t)lua_rawlen(L, -1);
	if (hint > INT32_MAX)
		hint = INT32_MAX;
	lua_createtable(L, (int)hint, 0);
	return 0;
}

static void visit_list_end(void *ctx, const struct proto_field *field)
{
	store(ctx, field, 0);
}

static void visit_absent(void *ctx, const struct proto_field *field)
{
	lua_State *L = ctx;

	if (field->repeated)
		lua_newtable(L);
	else
		push_value(L, field, &field->value);
	store(L, field, 0);
}

static void visit_drop(void *ctx, const struct proto_field *field)
{
	lua_State *L = ctx;

	lua_pushnil(L);
	store(L, field, 0);
}

static const struct proto_visitor table_visitor = {
	.value = visit_value,
	.enter = visit_enter,
	.leave = visit_leave,
	.list = visit_list,
	.list_end = visit_list_end,
	.absent = visit_absent,
	.drop = visit_drop,
};

bool push_protobuf_table(lua_State *L, const struct proto_message *message,
			 struct str bytes, struct err *err)
{
	int top = lua_gettop(L);

	luaL_checkstack(L, SLOTS, NULL);
	push_fields(L, message);
	if (proto_decode(message, bytes, &table_visitor, L, err))
		return true;
	lua_settop(L, top);
	return false;
}

/* ---- encoding: checks -----------------------------------------------------
 */

/* Raises "message: field 'name'[3]: " and the text on top of the stack. */
static int raise_at(lua_State *L, const struct site *site)
{
	const char *text = lua_tostring(L, -1);

	if (site->index)
		return luaL_error(L, "%s: field '%s'[%I]: %s",
				  site->message->name, site->field->name,
				  (LUAI_UACINT)site->index, text);
	return luaL_error(L, "%s: field '%s': %s", site->message->name,
			  site->field->name, text);
}

static int raise_type(lua_State *L, const struct site *site, int arg,
		      const char *expected)
{
	lua_pushfstring(L, "expected %s, got %s", expected,
			luaL_typename(L, arg));
	return raise_at(L, site);
}

/* The number at ARG is none of the field's type. */
static int raise_range(lua_State *L, const struct site *site, int arg)
{
	const char *text = luaL_tolstring(L, arg, NULL);

	lua_pushfstring(L, "%s does not fit %s", text,
			proto_type_name(site->field->type));
	return raise_at(L, site);
}

static int64_t check_signed(lua_State *L, const struct site *site, int arg,
			    int64_t min, int64_t max)
{
	lua_Integer value;
	int exact;

	if (lua_type(L, arg) != LUA_TNUMBER)
		raise_type(L, site, arg, "integer");
	value = lua_tointegerx(L, arg, &exact);
	if (!exact || value < min || value > max)
		raise_range(L, site, arg);
	return value;
}

static uint64_t check_unsigned(lua_State *L, const struct site *site, int arg,
			       uint64_t max)
{
	lua_Integer value;
	lua_Number number;
	int exact;

	if (lua_type(L, arg) != LUA_TNUMBER)
		raise_type(L, site, arg, "integer");
	value = lua_tointegerx(L, arg, &exact);
	if (exact && value >= 0 && (uint64_t)value <= max)
		return (uint64_t)value;
	number = lua_tonumber(L, arg);
	/* From 2^63 on they are decoded to floats, so they come as such. */
	if (exact || max < UINT64_MAX || !(number >= 0x1p63) ||
	    !(number < 0x1p64))
		raise_range(L, site, arg);
	return (uint64_t)number;
}

static int64_t check_enum(lua_State *L, const struct site *site, int arg)
{
	const struct proto_enum *e = site->field->enumeration;
	int32_t number = 0;

	if (lua_type(L, arg) == LUA_TNUMBER)
		return check_signed(L, site, arg, INT32_MIN, INT32_MAX);
	if (lua_type(L, arg) != LUA_TSTRING)
		raise_type(L, site, arg, "the name of an enum value");
	if (!proto_enum_number(e, lua_tostring(L, arg), &number)) {
		lua_pushfstring(L, "enum %s has no value '%s'", e->name,
				lua_tostring(L, arg));
		raise_at(L, site);
	}
	return number;
}

static struct str check_string(lua_State *L, const struct site *site, int arg)
{
	struct str str;
	size_t good;

	if (lua_type(L, arg) != LUA_TSTRING)
		raise_type(L, site, arg, "string");
	str.data = lua_tolstring(L, arg, &str.len);
	good = site->field->utf8 ? wire_utf8(str) : str.len;
	if (good < str.len) {
		lua_pushfstring(L, "malformed UTF-8 at byte %I",
				(LUAI_UACINT)good);
		raise_at(L, site);
	}
	return str;
}

static union proto_value check_value(lua_State *L, const struct site *site,
				     int arg)
{
	union proto_value value = { .u64 = 0 };

	switch (site->field->type) {
	case PROTO_DOUBLE:
	case PROTO_FLOAT:
		if (lua_type(L, arg) != LUA_TNUMBER)
			raise_type(L, site, arg, "number");
		value.number = lua_tonumber(L, arg);
		break;
	case PROTO_BOOL:
		if (!lua_isboolean(L, arg))
			raise_type(L, site, arg, "boolean");
		value.boolean = lua_toboolean(L, arg);
		break;
	case PROTO_UINT32:
	case PROTO_FIXED32:
		value.u64 = check_unsigned(L, site, arg, UINT32_MAX);
		break;
	case PROTO_UINT64:
	case PROTO_FIXED64:
		value.u64 = check_unsigned(L, site, arg, UINT64_MAX);
		break;
	case PROTO_STRING:
	case PROTO_BYTES: value.str = check_string(L, site, arg); break;
	case PROTO_ENUM: value.i64 = check_enum(L, site, arg); break;
	case PROTO_INT64:
	case PROTO_SINT64:
	case PROTO_SFIXED64:
		value.i64 = check_signed(L, site, arg, INT64_MIN, INT64_MAX);
		break;
	default:
		value.i64 = check_signed(L, site, arg, INT32_MIN, INT32_MAX);
		break;
	}
	return value;
}

union proto_value check_protobuf_value(lua_State *L, int arg,
				       const struct proto_message *message,
				       const struct proto_field *field)
{
	struct site site = { message, field, 0 };

	return check_value(L, &site, arg);
}

/* ---- encoding: bytes ------------------------------------------------------
 */

static void put_value(struct buf *out, const struct proto_field *field,
		      const union proto_value *value)
{
	switch (field->type) {
	case PROTO_DOUBLE: wire_put_double(out, value->number); break;
	case PROTO_FLOAT: wire_put_float(out, value->number); break;
	case PROTO_BOOL: wire_put_varint(out, value->boolean); break;
	case PROTO_SINT32:
	case PROTO_SINT64: wire_put_varint(out, wire_zigzag(value->i64)); break;
	case PROTO_FIXED32:
	case PROTO_SFIXED32: wire_put_fixed32(out, (uint32_t)value->u64); break;
	case PROTO_FIXED64:
	case PROTO_SFIXED64: wire_put_fixed64(out, value->u64); break;
	case PROTO_STRING:
	case PROTO_BYTES: wire_put_bytes(out, value->str); break;
	default: wire_put_varint(out, value->u64); break;
	}
}

/* Whether absence says the same, so that nothing need be written. */
static bool is_implied(const struct proto_field *field,
		       const union proto_value *value)
{
	if (field->presence || field->oneof || field->has_default)
		return false;
	switch (field->type) {
	case PROTO_STRING:
	case PROTO_BYTES: return value->str.len == 0;
	case PROTO_BOOL: return !value->boolean;
	default: return value->u64 == field->value.u64; /* -0.0 is not 0 */
	}
}

static void put_message(lua_State *L, struct buf *out,
			const struct proto_message *message, unsigned depth);

/* The element or value on top of the stack, with its tag. */
static void put_field(lua_State *L, struct buf *out, const struct site *site,
		      unsigned depth)
{
	const struct proto_field *field = site->field;
	union proto_value value;
	size_t mark;

	if (!proto_type_nested(field->type)) {
		value = check_value(L, site, -1);
		if (site->index == 0 && is_implied(field, &value) &&
		    !site->message->entry)
			return;
		wire_put_tag(out, field->number, field->wire);
		put_value(out, field, &value);
		return;
	}
	if (!lua_istable(L, -1))
		raise_type(L, site, -1, "table");
	wire_put_tag(out, field->number, field->wire);
	mark = out->len;
	put_message(L, out, field->message, depth + 1);
	if (field->type == PROTO_GROUP)
		wire_put_tag(out, field->number, WIRE_GROUP_END);
	else
		wire_close(out, mark);
}

/* A table without elements must be empty: { a = 1 } is no list. */
static size_t check_list(lua_State *L, const struct site *site)
{
	size_t count = (size_t)lua_rawlen(L, -1);

	if (count > 0)
		return count;
	lua_pushnil(L);
	if (lua_next(L, -2)) {
		lua_pushstring(L, "expected a list, got a table with keys");
		raise_at(L, site);
	}
	return 0;
}

static void put_list(lua_State *L, struct buf *out, struct site site,
		     unsigned depth)
{
	const struct proto_field *field = site.field;
	size_t count = check_list(L, &site), mark = 0;
	union proto_value value;

	if (field->packed && count) {
		wire_put_tag(out, field->number, WIRE_BYTES);
		mark = out->len;
	}
	for (site.index = 1; site.index <= count; site.index++) {
		lua_rawgeti(L, -1, (lua_Integer)site.index);
		if (field->packed) {
			value = check_value(L, &site, -1);
			put_value(out, field, &value);
		} else {
			put_field(L, out, &site, depth);
		}
		lua_pop(L, 1);
	}
	if (field->packed && count)
		wire_close(out, mark);
}

static void put_map(lua_State *L, struct buf *out, const struct site *site,
		    unsigned depth)
{
	const struct proto_message *entry = site->field->message;
	struct site key = { entry, &entry->fields[0], 0 };
	struct site value = { entry, &entry->fields[1], 0 };
	size_t mark;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		/* map key value */
		wire_put_tag(out, site->field->number, WIRE_BYTES);
		mark = out->len;
		lua_pushvalue(L, -2);
		put_field(L, out, &key, depth);
		lua_pop(L, 1);
		put_field(L, out, &value, depth + 1);
		wire_close(out, mark);
		lua_pop(L, 1);
	}
}

static int raise_unknown(lua_State *L, const struct proto_message *message)
{
	const char *name, *near;

	if (lua_type(L, -2) != LUA_TSTRING)
		return luaL_error(L, "%s: a field's name is a string, not a %s",
				  message->name, luaL_typename(L, -2));
	name = lua_tostring(L, -2);
	near = nearest(name, message->names);
	if (near)
		return luaL_error(L,
				  "%s: unknown field '%s'; did you mean '%s'?",
				  message->name, name, near);
	return luaL_error(L, "%s: unknown field '%s'", message->name, name);
}

/* The table on top has more keys than fields: names the one that is none. */
static void check_names(lua_State *L, const struct proto_message *message,
			size_t used)
{
	size_t count = 0;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		count++;
	if (count == used)
		return;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		if (lua_type(L, -2) != LUA_TSTRING ||
		    !proto_message_named(message, lua_tostring(L, -2)))
			raise_unknown(L, message);
}

static int raw_field(lua_State *L, int table, const struct proto_field *field)
{
	lua_pushstring(L, field->name);
	return lua_rawget(L, table);
}

/* Two members of one oneof cannot both be sent. */
static void check_oneof(lua_State *L, int table, const struct site *site)
{
	const struct proto_field *fields = site->message->fields;
	const struct proto_field *other = &fields[site->field->sibling];

	for (; other != site->field; other = &fields[other->sibling]) {
		if (raw_field(L, table, other) != LUA_TNIL) {
			lua_pushfstring(L, "'%s' of the same oneof is set too",
					other->name);
			raise_at(L, site);
		}
		lua_pop(L, 1);
	}
}

static void put_present(lua_State *L, struct buf *out, int table,
			const struct site *site, unsigned depth)
{
	if (site->field->oneof)
		check_oneof(L, table, site);
	if (site->field->repeated && !lua_istable(L, -1))
		raise_type(L, site, -1, "table");
	if (site->field->map)
		put_map(L, out, site, depth);
	else if (site->field->repeated)
		put_list(L, out, *site, depth);
	else
		put_field(L, out, site, depth);
}

/* The table on top of the stack, which is left there. */
static void put_message(lua_State *L, struct buf *out,
			const struct proto_message *message, unsigned depth)
{
	struct site site = { message, NULL, 0 };
	int table = lua_gettop(L);
	size_t used = 0;

	if (depth > WIRE_DEPTH_MAX)
		luaL_error(L, "%s: nested deeper than %d", message->name,
			   WIRE_DEPTH_MAX);
	luaL_checkstack(L, SLOTS, "message nested too deeply");
	for (uint32_t i = 0; i < message->count; i++) {
		site.field = &message->fields[i];
		if (raw_field(L, table, site.field) != LUA_TNIL) {
			put_present(L, out, table, &site, depth);
			used++;
		} else if (site.field->required) {
			lua_pushstring(L, "a required value is missing");
			raise_at(L, &site);
		}
		lua_pop(L, 1);
	}
	check_names(L, message, used);
	if (out->full)
		luaL_error(L, "%s: larger than %I bytes", message->name,
			   (LUAI_UACINT)out->max);
}

void check_protobuf_table(lua_State *L, int arg,
			  const struct proto_message *message, struct buf *out)
{
	luaL_checktype(L, arg, LUA_TTABLE);
	luaL_checkstack(L, SLOTS, NULL);
	lua_pushvalue(L, arg);
	put_message(L, out, message, 1);
	lua_pop(L, 1);
}
