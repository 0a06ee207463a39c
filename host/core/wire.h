/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf wire format: a reader over bytes that belong to somebody else,
 * and a writer on struct buf. The reader copies nothing and allocates nothing;
 * after a failure `fault` says what is wrong and `fault_at` where the faulty
 * piece begins, counted from the first byte of the outermost message. Knows no
 * schema. Any thread.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"

enum {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_GROUP = 3,
	WIRE_GROUP_END = 4,
	WIRE_FIXED32 = 5,
};

enum {
	WIRE_DEPTH_MAX = 100, /* messages and groups within each other */
	WIRE_VARINT_MAX = 10, /* bytes of the longest varint */
	WIRE_FIELD_MAX = (1 << 29) - 1,
};

struct wire {
	const unsigned char *p;	    /* the next byte */
	const unsigned char *end;   /* behind the last byte of this message */
	const unsigned char *start; /* first byte of the outermost message */
	const char *fault;	    /* NULL, or a static text */
	size_t fault_at;
};

struct wire_tag {
	uint32_t number; /* 1 to WIRE_FIELD_MAX */
	unsigned type;	 /* WIRE_VARINT ... WIRE_FIXED32 */
};

void wire_init(struct wire *wire, struct str bytes);

static inline bool wire_at_end(const struct wire *wire)
{
	return wire->p == wire->end;
}

static inline size_t wire_left(const struct wire *wire)
{
	return (size_t)(wire->end - wire->p);
}

/* Bytes before the next one, counted from the outermost message. */
static inline size_t wire_offset(const struct wire *wire)
{
	return (size_t)(wire->p - wire->start);
}

/* Remembers the first fault, which began at P. Always false. */
bool wire_fail(struct wire *wire, const unsigned char *p, const char *fault);

/*
 * The readers below return false after a fault; then *OUT is not touched and
 * the position does not matter any more. A varint of more than 64 bits is a
 * fault, one with superfluous zero bytes is not.
 */
bool wire_varint_slow(struct wire *wire, uint64_t *out);
bool wire_fixed32(struct wire *wire, uint32_t *out);
bool wire_fixed64(struct wire *wire, uint64_t *out);

static inline bool wire_varint(struct wire *wire, uint64_t *out)
{
	if (wire->p < wire->end && *wire->p < 0x80) {
		*out = *wire->p++;
		return true;
	}
	return wire_varint_slow(wire, out);
}

/* A length and that many bytes, which stay where they are. */
bool wire_bytes(struct wire *wire, struct str *out);

/* The same as a reader of its own, whose offsets continue to count from the
 * outermost message. */
bool wire_nested(struct wire *wire, struct wire *out);

/* Field number 0 or too large and the types 6 and 7 are faults. */
bool wire_tag(struct wire *wire, struct wire_tag *out);

/*
 * Passes over the value that belongs to TAG, a group with all it holds
 * included. DEPTH is how many messages and groups are open already.
 */
bool wire_skip(struct wire *wire, struct wire_tag tag, unsigned depth);

/* The length of the longest well-formed UTF-8 at the start of TEXT: its own
 * length when all of it is. */
size_t wire_utf8(struct str text);

/* How many varints end within BYTES. */
size_t wire_count_varints(struct str bytes);

static inline uint64_t wire_zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t wire_unzigzag(uint64_t value)
{
	return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

static inline double wire_double(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

static inline double wire_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return (double)value;
}

/* The writers add to BUF; its `full` tells in the end whether all fitted. */
void wire_put_varint(struct buf *buf, uint64_t value);
void wire_put_fixed32(struct buf *buf, uint32_t value);
void wire_put_fixed64(struct buf *buf, uint64_t value);
void wire_put_double(struct buf *buf, double value);
/* Rounded to the nearest float; what is too large becomes infinite. */
void wire_put_float(struct buf *buf, double value);
void wire_put_bytes(struct buf *buf, struct str bytes);
void wire_put_tag(struct buf *buf, uint32_t number, unsigned type);

/*
 * A nested message: remember buf->len before its first byte, write it, then
 * wire_close puts its length in front of it.
 */
void wire_close(struct buf *buf, size_t mark);

/* Whole fields, tag and all; wire_open() is a message that wire_close() ends,
 * given what this returns. */
static inline void wire_put_uint_field(struct buf *buf, uint32_t number,
				       uint64_t value)
{
	wire_put_tag(buf, number, WIRE_VARINT);
	wire_put_varint(buf, value);
}

static inline void wire_put_double_field(struct buf *buf, uint32_t number,
					 double value)
{
	wire_put_tag(buf, number, WIRE_FIXED64);
	wire_put_double(buf, value);
}

static inline void wire_put_bytes_field(struct buf *buf, uint32_t number,
					struct str bytes)
{
	wire_put_tag(buf, number, WIRE_BYTES);
	wire_put_bytes(buf, bytes);
}

static inline size_t wire_open(struct buf *buf, uint32_t number)
{
	wire_put_tag(buf, number, WIRE_BYTES);
	return buf->len;
}

#endif
