/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk through an encoded message along its schema. It keeps the rules of
 * protobuf (last value wins, embedded messages merge, packed and unpacked are
 * both read, unknown fields and fields of another wire type are skipped,
 * members of a oneof replace each other) and the ceilings, and tells a visitor
 * what it meets. It owns nothing, so a visitor may leave it by longjmp.
 */
#ifndef CORE_PROTO_DECODE_H
#define CORE_PROTO_DECODE_H

#include "core/proto.h"

enum {
	/* A message of N bytes may make this many values, defaults included:
	 * PROTO_VALUES_BASE + PROTO_VALUES_PER_BYTE * N. */
	PROTO_VALUES_BASE = 65536,
	PROTO_VALUES_PER_BYTE = 16,
};

/*
 * INDEX is 0 for a field that is not repeated, else the place in its list,
 * from 1. Between `list` and `list_end` come only elements of that field.
 * Elements of a map are messages of the entry type; when `leave` is called for
 * one, its key and its value have been told, or their defaults as `absent`.
 */
struct proto_visitor {
	/* A scalar or enum. */
	void (*value)(void *ctx, const struct proto_field *field, size_t index,
		      const union proto_value *value);
	/* An embedded message begins. AGAIN: one may have been told before, and
	 * this continues it. Returns whether there is one. */
	bool (*enter)(void *ctx, const struct proto_field *field, size_t index,
		      bool again);
	void (*leave)(void *ctx, const struct proto_field *field, size_t index);
	/* A run of list elements begins; HINT is how many, 0 when unknown.
	 * AGAIN: the list may have been begun before. Returns its length so
	 * far. */
	size_t (*list)(void *ctx, const struct proto_field *field, size_t hint,
		       bool again);
	void (*list_end)(void *ctx, const struct proto_field *field);
	/* The field did not occur: it is an empty list, or has a default. Not
	 * called for fields that are nil then. */
	void (*absent)(void *ctx, const struct proto_field *field);
	/* Another member of its oneof occurred: forget the value, if any. */
	void (*drop)(void *ctx, const struct proto_field *field);
};

/*
 * Walks BYTES as a sealed MESSAGE. False and ERR ("name: truncated varint at
 * byte 7", counted from 0, where the faulty piece begins) when they are
 * malformed or lack a required field, when messages are nested deeper than
 * WIRE_DEPTH_MAX, or when there are more values than the bytes allow; what was
 * told until then is to be thrown away.
 */
bool proto_decode(const struct proto_message *message, struct str bytes,
		  const struct proto_visitor *visitor, void *ctx,
		  struct err *err) __attribute__((warn_unused_result));

#endif
