/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a .proto text. The lexer copies nothing but what string escapes
 * make necessary; a token points into the text. It is a plain value: copying it
 * remembers the place. One thread at a time.
 */
#ifndef CORE_PROTO_LEX_H
#define CORE_PROTO_LEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum proto_token {
	PROTO_EOF,
	PROTO_IDENT, /* one identifier, no dots */
	PROTO_INTEGER,
	PROTO_REAL,
	PROTO_QUOTED, /* a string as written, quotes included */
	PROTO_SYMBOL, /* any other single character */
};

struct proto_lex {
	const char *file;	/* for messages; borrowed */
	const char *p;		/* private */
	const char *end;	/* private */
	const char *line_start; /* private */
	unsigned line_next;	/* private: line of p */
	/* The token looked at. */
	enum proto_token type;
	struct str text;
	uint64_t integer; /* of PROTO_INTEGER */
	unsigned line, column;
};

/* Looks at the first token. FILE and TEXT must outlive the lexer. */
bool proto_lex_init(struct proto_lex *lex, const char *file, struct str text,
		    struct err *err);

/* Goes to the next token; false and ERR for what is none. */
bool proto_lex_next(struct proto_lex *lex, struct err *err);

/* Whether the token is this identifier or symbol. */
bool proto_lex_is(const struct proto_lex *lex, const char *word);

/* Puts "file:line:column: " and the sentence into ERR. Always false. */
bool proto_lex_error(const struct proto_lex *lex, struct err *err,
		     const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "expected WHAT, got 'token'". Always false. */
bool proto_lex_expected(const struct proto_lex *lex, struct err *err,
			const char *what);

/* Adds the bytes that the quoted token stands for to OUT. */
bool proto_lex_unquote(const struct proto_lex *lex, struct buf *out,
		       struct err *err);

#endif
