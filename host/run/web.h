/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web thread: the server with its table of paths, scrapes, calls, probes
 * and the host's own metrics, in one thread and one loop. What it shows are the
 * exporters of the present roster, which may change at any time.
 *
 * Its end has an order: web_stop(), after which no request is open; then who
 * pushes and the exporters are stopped and freed, whose late answers and news
 * its loop still takes; then web_free(), which delivers the last of them and
 * gives up the last rosters. The pusher, and the loop that rosters are given
 * back to, outlive it.
 */
#ifndef RUN_WEB_H
#define RUN_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "net/loop.h"
#include "run/pusher.h"
#include "run/reload.h"
#include "run/roster.h"

struct web;

struct web_options {
	struct loop *loop; /* of its thread: the web's, from when web_new() has
			      succeeded; NULL: it makes one */
	const char *const *addresses; /* see web/listen.h; NULL-terminated */
	const char *telemetry_path;   /* begins with a slash; outlives it */
	struct roster *roster;	      /* the first one; a reference is taken */
	bool lifecycle;		      /* POST /-/reload is allowed */
	bool without_created;	      /* no x_created in OpenMetrics 1 */
	struct reload *reload;
	/* reload_ask(), or another one in specs; NULL: nothing can be reloaded
	 */
	void (*reload_ask)(struct reload_request *request);
	double reload_seconds; /* that such a request waits; 0: 120 */
};

/* All of it is for the main thread. */

/* Binds and listens; there is no thread yet. NULL and ERR. */
struct web *web_new(const struct web_options *options, struct err *err);

/* Starts the thread. Once. */
void web_start(struct web *web);

/* Good until web_free(): for who posts to the thread, or tells boards. */
struct loop *web_loop(const struct web *web);

/* The address with the port really bound; NULL behind the last. */
const char *web_address(const struct web *web, size_t i);

/* Shows the exporters of ROSTER from now on; a reference is taken. Requests
 * that are open end with the roster that they began with, and hold it until
 * the last answer to them has come, which may be after their own. */
void web_set_roster(struct web *web, struct roster *roster);

/* Shows what PUSHER tells. */
void web_set_pusher(struct web *web, struct pusher *pusher);

/* Answers what is open, closes the connections, and returns when that is done.
 * The thread goes on. Rosters that come later are not shown. One that was not
 * started, or was stopped, is fine. */
void web_stop(struct web *web);

/* Ends the thread, and stops it first if that was not done; the exporters of
 * its rosters must not post to it any more. NULL is allowed. */
void web_free(struct web *web);

#endif
