/* SPDX-License-Identifier: Apache-2.0 */
#include "run/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "run/moment.h"

/* Behind the time that what is under way may take. */
static const double end_patience = 2.5;

/* Descriptors of an exporter that has no socket yet, and some for the rest. */
enum { DESCRIPTORS_EACH = 16, DESCRIPTORS_ELSE = 256 };

/* What is kept for the rest when the limit cannot be raised. */
enum { DESCRIPTORS_SPARE = 64 };

struct fleet {
	struct fleet_options options;
	struct member **members;
	size_t n;
	struct version **parting; /* on their way out */
	size_t nparting;
	struct roster *roster; /* the present one; NULL: to be made */
	char *config_error;
	double config_changed;
	unsigned left_behind; /* threads of others */
	bool stopped;
	bool unclean; /* not everything of a former version could be freed */
	void (*changed)(struct version *version, void *arg);
	void *arg;
};

/* ---- descriptors ---- */

void fleet_want(size_t exporters)
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

/* ---- members ---- */

struct member *member_new(struct entry *entry)
{
	struct member *member = mem_alloc(sizeof *member);

	member->entry = entry_ref(entry);
	member->changed = moment_now();
	return member;
}

static void forget_failure(struct member *member)
{
	entry_unref(member->failed);
	member->failed = NULL;
	seen_list_release(&member->failed_seen);
	seen_list_init(&member->failed_seen);
}

void member_note(struct member *member, struct entry *entry,
		 const struct seen_list *seen, const struct err *err)
{
	forget_failure(member);
	member->loaded = !err;
	member->changed = moment_now();
	if (!err)
		return;
	member->err = *err;
	member->failed = entry_ref(entry);
	seen_list_add_all(&member->failed_seen, seen);
}

void member_free(struct member *member)
{
	forget_failure(member);
	entry_unref(member->entry);
	free(member);
}

struct member *const *fleet_members(const struct fleet *fleet, size_t *n)
{
	*n = fleet->n;
	return fleet->members;
}

struct member *fleet_find(const struct fleet *fleet, const char *name)
{
	for (size_t i = 0; i < fleet->n; i++)
		if (strcmp(fleet->members[i]->entry->name, name) == 0)
			return fleet->members[i];
	return NULL;
}

void fleet_fail_at(struct fleet *fleet, size_t fail_at)
{
	fleet->options.fail_at = fail_at;
}

void fleet_start(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n; i++) {
		struct version *current = fleet->members[i]->current;

		if (current && current->state == VERSION_LOADED)
			version_start(current);
	}
}

struct exporter **fleet_running(const struct fleet *fleet, size_t *n)
{
	struct exporter **running = mem_array(fleet->n, sizeof(*running));

	*n = 0;
	for (size_t i = 0; i < fleet->n; i++)
		if (fleet->members[i]->current)
			running[(*n)++] = fleet->members[i]->current->exporter;
	return running;
}

static void forget_roster(struct fleet *fleet)
{
	roster_unref(fleet->roster);
	fleet->roster = NULL;
}

void fleet_set_members(struct fleet *fleet, struct member *const *members,
		       size_t n)
{
	struct member **copy = mem_array(n, sizeof(*copy));

	memcpy(copy, members, n * sizeof *copy);
	free(fleet->members);
	fleet->members = copy;
	fleet->n = n;
	forget_roster(fleet);
}

/* ---- rosters ---- */

static unsigned left_behind(const struct fleet *fleet)
{
	unsigned n = fleet->left_behind;

	for (size_t i = 0; i < fleet->nparting; i++)
		n += fleet->parting[i]->left_behind;
	return n;
}

static void look_after(struct fleet *fleet);

static void roster_gone(struct roster *roster)
{
	for (size_t i = 0; i < roster->n; i++)
		if (roster->entries[i].version)
			roster->entries[i].version->rosters--;
	look_after(roster->arg);
}

static void fill(struct roster_entry *to, const struct member *member)
{
	struct version *version = member->current;

	to->name = mem_string(member->entry->name);
	to->script = mem_string(member->entry->script);
	to->entry = entry_ref(member->entry);
	to->version = version;
	to->exporter = version ? version->exporter : NULL;
	to->loaded = member->loaded;
	to->error = mem_string(member->loaded ? "" : member->err.text);
	to->changed = member->changed;
	to->loads_ok = member->loads_ok;
	to->loads_bad = member->loads_bad;
	if (version)
		version->rosters++;
}

static struct roster *make_roster(struct fleet *fleet)
{
	struct roster *roster =
		roster_new(fleet->n, fleet->options.loop, roster_gone, fleet);

	for (size_t i = 0; i < fleet->n; i++)
		fill(&roster->entries[i], fleet->members[i]);
	roster->left_behind = left_behind(fleet);
	roster->config_error = mem_string(fleet->config_error);
	roster->config_loaded = !*fleet->config_error;
	roster->config_changed = fleet->config_changed;
	return roster;
}

bool fleet_has_news(const struct fleet *fleet)
{
	return !fleet->roster;
}

bool fleet_seen_more(struct fleet *fleet)
{
	bool more = false;

	for (size_t i = 0; i < fleet->n; i++) {
		struct version *current = fleet->members[i]->current;

		more |= current && current->seen_more;
		if (current)
			current->seen_more = false;
	}
	return more;
}

struct roster *fleet_roster(struct fleet *fleet)
{
	if (!fleet->roster)
		fleet->roster = make_roster(fleet);
	return roster_ref(fleet->roster);
}

void fleet_set_config(struct fleet *fleet, const char *error)
{
	free(fleet->config_error);
	fleet->config_error = mem_string(error);
	fleet->config_changed = moment_now();
	forget_roster(fleet);
}

void fleet_set_left_behind(struct fleet *fleet, unsigned others)
{
	if (others != fleet->left_behind)
		forget_roster(fleet);
	fleet->left_behind = others;
}

/* ---- versions ---- */

static void version_changed(struct version *version, void *arg)
{
	struct fleet *fleet = arg;

	if (fleet->stopped)
		return;
	if (fleet->changed)
		fleet->changed(version, fleet->arg);
	look_after(fleet);
}

static bool is_lineage(const struct fleet *fleet, const char *lineage)
{
	for (size_t i = 0; i < fleet->n; i++) {
		const struct version *current = fleet->members[i]->current;

		if (current && strcmp(current->lineage, lineage) == 0)
			return true;
	}
	return false;
}

/* That of FORMER, which may have had another name; of a new exporter its name,
 * unless one that was renamed still has it. To be freed. */
static char *lineage_of(const struct fleet *fleet, const struct entry *entry,
			const struct version *former)
{
	char *lineage = mem_string(former ? former->lineage : entry->name);

	while (!former && is_lineage(fleet, lineage)) {
		size_t len = strlen(lineage);

		lineage = mem_realloc(lineage, len + 2);
		memcpy(lineage + len, "+", 2);
	}
	return lineage;
}

static struct version *load(struct fleet *fleet, struct entry *entry,
			    const struct version *former)
{
	char *lineage = lineage_of(fleet, entry, former);
	const struct version_options options = { .loop = fleet->options.loop,
						 .web = fleet->options.web,
						 .entry = entry,
						 .lineage = lineage,
						 .trial = former != NULL,
						 .fail_at =
							 fleet->options.fail_at,
						 .changed = version_changed,
						 .arg = fleet };
	struct version *version = version_new(&options);

	free(lineage);
	return version;
}

struct version *fleet_load(struct fleet *fleet, struct entry *entry,
			   const struct version *former)
{
	struct err err;

	if (entry->mistake)
		err_set(&err, ERR_USAGE, "%s", entry->mistake);
	else if (!descriptors_left())
		err_set(&err, ERR_LIMIT,
			"%s: too many open files: raise their limit "
			"(ulimit -n)",
			entry->script);
	else if (left_behind(fleet) >= FLEET_LEFT_MAX)
		err_set(&err, ERR_LIMIT,
			"%s: %u threads of scripts are stuck already: restart "
			"lunex",
			entry->script, left_behind(fleet));
	else
		return load(fleet, entry, former);
	return version_refused(entry, &err);
}

void fleet_listen(struct fleet *fleet,
		  void (*changed)(struct version *version, void *arg),
		  void *arg)
{
	fleet->changed = changed;
	fleet->arg = arg;
}

void fleet_part(struct fleet *fleet, struct version *version)
{
	fleet->parting =
		mem_realloc(fleet->parting,
			    (fleet->nparting + 1) * sizeof(*fleet->parting));
	fleet->parting[fleet->nparting++] = version;
	look_after(fleet);
}

/* Nobody asks it any more, and nobody has something to hand over to it. */
static bool is_alone(const struct version *version)
{
	return !version->rosters && !version->debtors;
}

/* True when it is gone. */
static bool go_on_parting(struct fleet *fleet, struct version *version)
{
	bool counted = version->left_behind;

	if (!is_alone(version))
		return false;
	if (version->state == VERSION_RETIRED)
		version_finish(version);
	if (!version->ended || !version_join(version, 1))
		return false;
	if (!version_free(version))
		fleet->unclean = true;
	if (counted)
		forget_roster(fleet);
	return true;
}

/* One that goes may let another one go, to which it handed over. */
static void look_after(struct fleet *fleet)
{
	bool again = !fleet->stopped;

	while (again) {
		again = false;
		for (size_t i = 0; i < fleet->nparting; i++) {
			if (!go_on_parting(fleet, fleet->parting[i]))
				continue;
			fleet->parting[i--] = fleet->parting[--fleet->nparting];
			again = true;
		}
	}
}

/* ---- stalled ones ---- */

/* Its thread should have ended by now. */
static bool is_overdue(struct fleet *fleet, const struct version *version)
{
	double patience = end_patience;

	if (!version->ending || version->ended || version->left_behind)
		return false;
	if (version->finishing)
		patience += exporter_timeout(version->exporter);
	return loop_now(fleet->options.loop) - version->ending > patience;
}

static void look_at_parting(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->nparting; i++) {
		struct version *version = fleet->parting[i];

		if (!is_overdue(fleet, version))
			continue;
		version->left_behind = true;
		forget_roster(fleet);
		log_warn("a former version of the script does not come back "
			 "to the host",
			 "exporter", version->entry->name, "script",
			 version->entry->script);
	}
}

void fleet_look(struct fleet *fleet)
{
	look_at_parting(fleet);
	for (size_t i = 0; i < fleet->n; i++) {
		struct version *version = fleet->members[i]->current;
		bool stalled;

		if (!version)
			continue;
		stalled = version_is_stalled(version);
		if (stalled && !version->stalled)
			log_warn("the script does not come back to the host",
				 "exporter", version->entry->name, "script",
				 version->entry->script);
		else if (!stalled && version->stalled)
			log_info("the script is back", "exporter",
				 version->entry->name);
		version->stalled = stalled;
	}
}

/* ---- life ---- */

struct fleet *fleet_new(const struct fleet_options *options)
{
	struct fleet *fleet = mem_alloc(sizeof *fleet);

	fleet->options = *options;
	fleet->config_error = mem_string("");
	fleet->config_changed = moment_now();
	return fleet;
}

/* Into one list. */
static void part_with_all(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n; i++) {
		struct member *member = fleet->members[i];

		if (member->current)
			fleet_part(fleet, member->current);
		member->current = NULL;
	}
}

static bool join_all(struct fleet *fleet, double seconds)
{
	double until = loop_now(fleet->options.loop) + seconds;
	bool all = true;

	for (size_t i = 0; i < fleet->nparting; i++) {
		struct version *version = fleet->parting[i];
		double left = until - loop_now(fleet->options.loop);

		if (version_join(version, left > 0 ? left : 0))
			continue;
		log_warn("the script did not come back in time", "exporter",
			 version->entry->name);
		all = false;
	}
	return all;
}

/* Until all threads are over, each may still say something to another. */
static bool free_all(struct fleet *fleet)
{
	bool all = true;

	for (size_t i = 0; i < fleet->nparting && all; i++) {
		struct version *version = fleet->parting[i];

		all = version_unload(version);
		if (!all)
			log_warn("the resolver did not come back in time",
				 "exporter", version->entry->name);
	}
	return all;
}

bool fleet_stop(struct fleet *fleet, double seconds)
{
	fleet->stopped = true;
	forget_roster(fleet);
	part_with_all(fleet);
	for (size_t i = 0; i < fleet->nparting; i++)
		version_stop(fleet->parting[i]);
	return join_all(fleet, seconds) && free_all(fleet) && !fleet->unclean;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	/* In whatever order: nobody hands over any more. */
	for (size_t i = 0; i < fleet->nparting; i++)
		fleet->parting[i]->heir = NULL;
	for (size_t i = 0; i < fleet->nparting; i++)
		version_free(fleet->parting[i]);
	for (size_t i = 0; i < fleet->n; i++)
		member_free(fleet->members[i]);
	free(fleet->parting);
	free(fleet->members);
	free(fleet->config_error);
	free(fleet);
}
