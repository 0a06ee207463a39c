/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was made for a scrape and is kept for the next one: for each form the
 * last exposition, and for each form and encoding the finished responses. What
 * nobody has asked for during some minutes is given up. In the web thread.
 */
#ifndef RUN_SHELF_H
#define RUN_SHELF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/exposition.h"
#include "core/form.h"
#include "core/page.h"
#include "web/response.h"

/* Of one set of pages: the forms that are kept, the one that was asked for
 * longest ago goes; and the names of types that a form may have. */
enum { SHELF_FORMS_MAX = 4, SHELF_TYPES_MAX = 8 };

struct shelf;

/* A place on it: one form of one set of pages. */
struct kept;

/* What nobody asks for during SECONDS is given up. */
struct shelf *shelf_new(double seconds);
void shelf_free(struct shelf *shelf);

/*
 * The place for pages OF something (an address, which is compared only) in
 * FORM, with the exposition of just these N pages: what is there, or one begun
 * after it. NOW is that in which it is asked for in ENCODING. Borrowed until
 * the shelf is swept, or asked again.
 */
struct kept *shelf_ask(struct shelf *shelf, const void *of, struct form form,
		       enum encoding encoding, struct page *const *pages,
		       size_t n, double now);

struct exposition *kept_exposition(const struct kept *kept);

/* The finished response, borrowed; NULL: there is none. */
struct response *kept_response(const struct kept *kept, enum encoding encoding,
			       const char *content_type);

/* Makes one of EXPOSITION, whose body in ENCODING is made, and keeps it as long
 * as that exposition is the last one of its place. A reference. */
struct response *shelf_respond(struct shelf *shelf,
			       struct exposition *exposition,
			       enum encoding encoding,
			       const char *content_type);

/* Gives up what was not asked for since; seconds until there may be more, 0
 * when nothing is left. *FREED says whether anything was. */
double shelf_sweep(struct shelf *shelf, double now, bool *freed);

#endif
