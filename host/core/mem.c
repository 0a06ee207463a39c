/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(void)
{
	static const char text[] = "lunex: out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

	(void)n;
	abort();
}

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		die();
	return p;
}

void *mem_array(size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		die();
	return mem_alloc(count * size);
}

void *mem_realloc(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die();
	return p;
}

char *mem_copy(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);

	if (len)
		memcpy(p, s, len);
	return p;
}

char *mem_string(const char *s)
{
	return s ? mem_copy(s, strlen(s)) : NULL;
}
