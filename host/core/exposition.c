/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a body consists of is held by the exposition that it is made for, beside
 * the block: a later exposition may have another deflate piece made of a block,
 * or have its text forgotten, while this one is still being made.
 */
#include "core/exposition.h"

#include <stdlib.h>

#include "core/mem.h"
#include "core/merge.h"
#include "core/overlap.h"

enum { ENCODINGS = ENCODING_ZSTD + 1 };

/* A body as far as it is made. */
struct made {
	size_t n;
	struct bytes **parts;
	struct piece **pieces; /* gzip: the parts are theirs */
};

struct exposition {
	uint32_t refs;
	struct form form;
	size_t npages;
	struct page **pages;

	/* until it is merged; then NULL */
	struct exposition *previous;
	struct merge *merge;
	struct layout layout;

	struct left_out conflicts, homonyms;
	size_t measured;
	struct duplicates duplicates;
	struct overlap *overlap;
	struct checked *checked;
	size_t laid; /* items */
	size_t nblocks, cap;
	struct block **blocks;

	struct made made[ENCODINGS];
	struct bytes *before; /* text of the last block of the gzip body, as
			       * long as that is being made */
};

/* ---- merging ---- */

static void begin_merge(struct exposition *exposition)
{
	struct exposition *previous = exposition->previous;
	const struct merge_source source = {
		.pages = exposition->pages,
		.n = exposition->npages,
		.form = exposition->form,
		.overlap = exposition->overlap,
		.former = previous ? previous->blocks : NULL,
		.nformer = previous ? previous->nblocks : 0,
		.checked = previous ? previous->checked : NULL,
	};

	exposition->merge = merge_new(&source);
	layout_init(&exposition->layout, exposition->form, source.former,
		    source.nformer);
}

/* The last one in this form that has blocks. */
static struct exposition *useful(struct exposition *previous, struct form form)
{
	while (previous && previous->merge)
		previous = previous->previous;
	return previous && form_same(previous->form, form) ? previous : NULL;
}

struct exposition *exposition_begin(struct page *const *pages, size_t n,
				    struct form form,
				    struct exposition *previous)
{
	struct exposition *exposition = mem_alloc(sizeof *exposition);

	previous = useful(previous, form);
	exposition->refs = 1;
	exposition->form = form;
	exposition->npages = n;
	exposition->pages = mem_array(n, sizeof(struct page *));
	for (size_t i = 0; i < n; i++)
		exposition->pages[i] = page_ref(pages[i]);
	exposition->overlap =
		overlap_new(pages, n, previous ? previous->overlap : NULL);
	if (previous)
		exposition->previous = exposition_ref(previous);
	begin_merge(exposition);
	return exposition;
}

static void end_merge(struct exposition *exposition)
{
	exposition->conflicts = *merge_conflicts(exposition->merge);
	exposition->homonyms = *merge_homonyms(exposition->merge);
	exposition->measured = merge_measured(exposition->merge);
	exposition->checked = merge_take_checked(exposition->merge);
	exposition->duplicates = merge_take_duplicates(exposition->merge);
	merge_free(exposition->merge);
	exposition->merge = NULL;
	layout_release(&exposition->layout);
	exposition_unref(exposition->previous);
	exposition->previous = NULL;
}

/* False when there are no items left. */
static bool add_block(struct exposition *exposition)
{
	size_t n;
	const struct item *items = merge_items(exposition->merge, &n);
	struct block *block;

	if (exposition->laid == n)
		return false;
	block = layout_next(&exposition->layout, items + exposition->laid,
			    n - exposition->laid);
	exposition->laid += block->nitems;
	if (exposition->nblocks == exposition->cap) {
		exposition->cap = exposition->cap ? exposition->cap * 2 : 16;
		exposition->blocks =
			mem_realloc(exposition->blocks,
				    exposition->cap * sizeof(struct block *));
	}
	exposition->blocks[exposition->nblocks++] = block;
	return true;
}

/* Cutting a block costs little. */
enum { BLOCKS_PER_STEP = 16 };

static void merge_on(struct exposition *exposition)
{
	if (!exposition->nblocks && merge_step(exposition->merge))
		return;
	for (int i = 0; i < BLOCKS_PER_STEP; i++) {
		if (!add_block(exposition)) {
			end_merge(exposition);
			return;
		}
	}
}

struct exposition *exposition_new(struct page *const *pages, size_t n,
				  struct form form, struct exposition *previous)
{
	struct exposition *exposition =
		exposition_begin(pages, n, form, previous);

	while (exposition->merge)
		merge_on(exposition);
	return exposition;
}

/* ---- what it is ---- */

bool exposition_shows(const struct exposition *exposition,
		      struct page *const *pages, size_t n)
{
	if (exposition->npages != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (exposition->pages[i] != pages[i])
			return false;
	return true;
}

struct form exposition_form(const struct exposition *exposition)
{
	return exposition->form;
}

size_t exposition_series(const struct exposition *exposition)
{
	size_t series = 0;

	for (size_t i = 0; i < exposition->npages; i++)
		series += exposition->pages[i]->series;
	return series;
}

bool exposition_merged(const struct exposition *exposition)
{
	return !exposition->merge;
}

size_t exposition_blocks(const struct exposition *exposition)
{
	return exposition->nblocks;
}

const struct left_out *exposition_conflicts(const struct exposition *exposition)
{
	return &exposition->conflicts;
}

const struct left_out *exposition_homonyms(const struct exposition *exposition)
{
	return &exposition->homonyms;
}

size_t exposition_measured(const struct exposition *exposition)
{
	return exposition->measured;
}

const struct duplicates *exposition_duplicates(
	const struct exposition *exposition)
{
	return &exposition->duplicates;
}

struct bytes *exposition_text(struct exposition *exposition, size_t i)
{
	return block_text(exposition->blocks[i], NULL);
}

/* ---- bodies ---- */

static void keep_before(struct exposition *exposition, struct bytes *text)
{
	bytes_unref(exposition->before);
	exposition->before = text;
}

/* The piece of block I, made unless its last one is for behind the block that
 * stands before it here. True when it was made. */
static bool take_piece(struct exposition *exposition, size_t i,
		       struct coders *coders)
{
	struct made *made = &exposition->made[ENCODING_GZIP];
	struct block *block = exposition->blocks[i];
	const struct block *before = i ? exposition->blocks[i - 1] : NULL;
	bool have = block_has_gzip(block, before);
	struct bytes *text = NULL;

	if (!have) {
		text = block_text(block, coders);
		block_make_gzip(block, text, before, exposition->before,
				coders);
	}
	keep_before(exposition, text);
	made->pieces[i] = piece_ref(block->gzip);
	made->parts[i] = bytes_ref(block->gzip->bytes);
	return !have;
}

static bool take_text(struct exposition *exposition, size_t i,
		      struct coders *coders)
{
	struct block *block = exposition->blocks[i];
	bool have = block->text;

	block_keep_text(block, coders);
	exposition->made[ENCODING_IDENTITY].parts[i] = bytes_ref(block->text);
	return !have;
}

static bool take_frame(struct exposition *exposition, size_t i,
		       struct coders *coders)
{
	struct block *block = exposition->blocks[i];
	bool have = block->zstd;

	block_make_zstd(block, coders);
	exposition->made[ENCODING_ZSTD].parts[i] = bytes_ref(block->zstd);
	return !have;
}

static void begin_body(struct exposition *exposition, enum encoding encoding)
{
	struct made *made = &exposition->made[encoding];
	size_t n = exposition->nblocks;

	if (made->parts)
		return;
	made->parts = mem_array(n, sizeof(struct bytes *));
	if (encoding == ENCODING_GZIP)
		made->pieces = mem_array(n, sizeof(struct piece *));
}

/* Takes what is there, until one block lacked something. */
static void make_on(struct exposition *exposition, enum encoding encoding,
		    struct coders *coders)
{
	static bool (*const take[])(struct exposition *, size_t,
				    struct coders *) = {
		[ENCODING_IDENTITY] = take_text,
		[ENCODING_GZIP] = take_piece,
		[ENCODING_ZSTD] = take_frame,
	};
	struct made *made = &exposition->made[encoding];

	begin_body(exposition, encoding);
	while (made->n < exposition->nblocks)
		if (take[encoding](exposition, made->n++, coders))
			break;
	if (encoding == ENCODING_GZIP && made->n == exposition->nblocks)
		keep_before(exposition, NULL);
}

bool exposition_is_made(const struct exposition *exposition,
			enum encoding encoding)
{
	return !exposition->merge &&
	       exposition->made[encoding].n == exposition->nblocks;
}

bool exposition_step(struct exposition *exposition, enum encoding encoding,
		     struct coders *coders)
{
	if (exposition->merge)
		merge_on(exposition);
	else
		make_on(exposition, encoding, coders);
	return !exposition_is_made(exposition, encoding);
}

void exposition_make(struct exposition *exposition, enum encoding encoding,
		     struct coders *coders)
{
	while (exposition_step(exposition, encoding, coders))
		;
}

struct bytes *exposition_part(const struct exposition *exposition,
			      enum encoding encoding, size_t i)
{
	return exposition->made[encoding].parts[i];
}

void exposition_gzip_trailer(const struct exposition *exposition,
			     unsigned char out[DEFLATE_TRAILER_SIZE])
{
	const struct made *made = &exposition->made[ENCODING_GZIP];
	const struct deflate_piece **pieces =
		mem_array(made->n, sizeof *pieces);

	for (size_t i = 0; i < made->n; i++)
		pieces[i] = &made->pieces[i]->deflate;
	deflate_gzip_trailer(pieces, made->n, out);
	free(pieces);
}

static void release_body(struct made *made)
{
	while (made->n) {
		bytes_unref(made->parts[--made->n]);
		if (made->pieces)
			piece_unref(made->pieces[made->n]);
	}
	free(made->parts);
	free(made->pieces);
	*made = (struct made){ 0 };
}

void exposition_forget(struct exposition *exposition, enum encoding encoding)
{
	release_body(&exposition->made[encoding]);
	if (encoding == ENCODING_GZIP)
		keep_before(exposition, NULL);
	for (size_t i = 0; i < exposition->nblocks; i++)
		block_forget(exposition->blocks[i], encoding);
}

/* ---- life ---- */

struct exposition *exposition_ref(struct exposition *exposition)
{
	exposition->refs++;
	return exposition;
}

static void release_blocks(struct exposition *exposition)
{
	for (int i = 0; i < ENCODINGS; i++)
		release_body(&exposition->made[i]);
	for (size_t i = 0; i < exposition->nblocks; i++)
		block_unref(exposition->blocks[i]);
	bytes_unref(exposition->before);
	free(exposition->blocks);
}

void exposition_unref(struct exposition *exposition)
{
	if (!exposition || --exposition->refs)
		return;
	if (exposition->merge)
		end_merge(exposition);
	release_blocks(exposition);
	for (size_t i = 0; i < exposition->npages; i++)
		page_unref(exposition->pages[i]);
	overlap_unref(exposition->overlap);
	checked_free(exposition->checked);
	free(exposition->duplicates.series);
	free(exposition->pages);
	free(exposition);
}
