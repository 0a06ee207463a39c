/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web thread: a server with the host's table of paths, in a thread and a
 * loop of its own.
 *
 * Its end has an order: web_stop(), after which no request is open; then the
 * exporters are freed, whose late answers its loop still takes; then
 * web_free(), which delivers them.
 */
#ifndef RUN_WEB_H
#define RUN_WEB_H

#include <stddef.h>

#include "core/err.h"
#include "run/exporter.h"

struct web;

struct web_options {
	struct exporter *const *exporters; /* loaded; outlived by the array */
	size_t n;
	const char *const *addresses; /* see web/listen.h; NULL-terminated */
	const char *telemetry_path;
};

/* Binds, listens, and starts the thread. NULL and ERR. */
struct web *web_new(const struct web_options *options, struct err *err);

/* The address with the port really bound; NULL behind the last. */
const char *web_address(const struct web *web, size_t i);

/* Answers what is open, closes the connections and waits for the thread. */
void web_stop(struct web *web);

/* Stopped, and the exporters are freed. NULL is allowed. */
void web_free(struct web *web);

#endif
