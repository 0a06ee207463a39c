/* SPDX-License-Identifier: Apache-2.0 */
/* The table of paths: the host's, and those of scripts. In the web thread. */
#ifndef RUN_ROUTES_H
#define RUN_ROUTES_H

#include <stddef.h>

#include "run/exporter.h"
#include "run/fleet.h"
#include "run/pusher.h"
#include "run/scrape.h"
#include "web/server.h"

struct routes;

/* TELEMETRY_PATH begins with a slash. Everything given outlives it. LOOP is
 * that of the web thread. */
struct routes *routes_new(struct loop *loop, struct scraper *scraper,
			  struct exporter *const *exporters, size_t n,
			  const char *telemetry_path);

/* Exporters that cannot run, for the landing page. FAILURES outlive it. */
void routes_set_failures(struct routes *routes,
			 const struct fleet_failure *failures, size_t n);

/* After the server and the exporters: no answer may be open. */
void routes_free(struct routes *routes);

/* False when a route of one of the exporters is taken: by another one before
 * it, or by the telemetry path. The sentence names both places. */
bool routes_check(struct exporter *const *exporters, size_t n,
		  const char *telemetry_path, struct err *err);

/* What is pushed is shown, too. PUSHER outlives ROUTES. */
void routes_set_pusher(struct routes *routes, const struct pusher *pusher);

/* For server_options.routes; lives as long as ROUTES. */
const struct route *routes_table(const struct routes *routes);

#endif
