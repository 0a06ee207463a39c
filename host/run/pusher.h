/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push thread: one loop and one Lua state, which runs lua/pusher.lua, for
 * everything that the process pushes. A stream is one target of one exporter
 * and has a task of its own. Exporters are asked as a scrape asks them, so
 * that neither a script that hangs nor a gateway that is slow stops another
 * stream. A task that fails is logged and begun again, after longer and longer
 * waits.
 *
 * Its end has an order: pusher_stop(), while the exporters still run; then the
 * exporters are freed, whose late answers its loop still takes, and the loop
 * that it shows things in; then pusher_free().
 */
#ifndef RUN_PUSHER_H
#define RUN_PUSHER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/page.h"
#include "net/loop.h"
#include "run/config.h"
#include "run/exporter.h"

struct pusher;
struct ticket;

struct pusher_stream {
	struct exporter *exporter; /* loaded */
	const struct config *target;
};

struct pusher_options {
	const struct pusher_stream *streams; /* copied; what they name is not */
	size_t n;
	struct loop *web; /* in whose thread pusher_shown() is called */
	/* For specs: the module instead of "pusher", where it is found, and
	 * see vm/state.h. */
	const char *main, *lua_path;
	size_t fail_at;
};

struct pusher *pusher_new(const struct pusher_options *options);

/* Starts the thread, after the exporters were. Once. */
void pusher_start(struct pusher *pusher);

/* Pushes once more, and says farewell where that is wanted, within SECONDS.
 * False when the thread is stuck: then the process should end by _exit(). One
 * that was not started is fine. */
bool pusher_stop(struct pusher *pusher, double seconds);

/* NULL is allowed. */
void pusher_free(struct pusher *pusher);

/* Tells when the thread does not come back from Lua, and when it has. In the
 * main thread, now and then. */
void pusher_look(struct pusher *pusher);

/* The page of lunex_push_*, a reference; NULL before the first. Any thread. */
struct page *pusher_page(struct pusher *pusher);

/* ---- in the web thread ---- */

/* What became of a stream: a sentence about its latest push, "" when that was
 * well, and when one succeeded last (seconds since the epoch; 0: never). */
struct pusher_shown {
	const struct exporter *exporter;
	const char *target; /* the URL without credentials */
	const char *text;
	double success;
};

/* False behind the last. */
bool pusher_shown(const struct pusher *pusher, size_t i,
		  struct pusher_shown *shown);

/* ---- in the push thread, for l_pages.c ---- */

size_t pusher_streams(const struct pusher *pusher);
const struct pusher_stream *pusher_stream(const struct pusher *pusher,
					  size_t i);

/* The latest push of stream I: TEXT as in pusher_shown. */
void pusher_tell(struct pusher *pusher, size_t i, const char *text);

/* A series of stream I (run/push_metrics.h): adds or sets. False when there is
 * no such family. */
bool pusher_count(struct pusher *pusher, size_t i, const char *family,
		  const char *extra, double by);
bool pusher_state(struct pusher *pusher, size_t i, const char *family,
		  const char *extra, double value);

/* Where l_pages.c keeps the question about stream I that its exporter has not
 * answered yet, which may be later than its asker waits; NULL: there is none.
 */
struct ticket **pusher_ticket(struct pusher *pusher, size_t i);

/* The name of the target in labels and in the log: its URL without
 * credentials and query, and a number where an exporter has it twice. */
const char *pusher_target(const struct pusher *pusher, size_t i);

#endif
