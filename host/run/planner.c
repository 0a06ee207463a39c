/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attempt is a thread and what it works on. It belongs to its thread until
 * its message is delivered, and then to the main thread. The planner knows it
 * as long as somebody waits for it; whoever gives up lets it go on alone, so an
 * attempt has nothing of the planner but the arguments, which are counted.
 */
#include "run/planner.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/thread.h"

struct arguments {
	_Atomic unsigned refs;
	int count;
	char *texts[];
};

/* What a thread is busy with. */
struct busy {
	char *file;
	size_t n;
	const struct seen *seen[]; /* before; the plan's */
};

struct attempt {
	struct message message;	 /* first */
	struct planner *planner; /* NULL: nobody is there any more */
	struct loop *main;
	struct arguments *arguments;
	pthread_t thread;
	bool threaded; /* and nobody waited for its end yet */

	/* Whoever takes it out frees it. */
	struct busy *_Atomic busy;

	/* the thread's, until the message is delivered */
	struct plan plan;
	bool made;
	struct err err;

	/* those that were given up */
	struct attempt *next;
};

struct planner {
	struct arguments *arguments;
	double patience;
	struct timer timer;
	struct attempt *present; /* somebody waits for it; NULL */
	struct attempt *left;	 /* behind; linked */
	unsigned nleft;
	planner_done *done;
	void *arg;
	struct seen_list seen; /* for the plan that failed last */
};

/* ---- arguments ---- */

static struct arguments *copy_arguments(int argc, char *const *argv)
{
	size_t n = argc > 0 ? (size_t)argc : 0;
	struct arguments *copy =
		mem_alloc(sizeof *copy + (n + 1) * sizeof copy->texts[0]);

	atomic_init(&copy->refs, 1);
	copy->count = (int)n;
	for (size_t i = 0; i < n; i++)
		copy->texts[i] = mem_string(argv[i]);
	return copy;
}

static void drop_arguments(struct arguments *arguments)
{
	if (atomic_fetch_sub_explicit(&arguments->refs, 1,
				      memory_order_acq_rel) > 1)
		return;
	for (int i = 0; i < arguments->count; i++)
		free(arguments->texts[i]);
	free(arguments);
}

/* ---- the thread ---- */

static void free_busy(struct busy *busy)
{
	if (busy)
		free(busy->file);
	free(busy);
}

static void doing(void *arg, const char *file, const struct seen_list *seen)
{
	struct attempt *attempt = arg;
	struct busy *busy =
		mem_alloc(sizeof *busy + seen->n * sizeof busy->seen[0]);

	busy->file = mem_string(file);
	busy->n = seen->n;
	for (size_t i = 0; i < seen->n; i++)
		busy->seen[i] = seen->items[i];
	free_busy(atomic_exchange(&attempt->busy, busy));
}

static void *thread_main(void *arg)
{
	struct attempt *attempt = arg;
	const struct plan_teller teller = { doing, attempt };

	attempt->made =
		plan_make(&attempt->plan, attempt->arguments->count,
			  attempt->arguments->texts, &teller, &attempt->err);
	loop_post(attempt->main, &attempt->message);
	return NULL;
}

/* ---- its end, in the main thread ---- */

static void free_attempt(struct attempt *attempt)
{
	if (attempt->threaded)
		pthread_join(attempt->thread, NULL);
	plan_release(&attempt->plan);
	free_busy(atomic_load(&attempt->busy));
	drop_arguments(attempt->arguments);
	free(attempt);
}

static void forget_left(struct planner *planner, struct attempt *attempt)
{
	struct attempt **link = &planner->left;

	while (*link != attempt)
		link = &(*link)->next;
	*link = attempt->next;
	planner->nleft--;
}

static void finish(struct planner *planner, struct attempt *attempt)
{
	struct plan plan = attempt->plan;

	timer_release(&planner->timer);
	planner->present = NULL;
	if (!attempt->made) {
		seen_list_add_all(&planner->seen, &attempt->plan.seen);
		planner->done(planner->arg, NULL, &attempt->err);
		return;
	}
	memset(&attempt->plan, 0, sizeof attempt->plan);
	planner->done(planner->arg, &plan, NULL);
}

static void deliver_attempt(struct message *message)
{
	struct attempt *attempt = (void *)message;
	struct planner *planner = attempt->planner;

	if (planner && planner->present == attempt)
		finish(planner, attempt);
	else if (planner)
		forget_left(planner, attempt);
	free_attempt(attempt);
}

/* ---- patience ---- */

static void leave_behind(struct planner *planner)
{
	struct attempt *attempt = planner->present;

	timer_release(&planner->timer);
	planner->present = NULL;
	attempt->next = planner->left;
	planner->left = attempt;
	planner->nleft++;
}

/* Its thread goes on and may add to the list, but leaves the items alone. */
static void take_seen(struct planner *planner, const struct busy *busy)
{
	struct seen *items[1];
	const struct seen_list one = { .items = items, .n = 1 };

	for (size_t i = 0; busy && i < busy->n; i++) {
		items[0] = (struct seen *)(uintptr_t)busy->seen[i];
		seen_list_add_all(&planner->seen, &one);
	}
}

static void patience_ended(struct timer *timer)
{
	struct planner *planner =
		(void *)((char *)timer - offsetof(struct planner, timer));
	struct busy *busy = atomic_exchange(&planner->present->busy, NULL);
	struct err err;

	err_set(&err, ERR_TIMEOUT,
		"%s: it is still being read or loaded after %g s",
		busy ? busy->file : "the command line", planner->patience);
	take_seen(planner, busy);
	free_busy(busy);
	leave_behind(planner);
	planner->done(planner->arg, NULL, &err);
}

/* ---- making one ---- */

static bool start_thread(struct planner *planner, struct attempt *attempt)
{
	int status;

	if (planner->nleft == PLANNER_LEFT_MAX)
		return err_set(&attempt->err, ERR_LIMIT,
			       "%u threads that read what is to run are stuck",
			       planner->nleft);
	status = pthread_create(&attempt->thread, NULL, thread_main, attempt);
	attempt->threaded = status == 0;
	return attempt->threaded ||
	       err_set(&attempt->err, ERR_IO, "cannot make a thread: %s",
		       strerror(status));
}

void planner_make(struct planner *planner, struct loop *main,
		  planner_done *done, void *arg)
{
	struct attempt *attempt = mem_alloc(sizeof *attempt);

	assert(!planner->present);
	seen_list_release(&planner->seen);
	attempt->message.deliver = deliver_attempt;
	attempt->planner = planner;
	attempt->main = main;
	attempt->arguments = planner->arguments;
	atomic_fetch_add(&attempt->arguments->refs, 1);
	planner->present = attempt;
	planner->done = done;
	planner->arg = arg;
	timer_init(main, &planner->timer, patience_ended);
	timer_start(&planner->timer, planner->patience);
	if (!start_thread(planner, attempt))
		loop_post(main, &attempt->message);
}

/* ---- life ---- */

struct planner *planner_new(int argc, char *const *argv, double patience)
{
	struct planner *planner = mem_alloc(sizeof *planner);

	planner->arguments = copy_arguments(argc, argv);
	planner->patience = patience;
	return planner;
}

const struct seen_list *planner_seen(const struct planner *planner)
{
	return &planner->seen;
}

unsigned planner_left_behind(const struct planner *planner)
{
	return planner->nleft;
}

/* Waits for the thread of the one at LINK, whose message is there then and
 * finds nobody. False when it goes on. */
static bool await(struct attempt **link, double seconds)
{
	struct attempt *attempt = *link;

	if (attempt->threaded && !thread_join(attempt->thread, seconds))
		return false;
	attempt->threaded = false;
	attempt->planner = NULL;
	*link = attempt->next;
	return true;
}

bool planner_stop(struct planner *planner, double seconds)
{
	struct attempt **link = &planner->left;

	if (planner->present)
		leave_behind(planner);
	for (; *link; seconds = 0) /* the first is the present one */
		if (await(link, seconds))
			planner->nleft--;
		else
			link = &(*link)->next;
	return planner->nleft == 0;
}

void planner_free(struct planner *planner)
{
	if (!planner)
		return;
	for (struct attempt *left = planner->left; left; left = left->next)
		left->planner = NULL;
	drop_arguments(planner->arguments);
	seen_list_release(&planner->seen);
	free(planner);
}
