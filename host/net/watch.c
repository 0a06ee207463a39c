/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All events do the same: they ask for a look at everything, a little later. A
 * look first marks the ways to the files anew, because links and folders may
 * be others now, and then compares; so what changes after the comparison makes
 * an event again.
 *
 * Polled files are compared now and then, and one that differs is told of when
 * the next comparison finds the same: there is no event that says whether
 * somebody is still writing.
 */
#include "net/watch.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "net/notify.h"
#include "net/trail.h"
#include "net/unfinished.h"

static const double settle = 0.1, poll_every = 2;
static const double burst_most = 2, silence = 2, writing_most = 10;

enum { ROUND_MAX = 64 };

/* Something that the loop watches; the memory stays until uv has closed it. */
struct ear {
	uv_poll_t poll;
	struct watch *watch;
};

struct watch {
	struct watch_options options;
	struct seen_list list;
	bool *polled; /* one of each in the list */
	size_t npolled;
	struct notify notify;
	struct unfinished unfinished;
	struct ear *events, *mounts;
	int mounts_fd;
	struct timer look, poll, rest;
	bool told;     /* and not set since then */
	bool pending;  /* the timer `look` runs */
	double first;  /* event since the last look */
	bool doubtful; /* polled files differ, see `found` */
	struct fingerprint found;
	double doubted, found_at;
	bool complained;
};

static double now(const struct watch *w)
{
	return loop_now(w->options.loop);
}

/* ---- telling ---- */

static void tell(struct watch *w, const struct seen *seen)
{
	w->told = true;
	w->pending = w->doubtful = false;
	timer_stop(&w->look);
	timer_stop(&w->poll);
	log_debug("changed", "path", seen->path);
	w->options.changed(w->options.arg);
}

static double confirm_after(const struct watch *w)
{
	return fmin(w->options.poll_every, poll_every);
}

static void start_polling(struct watch *w)
{
	if (w->npolled)
		timer_start(&w->poll, w->doubtful ? confirm_after(w)
						  : w->options.poll_every);
}

/* Polled files differ and were found to be FOUND: for long enough to be told?
 */
static bool is_certain(struct watch *w, struct fingerprint found)
{
	double time = now(w);

	if (!w->doubtful)
		w->doubted = time;
	if (!w->doubtful || !fingerprint_equal(found, w->found)) {
		w->found = found;
		w->found_at = time;
	}
	w->doubtful = true;
	return time - w->found_at >= confirm_after(w) ||
	       time - w->doubted >= writing_most;
}

/* Compares all, or what is polled. What is to be told of; NULL: nothing. */
static const struct seen *compare(struct watch *w, bool all)
{
	const struct seen *doubt = NULL;
	struct fingerprinter found;
	struct seen_state state;

	fingerprint_init(&found);
	for (size_t i = 0; i < w->list.n; i++) {
		struct seen *seen = w->list.items[i];

		if ((!all && !w->polled[i]) || seen_is_current(seen, &state))
			continue;
		if (!w->polled[i])
			return seen;
		doubt = seen;
		fingerprint_add(&found, &i, sizeof i);
		fingerprint_add(&found, &state.what, sizeof state.what);
		if (state.what != SEEN_NOTHING)
			fingerprint_add(&found, &state.print,
					sizeof state.print);
	}
	if (!doubt)
		w->doubtful = false;
	return doubt && is_certain(w, fingerprint_end(&found)) ? doubt : NULL;
}

static void tell_or_poll(struct watch *w, const struct seen *seen)
{
	if (seen)
		tell(w, seen);
	else
		start_polling(w);
}

static void poll_fired(struct timer *timer)
{
	struct watch *w =
		(void *)((char *)timer - offsetof(struct watch, poll));

	tell_or_poll(w, compare(w, false));
}

/* ---- events ---- */

/* When an end is put to waiting. */
static double patience(const struct watch *w)
{
	return w->first + (w->unfinished.n ? writing_most : burst_most);
}

/* Something happened: a look is due when things have settled. */
static void ask_for_look(struct watch *w)
{
	double time = now(w), due = time + w->options.settle;

	if (w->told)
		return;
	if (!w->pending)
		w->first = time;
	w->pending = true;
	timer_start(&w->look, fmax(0, fmin(due, patience(w)) - time));
}

/* True when it matters. */
static bool take_event(struct watch *w, const struct inotify_event *event)
{
	bool concerns = notify_concerns(&w->notify, event);

	if (notify_means(&w->notify, event) || event->mask & IN_Q_OVERFLOW)
		unfinished_note(&w->unfinished, event, now(w));
	if (event->mask & IN_IGNORED)
		notify_forget(&w->notify, event->wd);
	return concerns;
}

/* True when any of them matters. */
static bool take_events(struct watch *w)
{
	_Alignas(struct inotify_event) char piece[4096];
	bool any = false;
	ssize_t n;

	for (int i = 0; i < ROUND_MAX; i++) {
		n = read(w->notify.fd, piece, sizeof piece);
		if (n <= 0)
			break;
		for (char *p = piece; p < piece + n;) {
			const struct inotify_event *event = (void *)p;

			any = take_event(w, event) || any;
			p += sizeof *event + event->len;
		}
	}
	return any;
}

/* ---- looking ---- */

static void complain(struct watch *w)
{
	if (!w->notify.failure || w->complained)
		return;
	w->complained = true;
	log_warn("inotify cannot watch all files, so they are polled", "error",
		 strerror(w->notify.failure));
}

static void mark_all(struct watch *w)
{
	w->npolled = 0;
	notify_begin(&w->notify);
	for (size_t i = 0; i < w->list.n; i++) {
		w->polled[i] =
			!w->events || !trail_mark(&w->notify, w->list.items[i]);
		w->npolled += w->polled[i];
	}
	notify_end(&w->notify);
	complain(w);
}

/* When files that are being written must be looked at again; 0: now. */
static double until_finished(struct watch *w)
{
	double most = w->first + writing_most;
	double until =
		unfinished_until(&w->unfinished, &w->notify, now(w), silence);

	if (now(w) >= most)
		unfinished_clear(&w->unfinished);
	else if (until > 0)
		return fmin(until, most);
	return 0;
}

/* More has happened, and there is time to let it settle? */
static bool goes_on(struct watch *w)
{
	if (!w->events || !take_events(w) || now(w) >= patience(w))
		return false;
	ask_for_look(w);
	return true;
}

/* Events are taken again before it tells: whoever began to write while it
 * compared is waited for. */
static void look_fired(struct timer *timer)
{
	struct watch *w =
		(void *)((char *)timer - offsetof(struct watch, look));
	const struct seen *seen;
	double until;

	mark_all(w);
	if (goes_on(w))
		return;
	until = until_finished(w);
	if (until > 0) {
		timer_start(&w->look, until - now(w));
		return;
	}
	seen = compare(w, true);
	if (seen && goes_on(w))
		return;
	w->pending = false;
	tell_or_poll(w, seen);
}

/* ---- what is heard ---- */

/* In a busy folder there may be thousands a second that do not matter, so they
 * are left to gather for a moment. */
static void on_events(uv_poll_t *poll, int status, int events)
{
	struct watch *w = ((struct ear *)poll->data)->watch;

	(void)status;
	(void)events;
	if (take_events(w))
		ask_for_look(w);
	uv_poll_stop(poll);
	timer_start(&w->rest, w->options.settle / 2);
}

static void rest_fired(struct timer *timer)
{
	struct watch *w =
		(void *)((char *)timer - offsetof(struct watch, rest));

	uv_poll_start(&w->events->poll, UV_READABLE, on_events);
}

/* What is mounted over a folder makes no event in it. */
static void on_mounts(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	ask_for_look(((struct ear *)poll->data)->watch);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct ear *ear_new(struct watch *w, int fd, int events,
			   uv_poll_cb heard)
{
	struct ear *ear = mem_alloc(sizeof *ear);

	if (uv_poll_init(loop_uv(w->options.loop), &ear->poll, fd)) {
		free(ear);
		return NULL;
	}
	ear->poll.data = ear;
	ear->watch = w;
	uv_poll_start(&ear->poll, events, heard);
	return ear;
}

static void ear_free(struct ear *ear)
{
	if (ear)
		uv_close((uv_handle_t *)&ear->poll, on_closed);
}

/* ---- life ---- */

static void hear(struct watch *w)
{
	w->mounts_fd = -1;
	w->notify.fd = -1;
	if (w->options.poll)
		return;
	if (notify_init(&w->notify))
		w->events = ear_new(w, w->notify.fd, UV_READABLE, on_events);
	else
		complain(w);
	w->mounts_fd =
		open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (w->mounts_fd >= 0)
		w->mounts = ear_new(w, w->mounts_fd, UV_PRIORITIZED, on_mounts);
}

struct watch *watch_new(const struct watch_options *options)
{
	struct watch *w = mem_alloc(sizeof *w);

	w->options = *options;
	if (!(w->options.settle > 0))
		w->options.settle = settle;
	if (!(w->options.poll_every > 0))
		w->options.poll_every = poll_every;
	seen_list_init(&w->list);
	timer_init(options->loop, &w->look, look_fired);
	timer_init(options->loop, &w->poll, poll_fired);
	timer_init(options->loop, &w->rest, rest_fired);
	hear(w);
	return w;
}

void watch_set(struct watch *w, const struct seen_list *seen)
{
	timer_stop(&w->poll);
	seen_list_release(&w->list);
	seen_list_add_all(&w->list, seen);
	free(w->polled);
	w->polled = mem_array(w->list.n + 1, sizeof *w->polled);
	w->told = w->pending = w->doubtful = false;
	mark_all(w);
	ask_for_look(w);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	ear_free(w->events);
	ear_free(w->mounts);
	timer_release(&w->look);
	timer_release(&w->poll);
	timer_release(&w->rest);
	notify_release(&w->notify);
	if (w->mounts_fd >= 0)
		close(w->mounts_fd);
	unfinished_release(&w->unfinished);
	seen_list_release(&w->list);
	free(w->polled);
	free(w);
}
