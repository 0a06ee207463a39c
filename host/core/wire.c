/* SPDX-License-Identifier: Apache-2.0 */
#include "core/wire.h"

#include <math.h>

#include "core/utf8.h"

void wire_init(struct wire *wire, struct str bytes)
{
	/* An empty reader points at something, so that p - start is defined. */
	const char *data = bytes.data ? bytes.data : "";

	*wire = (struct wire){ 0 };
	wire->start = (const unsigned char *)data;
	wire->p = wire->start;
	wire->end = wire->start + (bytes.data ? bytes.len : 0);
}

bool wire_fail(struct wire *wire, const unsigned char *p, const char *fault)
{
	if (!wire->fault) {
		wire->fault = fault;
		wire->fault_at = (size_t)(p - wire->start);
	}
	return false;
}

bool wire_varint_slow(struct wire *wire, uint64_t *out)
{
	const unsigned char *p = wire->p;
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7, p++) {
		if (p == wire->end)
			return wire_fail(wire, wire->p, "truncated varint");
		if (shift == 63 && *p > 1)
			break;
		value |= (uint64_t)(*p & 0x7F) << shift;
		if (*p < 0x80) {
			wire->p = p + 1;
			*out = value;
			return true;
		}
	}
	return wire_fail(wire, wire->p, "varint of more than 64 bits");
}

static uint64_t little_endian(const unsigned char *p, unsigned count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | p[count];
	return value;
}

bool wire_fixed32(struct wire *wire, uint32_t *out)
{
	if (wire_left(wire) < 4)
		return wire_fail(wire, wire->p, "truncated 32-bit value");
	*out = (uint32_t)little_endian(wire->p, 4);
	wire->p += 4;
	return true;
}

bool wire_fixed64(struct wire *wire, uint64_t *out)
{
	if (wire_left(wire) < 8)
		return wire_fail(wire, wire->p, "truncated 64-bit value");
	*out = little_endian(wire->p, 8);
	wire->p += 8;
	return true;
}

bool wire_bytes(struct wire *wire, struct str *out)
{
	const unsigned char *at = wire->p;
	uint64_t len;

	if (!wire_varint(wire, &len))
		return false;
	if (len > wire_left(wire))
		return wire_fail(wire, at, "length beyond the end");
	*out = (struct str){ (const char *)wire->p, (size_t)len };
	wire->p += len;
	return true;
}

bool wire_nested(struct wire *wire, struct wire *out)
{
	struct str bytes;

	if (!wire_bytes(wire, &bytes))
		return false;
	*out = *wire;
	out->p = (const unsigned char *)bytes.data;
	out->end = out->p + bytes.len;
	return true;
}

bool wire_tag(struct wire *wire, struct wire_tag *out)
{
	const unsigned char *at = wire->p;
	uint64_t key;

	if (!wire_varint(wire, &key))
		return false;
	if (key >> 3 == 0)
		return wire_fail(wire, at, "field number 0");
	if (key >> 3 > WIRE_FIELD_MAX)
		return wire_fail(wire, at, "field number out of range");
	out->number = (uint32_t)(key >> 3);
	out->type = (unsigned)(key & 7);
	if (out->type > WIRE_FIXED32)
		return wire_fail(wire, at, "unknown wire type");
	return true;
}

static bool skip_scalar(struct wire *wire, unsigned type)
{
	struct str bytes;
	uint64_t u64;
	uint32_t u32;

	switch (type) {
	case WIRE_VARINT: return wire_varint(wire, &u64);
	case WIRE_FIXED64: return wire_fixed64(wire, &u64);
	case WIRE_FIXED32: return wire_fixed32(wire, &u32);
	default: return wire_bytes(wire, &bytes);
	}
}

bool wire_skip(struct wire *wire, struct wire_tag tag, unsigned depth)
{
	uint32_t open[WIRE_DEPTH_MAX];
	const unsigned char *at = wire->p;
	unsigned n = 0;

	for (;;) {
		if (tag.type == WIRE_GROUP) {
			if (depth + n >= WIRE_DEPTH_MAX)
				return wire_fail(wire, at, "nested too deeply");
			open[n++] = tag.number;
		} else if (tag.type == WIRE_GROUP_END) {
			if (n == 0 || open[n - 1] != tag.number)
				return wire_fail(wire, at,
						 "stray end of group");
			n--;
		} else if (!skip_scalar(wire, tag.type)) {
			return false;
		}
		if (n == 0)
			return true;
		at = wire->p;
		if (wire_at_end(wire))
			return wire_fail(wire, at, "group without end");
		if (!wire_tag(wire, &tag))
			return false;
	}
}

size_t wire_utf8(struct str text)
{
	return utf8_prefix(text.data, text.len);
}

size_t wire_count_varints(struct str bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes.len; i++)
		count += !((unsigned char)bytes.data[i] & 0x80);
	return count;
}

static size_t encode_varint(unsigned char *out, uint64_t value)
{
	size_t n = 0;

	while (value >= 0x80) {
		out[n++] = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	out[n++] = (unsigned char)value;
	return n;
}

void wire_put_varint(struct buf *buf, uint64_t value)
{
	unsigned char bytes[WIRE_VARINT_MAX];

	buf_add(buf, bytes, encode_varint(bytes, value));
}

static void put_little_endian(struct buf *buf, uint64_t value, unsigned count)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < count; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	buf_add(buf, bytes, count);
}

void wire_put_fixed32(struct buf *buf, uint32_t value)
{
	put_little_endian(buf, value, 4);
}

void wire_put_fixed64(struct buf *buf, uint64_t value)
{
	put_little_endian(buf, value, 8);
}

void wire_put_double(struct buf *buf, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof bits);
	wire_put_fixed64(buf, bits);
}

/* C leaves it open what becomes of a double that no float can hold. */
static float to_float(double value)
{
	/* Halfway between the largest float and the next power of two. */
	const double limit = 0x1.ffffffp127;

	if (value >= limit)
		return INFINITY;
	if (value <= -limit)
		return -INFINITY;
	return (float)value;
}

void wire_put_float(struct buf *buf, double value)
{
	float single = to_float(value);
	uint32_t bits;

	memcpy(&bits, &single, sizeof bits);
	wire_put_fixed32(buf, bits);
}

void wire_put_bytes(struct buf *buf, struct str bytes)
{
	wire_put_varint(buf, bytes.len);
	buf_add(buf, bytes.data, bytes.len);
}

void wire_put_tag(struct buf *buf, uint32_t number, unsigned type)
{
	wire_put_varint(buf, (uint64_t)number << 3 | type);
}

void wire_close(struct buf *buf, size_t mark)
{
	unsigned char bytes[WIRE_VARINT_MAX];
	size_t len = buf->len - mark;
	size_t n = encode_varint(bytes, len);

	/* Adding the length at the end makes the room; then it moves ahead. */
	if (!buf_add(buf, bytes, n))
		return;
	memmove(buf->data + mark + n, buf->data + mark, len);
	memcpy(buf->data + mark, bytes, n);
}
