/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error is a code and one finished sentence. The sentence is written where
 * the failure happens ("connect 192.0.2.9:10000: connection refused") and is
 * never reworded on the way up; callers pass it on or print it.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdbool.h>

enum err_code {
	ERR_NONE = 0,
	ERR_INPUT,   /* malformed data from outside */
	ERR_LIMIT,   /* a ceiling was met */
	ERR_TIMEOUT, /* the deadline passed */
	ERR_IO,	     /* the operating system or a peer refused */
	ERR_USAGE,   /* the caller's mistake: a flag, a type, a name */
	ERR_CLOSED,  /* the object was closed or the task cancelled */
	ERR_DENIED,  /* the operating system asks for a privilege */
};

struct err {
	enum err_code code;
	char text[512];
};

/*
 * Fills ERR (may be NULL) with a formatted sentence, cut at the end of the
 * array and never in the middle of a UTF-8 character. Always returns false, so
 * that a function can say `return err_set(err, ...)`.
 */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
