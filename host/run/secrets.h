/* SPDX-License-Identifier: Apache-2.0 */
/* The secret values of a configuration, to be taken out of a text that a run
 * wrote about itself. One thread at a time. */
#ifndef RUN_SECRETS_H
#define RUN_SECRETS_H

#include <stddef.h>

/* Shorter ones cannot be told from other words. */
enum { SECRET_MIN = 4 };

struct secrets {
	char **values;
	size_t n;
};

/* VALUE, and what it is in a URL. */
void secrets_add(struct secrets *secrets, const char *value);

/* Overwrites and frees the values. */
void secrets_release(struct secrets *secrets);

/* A copy of TEXT with stars instead of each secret; the caller's. */
char *secrets_mask(const struct secrets *secrets, const char *text);

#endif
