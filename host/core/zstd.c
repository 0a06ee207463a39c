/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame says how long its text is, so that a decoder can make room at once,
 * and has no checksum: nobody would hear of it who does not hear of a gzip body
 * that was cut off.
 */
#include "core/zstd.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "core/mem.h"
#include "core/opened.h"

#define ZSTD_FUNCTIONS(X)                                                      \
	X(ZSTD_createCCtx)                                                     \
	X(ZSTD_freeCCtx)                                                       \
	X(ZSTD_CCtx_setParameter)                                              \
	X(ZSTD_compressBound)                                                  \
	X(ZSTD_compress2)                                                      \
	X(ZSTD_isError)

enum { LEVEL = 1 };

const unsigned char zstd_empty[ZSTD_EMPTY_SIZE] = {
	0x28, 0xB5, 0x2F, 0xFD, /* magic */
	0x20, 0,		/* the text has 0 bytes */
	1,    0,    0,		/* the last block, raw, of 0 bytes */
};

struct zstd {
#define MEMBER(name) __typeof__(name) *name;
	ZSTD_FUNCTIONS(MEMBER)
#undef MEMBER
	ZSTD_CCtx *context;
	char *out; /* room for the longest piece so far */
	size_t cap;
};

static const struct opened_symbol symbols[] = {
#define SYMBOL(name) { #name, offsetof(struct zstd, name) },
	ZSTD_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

/* It refuses only what this file does wrong, and when there is no memory. */
static size_t check(const struct zstd *zstd, size_t result)
{
	if (zstd->ZSTD_isError(result))
		abort();
	return result;
}

struct zstd *zstd_new(struct err *err)
{
	struct zstd *zstd = mem_alloc(sizeof *zstd);

	if (!opened_fill(zstd, LUNEX_ZSTD, "zstd needs libzstd", symbols,
			 sizeof symbols / sizeof *symbols, err)) {
		free(zstd);
		return NULL;
	}
	zstd->context = zstd->ZSTD_createCCtx();
	if (!zstd->context)
		abort();
	check(zstd, zstd->ZSTD_CCtx_setParameter(
			    zstd->context, ZSTD_c_compressionLevel, LEVEL));
	return zstd;
}

void zstd_free(struct zstd *zstd)
{
	if (!zstd)
		return;
	zstd->ZSTD_freeCCtx(zstd->context);
	free(zstd->out);
	free(zstd);
}

static void reserve(struct zstd *zstd, size_t size)
{
	size_t bound = zstd->ZSTD_compressBound(size);

	if (bound <= zstd->cap)
		return;
	free(zstd->out);
	zstd->out = mem_alloc(bound);
	zstd->cap = bound;
}

void zstd_piece_make(struct zstd *zstd, const void *data, size_t size,
		     struct zstd_piece *piece)
{
	*piece = (struct zstd_piece){ 0 };
	if (size == 0)
		return;
	reserve(zstd, size);
	piece->size = check(zstd, zstd->ZSTD_compress2(zstd->context, zstd->out,
						       zstd->cap, data, size));
	piece->data = mem_alloc(piece->size);
	memcpy(piece->data, zstd->out, piece->size);
}

void zstd_piece_release(struct zstd_piece *piece)
{
	free(piece->data);
	*piece = (struct zstd_piece){ 0 };
}
