/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer entry for the wire reader and the decoder: the input is a message,
 * read as three schemas and by the reader alone. The visitor looks at every
 * byte it is told, so that a value outside of the input is noticed.
 */
#include <stdlib.h>
#include <string.h>

#include "core/proto_decode.h"
#include "core/proto_parse.h"
#include "core/wire.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const char schema_text[] =
	"message Meter { optional uint64 timestamp = 1;"
	" optional double energy = 2; optional float current = 3; }"
	"message All { repeated All all = 1; map<string, All> map = 2;"
	" oneof o { int32 a = 3; string b = 4; All c = 5; }"
	" repeated sint64 z = 6 [packed = true]; repeated bool t = 7;"
	" repeated double d = 8; repeated fixed32 f = 9; optional bytes y = 10;"
	" optional group G = 11 { repeated sfixed64 s = 1; }"
	" enum E { A = 0; B = -1; } repeated E e = 12;"
	" required int64 n = 13; optional uint32 u = 300 [default = 7];"
	" map<int32, E> names = 14; }";

struct state {
	unsigned depth;
	size_t values;
	unsigned sum; /* so that reading cannot be left out */
};

static void see_value(void *ctx, const struct proto_field *field, size_t index,
		      const union proto_value *value)
{
	struct state *state = ctx;

	(void)index;
	state->values++;
	if (field->type == PROTO_ENUM)
		state->sum += proto_enum_name(field->enumeration,
					      (int32_t)value->i64) != NULL;
	if (field->type != PROTO_STRING && field->type != PROTO_BYTES)
		return;
	for (size_t i = 0; i < value->str.len; i++)
		state->sum += (unsigned char)value->str.data[i];
}

static bool see_enter(void *ctx, const struct proto_field *field, size_t index,
		      bool again)
{
	struct state *state = ctx;

	(void)field;
	(void)index;
	state->values++;
	if (++state->depth > WIRE_DEPTH_MAX)
		abort();
	return again;
}

static void see_leave(void *ctx, const struct proto_field *field, size_t index)
{
	struct state *state = ctx;

	(void)field;
	(void)index;
	if (state->depth-- == 0)
		abort();
}

static size_t see_list(void *ctx, const struct proto_field *field, size_t hint,
		       bool again)
{
	(void)ctx;
	(void)field;
	return again ? hint : 0;
}

static void see_field(void *ctx, const struct proto_field *field)
{
	struct state *state = ctx;

	state->values += field->number != 0;
}

static const struct proto_visitor visitor = {
	.value = see_value,
	.enter = see_enter,
	.leave = see_leave,
	.list = see_list,
	.list_end = see_field,
	.absent = see_field,
	.drop = see_field,
};

static struct proto_schema *schema_get(void)
{
	static struct proto_schema *schema;
	struct str text = { schema_text, sizeof schema_text - 1 };
	struct err err;

	if (!schema)
		schema = proto_parse("fuzz.proto", text, NULL, &err);
	if (!schema)
		abort();
	return schema;
}

static void read_plainly(struct str bytes)
{
	struct wire wire;
	struct wire_tag tag;

	wire_init(&wire, bytes);
	while (!wire_at_end(&wire))
		if (!wire_tag(&wire, &tag) || !wire_skip(&wire, tag, 0))
			break;
	if (wire.fault && wire.fault_at > bytes.len)
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct proto_schema *schema = schema_get();
	struct str bytes = { (const char *)data, size };

	read_plainly(bytes);
	for (size_t i = 0; i < schema->nmessages; i++) {
		struct state state = { 0 };
		struct err err = { 0 };
		bool ok = proto_decode(schema->messages[i], bytes, &visitor,
				       &state, &err);

		if (ok ? state.depth != 0 : err.text[0] == '\0')
			abort();
		/* A list costs what is told at its end, elements apart. */
		if (state.values >
		    2 * (PROTO_VALUES_BASE + PROTO_VALUES_PER_BYTE * size))
			abort();
	}
	return 0;
}
