/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of paths: the host's, and those of the scripts that the roster
 * names. In the web thread.
 */
#ifndef RUN_ROUTES_H
#define RUN_ROUTES_H

#include <stddef.h>

#include "run/exporter.h"
#include "run/lifecycle.h"
#include "run/pusher.h"
#include "run/roster.h"
#include "run/scrape.h"
#include "run/serve.h"
#include "web/server.h"

struct routes;

struct routes_options {
	struct loop *loop; /* of the web thread */
	struct serve *serve;
	struct scraper *scraper;
	struct lifecycle *lifecycle;
	const char *telemetry_path; /* begins with a slash */
	struct roster *roster;
};

/* Everything given outlives it, but for the roster, of which it takes a
 * reference. */
struct routes *routes_new(const struct routes_options *options);

/* After the server and the exporters: no answer may be open. */
void routes_free(struct routes *routes);

/* Gives the table to SERVER, and keeps it up to date. */
void routes_serve(struct routes *routes, struct server *server);

/* Takes a reference. Calls and probes that are open go on with the former one,
 * and hold it until they are answered. Not after the server was stopped. */
void routes_set_roster(struct routes *routes, struct roster *roster);

/* What is pushed is shown, too. PUSHER outlives ROUTES. */
void routes_set_pusher(struct routes *routes, const struct pusher *pusher);

/* False when a route of one of the exporters is taken: by another one before
 * it, or by the telemetry path. The sentence names both places. */
bool routes_check(struct exporter *const *exporters, size_t n,
		  const char *telemetry_path, struct err *err);

#endif
