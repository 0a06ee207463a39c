/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several pages merged into the answer of a scrape: families in name order,
 * HELP and TYPE once, then the series of every page that has the family. The
 * answer is a list of blocks of about 128 KiB of text. A block is rendered, and
 * compressed, when it is asked for; a new exposition takes over every block of
 * the one before it whose chunks are the same, with what is already made of it.
 * So the cost of a scrape follows what changed, not what exists.
 *
 * Where two pages disagree about a family, the first page has it and the family
 * of the other is left out; so is a series that an earlier page shows, too.
 *
 * An exposition and its blocks belong to one thread: the web thread.
 */
#ifndef CORE_EXPOSITION_H
#define CORE_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/deflate.h"
#include "core/duplicate.h"
#include "core/page.h"

/* Counted bytes; one thread. */
struct bytes {
	uint32_t refs;
	size_t len;
	char *data;
};

struct bytes *bytes_ref(struct bytes *bytes);
void bytes_unref(struct bytes *bytes);

struct exposition;

enum { EXPOSITION_BLOCK = 128 * 1024, EXPOSITION_KEEP_TEXT = 1024 * 1024 };

/* Merges N pages (it takes references). PREVIOUS may be NULL; it stays the
 * caller's. One reference. */
struct exposition *exposition_new(struct page *const *pages, size_t n,
				  struct exposition *previous);
struct exposition *exposition_ref(struct exposition *exposition);
void exposition_unref(struct exposition *exposition);

/* Is this the exposition of just these pages? */
bool exposition_shows(const struct exposition *exposition,
		      struct page *const *pages, size_t n);

size_t exposition_blocks(const struct exposition *exposition);
size_t exposition_series(const struct exposition *exposition);

/* Is the text of this exposition small enough to be kept? */
bool exposition_keeps_text(const struct exposition *exposition);

/* Families left out because pages disagree about them. */
unsigned exposition_conflicts(const struct exposition *exposition);

/* Series left out because an earlier page shows them. */
const struct duplicates *exposition_duplicates(
	const struct exposition *exposition);

/* The text of block I, a reference for the caller. It is kept for the next time
 * only while the whole exposition is smaller than EXPOSITION_KEEP_TEXT: beyond
 * that, rendering again is cheaper than the memory. */
struct bytes *exposition_text(struct exposition *exposition, size_t i);

/* Makes the deflate pieces that are missing. A piece refers back into the block
 * before it, which saves a quarter of the size; so a block that changed takes
 * the piece of the next one with it. */
void exposition_compress(struct exposition *exposition,
			 struct deflate *deflate);

/* The piece of block I, after exposition_compress(). Borrowed, lives as long as
 * the exposition. */
const struct deflate_piece *exposition_piece(
	const struct exposition *exposition, size_t i);

#endif
