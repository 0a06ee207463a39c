/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd bodies (RFC 8878) built from pieces that are compressed, and kept, one
 * by one. A piece is a whole frame, and a body is one frame behind the other,
 * which every decoder reads as one (RFC 8878, section 3). A frame knows nothing
 * of the one before it, so a piece may stand in any body.
 *
 * Level 1: what is above it is slower and, on pieces of expositions, larger.
 * Working memory is 120 KB for pieces of 16 KiB, 600 KB for 256 KiB and more.
 *
 * libzstd is opened when it is first asked for. A struct zstd belongs to one
 * thread.
 */
#ifndef CORE_ZSTD_H
#define CORE_ZSTD_H

#include <stddef.h>

#include "core/err.h"

enum { ZSTD_EMPTY_SIZE = 9 };

struct zstd_piece {
	void *data; /* NULL when the text is empty */
	size_t size;
};

/* Working memory for any number of pieces; NULL with ERR when the library is
 * not there. */
struct zstd *zstd_new(struct err *err);
void zstd_free(struct zstd *zstd);

void zstd_piece_make(struct zstd *zstd, const void *data, size_t size,
		     struct zstd_piece *piece);
void zstd_piece_release(struct zstd_piece *piece);

/* The whole body where there is no text: a frame of none. Decoders refuse a
 * body without a frame. */
extern const unsigned char zstd_empty[ZSTD_EMPTY_SIZE];

#endif
