/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers requests with pages, in the form and encoding that the client wants.
 * What is small, or made already, is answered at once. A large exposition is
 * made in slices of about a millisecond, one in each round of the loop, while
 * the request is suspended: so that nobody else waits for it. Requests for the
 * same pages in the same form and encoding wait for the same making. The answer
 * is what the pages were when it was asked for. In the web thread.
 */
#ifndef RUN_SERVE_H
#define RUN_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/coders.h"
#include "core/exposition.h"
#include "core/page.h"
#include "net/loop.h"
#include "web/request.h"

struct serve;

enum { SERVE_KEEP = 300, SERVE_TIMEOUT = 120 };

struct serve_options {
	struct loop *loop;
	double keep_seconds;  /* what nobody asks for is kept; 0: SERVE_KEEP */
	bool without_created; /* no x_created in OpenMetrics 1 */
};

struct serve *serve_new(const struct serve_options *options);

/* No request may be open. NULL is allowed. */
void serve_free(struct serve *serve);

struct serve_order {
	struct request *request; /* is answered; it may be suspended */
	struct page *const *pages;
	size_t n;
	const void *of; /* whose pages, an address that is compared only: what
			   is made is kept for the next request of the same;
			   NULL: it is kept for nobody */
	double seconds; /* that the client waits from now on */
	/* Called once: with the exposition, as soon as it is merged, when that
	 * is done for this order; else, or when it is given up, with NULL. May
	 * be NULL. */
	void (*merged)(void *arg, const struct exposition *exposition);
	void *arg;
};

void serve_pages(struct serve *serve, const struct serve_order *order);

/* Seconds that the client of REQUEST waits for an answer, as Prometheus says in
 * a header, or SERVE_TIMEOUT; and how many of them are left. */
double serve_timeout(const struct request *request);
double serve_seconds(const struct request *request, double now);

/* What was rendered and compressed so far. */
const struct coders *serve_coders(const struct serve *serve);

#endif
