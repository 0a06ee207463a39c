/* SPDX-License-Identifier: Apache-2.0 */
#include "run/exporter.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/modules.h"
#include "core/mem.h"
#include "core/registry.h"
#include "net/ports.h"
#include "run/call.h"
#include "run/collect.h"
#include "run/moment.h"
#include "run/prober.h"
#include "run/publisher.h"
#include "run/respond.h"
#include "run/script.h"
#include "run/starter.h"
#include "run/succession.h"
#include "run/thread.h"
#include "vm/state.h"
#include "vm/task.h"

static const double default_timeout = 10;

/* What a trial waits for. */
enum trial_part { TRIAL_BEGUN = 1, TRIAL_START = 2, TRIAL_COLLECT = 4 };

struct exporter {
	struct exporter_options options;
	char *path;
	pthread_t thread;
	bool threaded;	   /* there is one */
	bool joined;	   /* it is over */
	struct loop *loop; /* NULL: there were no descriptors for it */
	struct message start, stop, try, finish;

	/* the thread's */
	_Atomic(struct vm *) vm;
	struct ports *ports;
	struct declaration *declaration;
	struct outline *outline;
	struct seen_list seen;
	struct registry *registry;
	struct collector *collector;
	struct responder *responder;
	struct prober *prober;	 /* NULL: the script has no probe */
	struct starter *starter; /* NULL: it has no `start` */
	struct timer schedule;
	double started; /* the last collection that was not asked for */
	struct exporter_question *waiting; /* linked by their messages */
	struct vm_limits limits;	   /* in force; immutable once loaded */
	struct trial {
		unsigned open; /* results that are still to come: a set of
				  enum trial_part */
		bool failed;
		struct err err;
	} trial;
	bool finishing;
	bool stopping;

	/* everybody's */
	struct publisher *publisher;
	struct succession *succession;
};

static void publish(void *arg)
{
	struct exporter *e = arg;

	publisher_publish(e->publisher);
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
	double seconds = exporter_timeout(e);

	question->message.next = e->waiting ? &e->waiting->message : NULL;
	e->waiting = question;
	if (question->seconds < seconds)
		seconds = question->seconds;
	collector_run(e->collector, seconds);
}

static bool is_first(const struct exporter *e)
{
	return e->declaration->nparts &&
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
		publish(e);
		answer(question);
	}
}

void exporter_ask(struct exporter_question *question)
{
	ask(question, question->exporter);
}

/* ---- calls ---- */

/* The route of that key in another version of the script; NULL. */
static const struct declared_route *same_route(
	const struct exporter *e, const struct declared_route *route)
{
	const struct declaration *d = e->declaration;

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

/* One result of those that a trial waits for. `start` may tell more than one,
 * because it is begun again when it fails. */
static void end_trial(struct exporter *e, enum trial_part part,
		      const struct err *err)
{
	struct trial *trial = &e->trial;

	if (!trial->open)
		return;
	if (err && !trial->failed)
		trial->err = *err;
	trial->failed |= err != NULL;
	trial->open &= ~(unsigned)part;
	if (!trial->open)
		e->options.tried(e->options.arg,
				 trial->failed ? &trial->err : NULL);
}

static void end_thread(struct exporter *e)
{
	e->stopping = true;
	loop_stop(e->loop);
}

static void collected(void *arg, const struct err *err)
{
	struct exporter *e = arg;

	publisher_collected(e->publisher, err, collector_seconds(e->collector));
	if (!err)
		vm_step_up(atomic_load(&e->vm));
	if (e->options.collected)
		e->options.collected(e->options.arg, err);
	answer_all(e);
	end_trial(e, TRIAL_COLLECT, err);
	if (e->finishing)
		end_thread(e);
}

/* Collections begin an interval apart, however long each takes; one that is
 * late begins at once and is not made up for. */
static void schedule_fired(struct timer *timer)
{
	struct exporter *e =
		(void *)((char *)timer - offsetof(struct exporter, schedule));
	double interval = exporter_interval(e), now = loop_now(e->loop);

	e->started += interval;
	if (e->started < now)
		e->started = now;
	collector_run(e->collector, exporter_timeout(e));
	timer_start(timer, e->started + interval - now);
}

/* ---- the long-running task ---- */

/* Without a `collect` it is what `up` is about. */
static void start_told(void *arg, const struct err *err)
{
	struct exporter *e = arg;
	bool alone = !e->declaration->nparts;

	if (alone)
		collector_set_up(e->collector, !err);
	publisher_started(e->publisher, err, alone);
	end_trial(e, TRIAL_START, err);
}

static void begin_start(struct exporter *e)
{
	if (e->starter)
		starter_begin(e->starter);
	if (e->declaration->nparts)
		return;
	collector_set_up(e->collector, true);
	publisher_set_ready(e->publisher);
}

/* ---- from one version to the next ---- */

static void deliver_try(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, try));
	bool collects = e->declaration && e->declaration->nparts;

	if (e->stopping)
		return;
	e->trial.open = TRIAL_BEGUN | (e->starter ? TRIAL_START : 0u) |
			(collects ? TRIAL_COLLECT : 0u);
	e->started = loop_now(e->loop);
	collector_set_trial(e->collector, true);
	begin_start(e);
	if (collects)
		collector_run(e->collector, exporter_timeout(e));
	end_trial(e, TRIAL_BEGUN, NULL);
}

void exporter_try(struct exporter *exporter)
{
	loop_post(exporter->loop, &exporter->try);
}

/* The next collection is as far from that of the trial as from any other. */
static void live(void *arg)
{
	struct exporter *e = arg;
	double interval = exporter_interval(e);

	collector_set_trial(e->collector, false);
	if (e->declaration->nparts && interval > 0)
		timer_start(&e->schedule,
			    fmax(0, e->started + interval - loop_now(e->loop)));
	e->options.live(e->options.arg);
}

static void leaving(void *arg)
{
	struct exporter *e = arg;

	timer_stop(&e->schedule);
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
	if (!e->collector || !collector_runs(e->collector))
		end_thread(e);
}

void exporter_finish(struct exporter *exporter)
{
	loop_post(exporter->loop, &exporter->finish);
}

/* ---- the thread ---- */

/* Loads the script. */
static bool open_vm(struct exporter *e, struct err *err)
{
	struct vm_options options = {
		.loop = e->loop,
		.limits = e->options.limits,
		.steps_back = true,
		.lua_path = e->options.lua_path,
		.lua_cpath = e->options.lua_cpath,
		.sandbox = e->options.sandbox,
		.allow = e->options.allow,
		.open = modules_open,
		.ports = e->ports,
		.seen = &e->seen,
		.owner = e,
		.fail_at = e->options.fail_at,
	};
	struct vm *vm = script_load(&options, e->path, &e->declaration, err);

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

static void open_starter(struct exporter *e)
{
	const struct starter_options options = { .vm = atomic_load(&e->vm),
						 .declaration = e->declaration,
						 .told = start_told,
						 .arg = e };

	e->starter = starter_new(&options);
}

static bool load(struct exporter *e, struct err *err)
{
	struct registry_options registry = { .clock = moment_now };
	struct collector_options collector = {
		.publish = publish,
		.done = collected,
		.arg = e,
	};

	if (!open_vm(e, err))
		return false;
	collector.vm = atomic_load(&e->vm);
	vm_set_name(collector.vm, exporter_name(e));
	e->limits = *vm_limits(collector.vm);
	e->outline = outline_new(e->declaration, e->options.labels,
				 e->options.nlabels);
	registry.labels = e->outline->labels;
	registry.nlabels = e->outline->nlabels;
	registry.series_max = e->limits.series;
	e->registry = registry_new(&registry);
	if (!declaration_configure(e->declaration, collector.vm,
				   e->options.config, err) ||
	    !declaration_register(e->declaration, collector.vm, e->registry,
				  err))
		return false;
	collector.registry = e->registry;
	collector.declaration = e->declaration;
	publisher_open(e->publisher, collector.vm, e->registry);
	if (e->declaration->has_start)
		open_starter(e);
	if (e->declaration->has_probe && !open_prober(e, err))
		return false;
	e->responder = responder_new(collector.vm, e->declaration);
	e->collector = collector_new(&collector, err);
	if (!e->collector)
		return false;
	outline_read(e->outline, e->declaration, e->registry);
	succession_open(e->succession, e->registry, e->starter);
	vm_set_loaded(collector.vm);
	return true;
}

static void begin(struct exporter *e)
{
	begin_start(e);
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
	starter_free(e->starter);
	collector_free(e->collector);
	responder_free(e->responder);
	prober_free(e->prober);
	answer_all(e);
	atomic_store(&e->vm, NULL);
	vm_free(vm);
	if (e->succession)
		succession_close(e->succession, e->finishing);
	registry_free(e->registry);
	ports_free(e->ports);
	e->starter = NULL;
	e->collector = NULL;
	e->registry = NULL;
}

static void *thread_main(void *arg)
{
	struct exporter *e = arg;
	struct err err;
	bool ok = load(e, &err);

	if (e->options.seen)
		seen_list_add_all(e->options.seen, &e->seen);
	if (!ok && e->declaration)
		declaration_mask(e->declaration, &err);
	e->options.loaded(e->options.arg, ok ? NULL : &err);
	if (ok)
		run(e);
	unload(e);
	if (e->options.ended)
		e->options.ended(e->options.arg);
	return NULL;
}

static void deliver_stop(struct message *message)
{
	struct exporter *e =
		(void *)((char *)message - offsetof(struct exporter, stop));

	e->stopping = true;
	loop_stop(e->loop);
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

	timer_init(e->loop, &e->schedule, schedule_fired);
	e->ports = ports_new(e->loop, lineage, e->options.trial);
	succession.ports = e->ports;
	e->succession = succession_new(&succession);
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
	seen_list_release(&e->seen);
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
	return &publisher_board(exporter->publisher)->status;
}

struct board *exporter_board(const struct exporter *exporter)
{
	return publisher_board(exporter->publisher);
}

double exporter_busy_seconds(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->vm);

	return vm ? vm_busy_seconds(vm) : 0;
}

bool exporter_is_stuck(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->vm);

	return vm && vm_is_stuck(vm);
}

unsigned exporter_operations(const struct exporter *exporter)
{
	struct vm *vm = atomic_load(&exporter->vm);

	return vm ? task_operations(vm) : 0;
}

double exporter_limit(const struct exporter *exporter, enum vm_limit limit)
{
	const struct vm_limits *limits = &exporter->limits;

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
	       e->declaration->nroutes || e->declaration->ages ||
	       !atomic_load_explicit(&exporter_status(e)->ready,
				     memory_order_acquire);
}

struct page *exporter_page(struct exporter *exporter)
{
	return page_slot_get(&publisher_board(exporter->publisher)->slot);
}
