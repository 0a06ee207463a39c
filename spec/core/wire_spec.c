/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/wire.h"

static struct wire reader(const char *bytes, size_t len)
{
	struct wire wire;

	wire_init(&wire, (struct str){ bytes, len });
	return wire;
}

#define READER(literal) reader(literal, sizeof(literal) - 1)

static void assert_fault(const struct wire *wire, const char *fault, size_t at)
{
	assert_non_null(wire->fault);
	assert_string_equal(wire->fault, fault);
	assert_int_equal(wire->fault_at, at);
}

static void varints_of_every_length_come_back(void **state)
{
	struct buf buf;
	struct wire wire;
	uint64_t value;

	(void)state;
	buf_init(&buf, 1000);
	for (unsigned bits = 0; bits < 64; bits++) {
		wire_put_varint(&buf, UINT64_C(1) << bits);
		wire_put_varint(&buf, (UINT64_C(1) << bits) - 1);
	}
	wire_put_varint(&buf, UINT64_MAX);
	wire_init(&wire, (struct str){ buf.data, buf.len });
	for (unsigned bits = 0; bits < 64; bits++) {
		assert_true(wire_varint(&wire, &value));
		assert_true(value == UINT64_C(1) << bits);
		assert_true(wire_varint(&wire, &value));
		assert_true(value == (UINT64_C(1) << bits) - 1);
	}
	assert_true(wire_varint(&wire, &value));
	assert_true(value == UINT64_MAX);
	assert_true(wire_at_end(&wire));
	buf_release(&buf);
}

static void a_varint_that_ends_too_early_is_a_fault_at_its_start(void **state)
{
	struct wire wire = READER("\x01\x80\x80");
	uint64_t value = 5;

	(void)state;
	assert_true(wire_varint(&wire, &value));
	assert_int_equal(value, 1);
	assert_false(wire_varint(&wire, &value));
	assert_fault(&wire, "truncated varint", 1);
	assert_int_equal(value, 1);
}

static void a_varint_of_more_than_64_bits_is_a_fault(void **state)
{
	struct wire most = READER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
	struct wire more = READER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
	struct wire longer = READER("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
				    "\x01");
	uint64_t value;

	(void)state;
	assert_true(wire_varint(&most, &value));
	assert_true(value == UINT64_MAX);
	assert_false(wire_varint(&more, &value));
	assert_fault(&more, "varint of more than 64 bits", 0);
	assert_false(wire_varint(&longer, &value));
	assert_fault(&longer, "varint of more than 64 bits", 0);
}

static void superfluous_zero_bytes_of_a_varint_are_read(void **state)
{
	struct wire wire = READER("\x81\x80\x80\x00");
	uint64_t value;

	(void)state;
	assert_true(wire_varint(&wire, &value));
	assert_int_equal(value, 1);
	assert_true(wire_at_end(&wire));
}

static void fixed_values_are_little_endian_and_complete(void **state)
{
	struct wire wire = READER("\x01\x02\x03\x04"
				  "\x01\x02\x03\x04\x05\x06\x07\x08"
				  "\x01\x02\x03");
	uint32_t u32;
	uint64_t u64;

	(void)state;
	assert_true(wire_fixed32(&wire, &u32));
	assert_true(u32 == 0x04030201);
	assert_true(wire_fixed64(&wire, &u64));
	assert_true(u64 == UINT64_C(0x0807060504030201));
	assert_false(wire_fixed32(&wire, &u32));
	assert_fault(&wire, "truncated 32-bit value", 12);
	wire = READER("1234567");
	assert_false(wire_fixed64(&wire, &u64));
	assert_fault(&wire, "truncated 64-bit value", 0);
}

static void bytes_stay_where_they_are(void **state)
{
	static const char input[] = "\x03xyz\x00\x05tail";
	struct wire wire = READER(input);
	struct str bytes;

	(void)state;
	assert_true(wire_bytes(&wire, &bytes));
	assert_ptr_equal(bytes.data, input + 1);
	assert_int_equal(bytes.len, 3);
	/* The literal ends with a length of one byte too many. */
	assert_true(wire_bytes(&wire, &bytes));
	assert_int_equal(bytes.len, 0);
	assert_false(wire_bytes(&wire, &bytes));
	assert_fault(&wire, "length beyond the end", 5);
}

static void a_length_of_64_bits_cannot_wrap_around(void **state)
{
	struct wire wire = READER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x");
	struct str bytes;

	(void)state;
	assert_false(wire_bytes(&wire, &bytes));
	assert_fault(&wire, "length beyond the end", 0);
}

static void nested_readers_count_from_the_outermost_byte(void **state)
{
	struct wire wire = READER("\x04\x02\x01\x80\x07\x09"), inner, innermost;
	uint64_t value;

	(void)state;
	assert_true(wire_nested(&wire, &inner));
	assert_int_equal(wire_left(&inner), 4);
	assert_true(wire_nested(&inner, &innermost));
	assert_true(wire_varint(&innermost, &value));
	assert_false(wire_varint(&innermost, &value));
	assert_fault(&innermost, "truncated varint", 3);
	assert_true(wire_varint(&wire, &value));
	assert_int_equal(value, 9);
}

static void impossible_tags_are_faults(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *fault;
	} cases[] = {
		{ "\x00", 1, "field number 0" },
		{ "\x07", 1, "field number 0" },
		{ "\x0e", 1, "unknown wire type" },
		{ "\x0f", 1, "unknown wire type" },
		{ "\x80\x80\x80\x80\x10", 5, "field number out of range" },
		{ "\x80", 1, "truncated varint" },
	};
	struct wire_tag tag;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wire wire = reader(cases[i].bytes, cases[i].len);

		assert_false(wire_tag(&wire, &tag));
		assert_fault(&wire, cases[i].fault, 0);
	}
}

static void the_largest_field_number_is_read(void **state)
{
	struct buf buf;
	struct wire wire;
	struct wire_tag tag;

	(void)state;
	buf_init(&buf, 10);
	wire_put_tag(&buf, WIRE_FIELD_MAX, WIRE_FIXED32);
	wire_init(&wire, (struct str){ buf.data, buf.len });
	assert_true(wire_tag(&wire, &tag));
	assert_int_equal(tag.number, WIRE_FIELD_MAX);
	assert_int_equal(tag.type, WIRE_FIXED32);
	buf_release(&buf);
}

static void every_kind_of_value_can_be_skipped(void **state)
{
	struct wire wire = READER("\x08\x96\x01"			 /* 1 */
				  "\x11\x01\x02\x03\x04\x05\x06\x07\x08" /* 2 */
				  "\x1a\x02hi"				 /* 3 */
				  "\x23\x0b\x08\x01\x0c\x24"		 /* 4 */
				  "\x2d\x01\x02\x03\x04");		 /* 5 */
	struct wire_tag tag;

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		assert_true(wire_tag(&wire, &tag));
		assert_int_equal(tag.number, i);
		assert_true(wire_skip(&wire, tag, 0));
	}
	assert_true(wire_at_end(&wire));
}

static void assert_skip_fault(struct wire wire, unsigned depth,
			      const char *fault)
{
	struct wire_tag tag;

	assert_true(wire_tag(&wire, &tag));
	assert_false(wire_skip(&wire, tag, depth));
	assert_string_equal(wire.fault, fault);
}

static void groups_must_be_closed_by_their_own_end(void **state)
{
	(void)state;
	assert_skip_fault(READER("\x0b"), 0, "group without end");
	assert_skip_fault(READER("\x0b\x08\x01"), 0, "group without end");
	assert_skip_fault(READER("\x0b\x14"), 0, "stray end of group");
	assert_skip_fault(READER("\x0c"), 0, "stray end of group");
}

static void groups_are_skipped_to_a_limit_of_depth(void **state)
{
	char bytes[2 * WIRE_DEPTH_MAX + 2];
	struct wire wire;
	struct wire_tag tag;

	(void)state;
	memset(bytes, 0x0b, WIRE_DEPTH_MAX);
	memset(bytes + WIRE_DEPTH_MAX, 0x0c, WIRE_DEPTH_MAX);
	wire = reader(bytes, 2 * WIRE_DEPTH_MAX);
	assert_true(wire_tag(&wire, &tag));
	assert_true(wire_skip(&wire, tag, 0));
	assert_true(wire_at_end(&wire));
	assert_skip_fault(reader(bytes, 2 * WIRE_DEPTH_MAX), 1,
			  "nested too deeply");
	memset(bytes, 0x0b, WIRE_DEPTH_MAX + 1);
	assert_skip_fault(reader(bytes, WIRE_DEPTH_MAX + 1), 0,
			  "nested too deeply");
}

static void zigzag_maps_small_magnitudes_to_small_numbers(void **state)
{
	static const int64_t values[] = { 0, -1, 1, -2, INT64_MAX, INT64_MIN };

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(wire_zigzag(values[i]), i);
	assert_true(wire_zigzag(INT64_MIN) == UINT64_MAX);
	for (unsigned i = 0; i < 6; i++)
		assert_true(wire_unzigzag(wire_zigzag(values[i])) == values[i]);
}

static void utf8_is_well_formed_up_to_the_first_bad_byte(void **state)
{
	static const struct {
		struct str text;
		size_t good;
	} cases[] = {
		{ { "", 0 }, 0 },
		{ { "plain text of many bytes", 24 }, 24 },
		{ { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 }, 9 },
		{ { "a\0b", 3 }, 3 },
		{ { "12345678\xff", 9 }, 8 },
		{ { "\xc0\x80", 2 }, 0 },	  /* overlong */
		{ { "\xe0\x9f\xbf", 3 }, 0 },	  /* overlong */
		{ { "\xf0\x8f\xbf\xbf", 4 }, 0 }, /* overlong */
		{ { "a\xed\xa0\x80", 4 }, 1 },	  /* surrogate */
		{ { "\xf4\x90\x80\x80", 4 }, 0 }, /* above U+10FFFF */
		{ { "ab\xe2\x82", 4 }, 2 },	  /* cut off */
		{ { "\x80", 1 }, 0 },		  /* without a start */
		{ { "\xe2\x28\xa1", 3 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(wire_utf8(cases[i].text), cases[i].good);
}

static double float_trip(double value)
{
	struct buf buf;
	struct wire wire;
	uint32_t bits;

	buf_init(&buf, 4);
	wire_put_float(&buf, value);
	wire_init(&wire, (struct str){ buf.data, buf.len });
	assert_true(wire_fixed32(&wire, &bits));
	buf_release(&buf);
	return wire_float(bits);
}

static void doubles_become_the_nearest_float(void **state)
{
	(void)state;
	assert_true(float_trip(1.5) == 1.5);
	assert_true(float_trip(0.4) == (double)0.4f);
	assert_true(float_trip(1e300) == HUGE_VAL);
	assert_true(float_trip(-1e300) == -HUGE_VAL);
	assert_true(float_trip(0x1.fffffefffp127) == 0x1.fffffep127);
	assert_true(float_trip(0x1.ffffffp127) == HUGE_VAL);
	assert_true(isnan(float_trip((double)NAN)));
}

static void a_closed_message_has_its_length_in_front(void **state)
{
	struct buf buf;
	struct wire wire, inner;
	size_t mark;

	(void)state;
	buf_init(&buf, 1000);
	for (size_t len = 0; len < 300; len += 99) {
		buf_clear(&buf);
		buf_addch(&buf, '\x01');
		mark = buf.len;
		for (size_t i = 0; i < len; i++)
			buf_addch(&buf, (char)i);
		wire_close(&buf, mark);
		wire_init(&wire, (struct str){ buf.data + 1, buf.len - 1 });
		assert_true(wire_nested(&wire, &inner));
		assert_true(wire_at_end(&wire));
		assert_int_equal(wire_left(&inner), len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(inner.p[i], i & 0xFF);
	}
	buf_release(&buf);
}

static void a_writer_that_meets_the_ceiling_says_so(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 8);
	wire_put_fixed64(&buf, 1);
	assert_false(buf.full);
	wire_close(&buf, 0);
	assert_true(buf.full);
	assert_int_equal(buf.len, 8);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints_of_every_length_come_back),
		cmocka_unit_test(
			a_varint_that_ends_too_early_is_a_fault_at_its_start),
		cmocka_unit_test(a_varint_of_more_than_64_bits_is_a_fault),
		cmocka_unit_test(superfluous_zero_bytes_of_a_varint_are_read),
		cmocka_unit_test(fixed_values_are_little_endian_and_complete),
		cmocka_unit_test(bytes_stay_where_they_are),
		cmocka_unit_test(a_length_of_64_bits_cannot_wrap_around),
		cmocka_unit_test(nested_readers_count_from_the_outermost_byte),
		cmocka_unit_test(impossible_tags_are_faults),
		cmocka_unit_test(the_largest_field_number_is_read),
		cmocka_unit_test(every_kind_of_value_can_be_skipped),
		cmocka_unit_test(groups_must_be_closed_by_their_own_end),
		cmocka_unit_test(groups_are_skipped_to_a_limit_of_depth),
		cmocka_unit_test(zigzag_maps_small_magnitudes_to_small_numbers),
		cmocka_unit_test(utf8_is_well_formed_up_to_the_first_bad_byte),
		cmocka_unit_test(doubles_become_the_nearest_float),
		cmocka_unit_test(a_closed_message_has_its_length_in_front),
		cmocka_unit_test(a_writer_that_meets_the_ceiling_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
