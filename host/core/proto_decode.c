/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proto_decode.h"

#include "core/wire.h"

/* What an empty list costs of the values: a table of its own. */
enum { LIST_COST = 2 };

struct walk {
	const struct proto_visitor *visitor;
	void *ctx;
	size_t values;			 /* that may still be made */
	const struct proto_field *field; /* that a fault is about, or NULL */
};

/* One message that is being read. The C stack holds WIRE_DEPTH_MAX of them. */
struct frame {
	const struct proto_message *message;
	struct wire *wire;
	unsigned depth;
	uint32_t group; /* ends with the end of this group; 0: with its bytes */
	bool again;	/* continues a message told before */
	uint64_t seen[PROTO_MESSAGE_FIELDS_MAX / 64];
};

static bool decode_message(struct walk *walk, struct frame *frame);

static bool spend(struct walk *walk, struct wire *wire, size_t count)
{
	if (count > walk->values)
		return wire_fail(wire, wire->p,
				 "more values than its length allows");
	walk->values -= count;
	return true;
}

/* ---- which fields occurred ------------------------------------------------
 */

static size_t index_of(const struct frame *frame,
		       const struct proto_field *field)
{
	return (size_t)(field - frame->message->fields);
}

static bool is_seen(const struct frame *frame, size_t i)
{
	return frame->seen[i / 64] >> (i % 64) & 1;
}

static void drop_siblings(struct walk *walk, struct frame *frame,
			  const struct proto_field *field)
{
	const struct proto_field *fields = frame->message->fields;
	size_t self = index_of(frame, field);

	for (size_t i = field->sibling; i != self; i = fields[i].sibling) {
		if (!is_seen(frame, i) && !frame->again)
			continue;
		frame->seen[i / 64] &= ~(UINT64_C(1) << (i % 64));
		walk->visitor->drop(walk->ctx, &fields[i]);
	}
}

/* Notes that FIELD occurs; true when it may have occurred before. */
static bool mark(struct walk *walk, struct frame *frame,
		 const struct proto_field *field)
{
	size_t i = index_of(frame, field);
	bool again = is_seen(frame, i);

	frame->seen[i / 64] |= UINT64_C(1) << (i % 64);
	if (field->oneof && !again)
		drop_siblings(walk, frame, field);
	return again || frame->again;
}

/* ---- values ---------------------------------------------------------------
 */

static void from_varint(enum proto_type type, uint64_t bits,
			union proto_value *value)
{
	switch (type) {
	case PROTO_INT32:
	case PROTO_ENUM: value->i64 = (int32_t)(uint32_t)bits; break;
	case PROTO_UINT32: value->u64 = (uint32_t)bits; break;
	case PROTO_SINT32:
		value->i64 = (int32_t)wire_unzigzag((uint32_t)bits);
		break;
	case PROTO_SINT64: value->i64 = wire_unzigzag(bits); break;
	case PROTO_BOOL: value->boolean = bits != 0; break;
	case PROTO_UINT64: value->u64 = bits; break;
	default: value->i64 = (int64_t)bits; break;
	}
}

static void from_fixed32(enum proto_type type, uint32_t bits,
			 union proto_value *value)
{
	if (type == PROTO_FLOAT)
		value->number = wire_float(bits);
	else if (type == PROTO_SFIXED32)
		value->i64 = (int32_t)bits;
	else
		value->u64 = bits;
}

static void from_fixed64(enum proto_type type, uint64_t bits,
			 union proto_value *value)
{
	if (type == PROTO_DOUBLE)
		value->number = wire_double(bits);
	else if (type == PROTO_SFIXED64)
		value->i64 = (int64_t)bits;
	else
		value->u64 = bits;
}

static bool read_string(struct walk *walk, struct wire *wire,
			const struct proto_field *field, struct str *out)
{
	size_t good;

	if (!wire_bytes(wire, out))
		return false;
	if (!field->utf8)
		return true;
	good = wire_utf8(*out);
	if (good == out->len)
		return true;
	walk->field = field;
	return wire_fail(wire, (const unsigned char *)out->data + good,
			 "malformed UTF-8");
}

static bool read_value(struct walk *walk, struct wire *wire,
		       const struct proto_field *field,
		       union proto_value *value)
{
	uint64_t u64;
	uint32_t u32;

	switch (field->wire) {
	case WIRE_VARINT:
		if (!wire_varint(wire, &u64))
			return false;
		from_varint(field->type, u64, value);
		return true;
	case WIRE_FIXED32:
		if (!wire_fixed32(wire, &u32))
			return false;
		from_fixed32(field->type, u32, value);
		return true;
	case WIRE_FIXED64:
		if (!wire_fixed64(wire, &u64))
			return false;
		from_fixed64(field->type, u64, value);
		return true;
	default: return read_string(walk, wire, field, &value->str);
	}
}

static bool decode_nested(struct walk *walk, struct frame *frame,
			  const struct proto_field *field, size_t index,
			  bool again)
{
	struct wire bytes = { 0 };
	struct frame inner;
	bool ok;

	if (frame->depth >= WIRE_DEPTH_MAX)
		return wire_fail(frame->wire, frame->wire->p,
				 "nested too deeply");
	inner.message = field->message;
	inner.wire = frame->wire;
	inner.depth = frame->depth + 1;
	inner.group = field->type == PROTO_GROUP ? field->number : 0;
	if (!inner.group) {
		if (!wire_nested(frame->wire, &bytes))
			return false;
		inner.wire = &bytes;
	}
	inner.again = walk->visitor->enter(walk->ctx, field, index, again);
	ok = decode_message(walk, &inner);
	if (ok)
		walk->visitor->leave(walk->ctx, field, index);
	else if (!inner.group)
		*frame->wire = bytes;
	return ok;
}

static bool decode_one(struct walk *walk, struct frame *frame,
		       const struct proto_field *field, size_t index,
		       bool again)
{
	union proto_value value;

	if (!spend(walk, frame->wire, 1))
		return false;
	if (proto_type_nested(field->type))
		return decode_nested(walk, frame, field, index, again);
	if (!read_value(walk, frame->wire, field, &value))
		return false;
	walk->visitor->value(walk->ctx, field, index, &value);
	return true;
}

/* ---- lists ----------------------------------------------------------------
 */

static size_t count_packed(const struct proto_field *field,
			   const struct wire *packed)
{
	size_t len = wire_left(packed);

	switch (field->wire) {
	case WIRE_FIXED32: return len / 4;
	case WIRE_FIXED64: return len / 8;
	default:
		return wire_count_varints(
			(struct str){ (const char *)packed->p, len });
	}
}

static bool decode_packed(struct walk *walk, struct frame *frame,
			  const struct proto_field *field)
{
	const struct proto_visitor *visitor = walk->visitor;
	bool again = mark(walk, frame, field);
	union proto_value value;
	struct wire packed;
	size_t count, n;

	if (!wire_nested(frame->wire, &packed))
		return false;
	count = count_packed(field, &packed);
	if (!spend(walk, frame->wire, count + LIST_COST))
		return false;
	n = visitor->list(walk->ctx, field, count, again);
	while (!wire_at_end(&packed)) {
		if (!read_value(walk, &packed, field, &value)) {
			*frame->wire = packed;
			return false;
		}
		visitor->value(walk->ctx, field, ++n, &value);
	}
	visitor->list_end(walk->ctx, field);
	return true;
}

/* Elements with the same tag mostly follow each other: the list is begun once
 * for a whole run. TAG points at the TAG_LEN bytes of the tag read. */
static bool decode_run(struct walk *walk, struct frame *frame,
		       const struct proto_field *field,
		       const unsigned char *tag)
{
	const struct proto_visitor *visitor = walk->visitor;
	struct wire *wire = frame->wire;
	size_t tag_len = (size_t)(wire->p - tag);
	bool again = mark(walk, frame, field);
	size_t n;

	if (!spend(walk, wire, LIST_COST))
		return false;
	n = visitor->list(walk->ctx, field, 0, again);
	while (decode_one(walk, frame, field, ++n, false)) {
		if (wire_left(wire) < tag_len ||
		    memcmp(wire->p, tag, tag_len) != 0) {
			visitor->list_end(walk->ctx, field);
			return true;
		}
		wire->p += tag_len;
	}
	return false;
}

/* ---- messages -------------------------------------------------------------
 */

static bool decode_field(struct walk *walk, struct frame *frame,
			 struct wire_tag tag, const unsigned char *at)
{
	const struct proto_field *field;
	struct wire *wire = frame->wire;

	field = proto_message_field(frame->message, tag.number);
	if (!field)
		return wire_skip(wire, tag, frame->depth);
	if (field->repeated && tag.type == WIRE_BYTES &&
	    proto_type_packable(field->type))
		return decode_packed(walk, frame, field);
	if (tag.type != field->wire)
		return wire_skip(wire, tag, frame->depth);
	if (field->repeated)
		return decode_run(walk, frame, field, at);
	return decode_one(walk, frame, field, 0, mark(walk, frame, field));
}

static bool decode_fields(struct walk *walk, struct frame *frame)
{
	struct wire *wire = frame->wire;
	const unsigned char *at = wire->p;
	struct wire_tag tag;

	while (!wire_at_end(wire)) {
		at = wire->p;
		if (!wire_tag(wire, &tag))
			return false;
		if (tag.type == WIRE_GROUP_END) {
			if (frame->group && frame->group == tag.number)
				return true;
			return wire_fail(wire, at, "stray end of group");
		}
		if (!decode_field(walk, frame, tag, at))
			return false;
	}
	if (frame->group)
		return wire_fail(wire, at, "group without end");
	return true;
}

/* A map's entry without a value has an empty message for one. */
static bool fill_entry(struct walk *walk, struct frame *frame,
		       const struct proto_field *field)
{
	static const unsigned char empty[1];
	struct wire wire = *frame->wire;
	struct frame outer = { .wire = &wire, .depth = frame->depth };

	wire.p = empty; /* the length of an empty message */
	wire.end = empty + 1;
	wire.start = empty;
	if (decode_one(walk, &outer, field, 0, false))
		return true;
	return wire_fail(frame->wire, frame->wire->p, wire.fault);
}

static bool fill_field(struct walk *walk, struct frame *frame,
		       const struct proto_field *field)
{
	if (field->required) {
		walk->field = field;
		return wire_fail(frame->wire, frame->wire->p,
				 "missing required value");
	}
	if (frame->message->entry && proto_type_nested(field->type))
		return fill_entry(walk, frame, field);
	if (!proto_field_filled(field))
		return true;
	if (!spend(walk, frame->wire, field->repeated ? LIST_COST : 1))
		return false;
	walk->visitor->absent(walk->ctx, field);
	return true;
}

static bool decode_message(struct walk *walk, struct frame *frame)
{
	const struct proto_message *message = frame->message;

	memset(frame->seen, 0, (message->count + 63) / 64 * 8);
	if (!decode_fields(walk, frame))
		return false;
	/* The part told before has got the values of the absent fields. */
	if (frame->again)
		return true;
	for (uint32_t i = 0; i < message->count; i++)
		if (!is_seen(frame, i) &&
		    !fill_field(walk, frame, &message->fields[i]))
			return false;
	return true;
}

static bool explain(const struct walk *walk,
		    const struct proto_message *message,
		    const struct wire *wire, struct err *err)
{
	if (walk->field)
		return err_set(err, ERR_INPUT,
			       "%s: %s in field '%s' at byte %zu",
			       message->name, wire->fault, walk->field->name,
			       wire->fault_at);
	return err_set(err, ERR_INPUT, "%s: %s at byte %zu", message->name,
		       wire->fault, wire->fault_at);
}

bool proto_decode(const struct proto_message *message, struct str bytes,
		  const struct proto_visitor *visitor, void *ctx,
		  struct err *err)
{
	struct walk walk = {
		.visitor = visitor,
		.ctx = ctx,
		.values = PROTO_VALUES_BASE + PROTO_VALUES_PER_BYTE * bytes.len,
	};
	struct wire wire;
	struct frame frame;

	wire_init(&wire, bytes);
	frame.message = message;
	frame.wire = &wire;
	frame.depth = 1;
	frame.group = 0;
	frame.again = false;
	if (decode_message(&walk, &frame))
		return true;
	return explain(&walk, message, &wire, err);
}
