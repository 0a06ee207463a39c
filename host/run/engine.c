/* SPDX-License-Identifier: Apache-2.0 */
#include "run/engine.h"

#include <math.h>
#include <stddef.h>

#include "bind/modules.h"
#include "run/exporter.h"
#include "run/moment.h"
#include "run/script.h"

static const double default_timeout = 10;

/* What a trial waits for. */
enum trial_part { TRIAL_BEGUN = 1, TRIAL_START = 2, TRIAL_COLLECT = 4 };

const char *engine_name(const struct engine *engine)
{
	const char *name = engine->options.exporter->name;

	return name ? name : engine->declaration->name;
}

double engine_interval(const struct engine *engine)
{
	const struct exporter_options *o = engine->options.exporter;

	return o->interval >= 0 ? o->interval : engine->declaration->interval;
}

bool engine_on_scrape(const struct engine *engine)
{
	return engine->declaration->nparts && engine_interval(engine) <= 0;
}

double engine_timeout(const struct engine *engine)
{
	const struct exporter_options *o = engine->options.exporter;

	if (o->timeout >= 0)
		return o->timeout;
	return engine->declaration->timeout > 0 ? engine->declaration->timeout
						: default_timeout;
}

/* ---- collections ---- */

static void publish(void *arg)
{
	struct engine *engine = arg;

	publisher_publish(engine->options.publisher);
}

/* One result of those that a trial waits for. `start` may tell more than one,
 * because it is begun again when it fails. */
static void end_trial(struct engine *engine, enum trial_part part,
		      const struct err *err)
{
	const struct exporter_options *o = engine->options.exporter;
	struct trial *trial = &engine->trial;

	if (!trial->open)
		return;
	if (err && !trial->failed)
		trial->err = *err;
	trial->failed |= err != NULL;
	trial->open &= ~(unsigned)part;
	if (!trial->open)
		o->tried(o->arg, trial->failed ? &trial->err : NULL);
}

static void collected(void *arg, const struct err *err)
{
	struct engine *engine = arg;
	const struct exporter_options *o = engine->options.exporter;

	publisher_collected(engine->options.publisher, err,
			    collector_seconds(engine->collector));
	if (!err)
		vm_step_up(atomic_load(&engine->vm));
	if (o->collected)
		o->collected(o->arg, err);
	engine->options.collected(engine->options.arg);
	end_trial(engine, TRIAL_COLLECT, err);
}

/* Collections begin an interval apart, however long each takes; one that is
 * late begins at once and is not made up for. */
static void schedule_fired(struct timer *timer)
{
	struct engine *engine =
		(void *)((char *)timer - offsetof(struct engine, schedule));
	double interval = engine_interval(engine);
	double now = loop_now(engine->options.loop);

	engine->started += interval;
	if (engine->started < now)
		engine->started = now;
	collector_run(engine->collector, engine_timeout(engine));
	timer_start(timer, engine->started + interval - now);
}

void engine_collect(struct engine *engine, double seconds)
{
	collector_run(engine->collector, fmin(seconds, engine_timeout(engine)));
}

bool engine_collects(const struct engine *engine)
{
	return engine->collector && collector_runs(engine->collector);
}

/* ---- the long-running task ---- */

/* Without a `collect` it is what `up` is about. */
static void start_told(void *arg, const struct err *err)
{
	struct engine *engine = arg;
	bool alone = !engine->declaration->nparts;

	if (alone)
		collector_set_up(engine->collector, !err);
	publisher_started(engine->options.publisher, err, alone);
	end_trial(engine, TRIAL_START, err);
}

static void begin_start(struct engine *engine)
{
	if (engine->starter)
		starter_begin(engine->starter);
	if (engine->declaration->nparts)
		return;
	collector_set_up(engine->collector, true);
	publisher_set_ready(engine->options.publisher);
}

/* ---- beginnings and ends ---- */

void engine_begin(struct engine *engine)
{
	double interval = engine_interval(engine);

	begin_start(engine);
	if (engine->declaration->nparts && interval > 0) {
		engine->started = loop_now(engine->options.loop) - interval;
		schedule_fired(&engine->schedule);
	}
}

void engine_try(struct engine *engine)
{
	bool collects = engine->declaration->nparts;

	engine->trial.open = TRIAL_BEGUN |
			     (engine->starter ? TRIAL_START : 0u) |
			     (collects ? TRIAL_COLLECT : 0u);
	engine->started = loop_now(engine->options.loop);
	collector_set_trial(engine->collector, true);
	begin_start(engine);
	if (collects)
		collector_run(engine->collector, engine_timeout(engine));
	end_trial(engine, TRIAL_BEGUN, NULL);
}

void engine_go_on(struct engine *engine)
{
	double interval = engine_interval(engine);
	double next = engine->started + interval;

	collector_set_trial(engine->collector, false);
	if (engine->declaration->nparts && interval > 0)
		timer_start(&engine->schedule,
			    fmax(0, next - loop_now(engine->options.loop)));
}

void engine_leave(struct engine *engine)
{
	timer_stop(&engine->schedule);
}

/* ---- loading ---- */

static void seen_more(void *owner, const struct seen_list *more)
{
	const struct engine *engine = owner;
	const struct exporter_options *o = engine->options.exporter;

	if (o->seen_more)
		o->seen_more(o->arg, more);
}

static bool open_vm(struct engine *engine, struct err *err)
{
	const struct exporter_options *o = engine->options.exporter;
	struct vm_options options = {
		.loop = engine->options.loop,
		.limits = o->limits,
		.steps_back = true,
		.lua_path = o->lua_path,
		.lua_cpath = o->lua_cpath,
		.sandbox = o->sandbox,
		.allow = o->allow,
		.open = modules_open,
		.ports = engine->options.ports,
		.seen = &engine->seen,
		.seen_more = seen_more,
		.owner = engine,
		.fail_at = o->fail_at,
	};
	struct vm *vm = script_load(&options, engine->options.path,
				    &engine->declaration, err);

	atomic_store(&engine->vm, vm);
	if (!vm)
		return false;
	vm_set_name(vm, engine_name(engine));
	engine->limits = *vm_limits(vm);
	return true;
}

/* A registry with the families of the script. */
static bool open_registry(struct engine *engine, struct vm *vm, struct err *err)
{
	const struct exporter_options *o = engine->options.exporter;
	struct registry_options options = {
		.clock = moment_now,
		.series_max = engine->limits.series,
	};

	engine->outline =
		outline_new(engine->declaration, o->labels, o->nlabels);
	options.labels = engine->outline->labels;
	options.nlabels = engine->outline->nlabels;
	engine->registry = registry_new(&options);
	return declaration_configure(engine->declaration, vm, o->config, err) &&
	       declaration_register(engine->declaration, vm, engine->registry,
				    err);
}

static void open_starter(struct engine *engine, struct vm *vm)
{
	const struct starter_options options = {
		.vm = vm,
		.declaration = engine->declaration,
		.told = start_told,
		.arg = engine,
	};

	if (engine->declaration->has_start)
		engine->starter = starter_new(&options);
}

static bool open_prober(struct engine *engine, struct vm *vm, struct err *err)
{
	const struct exporter_options *o = engine->options.exporter;
	const struct prober_options options = {
		.vm = vm,
		.declaration = engine->declaration,
		.config = o->config,
		.profiles = o->profiles,
		.nprofiles = o->nprofiles,
	};

	if (!engine->declaration->has_probe)
		return true;
	engine->prober = prober_new(&options, engine->registry, err);
	return engine->prober != NULL;
}

static bool open_collector(struct engine *engine, struct vm *vm,
			   struct err *err)
{
	const struct collector_options options = {
		.vm = vm,
		.registry = engine->registry,
		.declaration = engine->declaration,
		.publish = publish,
		.done = collected,
		.arg = engine,
	};

	engine->collector = collector_new(&options, err);
	return engine->collector != NULL;
}

static bool load(struct engine *engine, struct err *err)
{
	struct vm *vm;

	if (!open_vm(engine, err))
		return false;
	vm = atomic_load(&engine->vm);
	if (!open_registry(engine, vm, err))
		return false;
	publisher_open(engine->options.publisher, vm, engine->registry);
	open_starter(engine, vm);
	if (!open_prober(engine, vm, err))
		return false;
	engine->responder = responder_new(vm, engine->declaration);
	if (!open_collector(engine, vm, err))
		return false;
	outline_read(engine->outline, engine->declaration, engine->registry);
	succession_open(engine->options.succession, engine->registry,
			engine->starter);
	vm_set_loaded(vm);
	return true;
}

bool engine_load(struct engine *engine, struct err *err)
{
	if (load(engine, err))
		return true;
	if (engine->declaration)
		declaration_mask(engine->declaration, err);
	return false;
}

/* ---- the engine ---- */

void engine_init(struct engine *engine, const struct engine_options *options)
{
	*engine = (struct engine){ .options = *options };
	timer_init(options->loop, &engine->schedule, schedule_fired);
}

void engine_end(struct engine *engine)
{
	timer_release(&engine->schedule);
	starter_free(engine->starter);
	collector_free(engine->collector);
	responder_free(engine->responder);
	prober_free(engine->prober);
	engine->starter = NULL;
	engine->collector = NULL;
	engine->responder = NULL;
	engine->prober = NULL;
}

/* Everything of Lua goes before the registry that its userdata point into. */
void engine_close(struct engine *engine, bool finished)
{
	struct vm *vm = atomic_load(&engine->vm);

	atomic_store(&engine->vm, NULL);
	vm_free(vm);
	succession_close(engine->options.succession, finished);
	registry_free(engine->registry);
	engine->registry = NULL;
}

void engine_release(struct engine *engine)
{
	seen_list_release(&engine->seen);
	outline_free(engine->outline);
	declaration_free(engine->declaration);
}
