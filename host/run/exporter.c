/* SPDX-License-Identifier: Apache-2.0 */
#include "run/exporter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/ports.h"
#include "run/call.h"
#include "run/engine.h"
#include "run/probe.h"
#include "run/publisher.h"
#include "run/succession.h"
#include "run/thread.h"
#include "vm/state.h"
#include "vm/task.h"

struct exporter {
	struct exporter_options options;
	char *path;
	pthread_t thread;
	bool threaded;	   /* there is one */
	bool joined;	   /* it is over */
	struct loop *loop; /* NULL: there were no descriptors for it */
	struct message start, stop, try, finish;

	/* the thread's */
	struct ports *ports;
	struct engine engine;		   /* partly everybody's, see there */
	struct exporter_question *waiting; /* linked by their messages */
	bool finishing;
	bool stopping;

	/* everybody's */
	struct publisher *publisher;
	struct succession *succession;
};

static void end_thread(struct exporter *e)
{
	e->stopping = true;
	loop_stop(e->loop);
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

static void deliver_question(struct message *message);

static void ask(struct exporter_question *question, struct exporter *exporter)
{
	question->at = exporter;
	question->message.deliver = deliver_question;
	loop_post(exporter->loop, &question->message);
}

/* The page of one that has handed over is its heir's. */
static void pass_on(struct exporter *e, struct exporter_question *question)
{
	struct exporter *heir = succession_heir(e->succession);

	if (heir)
		ask(question, heir);
	else
		answer(question);
}

static void collect_for(struct exporter *e, struct exporter_question *question)
{
	question->message.next = e->waiting ? &e->waiting->message : NULL;
	e->waiting = question;
	engine_collect(&e->engine, question->seconds);
}

static bool is_first(const struct exporter *e)
{
	return e->engine.declaration->nparts &&
	       !atomic_load_explicit(&exporter_status(e)->ready,
				     memory_order_relaxed);
}

static void deliver_question(struct message *message)
{
	struct exporter_question *question = (void *)message;
	struct exporter *e = question->at;

	if (e->stopping) {
		answer(question);
	} else if (succession_is_over(e->succession)) {
		pass_on(e, question);
	} else if (exporter_on_scrape(e) || is_first(e)) {
		collect_for(e, question);
	} else {
		publisher_publish(e->publisher);
		answer(question);
	}
}

void exporter_ask(struct exporter_question *question)
{
	ask(question, question->exporter);
}

static void collected(void *arg)
{
	struct exporter *e = arg;

	answer_all(e);
	if (e->finishing)
		end_thread(e);
}

/* ---- calls and probes ---- */

/* The route of that key in another version of the script; NULL. */
static const struct declared_route *same_route(
	const struct exporter *e, const struct declared_route *route)
{
	const struct declaration *d = e->engine.declaration;

	for (unsigned i = 0; i < d->nroutes; i++)
		if (strcmp(d->routes[i].key, route->key) == 0)
			return &d->routes[i];
	return NULL;
}

/* What a route sets is shown by the version that runs. One that is not there
 * any more is answered on the old code. */
static bool pass_call_on(const struct exporter *e, struct call *call)
{
	struct exporter *heir = succession_heir(e->succession);
	const struct declared_route *route =
		heir ? same_route(heir, call->route) : NULL;

	if (!route)
		return false;
	call->route = route;
	call->exporter = heir;
	exporter_call(call);
	return true;
}

static void deliver_call(struct message *message)
{
	struct call *call = (void *)message;
	struct exporter *e = call->exporter;

	if (!e->stopping) {
		if (pass_call_on(e, call))
			return;
		responder_run(e->engine.responder, call);
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
		prober_run(e->engine.prober, probe);
}

void exporter_probe(struct probe *probe)
{
	probe->message.deliver = deliver_probe;
	loop_post(probe->exporter->loop, &probe->message);
}

/* ---- from one version to the next ---- */

static void deliver_try(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, try));

	if (!e->stopping)
		engine_try(&e->engine);
}

void exporter_try(struct exporter *exporter)
{
	loop_post(exporter->loop, &exporter->try);
}

static void live(void *arg)
{
	struct exporter *e = arg;

	engine_go_on(&e->engine);
	e->options.live(e->options.arg);
}

static void leaving(void *arg)
{
	struct exporter *e = arg;

	engine_leave(&e->engine);
}

static struct succession *succession_of(struct exporter *exporter)
{
	return exporter ? exporter->succession : NULL;
}

void exporter_replace(struct exporter *old, struct exporter *heir)
{
	succession_begin(old->succession, succession_of(heir));
}

bool exporter_leave_behind(struct exporter *old, struct exporter *heir)
{
	return succession_leave_behind(old->succession, succession_of(heir));
}

void exporter_lend(struct exporter *old, struct exporter *heir)
{
	publisher_lend(heir->publisher, publisher_board(old->publisher));
}

static void deliver_finish(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, finish));

	e->finishing = true;
	if (!engine_collects(&e->engine))
		end_thread(e);
}

void exporter_finish(struct exporter *exporter)
{
	loop_post(exporter->loop, &exporter->finish);
}

/* ---- the thread ---- */

static void deliver_start(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, start));

	if (!e->stopping)
		engine_begin(&e->engine);
}

static void deliver_stop(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, stop));

	end_thread(e);
}

static void run(struct exporter *e)
{
	if (!e->options.held)
		engine_begin(&e->engine);
	loop_run(e->loop);
}

static void unload(struct exporter *e)
{
	e->stopping = true;
	engine_end(&e->engine);
	answer_all(e);
	engine_close(&e->engine, e->finishing);
	ports_free(e->ports);
}

static void *thread_main(void *arg)
{
	struct exporter *e = arg;
	struct err err;
	bool ok = engine_load(&e->engine, &err);

	if (e->options.seen)
		seen_list_add_all(e->options.seen, &e->engine.seen);
	e->options.loaded(e->options.arg, ok ? NULL : &err);
	if (ok)
		run(e);
	unload(e);
	if (e->options.ended)
		e->options.ended(e->options.arg);
	return NULL;
}

static void open_loop(struct exporter *e)
{
	const char *name = e->options.name ? e->options.name : e->path;
	const char *lineage = e->options.lineage ? e->options.lineage : name;
	struct succession_options succession = { .loop = e->loop,
						 .publisher = e->publisher,
						 .name = name,
						 .leaving = leaving,
						 .live = live,
						 .arg = e };
	struct engine_options engine = { .exporter = &e->options,
					 .path = e->path,
					 .loop = e->loop,
					 .publisher = e->publisher,
					 .collected = collected,
					 .arg = e };

	e->ports = ports_new(e->loop, lineage, e->options.trial);
	succession.ports = engine.ports = e->ports;
	e->succession = engine.succession = succession_new(&succession);
	engine_init(&e->engine, &engine);
}

static bool start_thread(struct exporter *e, struct err *err)
{
	int status;

	e->loop = loop_try(err);
	if (!e->loop)
		return false;
	open_loop(e);
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
	e->publisher = publisher_new(options->web);
	e->start.deliver = deliver_start;
	e->stop.deliver = deliver_stop;
	e->try.deliver = deliver_try;
	e->finish.deliver = deliver_finish;
	if (start_thread(e, &err))
		return e;
	options->loaded(options->arg, &err);
	if (options->ended)
		options->ended(options->arg);
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

bool exporter_join(struct exporter *e, double seconds)
{
	if (e->threaded && !e->joined)
		e->joined = thread_join(e->thread, seconds);
	return e->joined || !e->threaded;
}

bool exporter_free(struct exporter *e, double seconds)
{
	bool all;

	if (!exporter_join(e, seconds))
		return false;
	all = loop_free(e->loop);
	succession_free(e->succession);
	publisher_free(e->publisher);
	engine_release(&e->engine);
	free(e->path);
	free(e);
	return all;
}

/* ---- for everybody ---- */

const char *exporter_name(const struct exporter *exporter)
{
	return engine_name(&exporter->engine);
}

const struct declaration *exporter_declaration(const struct exporter *exporter)
{
	return exporter->engine.declaration;
}

const struct outline *exporter_outline(const struct exporter *exporter)
{
	return exporter->engine.outline;
}

const struct exporter_status *exporter_status(const struct exporter *exporter)
{
	return &publisher_board(exporter->publisher)->status;
}

struct board *exporter_board(const struct exporter *exporter)
{
	return publisher_board(exporter->publisher);
}

double exporter_busy_seconds(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->engine.vm);

	return vm ? vm_busy_seconds(vm) : 0;
}

bool exporter_is_stuck(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->engine.vm);

	return vm && vm_is_stuck(vm);
}

unsigned exporter_operations(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->engine.vm);

	return vm ? task_operations(vm) : 0;
}

double exporter_limit(const struct exporter *exporter, enum vm_limit limit)
{
	const struct vm_limits *limits = &exporter->engine.limits;

	switch (limit) {
	case VM_LIMIT_MEMORY: return (double)limits->memory;
	case VM_LIMIT_CPU: return limits->cpu;
	case VM_LIMIT_TIME: return exporter_timeout(exporter);
	case VM_LIMIT_SERIES: return (double)limits->series;
	case VM_LIMIT_BODY: return (double)limits->body;
	case VM_LIMIT_OPERATIONS: return (double)limits->operations;
	case VM_LIMITS: break;
	}
	return 0;
}

double exporter_interval(const struct exporter *exporter)
{
	return engine_interval(&exporter->engine);
}

bool exporter_on_scrape(const struct exporter *exporter)
{
	return engine_on_scrape(&exporter->engine);
}

double exporter_timeout(const struct exporter *exporter)
{
	return engine_timeout(&exporter->engine);
}

const struct exporter_profile *exporter_profiles(
	const struct exporter *exporter, size_t *n)
{
	*n = exporter->options.nprofiles;
	return exporter->options.profiles;
}

bool exporter_wants_asking(const struct exporter *e)
{
	const struct declaration *d = e->engine.declaration;

	return exporter_on_scrape(e) || d->has_start || d->nroutes || d->ages ||
	       !atomic_load_explicit(&exporter_status(e)->ready,
				     memory_order_acquire);
}

struct page *exporter_page(struct exporter *exporter)
{
	return page_slot_get(&publisher_board(exporter->publisher)->slot);
}
