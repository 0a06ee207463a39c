/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short copies in place, for the hot loops of rendering: names, values and
 * labels are too short for a call to pay. There is room behind P for all that
 * is written. Any thread.
 */
#ifndef CORE_PUT_H
#define CORE_PUT_H

#include <stddef.h>
#include <string.h>

#include "core/buf.h"

/* Copies N bytes to P; returns what is behind them. */
static inline char *put(char *p, const char *s, size_t n)
{
	size_t i = 0;

	if (n >= 16) {
		for (; i + 16 < n; i += 16)
			memcpy(p + i, s + i, 16);
		memcpy(p + n - 16, s + n - 16, 16);
	} else if (n >= 8) {
		memcpy(p, s, 8);
		memcpy(p + n - 8, s + n - 8, 8);
	} else if (n >= 4) {
		memcpy(p, s, 4);
		memcpy(p + n - 4, s + n - 4, 4);
	} else {
		for (; i < n; i++)
			p[i] = s[i];
	}
	return p + n;
}

static inline char *put_str(char *p, struct str s)
{
	return put(p, s.data, s.len);
}

#endif
