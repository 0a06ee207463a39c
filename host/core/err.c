/* SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence that LEAD opens; 1 when it opens none. */
static size_t sequence_length(unsigned char lead)
{
	return lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* Takes an incomplete UTF-8 sequence off the end of a cut text. */
static void trim_utf8(char *s, size_t len)
{
	size_t i = len;

	while (i > 0 && len - i < 3 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
		i--;
	if (i > 0 && len - i + 1 < sequence_length((unsigned char)s[i - 1]))
		s[i - 1] = '\0';
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list args;
	int n;

	if (!err)
		return false;
	err->code = code;
	va_start(args, fmt);
	n = vsnprintf(err->text, sizeof err->text, fmt, args);
	va_end(args);
	if (n < 0)
		err->text[0] = '\0';
	else if ((size_t)n >= sizeof err->text)
		trim_utf8(err->text, strlen(err->text));
	return false;
}
