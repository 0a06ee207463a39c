/* SPDX-License-Identifier: Apache-2.0 */
#include "core/block.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/render.h"

/* A block may pass its proper size only by one chunk with long labels. */
static const size_t text_max = (size_t)1 << 30;

/* ---- bytes and pieces ---- */

/* Takes DATA over. */
static struct bytes *bytes_new(void *data, size_t len)
{
	struct bytes *bytes = mem_alloc(sizeof *bytes);

	bytes->refs = 1;
	bytes->data = data;
	bytes->len = len;
	return bytes;
}

struct bytes *bytes_ref(struct bytes *bytes)
{
	bytes->refs++;
	return bytes;
}

void bytes_unref(struct bytes *bytes)
{
	if (!bytes || --bytes->refs)
		return;
	free(bytes->data);
	free(bytes);
}

struct piece *piece_ref(struct piece *piece)
{
	piece->refs++;
	return piece;
}

void piece_unref(struct piece *piece)
{
	if (!piece || --piece->refs)
		return;
	bytes_unref(piece->bytes);
	free(piece);
}

/* ---- blocks ---- */

bool item_same(const struct item *a, const struct item *b)
{
	if (a->chunk != b->chunk || a->part != b->part ||
	    a->unknown != b->unknown)
		return false;
	return a->chunk || (a->metadata == b->metadata && a->size == b->size);
}

struct block *block_new(struct form form, const struct item *items, size_t n)
{
	static _Atomic uint64_t last = BLOCK_NONE; /* of all threads */
	struct block *block = mem_alloc(sizeof *block + n * sizeof *items);

	block->refs = 1;
	block->serial = ++last;
	block->form = form;
	block->nitems = n;
	for (size_t i = 0; i < n; i++) {
		block->items[i] = items[i];
		block->estimate += items[i].estimate;
		if (items[i].metadata)
			metadata_ref(items[i].metadata);
		if (items[i].chunk)
			chunk_ref(items[i].chunk);
	}
	return block;
}

struct block *block_ref(struct block *block)
{
	block->refs++;
	return block;
}

void block_unref(struct block *block)
{
	if (--block->refs)
		return;
	for (size_t i = 0; i < block->nitems; i++) {
		if (block->items[i].metadata)
			metadata_unref(block->items[i].metadata);
		chunk_unref(block->items[i].chunk);
	}
	bytes_unref(block->text);
	bytes_unref(block->zstd);
	piece_unref(block->gzip);
	free(block);
}

bool block_begins(const struct block *block, const struct item *items, size_t n)
{
	if (!block || block->nitems > n)
		return false;
	for (size_t i = 0; i < block->nitems; i++)
		if (!item_same(&items[i], &block->items[i]))
			return false;
	return true;
}

/* ---- what is made of them ---- */

static void render(struct buf *out, struct form form, const struct item *item)
{
	const struct shown_family family = {
		.metadata = item->metadata,
		.part = item->part,
		.unknown = item->unknown,
		.size = item->size,
	};

	if (!item->metadata)
		render_end(out, form);
	else if (item->chunk)
		render_chunk(out, form, &family, item->chunk);
	else
		render_head(out, form, &family);
}

struct bytes *block_text(const struct block *block, struct coders *coders)
{
	struct buf text;
	size_t len;
	char *data;

	if (block->text)
		return bytes_ref(block->text);
	buf_init(&text, text_max);
	buf_reserve(&text, block->estimate + block->estimate / 4 + 256);
	for (size_t i = 0; i < block->nitems; i++)
		render(&text, block->form, &block->items[i]);
	if (coders)
		coders->rendered++;
	data = buf_take(&text, &len);
	return bytes_new(data, len);
}

void block_keep_text(struct block *block, struct coders *coders)
{
	struct bytes *text;

	if (block->text)
		return;
	text = block_text(block, coders);
	text->data = mem_realloc(text->data, text->len + 1);
	block->text = text;
}

void block_make_zstd(struct block *block, struct coders *coders)
{
	struct zstd_piece frame;
	struct bytes *text;

	if (block->zstd)
		return;
	text = block_text(block, coders);
	zstd_piece_make(coders->zstd, text->data, text->len, &frame);
	coders->compressed++;
	block->zstd = bytes_new(frame.data, frame.size);
	bytes_unref(text);
}

static uint64_t serial_of(const struct block *block)
{
	return block ? block->serial : BLOCK_NONE;
}

/* Makes deflate ready for what stands behind BEFORE. It refers back only where
 * it has seen enough of that itself. */
static void follow(const struct block *before, const struct bytes *text,
		   struct coders *coders)
{
	struct bytes *rendered = NULL;

	if (before && coders->last == before->serial &&
	    coders->last_size >= DEFLATE_WINDOW) {
		deflate_follow(coders->deflate);
		return;
	}
	deflate_begin(coders->deflate);
	if (!before)
		return;
	if (!text)
		text = rendered = block_text(before, coders);
	deflate_before(coders->deflate, text->data, text->len);
	bytes_unref(rendered);
}

void block_make_gzip(struct block *block, const struct bytes *text,
		     const struct block *before,
		     const struct bytes *before_text, struct coders *coders)
{
	struct piece *piece = mem_alloc(sizeof *piece);

	follow(before, before_text, coders);
	deflate_add(coders->deflate, text->data, text->len);
	deflate_end(coders->deflate, &piece->deflate);
	coders->last = block->serial;
	coders->last_size = text->len;
	coders->compressed++;
	piece->refs = 1;
	piece->after = serial_of(before);
	piece->bytes = bytes_new(piece->deflate.data, piece->deflate.size);
	piece_unref(block->gzip);
	block->gzip = piece;
}

bool block_has_gzip(const struct block *block, const struct block *before)
{
	return block->gzip && block->gzip->after == serial_of(before);
}

void block_forget(struct block *block, enum encoding encoding)
{
	if (encoding == ENCODING_IDENTITY) {
		bytes_unref(block->text);
		block->text = NULL;
	} else if (encoding == ENCODING_GZIP) {
		piece_unref(block->gzip);
		block->gzip = NULL;
	} else {
		bytes_unref(block->zstd);
		block->zstd = NULL;
	}
}
