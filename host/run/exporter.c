/* SPDX-License-Identifier: Apache-2.0 */
#include "run/exporter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/modules.h"
#include "bind/scope.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/registry.h"
#include "run/call.h"
#include "run/collect.h"
#include "run/prober.h"
#include "run/respond.h"
#include "run/thread.h"
#include "vm/state.h"
#include "vm/task.h"

static const double default_timeout = 10;
static const double restart_first = 1, restart_most = 60; /* seconds */

struct exporter {
	struct exporter_options options;
	char *path;
	pthread_t thread;
	bool threaded;	   /* there is one */
	struct loop *loop; /* NULL: there were no descriptors for it */
	struct message start, stop;

	/* the thread's */
	_Atomic(struct vm *) vm;
	struct declaration *declaration;
	struct outline *outline;
	struct registry *registry;
	struct collector *collector;
	struct responder *responder;
	struct prober *prober; /* NULL: the script has no probe */
	struct timer schedule;
	double started; /* the last scheduled collection */
	struct scope live;
	struct task *start_task;
	struct timer restart;
	double restarted, restart_after;
	struct exporter_question *waiting; /* linked by their messages */
	struct page *shown;		   /* borrowed from the registry */
	bool stopping;

	/* everybody's */
	struct board *board;
};

/* ---- publishing ---- */

static void publish(void *arg)
{
	struct exporter *e = arg;
	struct page *page = registry_publish(e->registry, loop_now(e->loop));
	struct vm *vm = atomic_load(&e->vm);

	atomic_store_explicit(&e->board->status.series, page->series,
			      memory_order_relaxed);
	atomic_store_explicit(&e->board->status.memory, vm_memory(vm),
			      memory_order_relaxed);
	atomic_store_explicit(&e->board->status.cpu_seconds, vm_cpu_seconds(vm),
			      memory_order_relaxed);
	if (page == e->shown) {
		page_unref(page);
		return;
	}
	e->shown = page;
	page_slot_set(&e->board->slot, page);
}

/* ---- questions ---- */

static void deliver_answer(struct message *message)
{
	struct exporter_question *question = (void *)message;

	question->answered(question);
}

static void answer(struct exporter_question *question)
{
	question->message.deliver = deliver_answer;
	loop_post(question->asker, &question->message);
}

static void answer_all(struct exporter *e)
{
	while (e->waiting) {
		struct exporter_question *question = e->waiting;

		e->waiting = (void *)question->message.next;
		answer(question);
	}
}

static void deliver_question(struct message *message)
{
	struct exporter_question *question = (void *)message;
	struct exporter *e = question->exporter;
	double seconds = exporter_timeout(e);
	bool first = e->declaration->nparts &&
		     !atomic_load_explicit(&e->board->status.ready,
					   memory_order_relaxed);

	if (e->stopping) {
		answer(question);
	} else if (exporter_on_scrape(e) || first) {
		question->message.next =
			e->waiting ? &e->waiting->message : NULL;
		e->waiting = question;
		if (question->seconds < seconds)
			seconds = question->seconds;
		collector_run(e->collector, seconds);
	} else {
		publish(e);
		answer(question);
	}
}

void exporter_ask(struct exporter_question *question)
{
	question->message.deliver = deliver_question;
	loop_post(question->exporter->loop, &question->message);
}

/* ---- calls ---- */

static void deliver_call(struct message *message)
{
	struct call *call = (void *)message;
	struct exporter *e = call->exporter;

	if (!e->stopping) {
		responder_run(e->responder, call);
		return;
	}
	call_set_text(call, 503, "the exporter is stopping\n");
	call_answer(call);
}

void exporter_call(struct call *call)
{
	call->message.deliver = deliver_call;
	loop_post(call->exporter->loop, &call->message);
}

static void deliver_probe(struct message *message)
{
	struct probe *probe = (void *)message;
	struct exporter *e = probe->exporter;

	if (e->stopping)
		probe_answer(probe);
	else
		prober_run(e->prober, probe);
}

void exporter_probe(struct probe *probe)
{
	probe->message.deliver = deliver_probe;
	loop_post(probe->exporter->loop, &probe->message);
}

/* ---- collections ---- */

static double epoch(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void collected(void *arg, const struct err *err)
{
	struct exporter *e = arg;

	atomic_fetch_add_explicit(err ? &e->board->status.collections_failed
				      : &e->board->status.collections_ok,
				  1, memory_order_relaxed);
	if (!err)
		atomic_store_explicit(&e->board->status.last_success, epoch(),
				      memory_order_relaxed);
	atomic_store_explicit(&e->board->status.ready, true,
			      memory_order_release);
	if (e->options.collected)
		e->options.collected(e->options.arg, err);
	answer_all(e);
}

/* Collections begin an interval apart, however long each takes; one that is
 * late begins at once and is not made up for. */
static void schedule_fired(struct timer *timer)
{
	struct exporter *e =
		(void *)((char *)timer - offsetof(struct exporter, schedule));
	double interval = exporter_interval(e), now = loop_now(e->loop);
	double seconds = exporter_timeout(e);

	e->started += interval;
	if (e->started < now)
		e->started = now;
	collector_run(e->collector, seconds);
	timer_start(timer, e->started + interval - now);
}

/* ---- the long-running task ---- */

/* It is tried again, after longer and longer waits unless it had run well for
 * long. */
static void start_failed(struct exporter *e, const struct err *err)
{
	log_warn("start failed", "exporter", exporter_name(e), "error",
		 err->text);
	atomic_fetch_add_explicit(&e->board->status.starts_failed, 1,
				  memory_order_relaxed);
	if (!e->declaration->nparts)
		collector_set_up(e->collector, false);
	if (loop_now(e->loop) - e->restarted > restart_most)
		e->restart_after = restart_first;
	timer_start(&e->restart, e->restart_after);
	e->restart_after *= 2;
	if (e->restart_after > restart_most)
		e->restart_after = restart_most;
}

static void start_ended(struct task *task, lua_State *co, int results,
			const struct err *err, void *arg)
{
	struct exporter *e = arg;
	struct err failure;

	(void)task;
	if (!e->start_task)
		return;
	e->start_task = NULL;
	if (!err && task_answers_failure(co, results, &failure))
		err = &failure;
	if (err)
		start_failed(e, err);
}

static void call_start(lua_State *L, void *arg)
{
	struct exporter *e = arg;

	declaration_push_start(L, e->declaration);
	e->start_task = task_start(L, 2, 0, start_ended, e);
	task_set_context(e->start_task, &e->live);
}

static void run_start(struct timer *timer)
{
	struct exporter *e =
		(void *)((char *)timer - offsetof(struct exporter, restart));
	struct err err;

	e->restarted = loop_now(e->loop);
	if (!e->declaration->nparts)
		collector_set_up(e->collector, true);
	if (!vm_call(atomic_load(&e->vm), call_start, e, &err))
		start_failed(e, &err);
}

/* ---- the thread ---- */

static bool open_vm(struct exporter *e, struct err *err)
{
	struct vm_options options = {
		.loop = e->loop,
		.lua_path = e->options.lua_path,
		.lua_cpath = e->options.lua_cpath,
		.open = modules_open,
		.owner = e,
	};
	struct vm *vm = vm_new(&options, err);

	atomic_store(&e->vm, vm);
	return vm != NULL;
}

static bool open_prober(struct exporter *e, struct err *err)
{
	const struct prober_options options = {
		.vm = atomic_load(&e->vm),
		.declaration = e->declaration,
		.config = e->options.config,
		.profiles = e->options.profiles,
		.nprofiles = e->options.nprofiles,
	};

	e->prober = prober_new(&options, e->registry, err);
	return e->prober != NULL;
}

static bool load(struct exporter *e, struct err *err)
{
	struct registry_options registry = { 0 };
	struct collector_options collector = {
		.publish = publish,
		.done = collected,
		.arg = e,
	};

	if (!open_vm(e, err))
		return false;
	collector.vm = atomic_load(&e->vm);
	e->declaration = declaration_load(collector.vm, e->path, err);
	if (!e->declaration)
		return false;
	vm_set_name(collector.vm, exporter_name(e));
	e->outline = outline_new(e->declaration, e->options.labels,
				 e->options.nlabels);
	registry.labels = e->outline->labels;
	registry.nlabels = e->outline->nlabels;
	registry.series_max = e->declaration->series;
	e->registry = registry_new(&registry);
	if (!declaration_configure(e->declaration, collector.vm,
				   e->options.config, err) ||
	    !declaration_register(e->declaration, collector.vm, e->registry,
				  err))
		return false;
	collector.registry = e->registry;
	collector.declaration = e->declaration;
	if (e->declaration->has_probe && !open_prober(e, err))
		return false;
	e->responder = responder_new(collector.vm, e->declaration);
	e->collector = collector_new(&collector, err);
	if (!e->collector)
		return false;
	outline_read(e->outline, e->declaration, e->registry);
	return true;
}

static void begin(struct exporter *e)
{
	if (e->declaration->has_start)
		run_start(&e->restart);
	else if (!e->declaration->nparts)
		collector_set_up(e->collector, true);
	if (!e->declaration->nparts)
		atomic_store(&e->board->status.ready, true);
	if (e->declaration->nparts && exporter_interval(e) > 0) {
		e->started = loop_now(e->loop) - exporter_interval(e);
		schedule_fired(&e->schedule);
	}
}

static void deliver_start(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, start));

	if (!e->stopping)
		begin(e);
}

static void run(struct exporter *e)
{
	if (!e->options.held)
		begin(e);
	loop_run(e->loop);
}

/* Everything of Lua goes before the registry that its userdata point into, and
 * before the loop that its handles live on. */
static void unload(struct exporter *e)
{
	struct vm *vm = atomic_load(&e->vm);

	e->stopping = true;
	timer_release(&e->schedule);
	timer_release(&e->restart);
	e->start_task = NULL;
	collector_free(e->collector);
	responder_free(e->responder);
	prober_free(e->prober);
	answer_all(e);
	atomic_store(&e->vm, NULL);
	vm_free(vm);
	registry_free(e->registry);
	e->collector = NULL;
	e->registry = NULL;
}

static void *thread_main(void *arg)
{
	struct exporter *e = arg;
	struct err err;
	bool ok = load(e, &err);

	e->options.loaded(e->options.arg, ok ? NULL : &err);
	if (ok)
		run(e);
	unload(e);
	return NULL;
}

static void deliver_stop(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, stop));

	e->stopping = true;
	loop_stop(e->loop);
}

static bool start_thread(struct exporter *e, struct err *err)
{
	int status;

	e->loop = loop_try(err);
	if (!e->loop)
		return false;
	timer_init(e->loop, &e->schedule, schedule_fired);
	timer_init(e->loop, &e->restart, run_start);
	status = pthread_create(&e->thread, NULL, thread_main, e);
	e->threaded = status == 0;
	if (e->threaded)
		return true;
	unload(e);
	return err_set(err, ERR_IO, "cannot make a thread: %s",
		       strerror(status));
}

struct exporter *exporter_new(const struct exporter_options *options)
{
	struct exporter *e = mem_alloc(sizeof *e);
	struct err err;

	e->options = *options;
	e->path = mem_string(options->path);
	e->board = board_new();
	e->start.deliver = deliver_start;
	e->stop.deliver = deliver_stop;
	e->live.part = REGISTRY_LIVE;
	e->restart_after = restart_first;
	if (!start_thread(e, &err))
		options->loaded(options->arg, &err);
	return e;
}

void exporter_start(struct exporter *exporter)
{
	loop_post(exporter->loop, &exporter->start);
}

void exporter_stop(struct exporter *exporter)
{
	if (exporter->threaded)
		loop_post(exporter->loop, &exporter->stop);
}

bool exporter_free(struct exporter *e, double seconds)
{
	bool all;

	if (e->threaded && !thread_join(e->thread, seconds))
		return false;
	all = loop_free(e->loop);
	board_unref(e->board);
	outline_free(e->outline);
	declaration_free(e->declaration);
	free(e->path);
	free(e);
	return all;
}

/* ---- for everybody ---- */

const char *exporter_name(const struct exporter *exporter)
{
	return exporter->options.name ? exporter->options.name
				      : exporter->declaration->name;
}

const struct declaration *exporter_declaration(const struct exporter *exporter)
{
	return exporter->declaration;
}

const struct outline *exporter_outline(const struct exporter *exporter)
{
	return exporter->outline;
}

const struct exporter_status *exporter_status(const struct exporter *exporter)
{
	return &exporter->board->status;
}

struct board *exporter_board(const struct exporter *exporter)
{
	return exporter->board;
}

double exporter_busy_seconds(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->vm);

	return vm ? vm_busy_seconds(vm) : 0;
}

double exporter_interval(const struct exporter *exporter)
{
	return exporter->options.interval >= 0
		       ? exporter->options.interval
		       : exporter->declaration->interval;
}

bool exporter_on_scrape(const struct exporter *exporter)
{
	return exporter->declaration->nparts &&
	       exporter_interval(exporter) <= 0;
}

double exporter_timeout(const struct exporter *exporter)
{
	if (exporter->options.timeout >= 0)
		return exporter->options.timeout;
	return exporter->declaration->timeout > 0
		       ? exporter->declaration->timeout
		       : default_timeout;
}

const struct exporter_profile *exporter_profiles(
	const struct exporter *exporter, size_t *n)
{
	*n = exporter->options.nprofiles;
	return exporter->options.profiles;
}

bool exporter_wants_asking(const struct exporter *e)
{
	return exporter_on_scrape(e) || e->declaration->has_start ||
	       e->declaration->nroutes || e->declaration->has_ttl ||
	       !atomic_load_explicit(&e->board->status.ready,
				     memory_order_acquire);
}

struct page *exporter_page(struct exporter *exporter)
{
	return page_slot_get(&exporter->board->slot);
}
