/* SPDX-License-Identifier: Apache-2.0 */
#include "run/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

/* A listed script that is stuck while it loads does not keep the others
 * waiting for longer. */
static const double patience = 10;

static const double stalled_after = 1;

/* Descriptors of an exporter that has no socket yet, and some for the rest. */
enum { DESCRIPTORS_EACH = 16, DESCRIPTORS_ELSE = 256 };

/* What is kept for the rest when the limit cannot be raised. */
enum { DESCRIPTORS_SPARE = 64 };

enum state { LOADING, LOADED, FAILED };

struct slot {
	struct fleet *fleet;
	const struct entry *entry;
	struct exporter *exporter; /* NULL: gone */
	enum state state;
	bool stopping;
	bool stalled;
	bool late;	/* its thread may be stuck */
	struct err err; /* of one that has failed */

	/* From its thread; nobody looks before the message is there. */
	struct message message;
	bool refused;
	struct err why;
};

struct fleet {
	struct loop *loop;
	struct timer timer;
	fleet_fits *fits;
	void (*loaded)(void *arg);
	void *arg;
	size_t loading;
	bool stopped;
	struct exporter **running;
	const struct entry **entries; /* of those */
	size_t nrunning;
	struct fleet_failure *failures;
	size_t nfailures;
	size_t n;
	struct slot slots[];
};

/* ---- loading ---- */

static void stop_slot(struct slot *slot)
{
	if (slot->exporter && !slot->stopping)
		exporter_stop(slot->exporter);
	slot->stopping = true;
}

/* Its thread is over, or will be soon. */
static void fail(struct slot *slot, const struct err *err)
{
	slot->state = FAILED;
	slot->err = *err;
	stop_slot(slot);
}

static struct outline_owner owner_of(const struct slot *slot)
{
	return (struct outline_owner){ exporter_outline(slot->exporter),
				       slot->entry->name, slot->entry->script,
				       slot->entry->where };
}

/* The second of two that do not go together cannot run. */
static void compare(struct fleet *fleet, size_t second)
{
	struct slot *slot = &fleet->slots[second];
	struct err err;

	for (size_t i = 0; i < second && slot->state == LOADED; i++) {
		const struct slot *other = &fleet->slots[i];
		struct outline_owner theirs, ours;

		if (other->state != LOADED)
			continue;
		theirs = owner_of(other);
		ours = owner_of(slot);
		if (!outline_agree(&theirs, &ours, &err))
			fail(slot, &err);
	}
}

/* Frees one that has failed, unless it is stuck: then fleet_stop() meets it. */
static void reap(struct slot *slot)
{
	if (slot->exporter && !slot->late && exporter_free(slot->exporter, 1))
		slot->exporter = NULL;
}

/* Takes in the one behind those that run, if it goes with them. */
static void take_in(struct fleet *fleet, size_t i)
{
	struct slot *slot = &fleet->slots[i];
	struct err err;

	compare(fleet, i);
	if (slot->state != LOADED)
		return;
	fleet->running[fleet->nrunning] = slot->exporter;
	fleet->entries[fleet->nrunning] = slot->entry;
	if (fleet->fits(fleet->arg, fleet->running, fleet->nrunning + 1, &err))
		fleet->nrunning++;
	else
		fail(slot, &err);
}

static void all_loaded(struct fleet *fleet)
{
	timer_stop(&fleet->timer);
	for (size_t i = 0; i < fleet->n; i++) {
		struct slot *slot = &fleet->slots[i];

		take_in(fleet, i);
		if (slot->state == LOADED)
			continue;
		fleet->failures[fleet->nfailures++] =
			(struct fleet_failure){ slot->entry, &slot->err };
		reap(slot);
	}
	fleet->loaded(fleet->arg);
}

static void settle(struct slot *slot, const struct err *err)
{
	struct fleet *fleet = slot->fleet;

	slot->state = LOADED;
	if (err)
		fail(slot, err);
	if (--fleet->loading == 0)
		all_loaded(fleet);
}

static void deliver_loaded(struct message *message)
{
	struct slot *slot =
		(void *)((char *)message - offsetof(struct slot, message));

	if (slot->state == LOADING && !slot->fleet->stopped)
		settle(slot, slot->refused ? &slot->why : NULL);
}

/* In the exporter's thread. */
static void loaded(void *arg, const struct err *err)
{
	struct slot *slot = arg;

	slot->refused = err != NULL;
	if (err)
		slot->why = *err;
	slot->message.deliver = deliver_loaded;
	loop_post(slot->fleet->loop, &slot->message);
}

static void patience_ended(struct timer *timer)
{
	struct fleet *fleet =
		(void *)((char *)timer - offsetof(struct fleet, timer));
	struct err err;

	for (size_t i = 0; i < fleet->n; i++) {
		struct slot *slot = &fleet->slots[i];

		if (slot->state != LOADING)
			continue;
		err_set(&err, ERR_TIMEOUT,
			"%s: the script is still loading after %g s",
			slot->entry->script, patience);
		slot->late = true;
		settle(slot, &err);
	}
}

/* Many exporters need more descriptors than a shell's soft limit gives. */
static void want_descriptors(size_t exporters)
{
	rlim_t wanted = exporters * DESCRIPTORS_EACH + DESCRIPTORS_ELSE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Are there enough for one more? Some are left over, since scripts are read,
 * and pages asked for, while the loops of all exporters are there. Descriptors
 * are numbered from 0 without gaps, more or less.
 */
static bool descriptors_left(void)
{
	struct rlimit limit;
	rlim_t spare;
	int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (next < 0)
		return errno != EMFILE;
	close(next);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return true;
	spare = limit.rlim_cur / 4;
	if (spare > DESCRIPTORS_SPARE)
		spare = DESCRIPTORS_SPARE;
	return (rlim_t)next + spare < limit.rlim_cur;
}

static void refuse(struct slot *slot, const char *mistake)
{
	struct err err;

	err_set(&err, ERR_USAGE, "%s", mistake);
	settle(slot, &err);
}

static void load(struct slot *slot)
{
	const struct entry *entry = slot->entry;
	struct exporter_options options = {
		.path = entry->script,
		.name = entry->name,
		.config = entry->config,
		.labels = entry->labels,
		.nlabels = entry->nlabels,
		.profiles = entry->profiles,
		.nprofiles = entry->nprofiles,
		.interval = entry->interval,
		.timeout = entry->timeout,
		.lua_path = entry->lua_path,
		.lua_cpath = entry->lua_cpath,
		.held = true,
		.loaded = loaded,
		.arg = slot,
	};

	slot->exporter = exporter_new(&options);
}

static void load_or_refuse(struct slot *slot)
{
	if (slot->entry->mistake)
		refuse(slot, slot->entry->mistake);
	else if (descriptors_left())
		load(slot);
	else
		refuse(slot, "too many open files: raise their limit "
			     "(ulimit -n)");
}

void fleet_load(struct fleet *fleet, fleet_fits *fits, void (*done)(void *arg),
		void *arg)
{
	bool listed = fleet->n && fleet->slots[0].entry->where;

	want_descriptors(fleet->n);
	fleet->fits = fits;
	fleet->loaded = done;
	fleet->arg = arg;
	fleet->loading = fleet->n;
	if (listed)
		timer_start(&fleet->timer, patience);
	for (size_t i = 0; i < fleet->n; i++)
		load_or_refuse(&fleet->slots[i]);
}

/* ---- what there is ---- */

struct exporter *const *fleet_running(const struct fleet *fleet, size_t *n)
{
	*n = fleet->nrunning;
	return fleet->running;
}

const struct fleet_failure *fleet_failures(const struct fleet *fleet, size_t *n)
{
	*n = fleet->nfailures;
	return fleet->failures;
}

const struct entry *fleet_running_entry(const struct fleet *fleet, size_t i)
{
	return fleet->entries[i];
}

void fleet_start(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->nrunning; i++)
		exporter_start(fleet->running[i]);
}

void fleet_look(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n; i++) {
		struct slot *slot = &fleet->slots[i];
		bool stalled;

		if (slot->state != LOADED)
			continue;
		stalled = exporter_busy_seconds(slot->exporter) > stalled_after;
		if (stalled && !slot->stalled)
			log_warn("the script does not come back to the host",
				 "exporter", slot->entry->name, "script",
				 slot->entry->script);
		else if (!stalled && slot->stalled)
			log_info("the script is back", "exporter",
				 slot->entry->name);
		slot->stalled = stalled;
	}
}

/* ---- life ---- */

struct fleet *fleet_new(struct loop *loop, struct entry *const *entries,
			size_t n)
{
	struct fleet *fleet =
		mem_alloc(sizeof *fleet + n * sizeof fleet->slots[0]);

	fleet->loop = loop;
	fleet->n = n;
	fleet->running = mem_array(n, sizeof(struct exporter *));
	fleet->entries = mem_array(n, sizeof *fleet->entries);
	fleet->failures = mem_array(n, sizeof *fleet->failures);
	for (size_t i = 0; i < n; i++) {
		fleet->slots[i].fleet = fleet;
		fleet->slots[i].entry = entries[i];
	}
	timer_init(loop, &fleet->timer, patience_ended);
	return fleet;
}

bool fleet_stop(struct fleet *fleet, double seconds)
{
	double until = loop_now(fleet->loop) + seconds;
	bool all = true;

	fleet->stopped = true;
	timer_release(&fleet->timer);
	for (size_t i = 0; i < fleet->n; i++)
		stop_slot(&fleet->slots[i]);
	for (size_t i = 0; i < fleet->n; i++) {
		struct slot *slot = &fleet->slots[i];
		double left = until - loop_now(fleet->loop);

		if (!slot->exporter)
			continue;
		if (left <= 0 && !all)
			break; /* each could have a resolver to wait for */
		if (exporter_free(slot->exporter, left > 0 ? left : 0)) {
			slot->exporter = NULL;
			continue;
		}
		log_warn("the script or the resolver did not come back in time",
			 "exporter", slot->entry->name);
		all = false;
	}
	return all;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	free(fleet->running);
	free(fleet->entries);
	free(fleet->failures);
	free(fleet);
}
