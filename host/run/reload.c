/* SPDX-License-Identifier: Apache-2.0 */
#include "run/reload.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "run/change.h"

/* After how many seconds it is tried again to make a plan when nothing could be
 * looked at, for want of descriptors for one: no edit would tell of it. */
enum { AGAIN_SECONDS = 2 };

struct reload {
	struct reload_options options;
	struct timer again;
	struct seen_list seen; /* what the latest plan was made from */
	bool refused;	       /* it was none to carry out */
	struct plan *plan;     /* NULL: none is being carried out */
	struct change *change;
	bool running;
	bool insisting;	       /* so does the one that runs */
	bool wished, insisted; /* for the next one */
	bool stopped;
	struct reload_request *waiting; /* for the one that runs; linked by
					   their messages */
	struct reload_request *next;
};

/* ---- what has to be loaded ---- */

static int by_path(const void *path, const void *item)
{
	return strcmp(path, (*(struct seen *const *)item)->path);
}

/* Whoever made the plan has just read it, mostly. */
static bool is_current(const struct reload *reload, struct seen *item)
{
	const struct seen_list *fresh = &reload->plan->seen;
	struct seen **found = NULL;

	if (fresh->n)
		found = bsearch(item->path, fresh->items, fresh->n,
				sizeof *fresh->items, by_path);
	if (found && (*found)->kind == item->kind)
		return seen_same(*found, item);
	return seen_is_current(item, NULL);
}

static bool all_current(const struct reload *reload,
			const struct seen_list *seen)
{
	for (size_t i = 0; i < seen->n; i++)
		if (!is_current(reload, seen->items[i]))
			return false;
	return true;
}

static bool runs_as(const struct reload *reload, const struct version *version,
		    const struct entry *entry)
{
	return version && entry_equal(version->entry, entry) &&
	       all_current(reload, &version->seen);
}

/* Where nothing was read, for want of descriptors for one, nobody can say what
 * it was made from. */
static bool failed_as(const struct reload *reload, const struct member *member,
		      const struct entry *entry)
{
	return member->failed && entry_equal(member->failed, entry) &&
	       (member->failed_seen.n || entry->mistake) &&
	       all_current(reload, &member->failed_seen);
}

static enum change_need need(void *arg, const struct member *member,
			     const struct entry *entry)
{
	const struct reload *reload = arg;
	const struct version *current = member->current;

	if (runs_as(reload, current, entry))
		return reload->insisting && version_is_stalled(current)
			       ? CHANGE_LOAD
			       : CHANGE_NOTHING;
	return !reload->insisting && failed_as(reload, member, entry)
		       ? CHANGE_NOT_YET
		       : CHANGE_LOAD;
}

/* ---- what is watched ---- */

static void add_members(const struct reload *reload, struct seen_list *all)
{
	size_t n;
	struct member *const *members =
		fleet_members(reload->options.fleet, &n);

	for (size_t i = 0; i < n; i++) {
		const struct member *member = members[i];

		if (member->failed)
			seen_list_add_all(all, &member->failed_seen);
		else if (member->current)
			seen_list_add_all(all, &member->current->seen);
	}
}

static void watch(struct reload *reload)
{
	struct seen_list all;

	if (!reload->options.watcher)
		return;
	seen_list_init(&all);
	/* What runs is older than the files then, and would seem to have
	 * changed again and again. */
	if (!reload->refused)
		add_members(reload, &all);
	seen_list_add_all(&all, &reload->seen);
	watcher_set(reload->options.watcher, &all);
	seen_list_release(&all);
}

void reload_watch(struct reload *reload)
{
	seen_list_add_all(&reload->seen, &reload->options.first->seen);
	watch(reload);
}

void reload_watch_more(struct reload *reload)
{
	if (!reload->running) /* or else its end watches */
		watch(reload);
}

/* ---- the end of one ---- */

static void log_item(const struct report_item *item)
{
	const char *error = *item->text ? item->text : NULL;

	switch (item->result) {
	case REPORT_ADDED:
		log_info("exporter added", "exporter", item->exporter, "script",
			 item->script);
		break;
	case REPORT_RELOADED:
		if (error)
			log_warn("exporter reloaded, and it fails", "exporter",
				 item->exporter, "script", item->script,
				 "error", error);
		else
			log_info("exporter reloaded", "exporter",
				 item->exporter, "script", item->script);
		break;
	case REPORT_REMOVED:
		log_info("exporter removed", "exporter", item->exporter,
			 "script", item->script);
		break;
	case REPORT_FAILED:
		log_error("reload failed; what ran before goes on", "exporter",
			  item->exporter, "error", error);
		break;
	case REPORT_NOTE: log_warn("reload", "note", error); break;
	}
}

static struct report *copy_report(const struct report *report)
{
	struct report *copy = report_new();

	for (size_t i = 0; i < report->n; i++)
		report_add(copy, report->items[i].result,
			   report->items[i].exporter, report->items[i].script,
			   report->items[i].text);
	copy->unchanged = report->unchanged;
	return copy;
}

static void deliver_answer(struct message *message)
{
	struct reload_request *request = (void *)message;

	request->answered(request);
}

/* REPORT is NULL when lunex stops. */
static void answer_all(struct reload_request **list,
		       const struct report *report)
{
	while (*list) {
		struct reload_request *request = *list;

		*list = (void *)request->message.next;
		request->report = report ? copy_report(report) : NULL;
		request->message.deliver = deliver_answer;
		loop_post(request->asker, &request->message);
	}
}

static void drop_plan(struct reload *reload)
{
	if (!reload->plan)
		return;
	plan_release(reload->plan);
	free(reload->plan);
	reload->plan = NULL;
}

static void begin(struct reload *reload);

static void finish(struct reload *reload, struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		log_item(&report->items[i]);
	if (!report->n)
		log_info("nothing to reload");
	fleet_set_left_behind(reload->options.fleet,
			      planner_left_behind(reload->options.planner));
	reload->options.changed(reload->options.arg);
	watch(reload);
	answer_all(&reload->waiting, report);
	report_free(report);
	change_free(reload->change);
	reload->change = NULL;
	drop_plan(reload);
	reload->running = false;
	if (reload->wished)
		begin(reload);
}

/* ---- its course ---- */

/* What a running process cannot change. */
static bool same_list(char **a, char **b)
{
	while (a && b && *a && *b && strcmp(*a, *b) == 0)
		a++, b++;
	return (!a || !*a) && (!b || !*b);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void add_notes(const struct reload *reload, struct report *report)
{
	const struct plan *first = reload->options.first, *now = reload->plan;

	if (!same_list(first->listen, now->listen))
		report_add(report, REPORT_NOTE, NULL, NULL,
			   "'listen' has changed: it wants a restart");
	if (!same_text(first->telemetry_path, now->telemetry_path))
		report_add(report, REPORT_NOTE, NULL, NULL,
			   "the telemetry path has changed: it wants a "
			   "restart");
	if (first->watch != now->watch)
		report_add(report, REPORT_NOTE, NULL, NULL,
			   "'watch' has changed: it wants a restart");
	if (first->lifecycle != now->lifecycle)
		report_add(report, REPORT_NOTE, NULL, NULL,
			   "'lifecycle' has changed: it wants a restart");
}

static void changed(void *arg, struct report *report)
{
	struct reload *reload = arg;

	add_notes(reload, report);
	finish(reload, report);
}

static void carry_out(struct reload *reload)
{
	const struct change_options options = {
		.loop = reload->options.loop,
		.fleet = reload->options.fleet,
		.entries = reload->plan->exporters,
		.n = reload->plan->nexporters,
		.need = need,
		.fits = reload->options.fits,
		.done = changed,
		.arg = reload,
	};
	enum log_level level;

	if (reload->plan->log_level &&
	    log_level_parse(reload->plan->log_level, &level))
		log_set_level(level);
	fleet_set_config(reload->options.fleet, "");
	reload->change = change_new(&options);
}

/* The member that a mistake concerns, where there is but one script. */
static struct member *only_member(const struct reload *reload)
{
	size_t n;
	struct member *const *members =
		fleet_members(reload->options.fleet, &n);

	return n == 1 && !members[0]->entry->where ? members[0] : NULL;
}

static void note_refusal(struct reload *reload, const char *sentence)
{
	struct member *member = only_member(reload);
	struct err err;

	err_set(&err, ERR_USAGE, "%s", sentence);
	fleet_set_config(reload->options.fleet, sentence);
	if (!member)
		return;
	member->loads_bad++;
	member_note(member, member->entry, &reload->seen, &err);
}

/* Everything stays as it is. */
static void refuse(struct reload *reload, char *const *sentences)
{
	const struct member *member = only_member(reload);
	struct report *report = report_new();

	for (size_t i = 0; sentences[i]; i++)
		report_add(report, REPORT_FAILED,
			   member ? member->entry->name : NULL,
			   member ? member->entry->script : NULL, sentences[i]);
	note_refusal(reload, sentences[0]);
	finish(reload, report);
}

static void refuse_one(struct reload *reload, const char *sentence)
{
	char *copy = mem_string(sentence);
	char *const sentences[] = { copy, NULL };

	refuse(reload, sentences);
	free(copy);
}

static void planned(void *arg, struct plan *plan, const struct err *err)
{
	struct reload *reload = arg;

	reload->refused = !plan || plan_refused(plan);
	seen_list_release(&reload->seen);
	seen_list_add_all(&reload->seen,
			  plan ? &plan->seen
			       : planner_seen(reload->options.planner));
	if (!plan) {
		refuse_one(reload, err->text);
		if (!reload->seen.n && reload->options.watcher &&
		    !reload->running)
			timer_start(&reload->again, AGAIN_SECONDS);
		return;
	}
	reload->plan = mem_alloc(sizeof *plan);
	*reload->plan = *plan;
	if (!plan_refused(reload->plan))
		carry_out(reload);
	else if (reload->plan->errors && *reload->plan->errors)
		refuse(reload, reload->plan->errors);
	else
		refuse_one(reload, "the command line asks for something else "
				   "now");
}

static void begin(struct reload *reload)
{
	timer_stop(&reload->again);
	reload->running = true;
	reload->insisting = reload->insisted;
	reload->wished = reload->insisted = false;
	reload->waiting = reload->next;
	reload->next = NULL;
	planner_make(reload->options.planner, reload->options.loop, planned,
		     reload);
}

void reload_wish(struct reload *reload, bool insist)
{
	if (reload->stopped)
		return;
	reload->wished = true;
	reload->insisted |= insist;
	if (!reload->running)
		begin(reload);
}

/* ---- requests ---- */

static void deliver_request(struct message *message)
{
	struct reload_request *request = (void *)message;
	struct reload *reload = request->reload;

	request->message.next = reload->next ? &reload->next->message : NULL;
	reload->next = request;
	if (reload->stopped)
		answer_all(&reload->next, NULL);
	else
		reload_wish(reload, true);
}

void reload_ask(struct reload_request *request)
{
	request->report = NULL;
	request->message.deliver = deliver_request;
	loop_post(request->reload->options.loop, &request->message);
}

/* ---- life ---- */

static void again_fired(struct timer *timer)
{
	struct reload *reload =
		(void *)((char *)timer - offsetof(struct reload, again));

	reload_wish(reload, false);
}

struct reload *reload_new(const struct reload_options *options)
{
	struct reload *reload = mem_alloc(sizeof *reload);

	reload->options = *options;
	seen_list_init(&reload->seen);
	timer_init(options->loop, &reload->again, again_fired);
	return reload;
}

bool reload_stop(struct reload *reload, double seconds)
{
	reload->stopped = true;
	timer_stop(&reload->again);
	answer_all(&reload->waiting, NULL);
	answer_all(&reload->next, NULL);
	change_free(reload->change);
	reload->change = NULL;
	return planner_stop(reload->options.planner, seconds);
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	drop_plan(reload);
	timer_release(&reload->again);
	seen_list_release(&reload->seen);
	free(reload);
}
