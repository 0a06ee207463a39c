/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared libraries that are opened when they are first used, not linked: the
 * functions of one, found by name, become the members of a table. Any thread;
 * who may come at the same time is for the caller to settle.
 */
#ifndef CORE_OPENED_H
#define CORE_OPENED_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

struct opened_symbol {
	const char *name;
	size_t offset; /* of a pointer to a function, in the table */
};

/*
 * Opens OBJECT ("libcurl.so.4"), for good, and fills TABLE with its SYMBOLS.
 * False and ERR_IO when it is not installed or has not all of them; NEED begins
 * the sentence: "http needs libcurl".
 */
bool opened_fill(void *table, const char *object, const char *need,
		 const struct opened_symbol *symbols, size_t n,
		 struct err *err);

#endif
