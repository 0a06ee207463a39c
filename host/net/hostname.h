/* SPDX-License-Identifier: Apache-2.0 */
/* What can be the name of a host. Values only; any thread. */
#ifndef NET_HOSTNAME_H
#define NET_HOSTNAME_H

#include <stdbool.h>

#include "core/err.h"

enum { HOSTNAME_MAX = 253 }; /* bytes, without a dot at the end */

/* False and a sentence for what no name server is to be asked for: what is too
 * long, has blanks or what belongs to URLs, or ends in a number. */
bool hostname_check(const char *name, struct err *err);

/* Is it DOMAIN, with or without labels before it? */
bool hostname_in(const char *name, const char *domain);

#endif
