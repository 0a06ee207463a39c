/* SPDX-License-Identifier: Apache-2.0 */
#include "core/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"

enum { SMALLEST = 64 };

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->full = false;
	if (buf->data)
		buf->data[0] = '\0';
}

bool buf_reserve(struct buf *buf, size_t more)
{
	size_t need, cap;

	if (more > buf->max - buf->len) {
		buf->full = true;
		return false;
	}
	need = buf->len + more + 1;
	if (need <= buf->cap)
		return true;
	cap = buf->cap ? buf->cap : SMALLEST;
	while (cap < need)
		cap = cap < SIZE_MAX / 2 ? cap + cap / 2 : need;
	if (cap - 1 > buf->max)
		cap = buf->max + 1;
	buf->data = mem_realloc(buf->data, cap);
	buf->data[buf->len] = '\0';
	buf->cap = cap;
	return true;
}

bool buf_add(struct buf *buf, const void *data, size_t len)
{
	if (buf->full || !buf_reserve(buf, len))
		return false;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return true;
}

bool buf_addf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || buf->full || !buf_reserve(buf, (size_t)n))
		return false;
	va_start(args, fmt);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)n;
	return true;
}

char *buf_take(struct buf *buf, size_t *len)
{
	char *data = buf->data ? buf->data : mem_alloc(1);

	if (len)
		*len = buf->len;
	buf_init(buf, buf->max);
	return data;
}
