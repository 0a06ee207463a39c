/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /probe?exporter=NAME&target=...: one run of a script's `probe` with families
 * of its own, for this one answer. Like a call it goes from the web thread to
 * the exporter's and back, and carries copies.
 */
#ifndef RUN_PROBE_H
#define RUN_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/page.h"
#include "net/loop.h"
#include "run/exporter.h"
#include "run/pairs.h"
#include "run/roster.h"
#include "run/serve.h"
#include "web/request.h"

enum {
	PROBES_MAX = 64, /* open at the same time, per exporter */
	PROBE_PAGES = 2, /* the host's and the script's */
};

struct probe {
	struct message message; /* private */
	struct exporter *exporter;
	struct loop *asker;
	/* Runs in the loop ASKER, once, always. */
	void (*answered)(struct probe *probe);
	double seconds;
	char *target;
	struct pairs params; /* of the query, for the script */
	const struct exporter_profile *profile; /* NULL: none */
	bool debug;

	/* The answer: no page means that the exporter stops. */
	struct page *pages[PROBE_PAGES];
	size_t npages;
	char *trace; /* lines of text, when it was asked for */
};

void probe_release(struct probe *probe);

/* ---- in the web thread ---- */

struct probes;

/* Takes a reference to ROSTER; SERVE outlives it. */
struct probes *probes_new(struct loop *loop, struct serve *serve,
			  struct roster *roster);

/* Takes a reference. Probes that are open hold the former one until they are
 * answered. */
void probes_set_roster(struct probes *probes, struct roster *roster);

/* After the server stopped and the last answer came. NULL is allowed. */
void probes_free(struct probes *probes);

/* Handler of /probe; ARG is the probes. */
void probe_handle(struct request *request, void *arg);

#endif
