/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pusher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "bind/modules.h"
#include "core/log.h"
#include "core/mem.h"
#include "run/l_pages.h"
#include "run/l_remote_write.h"
#include "run/push_stream.h"
#include "run/thread.h"
#include "vm/state.h"

/* Texts of pages and requests are strings of this state; what does not fit
 * fails for one stream alone. */
static const size_t memory = (size_t)512 << 20;

/* Of our own code: only to notice a mistake in it. */
static const double slice = 10;

static const double publish_after = 0.1;
static const double stalled_after = 1;
static const double stuck_after = 1; /* behind the deadline of the end */

enum { TARGET_MAX = 1100 }; /* longer than a URL as it is shown */

struct pusher {
	struct push_host host; /* first */
	const char *lua_path;
	size_t fail_at;
	pthread_t thread;
	bool started;
	bool stalled; /* the main thread's */
	_Atomic(struct vm *) vm;

	_Atomic(struct roster *) next; /* that the thread has not come to */
	struct message renew;
	struct roster *roster;	      /* the present one */
	struct push_stream **streams; /* by their numbers */
	bool *kept;		      /* for renewals: so is stream number I */
	size_t n;
	lua_Integer last; /* number that was given */
	bool follows;	  /* it has seen a roster before */

	struct timer sweep;
	struct timer publish;
	bool changed;
	bool closed;
	double seconds; /* for the end */
	struct message stop;
	struct timer deadline;
	struct page_slot slot;
};

/* ---- what everybody sees ---- */

static void publish(struct timer *timer)
{
	struct pusher *p =
		(void *)((char *)timer - offsetof(struct pusher, publish));

	p->changed = false;
	page_slot_set(&p->slot, push_metrics_publish(p->host.metrics,
						     loop_now(p->host.loop)));
}

static void metrics_changed(struct push_host *host)
{
	struct pusher *p = (void *)host;

	if (!p->changed && !p->closed)
		timer_start(&p->publish, publish_after);
	p->changed = true;
}

struct page *pusher_page(struct pusher *p)
{
	return page_slot_get(&p->slot);
}

bool pusher_shown(const struct pusher *p, const char *exporter, size_t i,
		  struct push_shown *shown)
{
	return push_lines_get(p->host.lines, exporter, i, shown);
}

/* ---- the streams ---- */

struct roster *pusher_roster(const struct pusher *p)
{
	return p->roster;
}

struct push_stream *pusher_find(const struct pusher *p, lua_Integer number)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct push_stream *stream = p->streams[middle];

		if (push_stream_number(stream) == number)
			return stream;
		if (push_stream_number(stream) < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_taken(const struct pusher *p, const char *exporter,
		     const char *target)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct push_stream *other = p->streams[i];
		const char *taken = push_stream_target(other);

		if (taken && strcmp(taken, target) == 0 &&
		    strcmp(push_stream_exporter_name(other), exporter) == 0)
			return true;
	}
	return false;
}

/* Its URL, and a number where the exporter has it twice. */
static void name_target(const struct pusher *p,
			const struct push_stream *stream, char *name)
{
	const char *url = push_stream_url(stream);
	unsigned number = 1;

	snprintf(name, TARGET_MAX, "%s", url);
	while (is_taken(p, push_stream_exporter_name(stream), name))
		snprintf(name, TARGET_MAX, "%s #%u", url, ++number);
}

/* What ends would get in its way. */
static bool has_to_wait(const struct pusher *p,
			const struct push_stream *stream)
{
	for (size_t i = 0; i < p->n; i++)
		if (push_stream_is_retired(p->streams[i]) &&
		    push_stream_meets(p->streams[i], stream))
			return true;
	return false;
}

static void begin_waiting(struct pusher *p)
{
	char target[TARGET_MAX];

	for (size_t i = 0; i < p->n && !p->host.stopping; i++) {
		struct push_stream *stream = p->streams[i];

		if (push_stream_target(stream) ||
		    push_stream_is_retired(stream) || has_to_wait(p, stream))
			continue;
		name_target(p, stream, target);
		push_stream_begin(stream, target);
	}
}

/* Frees what is over, and begins what has waited for that. */
static void sweep(struct timer *timer)
{
	struct pusher *p =
		(void *)((char *)timer - offsetof(struct pusher, sweep));
	size_t left = 0;

	for (size_t i = 0; i < p->n; i++)
		if (push_stream_is_over(p->streams[i]))
			push_stream_free(p->streams[i]);
		else
			p->streams[left++] = p->streams[i];
	p->n = left;
	begin_waiting(p);
	if (p->host.stopping && !p->n)
		loop_stop(p->host.loop);
}

static void stream_over(struct push_host *host)
{
	struct pusher *p = (void *)host;

	if (!p->closed)
		timer_start(&p->sweep, 0);
}

/* ---- from one roster to the next ---- */

bool pusher_is_wanted(const struct roster *roster)
{
	for (size_t i = 0; i < roster->n; i++) {
		const struct roster_entry *entry = &roster->entries[i];

		if (entry->exporter && entry->entry && entry->entry->npush)
			return true;
	}
	return false;
}

/* An index into the streams; p->n: there is none. */
static size_t find_kept(const struct pusher *p, const char *exporter,
			const struct config *target)
{
	size_t i = 0;

	while (i < p->n &&
	       (p->kept[i] || push_stream_is_retired(p->streams[i]) ||
		strcmp(push_stream_exporter_name(p->streams[i]), exporter) !=
			0 ||
		!config_equal(push_stream_config(p->streams[i]), target)))
		i++;
	return i;
}

static void add_stream(struct pusher *p, const struct roster_entry *entry,
		       size_t target)
{
	p->streams = mem_realloc(p->streams, (p->n + 1) * sizeof(*p->streams));
	p->kept = mem_realloc(p->kept, (p->n + 1) * sizeof(*p->kept));
	p->kept[p->n] = true;
	p->streams[p->n++] = push_stream_new(&p->host, ++p->last, entry->name,
					     entry->entry, target);
}

static void keep_or_add(struct pusher *p, const struct roster_entry *entry)
{
	for (size_t i = 0; i < entry->entry->npush; i++) {
		size_t at = find_kept(p, entry->name, entry->entry->push[i]);

		if (at == p->n)
			add_stream(p, entry, i);
		p->kept[at] = true;
		push_stream_set_exporter(p->streams[at], entry->exporter);
	}
}

/* A reload that changes nothing else says nothing else. */
static void log_change(const struct pusher *p, size_t before, size_t gone)
{
	char new_text[32], gone_text[32];

	if (!p->follows || (!gone && p->n == before))
		return;
	snprintf(new_text, sizeof new_text, "%zu", p->n - before);
	snprintf(gone_text, sizeof gone_text, "%zu", gone);
	log_info("other targets are pushed to", "new", new_text, "gone",
		 gone_text);
}

static void follow_roster(struct pusher *p)
{
	size_t before = p->n, gone = 0;

	if (before)
		memset(p->kept, 0, before * sizeof(*p->kept));
	for (size_t i = 0; i < p->roster->n; i++) {
		const struct roster_entry *entry = &p->roster->entries[i];

		if (entry->exporter && entry->entry)
			keep_or_add(p, entry);
	}
	for (size_t i = 0; i < before; i++) {
		if (p->kept[i] || push_stream_is_retired(p->streams[i]))
			continue;
		push_stream_retire(p->streams[i]);
		gone++;
	}
	log_change(p, before, gone);
	p->follows = true;
	begin_waiting(p);
}

static void deliver_roster(struct message *message)
{
	struct pusher *p =
		(void *)((char *)message - offsetof(struct pusher, renew));
	struct roster *roster = atomic_exchange(&p->next, NULL);
	struct roster *former = p->roster;

	if (p->host.stopping || !p->host.vm) {
		roster_unref(roster);
		return;
	}
	p->roster = roster;
	follow_roster(p);
	roster_unref(former);
}

/* Whoever finds none there posts the message. */
void pusher_set_roster(struct pusher *p, struct roster *roster)
{
	struct roster *former = atomic_exchange(&p->next, roster_ref(roster));

	if (former)
		roster_unref(former);
	else
		loop_post(p->host.loop, &p->renew);
}

/* ---- the end ---- */

static void call_stop(lua_State *L, void *arg)
{
	const struct pusher *p = arg;

	lua_getglobal(L, "require");
	lua_pushstring(L, p->host.main);
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "stop");
	lua_call(L, 0, 0);
}

static void deadline_passed(struct timer *timer)
{
	struct pusher *p =
		(void *)((char *)timer - offsetof(struct pusher, deadline));
	const struct push_stream *first = NULL;
	size_t open = 0;
	char count[32];

	for (size_t i = p->n; i-- > 0;)
		if (!push_stream_is_over(p->streams[i])) {
			first = p->streams[i];
			open++;
		}
	snprintf(count, sizeof count, "%zu", open);
	if (first)
		log_warn("the last push did not end in time", "exporter",
			 push_stream_exporter_name(first), "target",
			 push_stream_target(first), "count", count);
	loop_stop(p->host.loop);
}

static void deliver_stop(struct message *message)
{
	struct pusher *p =
		(void *)((char *)message - offsetof(struct pusher, stop));
	struct err err;

	p->host.stopping = true;
	if (!p->host.vm) {
		loop_stop(p->host.loop);
		return;
	}
	timer_start(&p->deadline, p->seconds);
	timer_start(&p->sweep, 0);
	for (size_t i = 0; i < p->n; i++)
		push_stream_stop(p->streams[i]);
	if (!vm_call(p->host.vm, call_stop, p, &err))
		log_error("a task that pushes failed", "error", err.text);
}

/* ---- the thread ---- */

static void open_modules(lua_State *L)
{
	modules_open(L);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	lua_pushcfunction(L, luaopen_pages);
	lua_setfield(L, -2, "pages");
	lua_pushcfunction(L, luaopen_remote_write);
	lua_setfield(L, -2, "remote_write");
	lua_pop(L, 1);
}

static void open_vm(struct pusher *p)
{
	struct vm_options options = { .loop = p->host.loop,
				      .limits.memory = memory,
				      .limits.cpu = slice,
				      .lua_path = p->lua_path,
				      .open = open_modules,
				      .owner = p,
				      .fail_at = p->fail_at };
	struct err err;

	p->host.vm = vm_new(&options, &err);
	if (!p->host.vm)
		log_error("nothing is pushed", "error", err.text);
	atomic_store(&p->vm, p->host.vm);
}

/* What the streams still wait for is cancelled. */
static void close_vm(struct pusher *p)
{
	struct vm *vm = p->host.vm;

	p->host.stopping = true;
	p->closed = true;
	timer_release(&p->sweep);
	timer_release(&p->publish);
	timer_release(&p->deadline);
	atomic_store(&p->vm, NULL);
	p->host.vm = NULL;
	vm_free(vm);
	for (size_t i = 0; i < p->n; i++)
		push_stream_free(p->streams[i]);
	p->n = 0;
	roster_unref(p->roster);
	p->roster = NULL;
}

static void *thread_main(void *arg)
{
	struct pusher *p = arg;

	open_vm(p);
	loop_run(p->host.loop);
	close_vm(p);
	return NULL;
}

void pusher_start(struct pusher *p)
{
	if (pthread_create(&p->thread, NULL, thread_main, p)) {
		log_error("cannot create a thread");
		abort();
	}
	p->started = true;
}

bool pusher_stop(struct pusher *p, double seconds)
{
	if (!p->started)
		return true;
	p->seconds = seconds;
	loop_post(p->host.loop, &p->stop);
	p->started = !thread_join(p->thread, seconds + stuck_after);
	return !p->started;
}

void pusher_look(struct pusher *p)
{
	struct vm *vm = atomic_load(&p->vm);
	bool stalled = vm && vm_busy_seconds(vm) > stalled_after;

	if (stalled && !p->stalled)
		log_warn("the push thread does not come back to the host");
	else if (!stalled && p->stalled)
		log_info("the push thread is back");
	p->stalled = stalled;
}

/* ---- life ---- */

struct pusher *pusher_new(const struct pusher_options *options)
{
	struct pusher *p = mem_alloc(sizeof *p);

	p->host.loop = loop_new();
	p->host.main = options->main ? options->main : "pusher";
	p->host.metrics = push_metrics_new();
	p->host.lines = push_lines_new(options->web);
	p->host.changed = metrics_changed;
	p->host.over = stream_over;
	p->lua_path = options->lua_path;
	p->fail_at = options->fail_at;
	p->renew.deliver = deliver_roster;
	p->stop.deliver = deliver_stop;
	timer_init(p->host.loop, &p->sweep, sweep);
	timer_init(p->host.loop, &p->publish, publish);
	timer_init(p->host.loop, &p->deadline, deadline_passed);
	return p;
}

void pusher_free(struct pusher *p)
{
	if (!p)
		return;
	timer_release(&p->sweep);
	timer_release(&p->publish);
	timer_release(&p->deadline);
	loop_free(p->host.loop);
	page_slot_set(&p->slot, NULL);
	push_metrics_free(p->host.metrics);
	push_lines_free(p->host.lines);
	free(p->streams);
	free(p->kept);
	free(p);
}
