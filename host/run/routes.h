/* SPDX-License-Identifier: Apache-2.0 */
/* The table of paths. In the web thread. */
#ifndef RUN_ROUTES_H
#define RUN_ROUTES_H

#include <stddef.h>

#include "run/exporter.h"
#include "run/scrape.h"
#include "web/server.h"

struct routes;

/* TELEMETRY_PATH begins with a slash. Everything given outlives it. */
struct routes *routes_new(struct scraper *scraper,
			  struct exporter *const *exporters, size_t n,
			  const char *telemetry_path);
void routes_free(struct routes *routes);

/* For server_options.routes; lives as long as ROUTES. */
const struct route *routes_table(const struct routes *routes);

#endif
