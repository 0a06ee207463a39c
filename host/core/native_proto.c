/* SPDX-License-Identifier: Apache-2.0 */
#include "core/native_proto.h"

#include "core/wire.h"

enum {
	SPAN_OFFSET = 1,
	SPAN_LENGTH = 2,
};

/* A side that is being written. */
struct side {
	struct buf *out;
	uint32_t span_field, delta_field;
	bool packed;
	unsigned spans;
	uint64_t before; /* the last count */
};

void native_proto_span(struct buf *out, uint32_t field, int32_t offset,
		       uint32_t length)
{
	size_t mark = wire_open(out, field);

	wire_put_uint_field(out, SPAN_OFFSET, wire_zigzag(offset));
	wire_put_uint_field(out, SPAN_LENGTH, length);
	wire_close(out, mark);
}

static void put_span(void *arg, int32_t offset, uint32_t length)
{
	struct side *side = arg;

	native_proto_span(side->out, side->span_field, offset, length);
	side->spans++;
}

static void put_delta(void *arg, uint64_t count)
{
	struct side *side = arg;

	if (!side->packed)
		wire_put_tag(side->out, side->delta_field, WIRE_VARINT);
	wire_put_varint(side->out,
			wire_zigzag((int64_t)(count - side->before)));
	side->before = count;
}

static unsigned put_side(struct side side, const struct native_side *native)
{
	size_t mark;

	native_spans(native, put_span, NULL, &side);
	if (!side.packed) {
		native_spans(native, NULL, put_delta, &side);
	} else if (side.spans) {
		mark = wire_open(side.out, side.delta_field);
		native_spans(native, NULL, put_delta, &side);
		wire_close(side.out, mark);
	}
	return side.spans;
}

unsigned native_proto_put(struct buf *out, const struct native_fields *fields,
			  const struct native *native)
{
	struct side negative = { .out = out,
				 .span_field = fields->negative_span,
				 .delta_field = fields->negative_delta,
				 .packed = fields->packed };
	struct side positive = negative;

	positive.span_field = fields->positive_span;
	positive.delta_field = fields->positive_delta;
	wire_put_uint_field(out, fields->schema, wire_zigzag(native->schema));
	wire_put_double_field(out, fields->zero_threshold,
			      native->zero_threshold);
	wire_put_uint_field(out, fields->zero_count, native->zero_count);
	return put_side(negative, &native->negative) +
	       put_side(positive, &native->positive);
}
