/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers to text and back: exact, and the same in every locale. A double is
 * written as the shortest text that reads back as the same double. Pure
 * functions, any thread.
 */
#ifndef CORE_NUMBER_H
#define CORE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_MAX = 32 };

/*
 * Writes VALUE at OUT, where NUMBER_MAX bytes must be free, and returns the
 * length; no NUL. Integers below 2^53 in magnitude are written plainly
 * ("1000000"); the rest in fixed or exponent notation, whichever is shorter
 * ("0.25", "1e-07", "1.5e+300"); "NaN", "+Inf", "-Inf", "-0". Bytes behind the
 * returned length, up to NUMBER_MAX, may be overwritten.
 */
size_t number_format(char *out, double value);

/* The same for an integer, which is exact up to 2^64 - 1. */
size_t number_format_u64(char *out, uint64_t value);

/*
 * Reads a decimal number that fills LEN bytes at S but for blanks around it:
 * [+-] digits [. digits] [e [+-] digits], [+-] inf or infinity, nan; letters
 * of either case, no hexadecimal. False, and *VALUE untouched, for anything
 * else and for what is too large for a double; what is too small becomes the
 * nearest double, perhaps 0.
 */
bool number_parse(const char *s, size_t len, double *value)
	__attribute__((warn_unused_result));

/*
 * What number_format falls back on, in number_shortest.cc: std::to_chars for
 * a finite VALUE. Slower than number_format, and large round integers come
 * out in exponent notation.
 */
size_t number_shortest(char *out, double value);

/*
 * A finite VALUE as client_golang spells the bounds of buckets: "0.0001",
 * "100000", "1e-05", "1e+06". They are values of labels, so the spelling is the
 * series' identity, and a dashboard may have it. OUT as above.
 */
size_t number_bound(char *out, double value);

#endif
