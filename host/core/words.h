/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phrases of which .proto statements are made, and what those who parse one
 * file share. All functions return false after an error, which is in *w->err
 * with its place then; the words before it have been passed. One thread at a
 * time.
 */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include "core/proto_lex.h"
#include "core/proto_link.h"

struct words {
	struct proto_lex lex;	 /* looks at the next word */
	struct proto_link *link; /* where declarations go */
	struct err *err;
	bool proto3;
	bool imported;	  /* not the file that was asked for */
	unsigned nesting; /* messages open at this place */
};

/* The next word. */
bool words_next(struct words *w);
bool words_is(const struct words *w, const char *word);
struct proto_place words_place(const struct words *w);

/* Raises "expected WHAT, got ..."; always false. */
bool words_expected(const struct words *w, const char *what);

/* Passes the symbol, or fails. */
bool words_expect(struct words *w, char symbol);

/* One identifier; OUT points into the text. WHAT names it in the error. */
bool words_ident(struct words *w, const char *what, struct str *out);

/* [.] word { . word } */
bool words_dotted(struct words *w, const char *what,
		  char name[PROTO_NAME_MAX + 1]);

/* An integer with its sign; MAGNITUDE is without. */
bool words_integer(struct words *w, bool *negative, uint64_t *magnitude);
bool words_int32(struct words *w, int32_t *out);

/* One or more string literals, put together. */
bool words_string(struct words *w, struct buf *out);

/* Goes to the first of the symbols STOPS that is outside of all brackets. */
bool words_skip_to(struct words *w, const char *stops);

/* Passes all up to and with ';', or up to and with a block in braces. */
bool words_skip_statement(struct words *w);
bool words_skip_block(struct words *w);

/* SCOPE.NAME, or NAME in the outermost scope, which is "". */
bool words_join(struct words *w, const char *scope, struct str name,
		char out[PROTO_NAME_MAX + 1]);

#endif
