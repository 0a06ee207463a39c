/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change goes through its stages in order, and is in one of them with all its
 * candidates at a time: load, compare, try, swap. What a stage waits for is
 * counted; one timer gives up those that do not come back.
 */
#include "run/change.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/outline.h"

/* A script that is stuck while it loads does not keep the others waiting for
 * longer. */
static const double load_patience = 10;

/* Behind the time that a first collection may take. */
static const double trial_patience = 2;

/* For a version that is to hand over: its `start` has a second to come to a
 * wait. */
static const double swap_patience = 2.5;

/* And then for its heir. */
static const double heir_patience = 2.5;

enum stage { LOADING, TRYING, SWAPPING, OVER };

/* What becomes of one entry. */
struct candidate {
	struct entry *entry;
	struct member *member; /* that there is; NULL: a new exporter */
	enum change_need need;
	struct version *version; /* the new one; NULL: none is needed */
	bool joined;		 /* compared with those before it */
};

struct change {
	struct change_options options;
	struct timer patience;
	struct timer begin;
	enum stage stage;
	bool left;   /* those that do not hand over were left behind */
	size_t open; /* candidates that the stage waits for */
	struct report *report;
	size_t n;
	struct candidate candidates[];
};

/* ---- who is who ---- */

static struct version *current_of(const struct candidate *candidate)
{
	return candidate->member ? candidate->member->current : NULL;
}

static bool is_in(const struct candidate *candidate, enum version_state state)
{
	return candidate->version && candidate->version->state == state;
}

/* The version that runs when the change is over, as things are. */
static struct version *next_of(const struct candidate *candidate)
{
	return candidate->version && candidate->version->state != VERSION_FAILED
		       ? candidate->version
		       : current_of(candidate);
}

static size_t count(const struct change *change, enum version_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < change->n; i++)
		n += is_in(&change->candidates[i], state);
	return n;
}

/* ---- the last stage ---- */

static void fail(struct candidate *candidate, const struct err *err)
{
	version_fail(candidate->version, err);
}

/* One that failed is noted with its member, and goes. */
static void settle_failed(struct change *change, struct candidate *candidate)
{
	struct member *member = candidate->member;
	struct version *version = candidate->version;

	if (!member)
		member = member_new(candidate->entry);
	else
		member->loads_bad++;
	candidate->member = member;
	member_note(member, version->entry, &version->seen, &version->err);
	/* A script that does not load is called after its file. */
	report_add(change->report, REPORT_FAILED,
		   member->current ? member->entry->name
				   : candidate->entry->name,
		   candidate->entry->script, version->err.text);
}

/* What is wrong with a version that has taken over; NULL. */
static const char *remark_on(const struct version *version)
{
	if (version->late)
		return "the new version does not come back to the host; until "
		       "it does, the last page of the old one is shown";
	return version->trial_failed ? version->err.text : NULL;
}

static void settle_live(struct change *change, struct candidate *candidate)
{
	struct member *member = candidate->member;
	enum report_result result =
		member && member->current ? REPORT_RELOADED : REPORT_ADDED;

	if (!member)
		member = member_new(candidate->entry);
	else
		member->loads_ok++;
	candidate->member = member;
	member_note(member, NULL, NULL, NULL);
	report_add(change->report, result, candidate->entry->name,
		   candidate->entry->script, remark_on(candidate->version));
}

/* The same as what runs: an attempt that had failed was taken back. */
static void settle_unchanged(struct change *change, struct candidate *candidate)
{
	struct member *member = candidate->member;

	change->report->unchanged++;
	if (candidate->need == CHANGE_NOTHING && !member->loaded)
		member_note(member, NULL, NULL, NULL);
}

/* Where the old version goes on, so does its entry. */
static void replace_entry(struct member *member, struct entry *entry)
{
	if (member->current && !member->loaded)
		return;
	entry_ref(entry);
	entry_unref(member->entry);
	member->entry = entry;
}

static void settle(struct change *change, struct candidate *candidate)
{
	struct version *version = candidate->version, *former;

	former = current_of(candidate);
	if (!version)
		settle_unchanged(change, candidate);
	else if (version->state == VERSION_FAILED)
		settle_failed(change, candidate);
	else
		settle_live(change, candidate);
	replace_entry(candidate->member, candidate->entry);
	if (!version)
		return;
	if (version->state == VERSION_FAILED) {
		fleet_part(change->options.fleet, version);
		return;
	}
	candidate->member->current = version;
	if (former)
		fleet_part(change->options.fleet, former);
}

static bool is_wanted(const struct change *change, const struct member *member)
{
	for (size_t i = 0; i < change->n; i++)
		if (change->candidates[i].member == member)
			return true;
	return false;
}

static void remove_member(struct change *change, struct member *member)
{
	report_add(change->report, REPORT_REMOVED, member->entry->name,
		   member->entry->script, NULL);
	if (member->current) {
		version_remove(member->current);
		if (version_is_stalled(member->current))
			version_leave_behind(member->current);
		fleet_part(change->options.fleet, member->current);
	}
	member_free(member);
}

static void set_members(struct change *change)
{
	struct member **members = mem_array(change->n, sizeof(*members));

	for (size_t i = 0; i < change->n; i++)
		members[i] = change->candidates[i].member;
	fleet_set_members(change->options.fleet, members, change->n);
	free(members);
}

static void finish(struct change *change)
{
	struct report *report = change->report;
	struct member *const *former;
	size_t n;

	change->stage = OVER;
	timer_stop(&change->patience);
	fleet_listen(change->options.fleet, NULL, NULL);
	former = fleet_members(change->options.fleet, &n);
	for (size_t i = 0; i < n; i++)
		if (!is_wanted(change, former[i]))
			remove_member(change, former[i]);
	for (size_t i = 0; i < change->n; i++)
		settle(change, &change->candidates[i]);
	set_members(change);
	change->report = NULL;
	change->options.done(change->options.arg, report);
}

/* ---- swapping ---- */

static void swap_one(const struct change *change, struct candidate *candidate)
{
	struct version *current = current_of(candidate);

	if (current)
		version_replace(current, candidate->version);
	else if (!change->options.hold)
		version_start(candidate->version);
}

static void swap_ready(struct change *change)
{
	change->stage = SWAPPING;
	for (size_t i = 0; i < change->n; i++)
		if (is_in(&change->candidates[i], VERSION_TRIED) ||
		    is_in(&change->candidates[i], VERSION_LOADED))
			swap_one(change, &change->candidates[i]);
	change->open = count(change, VERSION_TAKING_OVER);
	if (change->open)
		timer_start(&change->patience, swap_patience);
	else
		finish(change);
}

/* Those that do not hand over are stuck: their heirs go on without them, and
 * say so in the same way as the others. */
static void leave_behind(struct change *change)
{
	change->left = true;
	timer_start(&change->patience, heir_patience);
	for (size_t i = 0; i < change->n; i++)
		if (is_in(&change->candidates[i], VERSION_TAKING_OVER))
			version_leave_behind(
				current_of(&change->candidates[i]));
}

/* Those that do not even say so are stuck themselves, since their trial. */
static void go_on_without(struct change *change)
{
	for (size_t i = 0; i < change->n; i++)
		if (is_in(&change->candidates[i], VERSION_TAKING_OVER))
			version_lend(current_of(&change->candidates[i]),
				     change->candidates[i].version);
	change->open = 0;
	finish(change);
}

/* ---- comparing ---- */

static bool continues(const struct candidate *candidate, struct err *err)
{
	struct version *current = current_of(candidate);
	struct outline_owner former, next;

	if (!current)
		return true;
	former = version_owner(current);
	next = version_owner(candidate->version);
	return outline_continues(&former, &next, err);
}

/* Can VERSION run beside all that have joined? They are in EXPORTERS, N of
 * them, with room for one more. */
static bool agrees(const struct change *change, struct version *version,
		   struct exporter **exporters, size_t n, struct err *err)
{
	struct outline_owner ours = version_owner(version);

	for (size_t i = 0; i < change->n; i++) {
		const struct candidate *other = &change->candidates[i];
		struct outline_owner theirs;

		if (!other->joined || !next_of(other))
			continue;
		theirs = version_owner(next_of(other));
		if (!outline_agree(&theirs, &ours, err))
			return false;
	}
	exporters[n] = version->exporter;
	return change->options.fits(change->options.arg, exporters, n + 1, err);
}

/* Who goes on as before has joined. */
static size_t join_settled(struct change *change, struct exporter **exporters)
{
	size_t n = 0;

	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];
		struct version *next = next_of(candidate);

		candidate->joined = next && next == current_of(candidate);
		if (candidate->joined)
			exporters[n++] = next->exporter;
	}
	return n;
}

/* One after the other joins those that go together. False when one with an
 * older version was refused: that one goes on, and the others have to be
 * compared with it. */
static bool join(struct change *change, struct exporter **exporters)
{
	size_t n = join_settled(change, exporters);
	struct err err;

	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];
		struct version *version = candidate->version;

		if (!version || version->state == VERSION_FAILED)
			continue;
		candidate->joined = continues(candidate, &err) &&
				    agrees(change, version, exporters, n, &err);
		if (candidate->joined) {
			exporters[n++] = version->exporter;
			continue;
		}
		fail(candidate, &err);
		if (current_of(candidate))
			return false;
	}
	return true;
}

static void compare(struct change *change)
{
	struct exporter **exporters =
		mem_array(change->n + 1, sizeof(*exporters));

	while (!join(change, exporters))
		continue;
	free(exporters);
}

/* ---- trying ---- */

/* A new version that fails is no worse than an old one that does. */
static bool was_failing(const struct candidate *candidate)
{
	const struct version *current = current_of(candidate);

	return atomic_load(&exporter_status(current->exporter)->failing) ||
	       version_is_stalled(current);
}

static void judge(struct change *change)
{
	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];

		if (is_in(candidate, VERSION_TRIED) &&
		    candidate->version->trial_failed && !was_failing(candidate))
			fail(candidate, &candidate->version->err);
	}
	compare(change);
	swap_ready(change);
}

static void try_all(struct change *change)
{
	double longest = 0;

	change->stage = TRYING;
	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];
		double timeout;

		if (!is_in(candidate, VERSION_LOADED) || !current_of(candidate))
			continue;
		timeout = exporter_timeout(candidate->version->exporter);
		longest = timeout > longest ? timeout : longest;
		version_try(candidate->version);
	}
	change->open = count(change, VERSION_TRYING);
	if (change->open)
		timer_start(&change->patience, longest + trial_patience);
	else
		judge(change);
}

/* ---- loading ---- */

static void all_loaded(struct change *change)
{
	timer_stop(&change->patience);
	compare(change);
	try_all(change);
}

static void load(struct change *change, struct candidate *candidate)
{
	struct member *member = candidate->member;

	candidate->need = CHANGE_LOAD;
	if (member && change->options.need)
		candidate->need = change->options.need(
			change->options.arg, member, candidate->entry);
	if (candidate->need == CHANGE_LOAD)
		candidate->version =
			fleet_load(change->options.fleet, candidate->entry,
				   current_of(candidate));
}

static void begin(struct timer *timer)
{
	struct change *change =
		(void *)((char *)timer - offsetof(struct change, begin));

	fleet_want(change->n);
	for (size_t i = 0; i < change->n; i++)
		load(change, &change->candidates[i]);
	change->open = count(change, VERSION_LOADING);
	if (!change->open)
		all_loaded(change);
	else if (!change->options.patient)
		timer_start(&change->patience, load_patience);
}

/* ---- what happens to the candidates ---- */

static void next_stage(struct change *change)
{
	timer_stop(&change->patience);
	switch (change->stage) {
	case LOADING: all_loaded(change); break;
	case TRYING: judge(change); break;
	case SWAPPING: finish(change); break;
	case OVER: break;
	}
}

static const enum version_state awaited[] = {
	[LOADING] = VERSION_LOADING,
	[TRYING] = VERSION_TRYING,
	[SWAPPING] = VERSION_TAKING_OVER,
};

static void version_changed(struct version *version, void *arg)
{
	struct change *change = arg;
	size_t open;

	(void)version;
	if (change->stage == OVER || !change->open)
		return;
	open = count(change, awaited[change->stage]);
	if (open == change->open)
		return;
	change->open = open;
	if (!open)
		next_stage(change);
}

/* Its thread stays behind; whether it will ever end is not known. */
static void give_up(struct candidate *candidate, const char *what,
		    double seconds)
{
	struct version *version = candidate->version;
	struct err err;

	err_set(&err, ERR_TIMEOUT, "%s: %s after %g s", version->entry->script,
		what, seconds);
	version->left_behind = true;
	fail(candidate, &err);
}

static void patience_ended(struct timer *timer)
{
	struct change *change =
		(void *)((char *)timer - offsetof(struct change, patience));

	if (change->stage == SWAPPING) {
		change->left ? go_on_without(change) : leave_behind(change);
		return;
	}
	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];

		if (is_in(candidate, VERSION_LOADING))
			give_up(candidate, "the script is still loading",
				load_patience);
		else if (is_in(candidate, VERSION_TRYING))
			give_up(candidate,
				"the first collection of the new version does "
				"not come back",
				exporter_timeout(candidate->version->exporter) +
					trial_patience);
	}
	change->open = 0;
	next_stage(change);
}

/* ---- life ---- */

/* A script may have got another name. */
static struct member *find_by_script(const struct change *change,
				     const char *script)
{
	size_t n;
	struct member *const *members =
		fleet_members(change->options.fleet, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(members[i]->entry->script, script) == 0 &&
		    !is_wanted(change, members[i]))
			return members[i];
	return NULL;
}

static void match(struct change *change)
{
	for (size_t i = 0; i < change->n; i++) {
		struct candidate *candidate = &change->candidates[i];

		candidate->entry = change->options.entries[i];
		candidate->member = fleet_find(change->options.fleet,
					       candidate->entry->name);
	}
	for (size_t i = 0; i < change->n; i++)
		if (!change->candidates[i].member)
			change->candidates[i].member = find_by_script(
				change, change->candidates[i].entry->script);
}

struct change *change_new(const struct change_options *options)
{
	struct change *change = mem_alloc(
		sizeof *change + options->n * sizeof change->candidates[0]);

	change->options = *options;
	change->n = options->n;
	change->report = report_new();
	match(change);
	timer_init(options->loop, &change->patience, patience_ended);
	timer_init(options->loop, &change->begin, begin);
	fleet_listen(options->fleet, version_changed, change);
	timer_start(&change->begin, 0);
	return change;
}

/* Candidates go with the fleet, which stops. */
void change_free(struct change *change)
{
	if (!change)
		return;
	timer_release(&change->patience);
	timer_release(&change->begin);
	if (change->stage != OVER) {
		fleet_listen(change->options.fleet, NULL, NULL);
		for (size_t i = 0; i < change->n; i++)
			if (change->candidates[i].version)
				fleet_part(change->options.fleet,
					   change->candidates[i].version);
	}
	report_free(change->report);
	free(change);
}
