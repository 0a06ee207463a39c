/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two engines behind one loop. Both are asked for a flush at the end of each
 * piece, which aligns it to a byte. A piece begins with an engine that knows of
 * nothing before it, or of what deflate_before said, or, after deflate_follow,
 * of the text that it has just compressed.
 */
#include "core/deflate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef LUNEX_ISAL
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#endif
#include <zlib.h>

#include "core/mem.h"
#include "core/opened.h"

enum {
	OUT_SMALLEST = 32 * 1024,
	SPAN_MAX = 1 << 30, /* both engines count spans in 32 bits */
};

#ifdef LUNEX_ISAL
#define ISAL_FUNCTIONS(X)                                                      \
	X(isal_deflate_init)                                                   \
	X(isal_deflate_set_dict)                                               \
	X(isal_deflate)                                                        \
	X(crc32_gzip_refl)

/* Sizes above LVL1_SMALL gain nothing on pieces of up to 256 KiB. */
struct isal {
#define MEMBER(name) __typeof__(name) *name;
	ISAL_FUNCTIONS(MEMBER)
#undef MEMBER
	struct isal_zstream stream;
	unsigned char level_buf[ISAL_DEF_LVL1_SMALL];
};
#else
struct isal;
#endif

struct deflate {
	struct isal *isal; /* NULL: zlib */
	z_stream zlib;
	unsigned char *out; /* the compressed bytes of the piece so far */
	size_t size;
	size_t cap;
	uint32_t crc;
	size_t length;
	bool told; /* the engine knows of `before` */
	size_t before_size;
	unsigned char before[DEFLATE_BEFORE];
};

const unsigned char deflate_gzip_header[DEFLATE_HEADER_SIZE] = {
	0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, /* time and system unknown */
};

/* Only a mistake in this file makes an engine refuse. */
static void check(bool ok)
{
	if (!ok)
		abort();
}

static void reserve(struct deflate *d)
{
	if (d->size < d->cap)
		return;
	d->cap = d->cap ? d->cap * 2 : OUT_SMALLEST;
	d->out = mem_realloc(d->out, d->cap);
}

/* At most what the engines can count; never 0. */
static uint32_t room(const struct deflate *d)
{
	size_t free_bytes = d->cap - d->size;

	return free_bytes < SPAN_MAX ? (uint32_t)free_bytes : SPAN_MAX;
}

#ifdef LUNEX_ISAL
static const struct opened_symbol isal_symbols[] = {
#define SYMBOL(name) { #name, offsetof(struct isal, name) },
	ISAL_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

/* NULL: it is not installed, which is no mistake. */
static struct isal *isal_new(void)
{
	struct isal *isal = mem_alloc(sizeof *isal);
	struct err err;

	if (opened_fill(isal, LUNEX_ISAL, "gzip needs ISA-L", isal_symbols,
			sizeof isal_symbols / sizeof *isal_symbols, &err))
		return isal;
	free(isal);
	return NULL;
}

static void isal_begin(struct deflate *d)
{
	struct isal_zstream *s = &d->isal->stream;

	d->isal->isal_deflate_init(s);
	s->level = 1;
	s->level_buf = d->isal->level_buf;
	s->level_buf_size = sizeof d->isal->level_buf;
}

static void isal_tell(struct deflate *d)
{
	int rc = d->isal->isal_deflate_set_dict(&d->isal->stream, d->before,
						(uint32_t)d->before_size);

	check(rc == COMP_OK);
}

static void isal_run(struct deflate *d, const void *data, uint32_t size,
		     bool flush)
{
	struct isal_zstream *s = &d->isal->stream;

	/* next_in lacks a const; the bytes are only read. */
	memcpy(&s->next_in, &data, sizeof data);
	s->avail_in = size;
	s->flush = flush ? SYNC_FLUSH : NO_FLUSH;
	do {
		reserve(d);
		s->next_out = d->out + d->size;
		s->avail_out = room(d);
		check(d->isal->isal_deflate(s) == COMP_OK);
		d->size = (size_t)(s->next_out - d->out);
	} while (s->avail_out == 0);
	check(s->avail_in == 0);
}

static uint32_t isal_checksum(const struct deflate *d, const void *data,
			      size_t size)
{
	return d->isal->crc32_gzip_refl(d->crc, data, size);
}
#else
static struct isal *isal_new(void)
{
	return NULL;
}

static void isal_begin(struct deflate *d)
{
	(void)d;
}

static void isal_tell(struct deflate *d)
{
	(void)d;
}

static void isal_run(struct deflate *d, const void *data, uint32_t size,
		     bool flush)
{
	(void)d;
	(void)data;
	(void)size;
	(void)flush;
}

static uint32_t isal_checksum(const struct deflate *d, const void *data,
			      size_t size)
{
	(void)data;
	(void)size;
	return d->crc;
}
#endif

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
	(void)opaque;
	return mem_array(count, size);
}

static void zlib_free(void *opaque, void *p)
{
	(void)opaque;
	free(p);
}

static void zlib_tell(struct deflate *d)
{
	int rc = deflateSetDictionary(&d->zlib, d->before,
				      (unsigned)d->before_size);

	check(rc == Z_OK);
}

/* A flush that is repeated with nothing left to do answers Z_BUF_ERROR. */
static void zlib_run(struct deflate *d, const void *data, uint32_t size,
		     bool flush)
{
	z_stream *s = &d->zlib;
	int rc;

	memcpy(&s->next_in, &data, sizeof data);
	s->avail_in = size;
	do {
		reserve(d);
		s->next_out = d->out + d->size;
		s->avail_out = room(d);
		rc = deflate(s, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
		check(rc == Z_OK || rc == Z_BUF_ERROR);
		d->size = (size_t)(s->next_out - d->out);
	} while (s->avail_out == 0);
	check(s->avail_in == 0);
}

static uint32_t checksum(const struct deflate *d, const void *data, size_t size)
{
	if (d->isal)
		return isal_checksum(d, data, size);
	return (uint32_t)crc32_z(d->crc, data, size);
}

static void run(struct deflate *d, const void *data, uint32_t size, bool flush)
{
	if (!d->told && d->before_size) {
		if (d->isal)
			isal_tell(d);
		else
			zlib_tell(d);
	}
	d->told = true;
	if (d->isal)
		isal_run(d, data, size, flush);
	else
		zlib_run(d, data, size, flush);
}

struct deflate *deflate_new(void)
{
	struct isal *isal = isal_new();
	struct deflate *d;

	if (!isal)
		return deflate_new_zlib();
	d = mem_alloc(sizeof *d);
	d->isal = isal;
	return d;
}

struct deflate *deflate_new_zlib(void)
{
	struct deflate *d = mem_alloc(sizeof *d);

	d->zlib.zalloc = zlib_alloc;
	d->zlib.zfree = zlib_free;
	check(deflateInit2(&d->zlib, 1, Z_DEFLATED, -15, 8,
			   Z_DEFAULT_STRATEGY) == Z_OK);
	return d;
}

void deflate_free(struct deflate *d)
{
	if (!d)
		return;
	if (d->isal)
		free(d->isal);
	else
		deflateEnd(&d->zlib);
	free(d->out);
	free(d);
}

const char *deflate_engine(const struct deflate *d)
{
	return d->isal ? "ISA-L" : "zlib";
}

void deflate_begin(struct deflate *d)
{
	d->size = 0;
	d->crc = 0;
	d->length = 0;
	d->told = false;
	d->before_size = 0;
	if (d->isal)
		isal_begin(d);
	else
		check(deflateReset(&d->zlib) == Z_OK);
}

void deflate_follow(struct deflate *d)
{
	d->size = 0;
	d->crc = 0;
	d->length = 0;
	d->told = true;
}

void deflate_before(struct deflate *d, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	size_t keep = d->before_size;

	if (size == 0)
		return;
	if (size > DEFLATE_BEFORE) {
		bytes += size - DEFLATE_BEFORE;
		size = DEFLATE_BEFORE;
	}
	if (keep > DEFLATE_BEFORE - size)
		keep = DEFLATE_BEFORE - size;
	memmove(d->before, d->before + d->before_size - keep, keep);
	memcpy(d->before + keep, bytes, size);
	d->before_size = keep + size;
}

void deflate_add(struct deflate *d, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	if (size == 0)
		return;
	d->crc = checksum(d, data, size);
	d->length += size;
	while (size > SPAN_MAX) {
		run(d, bytes, SPAN_MAX, false);
		bytes += SPAN_MAX;
		size -= SPAN_MAX;
	}
	run(d, bytes, (uint32_t)size, false);
}

/* An empty text needs no bytes at all: a flush would add five. */
void deflate_end(struct deflate *d, struct deflate_piece *piece)
{
	*piece = (struct deflate_piece){ .crc = d->crc, .length = d->length };
	piece->shift = (uint32_t)crc32_combine_gen((z_off_t)d->length);
	if (d->length == 0)
		return;
	run(d, NULL, 0, true);
	piece->size = d->size;
	piece->data = mem_alloc(d->size);
	memcpy(piece->data, d->out, d->size);
}

void deflate_piece_make(struct deflate *d, const void *data, size_t size,
			struct deflate_piece *piece)
{
	deflate_begin(d);
	deflate_add(d, data, size);
	deflate_end(d, piece);
}

void deflate_piece_release(struct deflate_piece *piece)
{
	free(piece->data);
	*piece = (struct deflate_piece){ 0 };
	piece->shift = (uint32_t)crc32_combine_gen(0);
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

void deflate_gzip_trailer(const struct deflate_piece *const *pieces, size_t n,
			  unsigned char out[DEFLATE_TRAILER_SIZE])
{
	uint32_t crc = 0;
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		crc = (uint32_t)crc32_combine_op(crc, pieces[i]->crc,
						 pieces[i]->shift);
		length += pieces[i]->length;
	}
	out[0] = 0x03; /* an empty last block with the fixed codes */
	out[1] = 0x00;
	put_le32(out + 2, crc);
	put_le32(out + 6, (uint32_t)length);
}
