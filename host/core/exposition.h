/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several pages merged into the answer of a scrape, in one form: families in
 * name order, each once, with the series of every page that has it (merge.h).
 * The answer is a list of blocks of about 128 KiB of text. A new exposition
 * takes over every block of the one before it whose chunks are the same, with
 * what is already made of it: text, deflate piece, zstd frame. So the cost of a
 * scrape follows what changed, not what exists.
 *
 * Making it goes in steps, each a fraction of a millisecond, so that a thread
 * which has other things to do need not leave them for long. What an encoding
 * needs is made when it is asked for, and kept until exposition_forget().
 *
 * An exposition and its blocks belong to one thread: the web thread.
 */
#ifndef CORE_EXPOSITION_H
#define CORE_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/block.h"
#include "core/coders.h"
#include "core/duplicate.h"
#include "core/form.h"
#include "core/layout.h"
#include "core/merge.h"
#include "core/page.h"

struct exposition;

/* Merges N pages (it takes references). PREVIOUS may be NULL; it stays the
 * caller's, and is of use when it has the same form. One reference. */
struct exposition *exposition_new(struct page *const *pages, size_t n,
				  struct form form,
				  struct exposition *previous);

/* The same, but exposition_step() merges. Until then only ref and unref, shows,
 * form and series may be called. */
struct exposition *exposition_begin(struct page *const *pages, size_t n,
				    struct form form,
				    struct exposition *previous);

struct exposition *exposition_ref(struct exposition *exposition);
void exposition_unref(struct exposition *exposition);

/* Is this the exposition of just these pages? */
bool exposition_shows(const struct exposition *exposition,
		      struct page *const *pages, size_t n);

struct form exposition_form(const struct exposition *exposition);
size_t exposition_series(const struct exposition *exposition);

/* ---- when it is merged ---- */

bool exposition_merged(const struct exposition *exposition);
size_t exposition_blocks(const struct exposition *exposition);

/* Families left out: because pages disagree about them, and because another one
 * has the same name in this form. */
const struct left_out *exposition_conflicts(
	const struct exposition *exposition);
const struct left_out *exposition_homonyms(const struct exposition *exposition);

/* Chunks that had to be measured, which one format wants and the exposition
 * before has not done. */
size_t exposition_measured(const struct exposition *exposition);

/* Series left out because an earlier page shows them. */
const struct duplicates *exposition_duplicates(
	const struct exposition *exposition);

/* The text of block I, a reference for the caller: rendered, unless it is kept
 * because somebody asked for ENCODING_IDENTITY. */
struct bytes *exposition_text(struct exposition *exposition, size_t i);

/* ---- bodies ---- */

/* Does the next step: merges on, or makes what one block lacks for a body in
 * ENCODING, which CODERS must have opened. False when all is there. */
bool exposition_step(struct exposition *exposition, enum encoding encoding,
		     struct coders *coders);

/* All steps. */
void exposition_make(struct exposition *exposition, enum encoding encoding,
		     struct coders *coders);

/* Is all there for a body in ENCODING? */
bool exposition_is_made(const struct exposition *exposition,
			enum encoding encoding);

/* What block I is in a body that is made: text, the data of a deflate piece, or
 * a frame. Borrowed. */
struct bytes *exposition_part(const struct exposition *exposition,
			      enum encoding encoding, size_t i);

/* What ends the gzip body, when that is made. */
void exposition_gzip_trailer(const struct exposition *exposition,
			     unsigned char out[DEFLATE_TRAILER_SIZE]);

/* Gives up what was made for ENCODING, but for what others hold. */
void exposition_forget(struct exposition *exposition, enum encoding encoding);

#endif
