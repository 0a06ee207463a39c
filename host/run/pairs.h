/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names and values that go from one thread to another: headers, and
 * parameters of a query. One thread at a time. */
#ifndef RUN_PAIRS_H
#define RUN_PAIRS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "web/request.h"

/* What one connection can have sent, and the zero bytes. */
enum { PAIRS_MAX = 2 * REQUEST_MEMORY };

/* Each text has its zero byte: "a", "1", "b", "2". */
struct pairs {
	struct buf text;
};

void pairs_init(struct pairs *pairs, size_t max);
void pairs_release(struct pairs *pairs);

/* False when it does not fit. */
bool pairs_add(struct pairs *pairs, const char *name, const char *value);

/* The pair behind the one of *VALUE (NULL: the first); false at the end. */
bool pairs_next(const struct pairs *pairs, const char **name,
		const char **value);
size_t pairs_count(const struct pairs *pairs);

/* Leaves a table on the stack: name = its first value. May raise (memory). */
void push_pairs(lua_State *L, const struct pairs *pairs);

#endif
