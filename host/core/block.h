/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block is a stretch of an exposition, about 128 KiB of its text: what stands
 * in it, and what has been made of it so far. Expositions one after the other
 * share a block in which nothing changed, so it is counted; what is made of it
 * is made once. A block belongs to one thread.
 */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/coders.h"
#include "core/form.h"
#include "core/page.h"

/* Counted bytes; one thread. */
struct bytes {
	uint32_t refs;
	size_t len;
	char *data;
};

struct bytes *bytes_ref(struct bytes *bytes);
void bytes_unref(struct bytes *bytes);

/* The head of a family (chunk is NULL), one of its chunks, or what ends the
 * exposition (metadata is NULL, too). */
struct item {
	struct metadata *metadata;
	struct chunk *chunk;
	size_t size;	 /* protobuf: of the chunk; of a head: of all chunks */
	size_t estimate; /* of the text */
	uint16_t part;	 /* see render_parts() */
	bool unknown;	 /* see render_is_unknown() */
};

/* Is the same shown? */
bool item_same(const struct item *a, const struct item *b);

/* A deflate piece. It refers back into the block before it: so it is good only
 * behind that, and an older exposition, which somebody still reads, may have
 * another one for the same block. Immutable, counted. */
struct piece {
	uint32_t refs;
	uint64_t after;		      /* serial of the block before it */
	struct deflate_piece deflate; /* its data are those of: */
	struct bytes *bytes;
};

struct piece *piece_ref(struct piece *piece);
void piece_unref(struct piece *piece);

/* What the first block of an exposition stands behind. */
enum { BLOCK_NONE = 1 };

struct block {
	uint32_t refs;
	uint64_t serial; /* never used twice, in no thread */
	struct form form;
	size_t estimate;
	struct bytes *text; /* NULL: not kept */
	struct bytes *zstd; /* NULL: none yet */
	struct piece *gzip; /* the last one made; NULL: none yet */
	size_t nitems;
	struct item items[];
};

/* Of N items, which are copied. One reference. */
struct block *block_new(struct form form, const struct item *items, size_t n);
struct block *block_ref(struct block *block);
void block_unref(struct block *block);

/* Is BLOCK of just the first of these items? */
bool block_begins(const struct block *block, const struct item *items,
		  size_t n);

/* The text, a reference: what is kept, or else rendered, and not kept. CODERS,
 * which counts it, may be NULL. */
struct bytes *block_text(const struct block *block, struct coders *coders);

/* Keeps the text; makes the frame. Nothing where it is there already. */
void block_keep_text(struct block *block, struct coders *coders);
void block_make_zstd(struct block *block, struct coders *coders);

/* Makes the piece for behind BEFORE (NULL: it is the first). TEXT is that of
 * BLOCK; BEFORE_TEXT, that of BEFORE, may be NULL, and is then rendered when it
 * is needed. */
void block_make_gzip(struct block *block, const struct bytes *text,
		     const struct block *before,
		     const struct bytes *before_text, struct coders *coders);

/* Is the last piece one for behind BEFORE? */
bool block_has_gzip(const struct block *block, const struct block *before);

/* Frees what was made of it in ENCODING, but for what others hold. */
void block_forget(struct block *block, enum encoding encoding);

#endif
