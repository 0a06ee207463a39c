/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scrapes: asks the exporters that want asking, waits for the last answer or
 * the deadline, and has the pages of all served. In the web thread.
 */
#ifndef RUN_SCRAPE_H
#define RUN_SCRAPE_H

#include <stddef.h>

#include "net/loop.h"
#include "run/exporter.h"
#include "run/host_metrics.h"
#include "run/pusher.h"
#include "run/roster.h"
#include "run/serve.h"
#include "web/request.h"

struct scraper;

/* Takes a reference to ROSTER; SERVE and HOST outlive it. */
struct scraper *scraper_new(struct loop *loop, struct serve *serve,
			    struct roster *roster, struct host_metrics *host);

/* Takes a reference. Scrapes that are open go on with the former one, and hold
 * it until the last answer to them has come. */
void scraper_set_roster(struct scraper *scraper, struct roster *roster);

/* Shows the page of PUSHER beside that of the host. */
void scraper_set_pusher(struct scraper *scraper, struct pusher *pusher);

/* After the server and the exporters have stopped: no answer may be open. */
void scraper_free(struct scraper *scraper);

/* Seconds that the timeout of a scraper leaves to the exporter; very long
 * without one. */
double scrape_seconds(const struct request *request);

/* Answers 503 with the reason why the exporter of ENTRY, which has none, cannot
 * run. */
void scrape_refuse_broken(const struct roster_entry *entry,
			  struct request *request);

/* Handler of the telemetry path; ARG is the scraper. `?exporter=NAME` shows one
 * exporter alone. */
void scrape_handle(struct request *request, void *arg);

#endif
