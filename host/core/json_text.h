/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON (RFC 8259) into a buffer, piece by piece, and puts the commas.
 * What comes out is well-formed as long as objects and arrays are ended as they
 * were begun and the buffer is not full, which the caller looks at when all is
 * written. One thread at a time.
 *
 * KEY is the name of the member in an object, and NULL in an array and for the
 * value at the top.
 */
#ifndef CORE_JSON_TEXT_H
#define CORE_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"

struct json_text {
	struct buf *out; /* private */
	bool follows;	 /* private: a value stands before, in this place */
};

/* Adds to OUT, which outlives it. There is nothing to release. */
void json_text_init(struct json_text *json, struct buf *out);

void json_text_object(struct json_text *json, const char *key);
void json_text_end_object(struct json_text *json);
void json_text_array(struct json_text *json, const char *key);
void json_text_end_array(struct json_text *json);

/* Bytes that are not UTF-8 become U+FFFD, each. NULL becomes null. */
void json_text_string(struct json_text *json, const char *key,
		      const char *value);

/* As core/number.h writes it; what JSON has no number for, NaN and the
 * infinities, becomes null. */
void json_text_number(struct json_text *json, const char *key, double value);

/* Exact, up to 2^64 - 1. */
void json_text_count(struct json_text *json, const char *key, uint64_t value);

void json_text_bool(struct json_text *json, const char *key, bool value);
void json_text_null(struct json_text *json, const char *key);

#endif
