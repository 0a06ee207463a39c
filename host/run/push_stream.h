/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: one target of one exporter, and the task of lua/pusher.lua that
 * serves it. A task that fails is logged and begun again, after longer and
 * longer waits. One that is not wanted any more ends: its task says farewell,
 * for which it gets some seconds, and does not ask the exporter again, so a
 * stream that ends has none. Belongs to the push thread.
 */
#ifndef RUN_PUSH_STREAM_H
#define RUN_PUSH_STREAM_H

#include <lua.h>
#include <stdbool.h>

#include "net/loop.h"
#include "run/config.h"
#include "run/entry.h"
#include "run/exporter.h"
#include "run/push_lines.h"
#include "run/push_metrics.h"
#include "vm/state.h"

struct push_stream;
struct ticket;

/* What all streams have in common; the pusher's. */
struct push_host {
	struct loop *loop;
	struct vm *vm;
	const char *main; /* the module */
	struct push_metrics *metrics;
	struct push_lines *lines;
	bool stopping; /* so is the process */

	/* There is news in the metrics. */
	void (*changed)(struct push_host *host);
	/* A stream is over: to be freed later, not inside the call. */
	void (*over)(struct push_host *host);
};

/* One of the exporter EXPORTER, whose target is number I of ENTRY; it waits for
 * push_stream_begin(). NUMBER is its name in Lua, never used again. */
struct push_stream *push_stream_new(struct push_host *host, lua_Integer number,
				    const char *exporter, struct entry *entry,
				    size_t i);

/* One that is over or waits, or whose Lua state is closed. What its task kept
 * for a new beginning is given up, and what is shown of it vanishes. */
void push_stream_free(struct push_stream *stream);

/* Begins as TARGET: its name in labels and in the log. */
void push_stream_begin(struct push_stream *stream, const char *target);

/* Asks EXPORTER from now on, another version. */
void push_stream_set_exporter(struct push_stream *stream,
			      struct exporter *exporter);

/* Ends it, because it is not wanted any more. */
void push_stream_retire(struct push_stream *stream);

/* Ends what has no task that could hear of the end of the process. */
void push_stream_stop(struct push_stream *stream);

/* ---- what it is ---- */

lua_Integer push_stream_number(const struct push_stream *stream);
const char *push_stream_exporter_name(const struct push_stream *stream);
const struct config *push_stream_config(const struct push_stream *stream);

/* The URL without credentials and query. */
const char *push_stream_url(const struct push_stream *stream);

/* NULL: it has not begun. */
const char *push_stream_target(const struct push_stream *stream);

bool push_stream_is_retired(const struct push_stream *stream);
bool push_stream_is_over(const struct push_stream *stream);

/* Would NEXT get in the way of STREAM, which ends: do they push the same group,
 * or the same series, or have the same queue? */
bool push_stream_meets(const struct push_stream *stream,
		       const struct push_stream *next);

/* ---- for l_pages.c ---- */

/* NULL: it is retired. */
struct exporter *push_stream_exporter(const struct push_stream *stream);

/* Seconds between its collections, or 0. */
double push_stream_interval(const struct push_stream *stream);

/* The latest push: "" when that was well, or a sentence. */
void push_stream_tell(struct push_stream *stream, const char *text);

/* A series of lunex_push_* (run/push_metrics.h): adds or sets. False when there
 * is no such family. */
bool push_stream_count(struct push_stream *stream, const char *family,
		       const char *extra, double by);
bool push_stream_state(struct push_stream *stream, const char *family,
		       const char *extra, double value);

/* Where l_pages.c keeps the question that an exporter has not answered yet,
 * which may be later than its asker waits; NULL: there is none. */
struct ticket **push_stream_ticket(struct push_stream *stream);

#endif
