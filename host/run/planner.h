/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the plan of the command line (run/plan.h) again and again while
 * exporters run, each time in a thread of its own: a script may be stuck in C
 * before it returns its table, and a file system may hang. Such a thread is
 * left behind and counted; what it brings when it comes back after all is
 * thrown away. Belongs to the main thread.
 */
#ifndef RUN_PLANNER_H
#define RUN_PLANNER_H

#include <stdbool.h>

#include "core/err.h"
#include "net/loop.h"
#include "run/plan.h"

/* Seconds after which a plan is given up. */
#define PLANNER_PATIENCE 15.0

/* So many stuck threads at once; then there are no more plans. */
enum { PLANNER_LEFT_MAX = 8 };

struct planner;

/*
 * PLAN is moved: it is to be released by who is called. NULL, and ERR why:
 * ERR_TIMEOUT names the file that was being read or loaded. A refusal is a
 * plan, see plan_refused().
 */
typedef void planner_done(void *arg, struct plan *plan, const struct err *err);

/* Copies the arguments: a secret may be overwritten in them later. */
struct planner *planner_new(int argc, char *const *argv, double patience);

/* Begins to make one; DONE is called in the loop MAIN, once, from no call of
 * this file's, and not after planner_stop(). One at a time. */
void planner_make(struct planner *planner, struct loop *main,
		  planner_done *done, void *arg);

/* What was read for the plan that `done` was told an error about, as far as it
 * came, for who waits for a change of it. Good until the next planner_make().
 */
const struct seen_list *planner_seen(const struct planner *planner);

/* How many threads are left behind now. */
unsigned planner_left_behind(const struct planner *planner);

/* Waits at most SECONDS for the thread that is under way. False when it goes
 * on, or another that was left behind does: then it can be tried again, or the
 * process should end by _exit(), around it. */
bool planner_stop(struct planner *planner, double seconds);

/* After planner_stop(); NULL is allowed. What is stuck keeps what it needs, and
 * what was finished and not told yet goes with the loop MAIN. */
void planner_free(struct planner *planner);

#endif
