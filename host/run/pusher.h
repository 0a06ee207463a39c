/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The push thread: one loop and one Lua state, which runs lua/pusher.lua, for
 * everything that the process pushes. What that is follows the present roster:
 * each target of each exporter is a stream (run/push_stream.h). One that is in
 * a roster and in the next goes on, with another version of its exporter if
 * there is one; one whose target changed in anything ends and a new one begins,
 * after the old one's farewell where the two would get in each other's way.
 * Exporters are asked as a scrape asks them, so that neither a script that
 * hangs nor a gateway that is slow stops another stream.
 *
 * Its end has an order: pusher_stop(), while the exporters still run, after
 * which it holds rosters only for questions that are open and orders that came
 * late; then the exporters are freed, whose late answers its loop still takes,
 * and the loop that it shows things in; then pusher_free(), which gives up the
 * last rosters, while the loop that they are given back to is there.
 */
#ifndef RUN_PUSHER_H
#define RUN_PUSHER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/page.h"
#include "net/loop.h"
#include "run/push_lines.h"
#include "run/roster.h"

struct pusher;
struct push_stream;

struct pusher_options {
	struct loop *web; /* in whose thread pusher_shown() is called */
	/* For specs: the module instead of "pusher", where it is found, and
	 * see vm/state.h. */
	const char *main, *lua_path;
	size_t fail_at;
};

/* ---- in the main thread ---- */

struct pusher *pusher_new(const struct pusher_options *options);

/* Starts the thread. Once. */
void pusher_start(struct pusher *pusher);

/* Has an exporter of ROSTER that can run something to push? */
bool pusher_is_wanted(const struct roster *roster);

/* Pushes what ROSTER says from now on; a reference is taken. Of those that the
 * thread has not come to, only the latest matters. */
void pusher_set_roster(struct pusher *pusher, struct roster *roster);

/* Pushes once more, and says farewell where that is wanted, within SECONDS.
 * False when the thread is stuck: then the process should end by _exit(). One
 * that was not started is fine. */
bool pusher_stop(struct pusher *pusher, double seconds);

/* NULL is allowed. */
void pusher_free(struct pusher *pusher);

/* Tells when the thread does not come back from Lua, and when it has. Now and
 * then. */
void pusher_look(struct pusher *pusher);

/* ---- in any thread ---- */

/* The page of lunex_push_*, a reference; NULL before the first. */
struct page *pusher_page(struct pusher *pusher);

/* ---- in the web thread ---- */

/* Stream I of the exporter of that name. False behind the last. */
bool pusher_shown(const struct pusher *pusher, const char *exporter, size_t i,
		  struct push_shown *shown);

/* ---- in the push thread, for l_pages.c ---- */

/* The stream that Lua knows by NUMBER; NULL: there is none. */
struct push_stream *pusher_find(const struct pusher *pusher,
				lua_Integer number);

/* The present roster, borrowed: that of the exporters of all streams. */
struct roster *pusher_roster(const struct pusher *pusher);

#endif
