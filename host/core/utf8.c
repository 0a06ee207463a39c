/* SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

#include <string.h>

/* Bytes of the well-formed character at S, 0 when there is none. */
static size_t length(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		n = 2;
	else if (s[0] >= 0xE0 && s[0] <= 0xEF)
		n = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	if (s[0] == 0xE0)
		low = 0xA0;
	else if (s[0] == 0xED)
		high = 0x9F;
	else if (s[0] == 0xF0)
		low = 0x90;
	else if (s[0] == 0xF4)
		high = 0x8F;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

size_t utf8_next(const char *s, size_t len, uint32_t *character)
{
	const unsigned char *bytes = (const unsigned char *)s;
	size_t n = length(bytes, len);

	if (n == 0) {
		*character = UTF8_REPLACEMENT;
		return 1;
	}
	*character = n == 1 ? bytes[0] : bytes[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++)
		*character = *character << 6 | (bytes[i] & 0x3F);
	return n;
}

size_t utf8_prefix(const char *s, size_t len)
{
	size_t i = 0, n;
	uint64_t word;

	while (i < len) {
		if (len - i >= sizeof word) {
			memcpy(&word, s + i, sizeof word);
			if (!(word & 0x8080808080808080U)) {
				i += sizeof word;
				continue;
			}
		}
		n = length((const unsigned char *)s + i, len - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

bool utf8_valid(const char *s, size_t len)
{
	return utf8_prefix(s, len) == len;
}

void utf8_repair(struct buf *out, const char *s, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = length((const unsigned char *)s + i, len - i);
		if (n) {
			buf_add(out, s + i, n);
		} else {
			buf_add(out, "\xEF\xBF\xBD", 3);
			n = 1;
		}
	}
}
