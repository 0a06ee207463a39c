/* SPDX-License-Identifier: Apache-2.0 */
#include "run/succession.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/carry.h"
#include "core/log.h"
#include "core/mem.h"

/* A `start` that handles what it has received gets so many seconds to come to
 * its next wait. */
static const double quiet_within = 1;

/* Written by the thread of the exporter, but for LEFT_BEHIND. */
enum phase { LIVE, LEAVING, OVER, LEFT_BEHIND };

struct succession {
	struct succession_options options;
	struct message begin;
	struct succession *heir; /* written before `begin` is posted */
	_Atomic enum phase phase;
	struct registry *registry; /* NULL: not loaded, or gone */
	struct starter *starter;
	struct timer quiet;
	struct page *handed; /* what was shown when it handed over */
};

/* From the old version's thread to the new one's. */
struct handover {
	struct message message;
	struct succession *to;
	struct board *board;	     /* NULL: the rest of what was counted */
	struct page *before, *after; /* counted between these */
	bool stuck;		     /* see publisher_take_over() */
};

/* ---- the new one ---- */

static void carry(const struct succession *s, const struct handover *handover)
{
	struct carry_left left;
	char count[32];

	if (!handover->after)
		return;
	registry_carry(s->registry, handover->before, handover->after,
		       loop_now(s->options.loop), &left);
	if (!left.full)
		return;
	snprintf(count, sizeof count, "%zu", left.full);
	log_warn("the limit of series leaves no room for what the former "
		 "version counted",
		 "exporter", s->options.name, "series", count);
}

static void deliver_handover(struct message *message)
{
	struct handover *handover = (void *)message;
	struct succession *s = handover->to;

	if (s->registry)
		carry(s, handover);
	if (s->registry && handover->board) {
		publisher_take_over(s->options.publisher, handover->board,
				    handover->stuck);
		ports_let_go(s->options.ports);
		s->options.live(s->options.arg);
	}
	page_unref(handover->before);
	page_unref(handover->after);
	board_unref(handover->board);
	free(handover);
}

static void hand_over(struct succession *to, const struct handover *handover)
{
	struct handover *posted = mem_alloc(sizeof *posted);

	*posted = *handover;
	posted->message.deliver = deliver_handover;
	posted->to = to;
	loop_post(to->options.loop, &posted->message);
}

/* ---- the old one ---- */

static struct board *board_of(const struct succession *s)
{
	return publisher_board(s->options.publisher);
}

/* Whoever is stuck in here, in a <close> variable for one, may be left behind
 * meanwhile. */
static void leave(struct succession *s)
{
	enum phase leaving = LEAVING;
	struct page *page;

	timer_stop(&s->quiet);
	if (atomic_load(&s->phase) != LEAVING)
		return;
	if (s->starter)
		starter_end(s->starter, "a newer version takes over");
	page = publisher_close(s->options.publisher);
	s->handed = page;
	if (!atomic_compare_exchange_strong(&s->phase, &leaving, OVER) ||
	    !s->heir)
		return;
	hand_over(s->heir,
		  &(struct handover){ .board = board_ref(board_of(s)),
				      .after = page ? page_ref(page) : NULL });
}

static void quiet(void *arg)
{
	leave(arg);
}

static void not_quiet(struct timer *timer)
{
	leave((void *)((char *)timer - offsetof(struct succession, quiet)));
}

static void deliver_begin(struct message *message)
{
	struct succession *s =
		(void *)((char *)message - offsetof(struct succession, begin));
	enum phase live = LIVE;

	s->options.leaving(s->options.arg);
	if (!s->registry ||
	    !atomic_compare_exchange_strong(&s->phase, &live, LEAVING))
		return;
	timer_start(&s->quiet, quiet_within);
	ports_hold(s->options.ports, quiet, s);
}

/* What was counted since it handed over. */
static void hand_over_rest(struct succession *s)
{
	double now = loop_now(s->options.loop);
	struct page *page = registry_publish(s->registry, now);

	if (atomic_load(&s->phase) != OVER || !s->heir || page == s->handed) {
		page_unref(page);
		return;
	}
	hand_over(s->heir,
		  &(struct handover){ .before = s->handed ? page_ref(s->handed)
							  : NULL,
				      .after = page });
}

/* ---- in the main thread ---- */

void succession_begin(struct succession *old, struct succession *heir)
{
	old->heir = heir;
	old->begin.deliver = deliver_begin;
	loop_post(old->options.loop, &old->begin);
}

bool succession_leave_behind(struct succession *old, struct succession *heir)
{
	enum phase phase = LIVE;
	struct board *board = board_of(old);

	while (!atomic_compare_exchange_weak(&old->phase, &phase, LEFT_BEHIND))
		if (phase == OVER)
			return false;
	ports_abandon(old->options.ports);
	if (heir)
		hand_over(heir, &(struct handover){
					.board = board_ref(board),
					.after = page_slot_get(&board->slot),
					.stuck = true });
	return true;
}

/* ---- what the exporter asks ---- */

bool succession_is_over(const struct succession *s)
{
	enum phase phase = atomic_load(&s->phase);

	return phase == OVER || phase == LEFT_BEHIND;
}

void *succession_heir(const struct succession *s)
{
	return atomic_load(&s->phase) == OVER && s->heir ? s->heir->options.arg
							 : NULL;
}

/* ---- life ---- */

struct succession *succession_new(const struct succession_options *options)
{
	struct succession *s = mem_alloc(sizeof *s);

	s->options = *options;
	timer_init(options->loop, &s->quiet, not_quiet);
	return s;
}

void succession_open(struct succession *s, struct registry *registry,
		     struct starter *starter)
{
	s->registry = registry;
	s->starter = starter;
}

void succession_close(struct succession *s, bool finished)
{
	timer_release(&s->quiet);
	if (s->registry && finished)
		hand_over_rest(s);
	s->registry = NULL;
	s->starter = NULL;
}

void succession_free(struct succession *s)
{
	if (!s)
		return;
	page_unref(s->handed);
	free(s);
}
