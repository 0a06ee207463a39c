/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one version of an exporter shows: brings its registry's pages, and what
 * there is to say about its runs, to a board (run/board.h). At first that is a
 * board of its own; when it takes over from an older version, it is that one's,
 * which then shows nothing more. In the exporter's thread; the board is
 * everybody's.
 */
#ifndef RUN_PUBLISHER_H
#define RUN_PUBLISHER_H

#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "net/loop.h"
#include "run/board.h"
#include "vm/state.h"

struct publisher;

/* WEB is told of errors, see board_tell(); NULL: nobody is. */
struct publisher *publisher_new(struct loop *web);

/* After everybody else has let go of the exporter. */
void publisher_free(struct publisher *publisher);

/* The board on which it is seen, borrowed: that which it writes to, mostly. Any
 * thread. */
struct board *publisher_board(const struct publisher *publisher);

/* What it shows; before anything is published. */
void publisher_open(struct publisher *publisher, struct vm *vm,
		    struct registry *registry);

/* Shows what the registry has now. */
void publisher_publish(struct publisher *publisher);

/* A collection has ended, after SECONDS; ERR is its first failure or NULL. */
void publisher_collected(struct publisher *publisher, const struct err *err,
			 double seconds);

/* `start` has begun or failed; ALONE: there are no collections. */
void publisher_started(struct publisher *publisher, const struct err *err,
		       bool alone);

/* One that has no collections is ready as soon as it runs. */
void publisher_set_ready(struct publisher *publisher);

/* Shows nothing more. The page that is shown, a reference. */
struct page *publisher_close(struct publisher *publisher);

/* Shows its page on BOARD from now on, where an older version had its own, and
 * goes on with what was counted there. STUCK: that one may still write to it,
 * so the board remains its own, and this one only goes on with its numbers. */
void publisher_take_over(struct publisher *publisher, struct board *board,
			 bool stuck);

/* It is stuck before it takes over: until it does, it is seen on BOARD, that of
 * the older version. In the main thread, once. */
void publisher_lend(struct publisher *publisher, struct board *board);

#endif
