/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one version of an exporter follows another. The old one, when it is told
 * to, comes to the end of its `start` at a place where nothing that it received
 * is unhandled, shows a last page, and hands over: its board, and what it has
 * counted. The new one adds that to what its trial has counted, shows its page
 * in the same place, and begins to read from the sockets that both have. What
 * still runs on the old code counts on; the rest of it follows when that is
 * over.
 *
 * Each version has one. Made by the main thread; everything else happens in the
 * thread of its exporter, unless a function says otherwise.
 */
#ifndef RUN_SUCCESSION_H
#define RUN_SUCCESSION_H

#include <stdbool.h>

#include "core/registry.h"
#include "net/loop.h"
#include "net/ports.h"
#include "run/publisher.h"
#include "run/starter.h"

struct succession;

struct succession_options {
	struct loop *loop; /* the exporter's */
	struct ports *ports;
	struct publisher *publisher;
	const char *name; /* for the log */
	/* The old one: a newer one comes, so nothing new is begun. */
	void (*leaving)(void *arg);
	/* The new one: it has taken over. */
	void (*live)(void *arg);
	void *arg;
};

struct succession *succession_new(const struct succession_options *options);

/* After its thread. NULL is allowed. */
void succession_free(struct succession *succession);

/* When the script is loaded. STARTER may be NULL. */
void succession_open(struct succession *succession, struct registry *registry,
		     struct starter *starter);

/* Before these go; what arrives from now on is dropped. FINISHED: everything
 * has come to its end, and the rest of what was counted goes to the heir. */
void succession_close(struct succession *succession, bool finished);

/* HEIR, which was tried, follows OLD; it may be NULL. In the main thread. */
void succession_begin(struct succession *old, struct succession *heir);

/* OLD is stuck: HEIR follows it without it, from its last page. False when it
 * has just handed over. In the main thread. */
bool succession_leave_behind(struct succession *old, struct succession *heir);

/* It has handed over, or was left behind. */
bool succession_is_over(const struct succession *succession);

/* `arg` of the one that follows; NULL when there is none. */
void *succession_heir(const struct succession *succession);

#endif
