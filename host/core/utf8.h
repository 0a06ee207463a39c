/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF. Pure functions, any thread.
 */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/* What stands for a byte that is not UTF-8. */
enum { UTF8_REPLACEMENT = 0xFFFD };

/* The character at S, of LEN > 0 bytes, and how many of them it has. A byte
 * that begins none is UTF8_REPLACEMENT, one byte long. */
size_t utf8_next(const char *s, size_t len, uint32_t *character);

/* How many bytes of S are well-formed, up to the first that is not. */
size_t utf8_prefix(const char *s, size_t len);

bool utf8_valid(const char *s, size_t len);

/* Copies S to OUT, each byte that is not UTF-8 replaced by U+FFFD. */
void utf8_repair(struct buf *out, const char *s, size_t len);

/* Does S begin with a control character of U+0080 to U+009F, of two bytes?
 * Terminals obey them as they do those below U+0020. */
static inline bool utf8_is_control(const char *s)
{
	return (unsigned char)s[0] == 0xC2 && (unsigned char)s[1] >= 0x80 &&
	       (unsigned char)s[1] < 0xA0;
}

#endif
