/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter: a script in its own thread with its own loop, Lua state and
 * registry. Others know it by this handle: they read its page, its counters
 * (atomics) and send it messages; they never touch what the thread owns.
 */
#ifndef RUN_EXPORTER_H
#define RUN_EXPORTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/page.h"
#include "net/loop.h"
#include "net/seen.h"
#include "run/board.h"
#include "run/config.h"
#include "run/declaration.h"
#include "run/outline.h"

/* Values of `config` for a probe that names them: credentials that a query must
 * not carry. */
struct exporter_profile {
	const char *name;
	const struct config *config;
};

/* What is not copied outlives the exporter. */
struct exporter_options {
	const char *path;
	const char
		*name; /* instead of the script's, where it is listed; NULL */
	const struct config *config;
	const struct label_pair *labels; /* constant, beside the script's own;
					    they win over equal names */
	unsigned nlabels;
	const struct exporter_profile *profiles;
	size_t nprofiles;
	double interval;	 /* overrides the script's; < 0: does not */
	double timeout;		 /* the same */
	struct vm_limits limits; /* the same, where they say something */
	const char *lua_path, *lua_cpath;
	bool sandbox; /* the script is not trusted (vm_options.sandbox), */
	const char *const *allow; /* and goes there alone. A script that
				     promises a sandbox is in its own */
	struct loop *web;    /* whose thread is told of errors; NULL: none */
	size_t fail_at;	     /* specs: see vm/state.h */
	bool held;	     /* once loaded, it waits to be started or tried */
	const char *lineage; /* which sockets it may take over: see net/ports.h;
				NULL: its name */
	bool trial; /* there is an older version: sockets that listen are held
		       until it takes over */

	struct seen_list *seen; /* the files that it is made from are added,
				   before `loaded` is called; or NULL */

	/* All of them are called in the exporter's thread.
	 * It is made from MORE: it has read code after it was loaded. May be
	 * NULL. */
	void (*seen_more)(void *arg, const struct seen_list *more);
	/*
	 * Once: it has loaded (ERR NULL) or cannot run; from exporter_new()
	 * when there can be no thread. */
	void (*loaded)(void *arg, const struct err *err);
	/* After each collection, before it is answered for; ERR is the first
	 * failure. May be NULL. */
	void (*collected)(void *arg, const struct err *err);
	/* After exporter_try(): ERR is the first failure. */
	void (*tried)(void *arg, const struct err *err);
	/* It has taken over from an older version. */
	void (*live)(void *arg);
	/* The thread is over: exporter_free() will not wait. May be NULL. */
	void (*ended)(void *arg);
	void *arg;
};

struct exporter;
struct call;
struct probe;

/* Starts the thread; `loaded` tells how it went. */
struct exporter *exporter_new(const struct exporter_options *options);

/* Lets one that is held run. Once, after `loaded` said that it could. */
void exporter_start(struct exporter *exporter);

/*
 * A new version of a script runs beside the old one. First exporter_try() runs
 * one collection and begins `start`, and `tried` tells how it went. Then
 * exporter_replace() lets it take over: the old version OLD ends its `start`,
 * shows a last page and hands over; HEIR adds what was counted there, shows its
 * page in the same place and goes on, and `live` is called. Scrapes that still
 * ask OLD are passed on; calls and probes under way end on the old code, and
 * what they count is added when OLD has ended. HEIR NULL: the exporter is
 * removed.
 */
void exporter_try(struct exporter *exporter);
void exporter_replace(struct exporter *old, struct exporter *heir);

/*
 * OLD, which is to hand over, does not come back: HEIR takes over without it
 * from its last page, and OLD will add nothing. False when OLD has just handed
 * over. It ends by itself when it comes back, which may be never.
 */
bool exporter_leave_behind(struct exporter *old, struct exporter *heir);

/* HEIR is stuck before it takes over: until it comes back, what OLD has shown
 * last is what is seen of it. */
void exporter_lend(struct exporter *old, struct exporter *heir);

/* Lets one that has handed over, and that nobody will ask any more, end what is
 * under way and then its thread. HEIR lives at least until it has ended. */
void exporter_finish(struct exporter *exporter);

/* Asks the thread to cancel everything and end. Returns at once. */
void exporter_stop(struct exporter *exporter);

/* Waits for the thread at most SECONDS. False when it is stuck: it may be tried
 * again. */
bool exporter_join(struct exporter *exporter, double seconds);

/* The same, and frees everything. False also when the resolver is stuck with a
 * name of it: then not everything was freed, and the process should end by
 * _exit(), which waits for nobody. */
bool exporter_free(struct exporter *exporter, double seconds);

/* The name under which it is listed: that of the options, or the script's. Good
 * after `loaded` said so, until exporter_free; so is the declaration. Both are
 * immutable. */
const char *exporter_name(const struct exporter *exporter);
const struct declaration *exporter_declaration(const struct exporter *exporter);
const struct outline *exporter_outline(const struct exporter *exporter);
const struct exporter_status *exporter_status(const struct exporter *exporter);
struct board *exporter_board(const struct exporter *exporter);

/* Seconds that the thread has been inside Lua or C without coming back. Not
 * after exporter_stop(). */
double exporter_busy_seconds(const struct exporter *exporter);

/* Is it in one call of C that nothing stops? As above. */
bool exporter_is_stuck(const struct exporter *exporter);

/* Tasks of it that wait for an operation. As above. */
unsigned exporter_operations(const struct exporter *exporter);

/* The limit in force, in seconds, bytes or a number. */
double exporter_limit(const struct exporter *exporter, enum vm_limit limit);

/* Collected on scrape? Scheduled otherwise. */
bool exporter_on_scrape(const struct exporter *exporter);

/* Must be asked before its page is shown: collected on scrape, or something
 * outside of collections may have changed it. */
bool exporter_wants_asking(const struct exporter *exporter);

/* Seconds between the beginnings of collections; 0: collected on scrape. */
double exporter_interval(const struct exporter *exporter);

/* Seconds that one run of a function of the script may take. */
double exporter_timeout(const struct exporter *exporter);

/* Those of the options. */
const struct exporter_profile *exporter_profiles(
	const struct exporter *exporter, size_t *n);

/* The present page, a reference; NULL before the first. */
struct page *exporter_page(struct exporter *exporter);

/*
 * A question: bring your page up to date. The asker embeds it; `answered` runs
 * in the loop ASKER, once, always. A collection is run if need be, ended by
 * SECONDS from now at the latest; simultaneous questions share one.
 */
struct exporter_question {
	struct message message; /* private */
	struct exporter *at;	/* private: who has it */
	struct exporter *exporter;
	struct loop *asker;
	double seconds;
	void (*answered)(struct exporter_question *question);
};

void exporter_ask(struct exporter_question *question);

/* A request for a route of the script (run/call.h), answered once, always. */
void exporter_call(struct call *call);

/* One run of the script's `probe` (run/probe.h), the same. The script has one.
 */
void exporter_probe(struct probe *probe);

#endif
