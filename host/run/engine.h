/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script at work: what is made when it is loaded, which is its state, its
 * registry and what runs its functions, and when they run by themselves. Each
 * exporter has one, which it embeds. In the exporter's thread, unless it says
 * otherwise.
 */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "net/loop.h"
#include "net/ports.h"
#include "net/seen.h"
#include "run/collect.h"
#include "run/declaration.h"
#include "run/outline.h"
#include "run/prober.h"
#include "run/publisher.h"
#include "run/respond.h"
#include "run/starter.h"
#include "run/succession.h"
#include "vm/state.h"

struct exporter_options;

/* All of it outlives the engine. */
struct engine_options {
	const struct exporter_options *exporter;
	const char *path; /* of the script */
	struct loop *loop;
	struct ports *ports;
	struct publisher *publisher;
	struct succession *succession;
	/* A collection is over, and what it found is shown. */
	void (*collected)(void *arg);
	void *arg;
};

struct engine {
	struct engine_options options;
	struct seen_list seen; /* the files that the script is made from */

	/* Immutable once loaded, and everybody's then. */
	struct declaration *declaration;
	struct outline *outline;
	struct vm_limits limits; /* in force */

	/* NULL before it is loaded, and when it is over: others may ask it what
	 * vm/state.h lets any thread ask. */
	_Atomic(struct vm *) vm;

	struct responder *responder;
	struct prober *prober; /* NULL: the script has no probe */

	/* private */
	struct registry *registry;
	struct collector *collector;
	struct starter *starter; /* NULL: it has no `start` */
	struct timer schedule;
	double started; /* the last collection that was not asked for */
	struct trial {
		unsigned open; /* results that are still to come: a set of
				  enum trial_part */
		bool failed;
		struct err err;
	} trial;
};

/* Before the thread, or in it. */
void engine_init(struct engine *engine, const struct engine_options *options);

/* Loads the script, with everything that runs it. On failure false and ERR, in
 * which no secret is shown: engine_close() takes back what there is by then. */
bool engine_load(struct engine *engine, struct err *err);

/* Begins `start`, and collections that are scheduled. */
void engine_begin(struct engine *engine);

/* Runs one collection and begins `start`: the option `tried` of the exporter
 * tells how it went. */
void engine_try(struct engine *engine);

/* After the trial: the next collection is as far from that of the trial as from
 * any other. */
void engine_go_on(struct engine *engine);

/* Begins no collection any more that nobody asks for. */
void engine_leave(struct engine *engine);

/* A collection that somebody asks for, who waits SECONDS at most. One that runs
 * serves. */
void engine_collect(struct engine *engine, double seconds);

/* Does a collection run? Also when the engine has ended. */
bool engine_collects(const struct engine *engine);

/* Ends every function of the script and answers calls and probes. */
void engine_end(struct engine *engine);

/* Behind engine_end(): ends the state, the succession and the registry.
 * FINISHED: see succession_close(). */
void engine_close(struct engine *engine, bool finished);

/* After the thread, and everybody who asks: frees what is immutable. */
void engine_release(struct engine *engine);

/* ---- once it is loaded, any thread ---- */

/* See the functions of the same names in run/exporter.h. */
const char *engine_name(const struct engine *engine);
double engine_interval(const struct engine *engine);
bool engine_on_scrape(const struct engine *engine);
double engine_timeout(const struct engine *engine);

#endif
