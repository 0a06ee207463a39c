/* SPDX-License-Identifier: Apache-2.0 */
#include "run/pusher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>

#include "bind/modules.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/http_url.h"
#include "run/l_pages.h"
#include "run/l_remote_write.h"
#include "run/push_metrics.h"
#include "run/thread.h"
#include "vm/state.h"
#include "vm/task.h"

/* Texts of pages and requests are strings of this state; what does not fit
 * fails for one stream alone. */
static const size_t memory = (size_t)512 << 20;

/* Of our own code: only to notice a mistake in it. */
static const double slice = 10;

static const double restart_first = 1, restart_most = 60; /* seconds */
static const double publish_after = 0.1;
static const double stalled_after = 1;
static const double stuck_after = 1; /* behind the deadline of the end */

struct stream {
	struct pusher_stream what;
	struct pusher *pusher;
	size_t index;
	char *target;
	struct task *task; /* NULL: it waits to be begun again */
	struct timer restart;
	double restarted, restart_after;
	bool over;
	struct ticket *ticket;
	bool well; /* so was the latest push */

	/* the web thread's */
	char *text;
	_Atomic double success;
};

struct pusher {
	struct loop *loop, *web;
	const char *main, *lua_path;
	size_t fail_at;
	pthread_t thread;
	bool started;
	bool stalled; /* the main thread's */
	_Atomic(struct vm *) vm;
	struct push_metrics *metrics;
	struct timer publish;
	bool changed;
	bool stopping;
	double seconds; /* for the end */
	struct message stop;
	struct timer deadline;
	size_t open; /* streams that are not over */
	struct page_slot slot;
	size_t n;
	struct stream streams[];
};

/* ---- what everybody sees ---- */

static void publish(struct timer *timer)
{
	struct pusher *p =
		(void *)((char *)timer - offsetof(struct pusher, publish));

	p->changed = false;
	page_slot_set(&p->slot,
		      push_metrics_publish(p->metrics, loop_now(p->loop)));
}

static struct push_series series_of(const struct pusher *p, size_t i,
				    const char *family, const char *extra)
{
	const struct stream *s = &p->streams[i];

	return (struct push_series){ family, exporter_name(s->what.exporter),
				     s->target, extra };
}

static bool note_change(struct pusher *p, bool known)
{
	if (known && !p->changed)
		timer_start(&p->publish, publish_after);
	p->changed = p->changed || known;
	return known;
}

bool pusher_count(struct pusher *p, size_t i, const char *family,
		  const char *extra, double by)
{
	struct push_series series = series_of(p, i, family, extra);

	return note_change(p, push_metrics_add(p->metrics, &series, by));
}

bool pusher_state(struct pusher *p, size_t i, const char *family,
		  const char *extra, double value)
{
	struct push_series series = series_of(p, i, family, extra);

	return note_change(p, push_metrics_set(p->metrics, &series, value));
}

/* A text on its way to the web thread. */
struct telling {
	struct message message;
	struct stream *stream;
	char *text;
};

static void deliver_text(struct message *message)
{
	struct telling *telling = (void *)message;

	free(telling->stream->text);
	telling->stream->text = telling->text;
	free(telling);
}

static void note_success(struct stream *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store_explicit(&s->success,
			      (double)now.tv_sec + (double)now.tv_nsec / 1e9,
			      memory_order_relaxed);
}

void pusher_tell(struct pusher *p, size_t i, const char *text)
{
	struct telling *telling;
	bool well = !*text, was_well = p->streams[i].well;

	p->streams[i].well = well;
	if (well)
		note_success(&p->streams[i]);
	if (well && was_well)
		return;
	telling = mem_alloc(sizeof *telling);
	telling->message.deliver = deliver_text;
	telling->stream = &p->streams[i];
	telling->text = mem_string(text);
	loop_post(p->web, &telling->message);
}

bool pusher_shown(const struct pusher *p, size_t i, struct pusher_shown *shown)
{
	const struct stream *s;

	if (i >= p->n)
		return false;
	s = &p->streams[i];
	*shown = (struct pusher_shown){
		.exporter = s->what.exporter,
		.target = s->target,
		.text = s->text ? s->text : "",
		.success =
			atomic_load_explicit(&s->success, memory_order_relaxed),
	};
	return true;
}

struct page *pusher_page(struct pusher *p)
{
	return page_slot_get(&p->slot);
}

size_t pusher_streams(const struct pusher *p)
{
	return p->n;
}

const struct pusher_stream *pusher_stream(const struct pusher *p, size_t i)
{
	return &p->streams[i].what;
}

const char *pusher_target(const struct pusher *p, size_t i)
{
	return p->streams[i].target;
}

struct ticket **pusher_ticket(struct pusher *p, size_t i)
{
	return &p->streams[i].ticket;
}

/* ---- the task of a stream ---- */

/* Nothing of it runs any more, or will. */
static void stream_over(struct stream *s)
{
	struct pusher *p = s->pusher;

	if (s->over)
		return;
	s->over = true;
	if (--p->open == 0)
		loop_stop(p->loop);
}

static void stream_failed(struct stream *s, const char *why)
{
	struct pusher *p = s->pusher;

	log_error("a task that pushes failed", "exporter",
		  exporter_name(s->what.exporter), "target", s->target, "error",
		  why);
	if (loop_now(p->loop) - s->restarted > restart_most)
		s->restart_after = restart_first;
	timer_start(&s->restart, s->restart_after);
	s->restart_after *= 2;
	if (s->restart_after > restart_most)
		s->restart_after = restart_most;
}

static void stream_ended(struct task *task, lua_State *co, int results,
			 const struct err *err, void *arg)
{
	struct stream *s = arg;

	(void)task;
	(void)co;
	(void)results;
	s->task = NULL;
	if (s->pusher->stopping)
		stream_over(s);
	else
		stream_failed(s, err ? err->text : "it came to its end");
}

/* Leaves the function NAME of the main module. */
static void push_function(lua_State *L, const struct pusher *p,
			  const char *name)
{
	lua_getglobal(L, "require");
	lua_pushstring(L, p->main);
	lua_call(L, 1, 1);
	lua_getfield(L, -1, name);
	lua_remove(L, -2);
}

static void call_run(lua_State *L, void *arg)
{
	struct stream *s = arg;

	push_function(L, s->pusher, "run");
	lua_pushinteger(L, (lua_Integer)s->index + 1);
	s->task = task_start(L, 1, 0, stream_ended, s);
}

static void begin(struct timer *timer)
{
	struct stream *s =
		(void *)((char *)timer - offsetof(struct stream, restart));
	struct err err;

	s->restarted = loop_now(s->pusher->loop);
	if (!vm_call(atomic_load(&s->pusher->vm), call_run, s, &err))
		stream_failed(s, err.text);
}

/* ---- the end ---- */

static void call_stop(lua_State *L, void *arg)
{
	push_function(L, arg, "stop");
	lua_call(L, 0, 0);
}

static void deadline_passed(struct timer *timer)
{
	struct pusher *p =
		(void *)((char *)timer - offsetof(struct pusher, deadline));
	const struct stream *first = p->streams;
	char count[32];

	if (!p->open)
		return;
	while (first->over)
		first++;
	snprintf(count, sizeof count, "%zu", p->open);
	log_warn("the last push did not end in time", "exporter",
		 exporter_name(first->what.exporter), "target", first->target,
		 "count", count);
	loop_stop(p->loop);
}

static void deliver_stop(struct message *message)
{
	struct pusher *p =
		(void *)((char *)message - offsetof(struct pusher, stop));
	struct vm *vm = atomic_load(&p->vm);
	struct err err;

	p->stopping = true;
	if (!vm) {
		loop_stop(p->loop);
		return;
	}
	timer_start(&p->deadline, p->seconds);
	for (size_t i = 0; i < p->n; i++) {
		timer_stop(&p->streams[i].restart);
		if (!p->streams[i].task)
			stream_over(&p->streams[i]);
	}
	if (!vm_call(vm, call_stop, p, &err))
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

static bool open_vm(struct pusher *p)
{
	struct vm_options options = { .loop = p->loop,
				      .limits.memory = memory,
				      .limits.cpu = slice,
				      .lua_path = p->lua_path,
				      .open = open_modules,
				      .owner = p,
				      .fail_at = p->fail_at };
	struct err err;
	struct vm *vm = vm_new(&options, &err);

	if (!vm)
		log_error("nothing is pushed", "error", err.text);
	atomic_store(&p->vm, vm);
	return vm != NULL;
}

/* What the streams still wait for is cancelled. */
static void close_vm(struct pusher *p)
{
	struct vm *vm = atomic_load(&p->vm);

	p->stopping = true;
	for (size_t i = 0; i < p->n; i++)
		timer_release(&p->streams[i].restart);
	timer_release(&p->deadline);
	atomic_store(&p->vm, NULL);
	vm_free(vm);
	timer_release(&p->publish);
}

static void *thread_main(void *arg)
{
	struct pusher *p = arg;

	if (open_vm(p))
		for (size_t i = 0; i < p->n; i++)
			begin(&p->streams[i].restart);
	loop_run(p->loop);
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
	loop_post(p->loop, &p->stop);
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

/* Which of the targets of its exporter that have this URL is number I? */
static unsigned number_of(const struct pusher *p, size_t i, const char *url)
{
	const struct stream *s = &p->streams[i];
	size_t len = strlen(url);
	unsigned number = 1;

	for (size_t k = 0; k < i; k++)
		number += p->streams[k].what.exporter == s->what.exporter &&
			  strncmp(p->streams[k].target, url, len) == 0 &&
			  (!p->streams[k].target[len] ||
			   strncmp(p->streams[k].target + len, " #", 2) == 0);
	return number;
}

static const char *url_of(const struct config *target)
{
	for (size_t i = 0; i < target->count; i++)
		if (strcmp(target->values[i].key, "url") == 0)
			return target->values[i].string;
	return "";
}

static char *name_target(const struct pusher *p, size_t i)
{
	enum { TARGET_MAX = 1024 };
	struct buf url, name;
	unsigned number;

	buf_init(&url, TARGET_MAX);
	buf_init(&name, TARGET_MAX);
	http_url_redact(&url, url_of(p->streams[i].what.target));
	buf_add(&name, buf_text(&url), strcspn(buf_text(&url), "?"));
	buf_release(&url);
	number = number_of(p, i, buf_text(&name));
	if (number > 1)
		buf_addf(&name, " #%u", number);
	return buf_take(&name, NULL);
}

struct pusher *pusher_new(const struct pusher_options *options)
{
	size_t n = options->n;
	struct pusher *p = mem_alloc(sizeof *p + n * sizeof p->streams[0]);

	p->loop = loop_new();
	p->web = options->web;
	p->main = options->main ? options->main : "pusher";
	p->lua_path = options->lua_path;
	p->fail_at = options->fail_at;
	p->metrics = push_metrics_new();
	p->stop.deliver = deliver_stop;
	p->n = p->open = n;
	timer_init(p->loop, &p->publish, publish);
	timer_init(p->loop, &p->deadline, deadline_passed);
	for (size_t i = 0; i < n; i++) {
		struct stream *s = &p->streams[i];

		s->what = options->streams[i];
		s->pusher = p;
		s->index = i;
		s->restart_after = restart_first;
		s->target = name_target(p, i);
		timer_init(p->loop, &s->restart, begin);
	}
	return p;
}

void pusher_free(struct pusher *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		timer_release(&p->streams[i].restart);
	timer_release(&p->publish);
	timer_release(&p->deadline);
	loop_free(p->loop);
	page_slot_set(&p->slot, NULL);
	push_metrics_free(p->metrics);
	for (size_t i = 0; i < p->n; i++) {
		free(p->streams[i].text);
		free(p->streams[i].target);
	}
	free(p);
}
