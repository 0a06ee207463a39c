/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes. A buffer cannot be made without a ceiling, and it is the only
 * thing that outside input may make grow. Meeting the ceiling is remembered
 * (`full`), later additions do nothing, so a writer may add many pieces and
 * look once at the end. One thread at a time.
 */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Bytes that belong to somebody else. Not terminated. */
struct str {
	const char *data;
	size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

struct buf {
	char *data; /* NULL while empty; data[len] is NUL otherwise */
	size_t len;
	size_t cap; /* private */
	size_t max; /* private */
	bool full;  /* an addition did not fit below the ceiling */
};

/* An empty buffer that will never hold more than MAX bytes. No allocation. */
void buf_init(struct buf *buf, size_t max);

/* Frees the bytes; the buffer is as after buf_init. */
void buf_release(struct buf *buf);

/* Empties and keeps the memory; forgets `full`. */
void buf_clear(struct buf *buf);

/*
 * Makes room for MORE bytes behind the present ones and a NUL. False, and
 * `full`, when that is above the ceiling; the contents stay as they are.
 */
bool buf_reserve(struct buf *buf, size_t more);

/* Additions are whole or not at all; false and `full` when they do not fit. */
bool buf_add(struct buf *buf, const void *data, size_t len);
bool buf_addf(struct buf *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline bool buf_addstr(struct buf *buf, const char *s)
{
	return buf_add(buf, s, strlen(s));
}

static inline bool buf_addch(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

/* The contents as a C string; "" while empty. Borrowed. */
static inline const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

/* Gives the bytes away (free() them) and leaves an empty buffer. */
char *buf_take(struct buf *buf, size_t *len);

#endif
