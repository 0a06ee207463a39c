/* SPDX-License-Identifier: Apache-2.0 */
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

/* ---- a visitor that writes down what it is told ---------------------------
 */

static void write_value(struct buf *out, const struct proto_field *field,
			const union proto_value *value)
{
	switch (field->type) {
	case PROTO_DOUBLE:
	case PROTO_FLOAT: buf_addf(out, "%.17g", value->number); break;
	case PROTO_UINT32:
	case PROTO_FIXED32:
	case PROTO_UINT64:
	case PROTO_FIXED64:
		buf_addf(out, "%llu", (unsigned long long)value->u64);
		break;
	case PROTO_BOOL:
		buf_addstr(out, value->boolean ? "true" : "false");
		break;
	case PROTO_STRING:
	case PROTO_BYTES:
		buf_addf(out, "'%.*s'", (int)value->str.len, value->str.data);
		break;
	default: buf_addf(out, "%lld", (long long)value->i64); break;
	}
}

static void told_value(void *ctx, const struct proto_field *field, size_t index,
		       const union proto_value *value)
{
	struct buf *out = ctx;

	if (!index)
		buf_addf(out, "%s=", field->name);
	write_value(out, field, value);
	buf_addch(out, ' ');
}

static bool told_enter(void *ctx, const struct proto_field *field, size_t index,
		       bool again)
{
	struct buf *out = ctx;

	if (!index)
		buf_addf(out, "%s%s", field->name, again ? "+=" : "=");
	buf_addstr(out, "{ ");
	return again;
}

static void told_leave(void *ctx, const struct proto_field *field, size_t index)
{
	(void)field;
	(void)index;
	buf_addstr(ctx, "} ");
}

static size_t told_list(void *ctx, const struct proto_field *field, size_t hint,
			bool again)
{
	(void)hint;
	buf_addf(ctx, "%s%s[ ", field->name, again ? "+=" : "=");
	return 0;
}

static void told_list_end(void *ctx, const struct proto_field *field)
{
	(void)field;
	buf_addstr(ctx, "] ");
}

static void told_absent(void *ctx, const struct proto_field *field)
{
	struct buf *out = ctx;

	buf_addf(out, "%s:", field->name);
	if (field->repeated)
		buf_addstr(out, "[]");
	else
		write_value(out, field, &field->value);
	buf_addch(out, ' ');
}

static void told_drop(void *ctx, const struct proto_field *field)
{
	buf_addf(ctx, "-%s ", field->name);
}

static const struct proto_visitor teller = {
	.value = told_value,
	.enter = told_enter,
	.leave = told_leave,
	.list = told_list,
	.list_end = told_list_end,
	.absent = told_absent,
	.drop = told_drop,
};

/* ---- helpers --------------------------------------------------------------
 */

static struct proto_schema *parse(const char *text)
{
	struct err err = { 0 };
	struct proto_schema *schema;

	schema = proto_parse("test.proto", (struct str){ text, strlen(text) },
			     NULL, &err);
	assert_string_equal(err.text, "");
	assert_non_null(schema);
	return schema;
}

static void assert_refused(const char *text, const char *sentence)
{
	struct err err = { 0 };

	assert_null(proto_parse(
		"test.proto", (struct str){ text, strlen(text) }, NULL, &err));
	assert_string_equal(err.text, sentence);
}

static void assert_told(const struct proto_schema *schema, const char *name,
			const char *bytes, size_t len, const char *told)
{
	const struct proto_message *message = proto_schema_find(schema, name);
	struct err err = { 0 };
	struct buf out;
	bool ok;

	assert_non_null(message);
	buf_init(&out, 1 << 20);
	ok = proto_decode(message, (struct str){ bytes, len }, &teller, &out,
			  &err);
	assert_string_equal(ok ? buf_text(&out) : err.text, told);
	buf_release(&out);
}

#define TOLD(schema, name, literal, told)                                      \
	assert_told(schema, name, literal, sizeof(literal) - 1, told)

static void one_told(const char *text, const char *bytes, size_t len,
		     const char *told)
{
	struct proto_schema *schema = parse(text);

	assert_told(schema, "M", bytes, len, told);
	proto_schema_unref(schema);
}

#define ONE(text, literal, told)                                               \
	one_told(text, literal, sizeof(literal) - 1, told)

/* ---- decoding -------------------------------------------------------------
 */

static void every_scalar_is_read(void **state)
{
	struct proto_schema *schema =
		parse("message M { optional double a = 1; optional float b = 2;"
		      "optional int32 c = 3; optional int64 d = 4;"
		      "optional uint32 e = 5; optional uint64 f = 6;"
		      "optional sint32 g = 7; optional sint64 h = 8;"
		      "optional fixed32 i = 9; optional fixed64 j = 10;"
		      "optional sfixed32 k = 11; optional sfixed64 l = 12;"
		      "optional bool m = 13; optional string n = 14;"
		      "optional bytes o = 15; }");

	(void)state;
	TOLD(schema, "M", "\x09\x00\x00\x00\x00\x00\x00\xf8\x3f", "a=1.5 ");
	TOLD(schema, "M", "\x15\xcd\xcc\xcc\x3e", "b=0.40000000596046448 ");
	TOLD(schema, "M", "\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	     "c=-1 ");
	TOLD(schema, "M", "\x18\xff\xff\xff\xff\x0f", "c=-1 ");
	TOLD(schema, "M", "\x20\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
	     "d=-9223372036854775808 ");
	TOLD(schema, "M", "\x28\xff\xff\xff\xff\x1f", "e=4294967295 ");
	TOLD(schema, "M", "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	     "f=18446744073709551615 ");
	TOLD(schema, "M", "\x38\x03\x40\x04", "g=-2 h=2 ");
	TOLD(schema, "M", "\x4d\xff\xff\xff\xff", "i=4294967295 ");
	TOLD(schema, "M", "\x51\x01\x00\x00\x00\x00\x00\x00\x80",
	     "j=9223372036854775809 ");
	TOLD(schema, "M", "\x5d\xff\xff\xff\xff", "k=-1 ");
	TOLD(schema, "M", "\x61\xfe\xff\xff\xff\xff\xff\xff\xff", "l=-2 ");
	TOLD(schema, "M", "\x68\x80\x01", "m=true ");
	TOLD(schema, "M", "\x72\x02hi\x7a\x01\xff", "n='hi' o='\xff' ");
	proto_schema_unref(schema);
}

static void an_empty_message_of_proto3_is_all_defaults(void **state)
{
	(void)state;
	ONE("syntax = 'proto3'; enum E { OFF = 0; ON = 1; }"
	    "message M { uint64 a = 1; double b = 2; string c = 3;"
	    "bool d = 4; E e = 5; repeated int32 f = 6; optional int32 g = 7;"
	    "M h = 8; oneof o { int32 i = 9; } map<int32, int32> j = 10; }",
	    "", "a:0 b:0 c:'' d:false e:0 f:[] j:[] ");
}

static void proto2_has_the_defaults_that_are_written(void **state)
{
	(void)state;
	ONE("enum E { A = 3; B = -4; }"
	    "message M { optional int32 a = 1; optional int32 b = 2 [default ="
	    " -7]; optional string c = 3 [default = 'a\\x41\\n' \"b\"];"
	    "optional E d = 4 [default = B]; optional E e = 5;"
	    "optional double f = 6 [default = -1.5e3, deprecated = true];"
	    "optional bool g = 7 [(x).y = { a: [1, 2] }, default = true];"
	    "optional float h = 8 [default = -inf];"
	    "optional uint64 i = 9 [default = 0xFFFFFFFFFFFFFFFF];"
	    "optional sint64 j = 10 [default = -9223372036854775808];"
	    "repeated E k = 11; }",
	    "",
	    "b:-7 c:'aA\nb' d:-4 f:-1500 g:true h:-inf "
	    "i:18446744073709551615 j:-9223372036854775808 k:[] ");
}

static void the_last_value_of_a_scalar_wins(void **state)
{
	(void)state;
	ONE("message M { optional int32 a = 1; }", "\x08\x01\x08\x02",
	    "a=1 a=2 ");
}

static void embedded_messages_merge(void **state)
{
	(void)state;
	ONE("syntax = 'proto3'; message I { int32 a = 1; int32 b = 2; }"
	    "message M { I i = 1; }",
	    "\x0a\x02\x08\x05\x0a\x02\x10\x06", "i={ a=5 b:0 } i+={ b=6 } ");
}

static void lists_are_read_packed_and_unpacked(void **state)
{
	static const char text[] =
		"message M { repeated int32 a = 1; repeated fixed32 b = 2"
		" [packed = true]; repeated string c = 3; }";

	(void)state;
	ONE(text, "\x0a\x03\x01\x02\x03", "a=[ 1 2 3 ] b:[] c:[] ");
	ONE(text, "\x08\x01\x08\x02", "a=[ 1 2 ] b:[] c:[] ");
	ONE(text, "\x08\x01\x0a\x01\x02", "a=[ 1 ] a+=[ 2 ] b:[] c:[] ");
	ONE(text, "\x15\x01\x00\x00\x00\x1a\x01x\x1a\x00",
	    "b=[ 1 ] c=[ 'x' '' ] a:[] ");
	ONE(text, "\x12\x05\x01\x00\x00\x00\x02",
	    "M: truncated 32-bit value at byte 6");
	ONE(text, "\x0a\x02\x01\x80", "M: truncated varint at byte 3");
}

static void maps_are_lists_of_complete_entries(void **state)
{
	(void)state;
	ONE("syntax = 'proto3'; message V { int32 x = 1; }"
	    "message M { map<string, int32> a = 1; map<int32, V> b = 2; }",
	    "\x0a\x05\x0a\x01k\x10\x07\x0a\x00\x12\x02\x08\x05",
	    "a=[ { key='k' value=7 } { key:'' value:0 } ] "
	    "b=[ { key=5 value={ x:0 } } ] ");
}

static void members_of_a_oneof_replace_each_other(void **state)
{
	static const char text[] =
		"message I { optional int32 x = 1; }"
		"message M { oneof o { int32 a = 1; string b = 2; I c = 3; }"
		" optional M m = 4; }";

	(void)state;
	ONE(text, "\x08\x01\x12\x01x", "a=1 -a b='x' ");
	ONE(text, "\x1a\x02\x08\x01\x08\x00\x1a\x00",
	    "c={ x=1 } -c a=0 -a c={ } ");
	/* Across the two parts of a merged message as well. */
	ONE(text, "\x22\x02\x08\x01\x22\x03\x12\x01x",
	    "m={ a=1 } m+={ -c -a b='x' } ");
}

static void unknown_fields_and_other_wire_types_are_skipped(void **state)
{
	(void)state;
	ONE("message M { optional int32 a = 1; }",
	    "\x12\x02hi\x1b\x08\x01\x1c\x0d\x01\x02\x03\x04\x08\x07", "a=7 ");
}

static void groups_are_read(void **state)
{
	static const char text[] =
		"message M { optional group Inner = 1 { optional int32 a = 2;"
		" optional M m = 3; } repeated group R = 5 { } }";

	(void)state;
	ONE(text, "\x0b\x10\x05\x1a\x00\x0c", "inner={ a=5 m={ r:[] } } r:[] ");
	ONE(text, "\x2b\x2c\x2b\x2c", "r=[ { } { } ] ");
	ONE(text, "\x0b\x10\x05", "M: group without end at byte 1");
	ONE(text, "\x0b\x14", "M: stray end of group at byte 1");
	ONE(text, "\x0c", "M: stray end of group at byte 0");
}

static void required_fields_must_occur(void **state)
{
	static const char text[] = "message M { required int32 a = 1; }";

	(void)state;
	ONE(text, "\x08\x00", "a=0 ");
	ONE(text, "\x10\x00",
	    "M: missing required value in field 'a' at byte 2");
}

static void malformed_input_is_named_with_its_offset(void **state)
{
	static const char text[] =
		"syntax = 'proto3'; message M { uint64 a = 1; double b = 2;"
		"string c = 3; M m = 4; }";

	(void)state;
	ONE(text, "\x08", "M: truncated varint at byte 1");
	ONE(text, "\x08\x01\x11\x01", "M: truncated 64-bit value at byte 3");
	ONE(text, "\x1a\x05hi", "M: length beyond the end at byte 1");
	ONE(text, "\x22\x04\x22\x02\x08\x80", "M: truncated varint at byte 5");
	ONE(text, "\x1a\x03h\xffi",
	    "M: malformed UTF-8 in field 'c' at byte 3");
	ONE(text, "\x00", "M: field number 0 at byte 0");
	ONE(text, "\x0f", "M: unknown wire type at byte 0");
}

static void strings_of_proto2_may_be_anything(void **state)
{
	(void)state;
	ONE("message M { optional string a = 1; }", "\x0a\x01\xff",
	    "a='\xff' ");
}

/* DEPTH messages within each other. */
static void nest(struct buf *buf, unsigned depth)
{
	while (--depth) {
		wire_close(buf, 0);
		buf_addch(buf, '\x0a');
		memmove(buf->data + 1, buf->data, buf->len - 1);
		buf->data[0] = '\x0a';
	}
}

static void messages_nest_to_a_limit(void **state)
{
	struct proto_schema *schema = parse("message M { optional M m = 1; }");
	const struct proto_message *message = schema->messages[0];
	struct err err = { 0 };
	struct buf buf, out;

	(void)state;
	buf_init(&buf, 10000);
	buf_init(&out, 10000);
	nest(&buf, WIRE_DEPTH_MAX);
	assert_true(proto_decode(message, (struct str){ buf.data, buf.len },
				 &teller, &out, &err));
	buf_clear(&buf);
	nest(&buf, WIRE_DEPTH_MAX + 1);
	assert_false(proto_decode(message, (struct str){ buf.data, buf.len },
				  &teller, &out, &err));
	assert_non_null(strstr(err.text, "M: nested too deeply at byte "));
	buf_release(&buf);
	buf_release(&out);
	proto_schema_unref(schema);
}

static bool decodes(const struct proto_message *message, const struct buf *buf,
		    struct err *err)
{
	struct buf out;
	bool ok;

	buf_init(&out, 1); /* what is told does not matter here */
	ok = proto_decode(message, (struct str){ buf->data, buf->len }, &teller,
			  &out, err);
	buf_release(&out);
	return ok;
}

static void few_bytes_cannot_make_many_values(void **state)
{
	struct proto_schema *schema;
	struct buf text, bytes;
	struct err err = { 0 };

	(void)state;
	buf_init(&text, 100000);
	buf_init(&bytes, 100000);
	buf_addstr(&text, "syntax = 'proto3'; message W {");
	for (int i = 1; i <= 1000; i++)
		buf_addf(&text, "int32 f%d = %d;", i, i);
	buf_addstr(&text, "} message M { repeated W w = 1; }");
	schema = parse(buf_text(&text));
	for (int i = 0; i < 60; i++)
		buf_add(&bytes, "\x0a\x00", 2);
	assert_true(decodes(proto_schema_find(schema, "M"), &bytes, &err));
	for (int i = 0; i < 1000; i++)
		buf_add(&bytes, "\x0a\x00", 2);
	assert_false(decodes(proto_schema_find(schema, "M"), &bytes, &err));
	assert_non_null(strstr(err.text, "more values than its length"));
	buf_release(&text);
	buf_release(&bytes);
	proto_schema_unref(schema);
}

/* ---- .proto texts ---------------------------------------------------------
 */

static void names_are_looked_for_from_the_inside_out(void **state)
{
	struct proto_schema *schema;
	const struct proto_message *outer;

	(void)state;
	schema = parse("package a.b; message T {} "
		       "message Outer { message T {} message In {"
		       " optional T x = 1; optional .a.b.T y = 2;"
		       " optional b.T z = 3; optional Outer.T w = 4;"
		       " optional E e = 5; } enum E { V = 1; } }");
	outer = proto_schema_find(schema, "a.b.Outer.In");
	assert_non_null(outer);
	assert_string_equal(outer->fields[0].message->name, "a.b.Outer.T");
	assert_string_equal(outer->fields[1].message->name, "a.b.T");
	assert_string_equal(outer->fields[2].message->name, "a.b.T");
	assert_string_equal(outer->fields[3].message->name, "a.b.Outer.T");
	assert_string_equal(outer->fields[4].enumeration->name, "a.b.Outer.E");
	assert_true(outer->unique);
	assert_false(proto_schema_find(schema, "a.b.T")->unique);
	assert_false(proto_schema_find(schema, "a.b.Outer.T")->unique);
	proto_schema_unref(schema);
}

static void what_says_nothing_about_values_is_read_over(void **state)
{
	struct proto_schema *schema;

	(void)state;
	schema = parse(
		"\xef\xbb\xbf// a comment\n/* another\n one */\n"
		"syntax = \"proto2\";;\n"
		"option java_package = \"x;}\"; option (o) = { a { b: ';' } };"
		"extend M { optional int32 x = 100; }"
		"service S { rpc Do (M) returns (stream M) { option a = 1; } }"
		"message M { option deprecated = true; reserved 2, 9 to max;"
		" reserved 'foo', \"bar\"; extensions 100 to 199 [declaration ="
		" { number: 1 }]; extend M { repeated M y = 101; }"
		" enum E { option allow_alias = true; A = 0; B = 0 [(v) = 1];"
		" reserved 5; } optional E message = 1 [json_name = 'x']; ; }");
	assert_int_equal(schema->nmessages, 1);
	assert_string_equal(schema->messages[0]->fields[0].name, "message");
	assert_string_equal(proto_enum_name(schema->enums[0], 0), "A");
	proto_schema_unref(schema);
}

static void repeated_numbers_of_proto3_are_written_packed(void **state)
{
	struct proto_schema *schema;
	const struct proto_field *fields;

	(void)state;
	schema = parse("syntax = 'proto3'; enum E { A = 0; }"
		       "message M { repeated int32 a = 1; repeated E b = 2;"
		       " repeated int32 c = 3 [packed = false];"
		       " repeated string d = 4; M e = 5; }");
	fields = schema->messages[0]->fields;
	assert_true(fields[0].packed);
	assert_true(fields[1].packed);
	assert_false(fields[2].packed);
	assert_false(fields[3].packed);
	proto_schema_unref(schema);
	schema = parse("message M { repeated int32 a = 1;"
		       " repeated E b = 2 [packed = true];"
		       " enum E { A = 1; } }");
	assert_false(schema->messages[0]->fields[0].packed);
	assert_true(schema->messages[0]->fields[1].packed);
	proto_schema_unref(schema);
}

static void faults_of_a_text_are_named_with_their_place(void **state)
{
	static const char *const cases[][2] = {
		{ "message M {\n  optional int32 a = 1\n}",
		  "3:1: expected ';', got '}'" },
		{ "message M {", "1:12: expected 'optional', 'required' or "
				 "'repeated', got the end" },
		{ "message M { int32 a = 1; }",
		  "1:13: expected 'optional', 'required' or 'repeated', got "
		  "'int32'" },
		{ "massage M {}",
		  "1:1: expected 'message', 'enum', 'import', 'package', "
		  "'option', 'service' or 'extend', got 'massage'" },
		{ "syntax = 'proto4';",
		  "1:10: expected \"proto2\" or \"proto3\", got ''proto4''" },
		{ "package .a;", "1:9: expected a package name, got '.'" },
		{ "edition = '2023';", "1:1: editions are not supported, only "
				       "proto2 and proto3" },
		{ "message M { optional X x = 1; }", "1:24: unknown type 'X'" },
		{ "message M { optional int32 a = 0; }",
		  "1:28: field number 0 is not within 1 to 536870911" },
		{ "message M { optional int32 a = 19001; }",
		  "1:28: field number 19001 is reserved by protobuf (19000 to "
		  "19999)" },
		{ "message M { optional int32 a = 99999999999; }",
		  "1:32: field number out of range" },
		{ "message M { optional int32 a = 1; optional int32 b = 1; }",
		  "1:9: message 'M': 'a' and 'b' have the same number 1" },
		{ "message M { optional int32 a = 1; optional int32 a = 2; }",
		  "1:9: message 'M': field 'a' stands twice" },
		{ "message M {} message M {}", "1:22: 'M' is defined twice" },
		{ "enum E {}", "1:6: enum 'E' has no value" },
		{ "syntax = 'proto3'; enum E { A = 1; }",
		  "1:29: the first value of an enum of proto3 must be 0" },
		{ "syntax = 'proto3'; message M { int32 a = 1 [default=1]; }",
		  "1:53: proto3 has no default values" },
		{ "message M { optional int32 a = 1 [default = 'x']; }",
		  "1:45: expected an integer, got ''x''" },
		{ "message M { optional int32 a = 1 [default = 3000000000]; }",
		  "1:45: the default does not fit int32" },
		{ "message M { optional uint32 a = 1 [default = -1]; }",
		  "1:46: the default does not fit uint32" },
		{ "message M { optional E a = 1 [default = Z]; "
		  "enum E { A = 1; } }",
		  "1:24: enum 'M.E' has no value 'Z'" },
		{ "message M { map<double, int32> a = 1; }",
		  "1:17: expected an integer type, bool or string as key, got "
		  "'double'" },
		{ "message M { oneof o { repeated int32 a = 1; } }",
		  "1:23: 'repeated' is not possible here" },
		{ "message M { optional string a = 1 [packed = true]; }",
		  "1:29: only repeated numbers can be packed" },
		{ "/* never", "1:1: comment without end" },
		{ "import 'a", "1:8: string without end" },
		{ "import 'gone.proto';", "1:8: cannot import 'gone.proto'" },
		{ "message M \x01", "1:11: unexpected byte 0x01" },
		{ "option a = 09;", "1:12: malformed number" },
		{ "service S { rpc", "1:13: statement without end" },
		{ "message M { optional bytes a = 1 [default = '\\xZ']; }",
		  "1:45: malformed escape in string" },
	};
	char sentence[300];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(sentence, sizeof sentence, "test.proto:%s",
			 cases[i][1]);
		assert_refused(cases[i][0], sentence);
	}
}

static void messages_declared_in_each_other_have_a_limit(void **state)
{
	struct buf text;
	struct err err = { 0 };

	(void)state;
	buf_init(&text, 100000);
	for (int i = 0; i < 1000; i++)
		buf_addstr(&text, "message M{");
	assert_null(proto_parse(
		"test.proto", (struct str){ text.data, text.len }, NULL, &err));
	assert_string_equal(err.text,
			    "test.proto:1:330: messages nested deeper than 32");
	buf_release(&text);
}

static void texts_and_fields_have_a_limit(void **state)
{
	struct buf text;
	struct err err = { 0 };

	(void)state;
	buf_init(&text, PROTO_TEXT_MAX + 1);
	while (text.len <= PROTO_TEXT_MAX)
		buf_addch(&text, ' ');
	assert_null(proto_parse(
		"test.proto", (struct str){ text.data, text.len }, NULL, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	buf_clear(&text);
	buf_addstr(&text, "message M {");
	for (int i = 1; i <= PROTO_MESSAGE_FIELDS_MAX + 1; i++)
		buf_addf(&text, "optional int32 f%d = %d;", i, i);
	assert_null(proto_parse(
		"test.proto", (struct str){ text.data, text.len }, NULL, &err));
	assert_non_null(strstr(err.text, "more than 2048 fields"));
	buf_release(&text);
}

/* ---- imports --------------------------------------------------------------
 */

struct library {
	const char *name, *text;
};

static bool open_library(void *ctx, const char *name, const char *from,
			 struct buf *path, struct buf *text, struct err *err)
{
	const struct library *library = ctx;

	(void)from;
	for (; library->name; library++) {
		if (strcmp(library->name, name) != 0)
			continue;
		buf_addstr(path, name);
		return buf_addstr(text, library->text);
	}
	return err_set(err, ERR_INPUT, "no file '%s'", name);
}

static struct proto_schema *parse_library(const struct library *library,
					  struct err *err)
{
	struct proto_source source = { open_library, (void *)library };

	return proto_parse(library->name,
			   (struct str){ library->text, strlen(library->text) },
			   &source, err);
}

static void imported_types_are_found_and_own_names_go_first(void **state)
{
	static const struct library library[] = {
		{ "a.proto", "syntax = 'proto3'; import 'b.proto';"
			     "import public \"c.proto\";"
			     "import 'google/protobuf/timestamp.proto';"
			     "message M { b.T t = 1; U u = 2; T own = 3;"
			     "google.protobuf.Timestamp at = 4; }"
			     "message T {}" },
		{ "b.proto", "package b; import 'c.proto'; message T {"
			     " optional string s = 1; } message V {}" },
		{ "c.proto", "message U {}" },
		{ NULL, NULL },
	};
	struct err err = { 0 };
	struct proto_schema *schema = parse_library(library, &err);
	const struct proto_message *m;

	(void)state;
	assert_string_equal(err.text, "");
	m = proto_schema_find(schema, "M");
	assert_string_equal(m->fields[0].message->name, "b.T");
	assert_false(m->fields[0].message->fields[0].utf8);
	assert_string_equal(m->fields[2].message->name, "T");
	assert_string_equal(m->fields[3].message->name,
			    "google.protobuf.Timestamp");
	assert_false(m->imported);
	assert_true(proto_schema_find(schema, "T")->unique);
	assert_false(proto_schema_find(schema, "b.T")->unique);
	assert_true(proto_schema_find(schema, "b.V")->unique);
	assert_true(proto_schema_find(schema, "b.V")->imported);
	proto_schema_unref(schema);
}

static void files_that_import_each_other_are_refused(void **state)
{
	static const struct library library[] = {
		{ "a.proto", "import 'b.proto';" },
		{ "b.proto", "import 'c.proto';" },
		{ "c.proto", "\n import 'a.proto';" },
		{ NULL, NULL },
	};
	struct err err = { 0 };

	(void)state;
	assert_null(parse_library(library, &err));
	assert_string_equal(err.text, "c.proto:2:9: 'a.proto' imports itself");
}

static bool open_endless(void *ctx, const char *name, const char *from,
			 struct buf *path, struct buf *text, struct err *err)
{
	unsigned *count = ctx;

	(void)from;
	(void)err;
	buf_addstr(path, name);
	return buf_addf(text, "import 'f%u.proto';", ++*count);
}

static void imports_have_a_limit_of_depth(void **state)
{
	unsigned count = 0;
	struct proto_source source = { open_endless, &count };
	struct err err = { 0 };

	(void)state;
	assert_null(proto_parse("a.proto", STR("import 'f.proto';"), &source,
				&err));
	assert_non_null(strstr(err.text, "imports nested deeper than 32"));
}

static void a_fault_in_an_imported_file_names_that_file(void **state)
{
	static const struct library library[] = {
		{ "a.proto", "import 'b.proto';" },
		{ "b.proto", "message\n}" },
		{ NULL, NULL },
	};
	static const struct library missing[] = {
		{ "a.proto", "import 'b.proto';" },
		{ NULL, NULL },
	};
	struct err err = { 0 };

	(void)state;
	assert_null(parse_library(library, &err));
	assert_string_equal(
		err.text,
		"b.proto:2:1: expected the name of a message, got '}'");
	assert_null(parse_library(missing, &err));
	assert_string_equal(err.text, "a.proto:1:8: no file 'b.proto'");
}

/* ---- schemas made by hand -------------------------------------------------
 */

static void fields_are_found_by_number_and_by_name(void **state)
{
	static const int64_t numbers[] = { 255, 1, 536870911, 256, 2, 300 };
	struct proto_schema *schema = proto_schema_new();
	struct proto_message *message;
	struct err err;
	char name[8];

	(void)state;
	message = proto_message_add(schema, STR("M"), &err);
	for (size_t i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "f%zu", i);
		assert_non_null(proto_field_add(
			message, (struct str){ name, 2 }, numbers[i], &err));
	}
	assert_true(proto_message_seal(message, &err));
	for (size_t i = 0; i < 6; i++) {
		const struct proto_field *field =
			proto_message_field(message, (uint32_t)numbers[i]);

		assert_non_null(field);
		assert_int_equal(field->name[1], '0' + (int)i);
		assert_ptr_equal(proto_message_named(message, field->name),
				 field);
	}
	assert_null(proto_message_field(message, 3));
	assert_null(proto_message_field(message, 257));
	assert_null(proto_message_named(message, "f"));
	proto_schema_unref(schema);
}

static void a_schema_keeps_the_schemas_it_uses_alive(void **state)
{
	struct proto_schema *inner = parse("message I { optional M m = 1; }"
					   "message M {}");
	struct proto_schema *outer = proto_schema_new();

	(void)state;
	proto_schema_use(outer, inner);
	proto_schema_use(outer, inner);
	proto_schema_unref(inner);
	assert_string_equal(outer->used[0]->messages[0]->fields[0].name, "m");
	proto_schema_unref(outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scalar_is_read),
		cmocka_unit_test(an_empty_message_of_proto3_is_all_defaults),
		cmocka_unit_test(proto2_has_the_defaults_that_are_written),
		cmocka_unit_test(the_last_value_of_a_scalar_wins),
		cmocka_unit_test(embedded_messages_merge),
		cmocka_unit_test(lists_are_read_packed_and_unpacked),
		cmocka_unit_test(maps_are_lists_of_complete_entries),
		cmocka_unit_test(members_of_a_oneof_replace_each_other),
		cmocka_unit_test(
			unknown_fields_and_other_wire_types_are_skipped),
		cmocka_unit_test(groups_are_read),
		cmocka_unit_test(required_fields_must_occur),
		cmocka_unit_test(malformed_input_is_named_with_its_offset),
		cmocka_unit_test(strings_of_proto2_may_be_anything),
		cmocka_unit_test(messages_nest_to_a_limit),
		cmocka_unit_test(few_bytes_cannot_make_many_values),
		cmocka_unit_test(names_are_looked_for_from_the_inside_out),
		cmocka_unit_test(what_says_nothing_about_values_is_read_over),
		cmocka_unit_test(repeated_numbers_of_proto3_are_written_packed),
		cmocka_unit_test(faults_of_a_text_are_named_with_their_place),
		cmocka_unit_test(messages_declared_in_each_other_have_a_limit),
		cmocka_unit_test(texts_and_fields_have_a_limit),
		cmocka_unit_test(
			imported_types_are_found_and_own_names_go_first),
		cmocka_unit_test(files_that_import_each_other_are_refused),
		cmocka_unit_test(imports_have_a_limit_of_depth),
		cmocka_unit_test(a_fault_in_an_imported_file_names_that_file),
		cmocka_unit_test(fields_are_found_by_number_and_by_name),
		cmocka_unit_test(a_schema_keeps_the_schemas_it_uses_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
