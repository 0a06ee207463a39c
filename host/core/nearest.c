/* SPDX-License-Identifier: Apache-2.0 */
#include "core/nearest.h"

#include <stddef.h>
#include <string.h>

enum { LONGEST = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: insert, remove, replace, swap neighbours. */
static unsigned distance(const char *a, size_t alen, const char *b, size_t blen)
{
	unsigned rows[3][LONGEST + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t i, j;

	for (j = 0; j <= blen; j++)
		last[j] = (unsigned)j;
	for (i = 1; i <= alen; i++) {
		row[0] = (unsigned)i;
		for (j = 1; j <= blen; j++) {
			row[j] = least(last[j], row[j - 1]) + 1;
			row[j] = least(row[j],
				       last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[blen];
}

const char *nearest(const char *name, const char *const *names)
{
	size_t len = strlen(name), other;
	unsigned most = len < 6 ? 1 : (unsigned)(len / 3);
	const char *best = NULL;
	unsigned d;

	if (len == 0 || len > LONGEST)
		return NULL;
	for (; *names; names++) {
		other = strlen(*names);
		if (other > LONGEST)
			continue;
		d = distance(name, len, *names, other);
		if (d <= most && (!best || d < most)) {
			best = *names;
			most = d;
		}
	}
	return best;
}
