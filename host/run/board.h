/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an exporter shows to everybody: its page and some numbers. It outlives a
 * version of the script: the next one takes it over, so that the swap is one
 * exchange of the page and the numbers go on. One thread writes at a time; the
 * board is counted.
 */
#ifndef RUN_BOARD_H
#define RUN_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/page.h"
#include "net/loop.h"
#include "vm/limits.h"

/* What anybody may read at any time. */
struct exporter_status {
	_Atomic uint64_t collections_ok;
	_Atomic uint64_t collections_failed;
	_Atomic uint64_t starts_failed;
	_Atomic uint64_t exceeded[VM_LIMITS]; /* limits that were met */
	_Atomic uint64_t log_dropped;	      /* lines that were too many */
	_Atomic uint64_t series;
	_Atomic uint64_t memory;
	_Atomic double cpu_seconds;
	_Atomic double last_success; /* seconds since the epoch; 0: never */
	_Atomic double last_run;     /* when one ended, the same */
	_Atomic double last_seconds; /* how long it took */
	_Atomic bool failing;	     /* the latest collection failed */
	_Atomic bool ready;	     /* one collection is over */
};

struct board {
	_Atomic unsigned refs; /* private */
	struct page_slot slot;
	struct exporter_status status;

	atomic_size_t answering; /* bytes of bodies of routes on their way */

	/* The web thread's. */
	char *error;		/* see board_error() */
	unsigned calls, probes; /* that are open */
};

struct board *board_new(void);
struct board *board_ref(struct board *board);
void board_unref(struct board *board); /* NULL is allowed */

/* Adds what FORMER has counted: collections, processor time. By the thread that
 * writes to BOARD, when nobody writes to FORMER any more. */
void board_go_on(struct board *board, const struct board *former);

/* Tells the web thread, by its loop, why the latest collection failed; "" for
 * one that did not. Any thread. */
void board_tell(struct board *board, struct loop *web, const char *error);

/* What it was told last; "" at first. In the web thread. */
const char *board_error(const struct board *board);

#endif
