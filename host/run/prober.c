/* SPDX-License-Identifier: Apache-2.0 */
#include "run/prober.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <lauxlib.h>

#include "bind/metric_set.h"
#include "bind/scope.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/trace.h"
#include "run/declared_config.h"
#include "run/moment.h"
#include "run/secrets.h"
#include "run/source.h"
#include "vm/task.h"

enum { TOLD = 64 };

LIST_HEAD(running_list, running);

/* A probe that runs, and its own registry. */
struct running {
	struct prober *prober;
	struct probe *probe;
	struct registry *registry;
	struct metric_set *set;
	struct scope scope;
	struct secrets secrets;
	struct task *task;
	double started;
	LIST_ENTRY(running) next;
};

struct prober {
	struct prober_options options;
	struct registry *host; /* probe_success and its sister */
	struct family *success, *duration;
	struct running_list running;
	uint64_t told[TOLD]; /* hashes of sentences that were logged */
	unsigned next_told;
};

/* ---- sending back ---- */

static void deliver_answer(struct message *message)
{
	struct probe *probe = (void *)message;

	probe->answered(probe);
}

void probe_answer(struct probe *probe)
{
	probe->message.deliver = deliver_answer;
	loop_post(probe->asker, &probe->message);
}

/* ---- what the host says ---- */

static struct registry *new_registry(const struct prober_options *o)
{
	const struct declaration *d = o->declaration;
	/* The labels of an instance tell which exporter collected; a probe's
	 * are its target's, and Prometheus adds them. */
	const struct registry_options options = {
		.labels = d->labels,
		.nlabels = d->nlabels,
		.series_max = vm_limits(o->vm)->series,
		.clock = moment_now,
	};

	return registry_new(&options);
}

static struct family *add_gauge(struct registry *registry, const char *name,
				const char *help)
{
	struct family_options options = { .exempt = true };
	struct err err;

	options.metadata.type = METRIC_GAUGE;
	options.metadata.name = name;
	options.metadata.help = help;
	return registry_add(registry, &options, &err);
}

static void say(struct family *family, double value, double now)
{
	struct err err;
	uint32_t row;

	if (family_row(family, NULL, &row, &err))
		family_set(family, row, REGISTRY_LIVE, value, now);
}

static struct page *host_page(struct prober *prober, bool success,
			      double seconds, double now)
{
	say(prober->success, success, now);
	say(prober->duration, round(seconds * 1e9) / 1e9, now);
	return registry_publish(prober->host, now);
}

static uint64_t hash_of(const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

static bool was_told(const struct prober *prober, uint64_t hash)
{
	for (unsigned i = 0; i < TOLD; i++)
		if (prober->told[i] == hash)
			return true;
	return false;
}

/* Targets that are down fail again and again: each sentence is told once. */
static void log_failure(const struct running *running, const struct err *err)
{
	struct prober *prober = running->prober;
	struct vm *vm = prober->options.vm;
	char *text = secrets_mask(&running->secrets, err->text);
	uint64_t hash = hash_of(text);
	bool again = was_told(prober, hash);

	if (log_from(vm_log(vm), again ? LOG_DEBUG : LOG_WARN, vm_name(vm),
		     "a probe failed", "error", text, (char *)0) &&
	    !again)
		prober->told[prober->next_told++ % TOLD] = hash;
	free(text);
}

/* ---- running ---- */

static void tell_trace(struct running *running, const struct err *err,
		       double seconds)
{
	struct trace *trace = running->scope.trace;

	if (!trace)
		return;
	if (err)
		trace_line(trace, "error: %s", err->text);
	trace_line(trace, "the probe %s after %.3f s",
		   err ? "failed" : "succeeded", seconds);
	running->probe->trace =
		secrets_mask(&running->secrets, trace_text(trace).data);
}

static void give_pages(struct running *running, const struct err *err,
		       double now)
{
	struct prober *prober = running->prober;
	struct probe *probe = running->probe;
	double seconds = now - running->started;

	tell_trace(running, err, seconds);
	probe->pages[probe->npages++] = host_page(prober, !err, seconds, now);
	if (err)
		return;
	registry_commit(running->registry, running->scope.part, now);
	probe->pages[probe->npages++] =
		registry_publish(running->registry, now);
}

/* Whatever the script kept of the probe is closed before the registry goes. */
static void release(struct running *running)
{
	metric_set_close(running->set);
	metric_set_unref(running->set);
	registry_free(running->registry);
	trace_unref(running->scope.trace);
	secrets_release(&running->secrets);
	free(running);
}

static void end(struct running *running, const struct err *err)
{
	struct prober *prober = running->prober;
	struct probe *probe = running->probe;

	LIST_REMOVE(running, next);
	if (!err || err->code != ERR_CLOSED)
		give_pages(running, err, loop_now(vm_loop(prober->options.vm)));
	if (err && err->code != ERR_CLOSED)
		log_failure(running, err);
	release(running);
	probe_answer(probe);
}

static void task_ended(struct task *task, lua_State *co, int results,
		       const struct err *err, void *arg)
{
	struct err failure;

	(void)task;
	if (!err && task_answers_failure(co, results, &failure))
		err = &failure;
	end(arg, err);
}

static void start(lua_State *L, void *arg)
{
	struct running *running = arg;
	const struct prober_options *options = &running->prober->options;
	const struct declaration *d = options->declaration;
	struct probe *probe = running->probe;
	bool ttl = false;
	int config;

	luaL_checkstack(L, LUA_MINSTACK, "probe");
	push_probe_config(L, d, options->config, probe->profile);
	config = lua_gettop(L);
	read_declared_secrets(L, d, config, &running->secrets);
	declaration_push_probe(L, d);
	declaration_push_metrics(L, d, config, running->set, &ttl);
	lua_pushstring(L, probe->target);
	lua_pushvalue(L, config);
	push_pairs(L, &probe->params);
	running->task = task_start(L, 4, running->started + probe->seconds,
				   task_ended, running);
	task_set_context(running->task, &running->scope);
}

void prober_run(struct prober *prober, struct probe *probe)
{
	struct running *running = mem_alloc(sizeof *running);
	struct err err;

	running->prober = prober;
	running->probe = probe;
	running->registry = new_registry(&prober->options);
	running->set = metric_set_new(running->registry);
	running->set->key = running->set;
	running->scope.set = running->set;
	running->started = loop_now(vm_loop(prober->options.vm));
	running->scope.trace = probe->debug ? trace_new() : NULL;
	LIST_INSERT_HEAD(&prober->running, running, next);
	trace_line(running->scope.trace, "probe of %s, at most %g s",
		   probe->target, round(probe->seconds * 1e3) / 1e3);
	if (!vm_call(prober->options.vm, start, running, &err))
		end(running, &err);
}

/* ---- life ---- */

struct checking {
	const struct prober_options *options;
	const struct exporter_profile *profile;
};

static void check_profile(lua_State *L, void *arg)
{
	struct checking *checking = arg;

	push_probe_config(L, checking->options->declaration,
			  checking->options->config, checking->profile);
}

static bool check_profiles(const struct prober_options *options,
			   struct err *err)
{
	for (size_t i = 0; i < options->nprofiles; i++) {
		struct checking checking = { options, &options->profiles[i] };

		if (!vm_call(options->vm, check_profile, &checking, err))
			return false;
	}
	return true;
}

static bool check_names(const struct prober_options *options,
			struct registry *registry, struct err *err)
{
	static const char *const names[] = { "probe_success",
					     "probe_duration_seconds" };

	const struct declaration *d = options->declaration;
	char place[300];

	for (int i = 0; i < 2; i++) {
		if (!registry_find(registry, names[i]))
			continue;
		source_place(place, sizeof place, d->path, d->source, "metrics",
			     names[i]);
		return err_set(err, ERR_USAGE, "%s: %s is set by the host",
			       place, names[i]);
	}
	return true;
}

struct prober *prober_new(const struct prober_options *options,
			  struct registry *registry, struct err *err)
{
	struct prober *prober;

	if (!check_profiles(options, err) ||
	    !check_names(options, registry, err))
		return NULL;
	prober = mem_alloc(sizeof *prober);
	prober->options = *options;
	prober->host = new_registry(options);
	prober->success = add_gauge(prober->host, "probe_success",
				    "1 when the probe succeeded, else 0.");
	prober->duration = add_gauge(prober->host, "probe_duration_seconds",
				     "Time the probe took.");
	LIST_INIT(&prober->running);
	return prober;
}

void prober_free(struct prober *prober)
{
	if (!prober)
		return;
	while (!LIST_EMPTY(&prober->running))
		task_cancel(LIST_FIRST(&prober->running)->task,
			    "the exporter stops");
	registry_free(prober->host);
	free(prober);
}
