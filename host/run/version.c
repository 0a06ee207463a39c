/* SPDX-License-Identifier: Apache-2.0 */
#include "run/version.h"

#include <stdlib.h>

#include "core/mem.h"

static const double stalled_after = 1; /* seconds */

#define VERSION_OF(message, member)                                            \
	((struct version *)(void *)((char *)(message)-offsetof(struct version, \
							       member)))

static void change(struct version *version, enum version_state state)
{
	version->state = state;
	version->changed(version, version->arg);
}

/* ---- messages from its thread ---- */

static void deliver_loaded(struct message *message)
{
	struct version *version = VERSION_OF(message, loaded);

	seen_list_add_all(&version->seen, &version->load_seen);
	seen_list_release(&version->load_seen);
	if (version->state != VERSION_LOADING)
		return; /* nobody waits for it any more */
	if (version->load_failed)
		version->err = version->load_err;
	change(version, version->load_failed ? VERSION_FAILED : VERSION_LOADED);
}

static void loaded(void *arg, const struct err *err)
{
	struct version *version = arg;

	version->load_failed = err != NULL;
	if (err)
		version->load_err = *err;
	version->loaded.deliver = deliver_loaded;
	loop_post(version->loop, &version->loaded);
}

/* Files on their way to `seen`. */
struct more {
	struct message message;
	struct version *version;
	struct seen_list seen;
};

static void deliver_more(struct message *message)
{
	struct more *more = (void *)message;

	seen_list_add_all(&more->version->seen, &more->seen);
	more->version->seen_more = true;
	seen_list_release(&more->seen);
	free(more);
}

/* Each is told once, so there are no more messages than a list has room. */
static void seen_more(void *arg, const struct seen_list *seen)
{
	struct version *version = arg;
	struct more *more = mem_alloc(sizeof *more);

	more->version = version;
	seen_list_add_all(&more->seen, seen);
	more->message.deliver = deliver_more;
	loop_post(version->loop, &more->message);
}

static void deliver_tried(struct message *message)
{
	struct version *version = VERSION_OF(message, tried);

	if (version->state != VERSION_TRYING)
		return;
	if (version->trial_failed)
		version->err = version->trial_err;
	change(version, VERSION_TRIED);
}

static void tried(void *arg, const struct err *err)
{
	struct version *version = arg;

	version->trial_failed = err != NULL;
	if (err)
		version->trial_err = *err;
	version->tried.deliver = deliver_tried;
	loop_post(version->loop, &version->tried);
}

static void deliver_live(struct message *message)
{
	struct version *version = VERSION_OF(message, live);

	if (version->state == VERSION_TAKING_OVER)
		change(version, VERSION_LIVE);
}

static void live(void *arg)
{
	struct version *version = arg;

	version->live.deliver = deliver_live;
	loop_post(version->loop, &version->live);
}

static void deliver_ended(struct message *message)
{
	struct version *version = VERSION_OF(message, end);

	version->ended = true;
	version->changed(version, version->arg);
}

static void ended(void *arg)
{
	struct version *version = arg;

	version->end.deliver = deliver_ended;
	loop_post(version->loop, &version->end);
}

/* ---- its steps ---- */

bool version_is_stalled(const struct version *version)
{
	return exporter_busy_seconds(version->exporter) > stalled_after;
}

void version_start(struct version *version)
{
	version->state = VERSION_LIVE;
	exporter_start(version->exporter);
}

void version_try(struct version *version)
{
	version->state = VERSION_TRYING;
	exporter_try(version->exporter);
}

/* What the old one still counts comes later. */
static void bind_heir(struct version *old, struct version *heir)
{
	old->state = VERSION_RETIRED;
	old->heir = heir;
	if (heir)
		heir->debtors++;
}

void version_replace(struct version *old, struct version *heir)
{
	bind_heir(old, heir);
	heir->state = VERSION_TAKING_OVER;
	exporter_replace(old->exporter, heir->exporter);
}

void version_remove(struct version *version)
{
	bind_heir(version, NULL);
	exporter_replace(version->exporter, NULL);
}

static void unbind_heir(struct version *version)
{
	if (version->heir)
		version->heir->debtors--;
	version->heir = NULL;
}

bool version_leave_behind(struct version *old)
{
	struct exporter *heir = old->heir ? old->heir->exporter : NULL;

	if (!exporter_leave_behind(old->exporter, heir))
		return false;
	old->left_behind = true;
	unbind_heir(old);
	return true;
}

void version_lend(struct version *old, struct version *heir)
{
	exporter_lend(old->exporter, heir->exporter);
	heir->state = VERSION_LIVE;
	heir->late = true;
}

void version_fail(struct version *version, const struct err *err)
{
	version->err = *err;
	version->state = VERSION_FAILED;
	version_stop(version);
}

static void set_ending(struct version *version)
{
	if (!version->ending)
		version->ending = loop_now(version->loop);
}

void version_stop(struct version *version)
{
	if (version->stopping)
		return;
	version->stopping = true;
	set_ending(version);
	if (version->exporter)
		exporter_stop(version->exporter);
}

void version_finish(struct version *version)
{
	if (version->finishing)
		return;
	version->finishing = true;
	set_ending(version);
	exporter_finish(version->exporter);
}

/* ---- life ---- */

static struct exporter *make(struct version *version,
			     const struct version_options *options)
{
	const struct entry *entry = options->entry;
	const struct exporter_options exporter = {
		.path = entry->script,
		.name = entry->name,
		.config = entry->config,
		.labels = entry->labels,
		.nlabels = entry->nlabels,
		.profiles = entry->profiles,
		.nprofiles = entry->nprofiles,
		.interval = entry->interval,
		.timeout = entry->timeout,
		.limits = entry->limits,
		.lua_path = entry->lua_path,
		.lua_cpath = entry->lua_cpath,
		.sandbox = entry->sandbox,
		.allow = (const char *const *)entry->allow,
		.web = options->web,
		.held = true,
		.lineage = version->lineage,
		.trial = options->trial,
		.fail_at = options->fail_at,
		.seen = &version->load_seen,
		.seen_more = seen_more,
		.loaded = loaded,
		.tried = tried,
		.live = live,
		.ended = ended,
		.arg = version,
	};

	return exporter_new(&exporter);
}

struct version *version_new(const struct version_options *options)
{
	struct version *version = mem_alloc(sizeof *version);

	version->loop = options->loop;
	version->entry = entry_ref(options->entry);
	version->lineage = mem_string(options->lineage);
	version->changed = options->changed;
	version->arg = options->arg;
	version->exporter = make(version, options);
	return version;
}

struct version *version_refused(struct entry *entry, const struct err *err)
{
	struct version *version = mem_alloc(sizeof *version);

	version->entry = entry_ref(entry);
	version->state = VERSION_FAILED;
	version->err = *err;
	version->ended = true;
	return version;
}

bool version_join(const struct version *version, double seconds)
{
	return !version->exporter || exporter_join(version->exporter, seconds);
}

bool version_unload(struct version *version)
{
	struct exporter *exporter = version->exporter;

	version->exporter = NULL;
	return !exporter || exporter_free(exporter, 0);
}

bool version_free(struct version *version)
{
	bool all = version_unload(version);

	unbind_heir(version);
	seen_list_release(&version->seen);
	seen_list_release(&version->load_seen);
	entry_unref(version->entry);
	free(version->lineage);
	free(version);
	return all;
}

struct outline_owner version_owner(const struct version *version)
{
	return (struct outline_owner){ exporter_outline(version->exporter),
				       version->entry->name,
				       version->entry->script,
				       version->entry->where };
}
