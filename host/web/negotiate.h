/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client wants, from its Accept headers. The arguments may be NULL: the
 * header is absent. Any thread.
 */
#ifndef WEB_NEGOTIATE_H
#define WEB_NEGOTIATE_H

#include <stdbool.h>

/*
 * Should the answer be compressed with gzip? As client_golang since 1.20: the
 * higher q of identity and gzip wins, "*" stands for identity, and what is not
 * named is not wanted. At a tie gzip wins, since it was asked for by name.
 */
bool negotiate_gzip(const char *accept_encoding);

/* Is it a browser? It names text/html, with a q that text/plain does not
 * exceed; a wildcard such as curl's does not count. */
bool negotiate_html(const char *accept);

/* Does it name application/json in the same way? */
bool negotiate_json(const char *accept);

#endif
