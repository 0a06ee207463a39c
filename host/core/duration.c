/* SPDX-License-Identifier: Apache-2.0 */
#include "core/duration.h"

#include <string.h>

#include "core/number.h"

/* The length of the number at S. */
static size_t number_length(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && ((s[n] >= '0' && s[n] <= '9') || s[n] == '.'))
		n++;
	return n;
}

/* One number with its unit; the bytes it takes, 0 when it is none. */
static size_t parse_piece(const char *s, size_t len, double *seconds)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = { { "ms", 1e-3 },
		      { "s", 1 },
		      { "m", 60 },
		      { "h", 3600 },
		      { "d", 24 * 3600 } };
	size_t n = number_length(s, len);

	if (!number_parse(s, n, seconds))
		return 0;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t unit = strlen(units[i].unit);

		if (len - n < unit || memcmp(s + n, units[i].unit, unit) != 0)
			continue;
		*seconds *= units[i].factor;
		return n + unit;
	}
	return 0;
}

bool duration_parse(const char *s, size_t len, double *seconds)
{
	double piece;
	size_t n;

	if (number_parse(s, len, seconds))
		return true;
	*seconds = 0;
	for (size_t i = 0; i < len; i += n) {
		n = parse_piece(s + i, len - i, &piece);
		if (n == 0)
			return false;
		*seconds += piece;
	}
	return len > 0;
}
