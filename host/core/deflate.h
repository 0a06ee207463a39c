/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip bodies built from pieces that are compressed, and kept, one by one. A
 * body is one gzip member (curl and browsers read only the first of several):
 *
 *	deflate_gzip_header, the data of each piece in order, the trailer
 *
 * Each piece is raw deflate that ends on a byte boundary. A piece by itself
 * may stand anywhere in any body. A piece that was told what text it follows
 * (deflate_before) refers back into that text, and so compresses as well as
 * if the page were one stream, but may only ever stand directly behind it.
 *
 * A struct deflate belongs to one thread; a finished piece does not change and
 * may be read by any.
 */
#ifndef CORE_DEFLATE_H
#define CORE_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

/* How far back a piece refers: more text before it makes no difference. */
enum { DEFLATE_BEFORE = 16 * 1024, DEFLATE_WINDOW = 32 * 1024 };

enum { DEFLATE_HEADER_SIZE = 10, DEFLATE_TRAILER_SIZE = 10 };

struct deflate_piece {
	unsigned char *data; /* NULL when the text is empty */
	size_t size;
	uint32_t crc;	/* CRC-32 of the text */
	uint32_t shift; /* private: moves a CRC-32 over `length` bytes */
	size_t length;	/* of the text */
};

/*
 * Working memory (about 200 KiB with ISA-L, 300 KiB with zlib) for any number
 * of pieces, one after the other. ISA-L level 1 where the program was built for
 * it and it is installed, else zlib level 1.
 */
struct deflate *deflate_new(void);

/* The same with zlib in any case. */
struct deflate *deflate_new_zlib(void);

void deflate_free(struct deflate *d);

/* "ISA-L" or "zlib". */
const char *deflate_engine(const struct deflate *d);

/* A piece of one span of text, told of nothing before it. */
void deflate_piece_make(struct deflate *d, const void *data, size_t size,
			struct deflate_piece *piece);

/* Frees the data; the piece is then that of the empty text. */
void deflate_piece_release(struct deflate_piece *piece);

/*
 * A piece of several spans: begin, any number of before, any number of add,
 * end. Spans are not kept. A begin without an end gives the begun piece up.
 */
void deflate_begin(struct deflate *d);

/*
 * The text directly before the piece, in order, in one span or several; its
 * last DEFLATE_BEFORE bytes count. Not after the first deflate_add.
 */
void deflate_before(struct deflate *d, const void *data, size_t size);

/*
 * Instead of begin and before: a piece that stands directly behind the one that
 * was just ended. It refers back up to DEFLATE_WINDOW bytes, and costs less.
 */
void deflate_follow(struct deflate *d);

void deflate_add(struct deflate *d, const void *data, size_t size);

/* Fills PIECE, whatever it held; deflate_piece_release frees it. */
void deflate_end(struct deflate *d, struct deflate_piece *piece);

extern const unsigned char deflate_gzip_header[DEFLATE_HEADER_SIZE];

/* What ends a body of these pieces in this order: N may be 0. */
void deflate_gzip_trailer(const struct deflate_piece *const *pieces, size_t n,
			  unsigned char out[DEFLATE_TRAILER_SIZE]);

#endif
