/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client wants, from its Accept headers. The arguments may be NULL: the
 * header is absent. Whatever they are, there is an answer, in linear time. Any
 * thread.
 */
#ifndef WEB_NEGOTIATE_H
#define WEB_NEGOTIATE_H

#include <stdbool.h>

#include "core/form.h"

struct negotiated {
	struct form form; /* created: true in OpenMetrics 1, for who wants it */
	char content_type[FORM_TYPE_MAX];
};

/*
 * The form of a page, as expfmt of prometheus/common 0.70 chooses it: the
 *clause of the highest q wins, the first of several, and q may be above 1.
 *Names are compared as they are; blanks around them do not count, tabs do.
 *
 *	application/vnd.google.protobuf   with proto=io.prometheus.client.
 *	                                  MetricFamily and encoding=delimited
 *	text/plain                        version 0.0.4, 1.0.0 or none
 *	application/openmetrics-text      version 1.0.0, 0.0.1, none (0.0.1),
 *	                                  or 2.0.0
 *
 * Nothing else fits, no wildcard either; where nothing fits it is text 0.0.4.
 * The versions 1.0.0 of the text and 2.0.0 of OpenMetrics are not expfmt's, and
 * its protobuf as text is not here. The escaping is the last one that is known
 * among the clauses up to the chosen one, in their order.
 */
void negotiate_form(const char *accept, struct negotiated *negotiated);

/*
 * How the body is sent, as client_golang chooses since 1.20: the highest q
 * among identity, gzip and zstd, the first of them at a tie. "*" is a q for
 * identity where that is not named: nobody gets a compression that he did not
 * name. Beyond that, as RFC 9110 has it, where identity is refused "*" is a q
 * for gzip; who refuses identity and takes nothing else gets it still. A q that
 * is not from 0 to 1 names nothing. Case does not matter.
 */
enum encoding negotiate_encoding(const char *accept_encoding);

/* The same where there is no zstd: is it gzip? */
bool negotiate_gzip(const char *accept_encoding);

/* Is it a browser? It names text/html, with a q that text/plain does not
 * exceed; a wildcard such as curl's does not count. */
bool negotiate_html(const char *accept);

/* Does it name application/json in the same way? */
bool negotiate_json(const char *accept);

#endif
