/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million random, half random and truncated messages through the decoder,
 * with a fixed seed. Every message has a heap block of exactly its size, so
 * that AddressSanitizer sees a read beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/proto_decode.h"
#include "core/proto_parse.h"
#include "core/wire.h"

enum { MESSAGES = 1000000, BYTES_MAX = 160 };

static const char schema_text[] =
	"syntax = 'proto3'; package storm;"
	"message Measurement { uint64 timestamp = 1;"
	"  double energy_consumption = 2; float current = 3; }"
	"message All { enum E { A = 0; B = 1; C = -5; }"
	"  repeated All all = 1; map<string, All> by_name = 2;"
	"  oneof o { int32 a = 3; string b = 4; All c = 5; }"
	"  repeated sint64 z = 6; repeated bool t = 7 [packed = false];"
	"  repeated double d = 8; repeated fixed32 f = 9; bytes y = 10;"
	"  All one = 11; repeated E e = 12; optional int64 n = 13;"
	"  map<uint32, E> names = 14; repeated string s = 15;"
	"  sfixed32 far = 1000; }";

static uint64_t seed = UINT64_C(0x9E3779B97F4A7C15);

static uint64_t random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned random_below(unsigned limit)
{
	return (unsigned)(random_bits() >> 33) % limit;
}

/* ---- messages -------------------------------------------------------------
 */

static void add_noise(struct buf *buf, unsigned len)
{
	while (len--)
		buf_addch(buf, (char)random_bits());
}

static void add_message(struct buf *buf, const struct proto_message *message,
			unsigned depth);

static void add_value(struct buf *buf, const struct proto_field *field,
		      unsigned type, unsigned depth)
{
	size_t mark = buf->len;

	switch (type) {
	case WIRE_VARINT:
		wire_put_varint(buf, random_bits() >> random_below(64));
		break;
	case WIRE_FIXED32:
		wire_put_fixed32(buf, (uint32_t)random_bits());
		break;
	case WIRE_FIXED64: wire_put_fixed64(buf, random_bits()); break;
	default:
		if (field->message && depth < 4)
			add_message(buf, field->message, depth + 1);
		else if (field->type == PROTO_STRING && random_below(8))
			buf_addf(buf, "text%u", random_below(1000));
		else
			add_noise(buf, random_below(12));
		wire_close(buf, mark);
	}
}

/* Mostly what the schema says; sometimes another wire type, a number that it
 * does not know, or a group. */
static void add_message(struct buf *buf, const struct proto_message *message,
			unsigned depth)
{
	unsigned count = random_below(6);

	while (count--) {
		const struct proto_field *field =
			&message->fields[random_below(message->count)];
		unsigned type = field->wire;
		uint32_t number = field->number;

		if (field->repeated && random_below(2))
			type = WIRE_BYTES;
		if (random_below(16) == 0)
			type = random_below(6);
		if (random_below(16) == 0)
			number = random_below(5000);
		if (type == WIRE_GROUP || type == WIRE_GROUP_END)
			wire_put_tag(buf, number, type);
		else {
			wire_put_tag(buf, number, type);
			add_value(buf, field, type, depth);
		}
	}
}

static void make_message(struct buf *buf, const struct proto_message *message,
			 unsigned kind)
{
	buf_clear(buf);
	if (kind == 0) {
		add_noise(buf, random_below(BYTES_MAX));
		return;
	}
	add_message(buf, message, 0);
	if (kind == 1 && buf->len > 0)
		buf->len = random_below((unsigned)buf->len);
	if (kind == 2 && buf->len > 0)
		buf->data[random_below((unsigned)buf->len)] =
			(char)random_bits();
}

/* ---- what is checked ------------------------------------------------------
 */

struct check {
	const char *data, *end;
	size_t values;
	unsigned depth, lists;
};

static void check_value(void *ctx, const struct proto_field *field,
			size_t index, const union proto_value *value)
{
	struct check *check = ctx;

	check->values++;
	assert_int_equal(field->repeated, index != 0);
	if (field->type != PROTO_STRING && field->type != PROTO_BYTES)
		return;
	assert_true(value->str.data >= check->data);
	assert_true(value->str.data + value->str.len <= check->end);
	if (field->utf8)
		assert_int_equal(wire_utf8(value->str), value->str.len);
}

static bool check_enter(void *ctx, const struct proto_field *field,
			size_t index, bool again)
{
	struct check *check = ctx;

	check->values++;
	check->depth++;
	assert_true(check->depth < WIRE_DEPTH_MAX);
	assert_int_equal(field->repeated, index != 0);
	return again;
}

static void check_leave(void *ctx, const struct proto_field *field,
			size_t index)
{
	struct check *check = ctx;

	assert_int_equal(field->repeated, index != 0);
	assert_true(check->depth > 0);
	check->depth--;
}

static size_t check_list(void *ctx, const struct proto_field *field,
			 size_t hint, bool again)
{
	struct check *check = ctx;

	assert_true(field->repeated);
	assert_true(hint <= (size_t)(check->end - check->data));
	check->lists++;
	return again ? 3 : 0;
}

static void check_list_end(void *ctx, const struct proto_field *field)
{
	struct check *check = ctx;

	assert_true(field->repeated);
	check->lists--;
}

static void check_absent(void *ctx, const struct proto_field *field)
{
	struct check *check = ctx;

	check->values++;
	assert_true(proto_field_filled(field));
}

static void check_drop(void *ctx, const struct proto_field *field)
{
	(void)ctx;
	assert_true(field->oneof != 0);
}

static const struct proto_visitor checker = {
	.value = check_value,
	.enter = check_enter,
	.leave = check_leave,
	.list = check_list,
	.list_end = check_list_end,
	.absent = check_absent,
	.drop = check_drop,
};

/* "...: some fault at byte N", N not beyond the end. */
static void assert_sentence(const struct err *err, size_t len)
{
	const char *at = strstr(err->text, " at byte ");

	assert_non_null(at);
	assert_memory_equal(err->text, "storm.", 6);
	assert_true(strtoul(at + 9, NULL, 10) <= len);
}

static bool decode_exact(const struct proto_message *message,
			 const struct buf *buf)
{
	char *data = malloc(buf->len ? buf->len : 1);
	struct check check = { .data = data };
	struct err err = { 0 };
	bool ok;

	assert_non_null(data);
	if (buf->len)
		memcpy(data, buf->data, buf->len);
	check.end = data + buf->len;
	ok = proto_decode(message, (struct str){ data, buf->len }, &checker,
			  &check, &err);
	if (ok) {
		assert_int_equal(check.depth, 0);
		assert_int_equal(check.lists, 0);
	} else {
		assert_sentence(&err, buf->len);
	}
	assert_true(check.values <=
		    PROTO_VALUES_BASE + PROTO_VALUES_PER_BYTE * buf->len);
	free(data);
	return ok;
}

static void a_million_messages_are_read_or_refused(void **state)
{
	struct err err = { 0 };
	struct proto_schema *schema;
	const struct proto_message *message[2];
	unsigned good[4] = { 0 }, bad[4] = { 0 };
	struct buf buf;

	(void)state;
	schema = proto_parse("storm.proto", STR(schema_text), NULL, &err);
	assert_string_equal(err.text, "");
	message[0] = proto_schema_find(schema, "storm.Measurement");
	message[1] = proto_schema_find(schema, "storm.All");
	buf_init(&buf, 1 << 20);
	for (unsigned i = 0; i < MESSAGES; i++) {
		const struct proto_message *kind = message[i / 4 % 2];

		make_message(&buf, kind, i % 4);
		if (decode_exact(kind, &buf))
			good[i % 4]++;
		else
			bad[i % 4]++;
	}
	/* Each way of making them must have met both outcomes. */
	for (unsigned i = 0; i < 4; i++) {
		assert_true(good[i] > 1000);
		assert_true(bad[i] > 1000);
	}
	buf_release(&buf);
	proto_schema_unref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_messages_are_read_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
