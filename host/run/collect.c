/* SPDX-License-Identifier: Apache-2.0 */
#include "run/collect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/scope.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/loop.h"
#include "run/moment.h"
#include "run/source.h"
#include "vm/task.h"

struct part {
	struct collector *collector;
	struct scope scope;
	struct task *task; /* NULL: not running */
	double started;
	char last_error[512]; /* logged; "" after a success */
};

struct collector {
	struct collector_options options;
	struct part *parts;
	unsigned running;
	bool trial;
	bool ok;
	struct err first; /* failure, when not ok */
	double started, deadline;
	double took; /* the latest that is over */
	struct family *up, *duration, *success, *last_success;
};

/* ---- what the host says ---- */

static double now_of(const struct collector *collector)
{
	return loop_now(vm_loop(collector->options.vm));
}

static void refuse_host_family(const struct declaration *d, const char *name,
			       bool by_part, struct err *err)
{
	char place[300];

	source_place(place, sizeof place, d->path, d->source, "metrics", name);
	err_set(err, ERR_USAGE,
		"%s: %s is set by the host; declare it as a gauge %s", place,
		name, by_part ? "with the label part" : "without labels");
}

/* The family NAME_suffix: the script's, when it declares it, or a new one. */
static struct family *host_family(struct collector *collector,
				  const char *suffix, const char *help,
				  bool by_part, struct err *err)
{
	static const char *const part_label[] = { "part" };
	struct registry *registry = collector->options.registry;
	struct family_options options = { .labels = part_label,
					  .nlabels = by_part,
					  .exempt = true };
	struct family *family;
	struct err why;
	char name[DECLARATION_NAME_MAX + 64];

	snprintf(name, sizeof name, "%s_%s",
		 collector->options.declaration->name, suffix);
	family = registry_find(registry, name);
	if (!family) {
		options.metadata.type = METRIC_GAUGE;
		options.metadata.name = name;
		options.metadata.help = help;
		family = registry_add(registry, &options, &why);
		if (!family)
			err_set(err, why.code, "%s: %s",
				collector->options.declaration->path, why.text);
		return family;
	}
	if (family_metadata(family)->type == METRIC_GAUGE &&
	    family_schema(family)->count == by_part &&
	    (!by_part || strcmp(family_schema(family)->names[0], "part") == 0))
		return family;
	refuse_host_family(collector->options.declaration, name, by_part, err);
	return NULL;
}

static bool add_host_families(struct collector *c, struct err *err)
{
	c->up = host_family(c, "up",
			    "1 when the last collection succeeded in every "
			    "part, else 0.",
			    false, err);
	if (!c->up || !c->options.declaration->nparts)
		return c->up != NULL;
	c->duration = host_family(c, "scrape_duration_seconds",
				  "Time the last collection took, by part.",
				  true, err);
	if (!c->duration)
		return false;
	c->success = host_family(c, "scrape_success",
				 "1 when the part succeeded in the last "
				 "collection, else 0.",
				 true, err);
	if (!c->success)
		return false;
	c->last_success = host_family(c, "last_success_timestamp_seconds",
				      "When a collection last succeeded in "
				      "every part, seconds since the epoch.",
				      false, err);
	return c->last_success != NULL;
}

static void say(struct collector *collector, struct family *family,
		const char *part, double value)
{
	struct str label = { part, part ? strlen(part) : 0 };
	struct err err;
	uint32_t row;

	if (family_row(family, &label, &row, &err))
		family_set(family, row, REGISTRY_LIVE, value,
			   now_of(collector));
	else
		log_warn("a metric of the host is lost", "exporter",
			 vm_name(collector->options.vm), "error", err.text);
}

void collector_set_up(struct collector *collector, bool up)
{
	say(collector, collector->up, NULL, up);
	collector->options.publish(collector->options.arg);
}

/* ---- parts ---- */

static const char *name_of(const struct part *part)
{
	const struct collector *collector = part->collector;

	return collector->options.declaration->parts[part - collector->parts];
}

/* A source that is down fails every few seconds: the first failure and every
 * other sentence are warnings, repetitions are for the debug level; one for
 * which the log had no room has not been told. The first failure of a trial is
 * for the debug level, too: whoever wanted the trial tells it. */
static void log_failure(struct part *part, const struct err *err)
{
	const struct collector *c = part->collector;
	bool told = c->trial ? c->ok
			     : strncmp(part->last_error, err->text,
				       sizeof part->last_error - 1) == 0;

	if (log_from(vm_log(c->options.vm), told ? LOG_DEBUG : LOG_WARN,
		     vm_name(c->options.vm),
		     c->trial ? "the first collection of a new version failed"
			      : "collection failed",
		     "part", name_of(part), "error", err->text, (char *)0))
		snprintf(part->last_error, sizeof part->last_error, "%s",
			 err->text);
}

static void log_success(struct part *part)
{
	struct vm *vm = part->collector->options.vm;

	if (part->last_error[0])
		log_from(vm_log(vm), LOG_INFO, vm_name(vm),
			 "collection succeeds again", "part", name_of(part),
			 (char *)0);
	part->last_error[0] = '\0';
}

static void finish(struct collector *collector)
{
	collector->took = now_of(collector) - collector->started;
	say(collector, collector->up, NULL, collector->ok);
	if (collector->ok)
		say(collector, collector->last_success, NULL, moment_now());
}

/* In whole nanoseconds: what is behind them is noise, and long to read. */
static double nanoseconds(double seconds)
{
	return round(seconds * 1e9) / 1e9;
}

static void part_ended(struct part *part, const struct err *err)
{
	struct collector *c = part->collector;
	struct registry *registry = c->options.registry;
	double now = now_of(c);

	part->task = NULL;
	if (err) {
		struct err told = *err;

		declaration_mask(c->options.declaration, &told);
		if (c->ok)
			c->first = told;
		log_failure(part, &told);
		registry_drop(registry, part->scope.part, now);
	} else {
		log_success(part);
		registry_commit(registry, part->scope.part, now);
	}
	c->ok &= !err;
	say(c, c->duration, name_of(part), nanoseconds(now - part->started));
	say(c, c->success, name_of(part), !err);
	if (--c->running == 0)
		finish(c);
	c->options.publish(c->options.arg);
	if (c->running == 0)
		c->options.done(c->options.arg, c->ok ? NULL : &c->first);
}

static void task_ended(struct task *task, lua_State *co, int results,
		       const struct err *err, void *arg)
{
	struct part *part = arg;
	struct err failure;

	(void)task;
	if (!err && task_answers_failure(co, results, &failure))
		err = &failure;
	if (part->task)
		part_ended(part, err);
}

static void start_part(lua_State *L, void *arg)
{
	struct part *part = arg;
	struct collector *collector = part->collector;

	declaration_push_part(L, collector->options.declaration,
			      part->scope.part);
	part->task = task_start(L, 2, collector->deadline, task_ended, part);
	task_set_context(part->task, &part->scope);
}

void collector_set_trial(struct collector *collector, bool trial)
{
	collector->trial = trial;
}

bool collector_runs(const struct collector *collector)
{
	return collector->running > 0;
}

double collector_seconds(const struct collector *collector)
{
	return collector->took;
}

void collector_run(struct collector *collector, double seconds)
{
	unsigned n = collector->options.declaration->nparts;
	double now = now_of(collector);
	struct err err;

	if (collector->running)
		return;
	collector->running = n;
	collector->ok = true;
	collector->started = now;
	collector->deadline = now + seconds;
	for (unsigned i = 0; i < n; i++) {
		struct part *part = &collector->parts[i];

		part->started = now;
		if (!vm_call(collector->options.vm, start_part, part, &err))
			part_ended(part, &err);
	}
}

/* ---- life ---- */

struct collector *collector_new(const struct collector_options *options,
				struct err *err)
{
	struct collector *collector = mem_alloc(sizeof *collector);
	unsigned n = options->declaration->nparts;

	collector->options = *options;
	collector->parts = mem_array(n, sizeof *collector->parts);
	for (unsigned i = 0; i < n; i++) {
		collector->parts[i].collector = collector;
		collector->parts[i].scope.part = i;
	}
	if (!add_host_families(collector, err)) {
		collector_free(collector);
		return NULL;
	}
	return collector;
}

void collector_free(struct collector *collector)
{
	if (!collector)
		return;
	for (unsigned i = 0; i < collector->options.declaration->nparts; i++) {
		struct task *task = collector->parts[i].task;

		collector->parts[i].task = NULL;
		if (task)
			task_cancel(task, "the exporter stops");
	}
	free(collector->parts);
	free(collector);
}
