/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is there: all exporters of the process in their order, those that cannot
 * run among them, and what became of their latest load. Made by the main thread
 * whenever something changed, immutable, and given to the web and the push
 * thread, which hold it as long as they use an exporter of it: a scrape, a call
 * and a probe hold the one that they began with.
 *
 * An exporter that the present roster does not name any more is ended only when
 * nobody holds one that does.
 */
#ifndef RUN_ROSTER_H
#define RUN_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "run/entry.h"
#include "run/exporter.h"

struct version;

/* All of it belongs to the roster, but for the exporter. */
struct roster_entry {
	char *name;		   /* unique */
	char *script;		   /* path */
	struct exporter *exporter; /* NULL: it cannot run */
	struct version *version;   /* private to the main thread */
	struct entry *entry;	   /* a reference; NULL: in specs */

	bool loaded;	    /* the latest load succeeded */
	char *error;	    /* why it did not; "" */
	double changed;	    /* when that was, seconds since the epoch */
	uint64_t loads_ok;  /* reloads that succeeded, */
	uint64_t loads_bad; /* and that did not: not the first load */
};

struct roster {
	struct message message; /* private */
	_Atomic unsigned refs;	/* private */
	struct loop *owner;	/* private */
	void (*gone)(struct roster *roster);
	void *arg; /* for gone */

	unsigned left_behind; /* threads of scripts that are stuck and were
				 replaced */
	bool config_loaded;   /* the latest reading of the configuration and
				 the command line's files succeeded */
	char *config_error;   /* why not; "" */
	double config_changed;
	size_t n;
	struct roster_entry entries[];
};

/* N empty entries, one reference. When the last one is gone, GONE is called in
 * the loop OWNER, and then it is freed; at once and without a call when OWNER
 * is NULL. */
struct roster *roster_new(size_t n, struct loop *owner,
			  void (*gone)(struct roster *roster), void *arg);
struct roster *roster_ref(struct roster *roster);
void roster_unref(struct roster *roster); /* any thread; NULL is allowed */

/* A roster of exporters that have loaded, for specs. Without an owner. */
struct roster *roster_of(struct exporter *const *exporters, size_t n);

/* The entry of that name; NULL. */
const struct roster_entry *roster_find(const struct roster *roster,
				       const char *name);

#endif
