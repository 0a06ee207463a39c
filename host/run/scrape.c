/* SPDX-License-Identifier: Apache-2.0 */
#include "run/scrape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exposition.h"
#include "core/mem.h"
#include "run/told.h"

#define PLAIN "text/plain; charset=utf-8"

/* An exporter that is not collected on scrape and does not answer in time is
 * busy: it is served from its last page. */
static const double scheduled_wait = 0.05;

/* An exporter is not waited for longer than this behind its own timeout: it is
 * stuck. */
static const double stuck_after = 1;

/* How often it is looked whether those that are waited for can still answer. */
static const double look_again = 0.1;

/* Taken off the scrape's timeout for the way back, and what remains of it for
 * an exporter that ends at its deadline to say so. */
static const double offset = 0.5, grace = 0.2;

struct scraper {
	struct loop *loop;
	struct roster *roster; /* the present one */
	struct host_metrics *host;
	struct serve *serve;
	struct pusher *pusher; /* NULL: nothing is pushed */
	struct told told;
};

struct scrape {
	struct scraper *scraper;
	struct roster *roster;		 /* that it began with */
	struct request *request;	 /* NULL: answered */
	const struct roster_entry *only; /* NULL: all */
	struct timer patience;
	size_t asked;
	size_t open;	/* questions without an answer */
	size_t needed;	/* of them, those that cannot be done without */
	bool impatient; /* the others were waited for long enough */
	struct question {
		struct exporter_question question;
		struct scrape *scrape;
		bool needed;
		bool answered;
	} questions[]; /* in the order of the roster */
};

/* ---- pages ---- */

/* Pages, and who shows them. */
struct shown {
	struct scraper *scraper;
	struct roster *roster; /* as long as the owners are looked at */
	size_t n;
	const struct exporter **owners; /* NULL: the host */
	struct page **pages;
};

/* The question that SCRAPE (NULL: nobody was asked) has for EXPORTER; NULL:
 * none. NEXT is the number of the first that no exporter before this one was
 * asked.
 */
static const struct question *question_for(const struct scrape *scrape,
					   const struct exporter *exporter,
					   size_t *next)
{
	const struct question *question;

	if (!scrape || *next == scrape->asked)
		return NULL;
	question = &scrape->questions[*next];
	if (question->question.exporter != exporter)
		return NULL;
	++*next;
	return question;
}

/* Is there no answer of the exporter, so that its page would be a lie? A
 * scheduled one is served from its last page; one that is collected on scrape
 * has only the values of an earlier scrape. */
static bool is_missing(const struct exporter *exporter,
		       const struct question *question)
{
	return exporter_on_scrape(exporter) &&
	       !(question && question->answered);
}

static bool is_concerned(const struct roster_entry *entry,
			 const struct roster_entry *only)
{
	return entry->exporter && (!only || only == entry);
}

static void add_page(struct shown *shown, const struct exporter *owner,
		     struct page *page)
{
	shown->owners[shown->n] = owner;
	shown->pages[shown->n] = page;
	shown->n += page != NULL;
}

static void gather(struct shown *shown, const struct roster_entry *only,
		   const struct scrape *scrape)
{
	const struct roster *roster = shown->roster;
	size_t next = 0;

	for (size_t i = 0; i < roster->n; i++) {
		struct exporter *exporter = roster->entries[i].exporter;
		const struct question *question;

		if (!is_concerned(&roster->entries[i], only))
			continue;
		question = question_for(scrape, exporter, &next);
		if (!is_missing(exporter, question))
			add_page(shown, exporter, exporter_page(exporter));
	}
}

/* Adds the pages of the host. */
static void add_own(struct shown *shown)
{
	struct scraper *scraper = shown->scraper;

	add_page(shown, NULL,
		 host_metrics_page(scraper->host, loop_now(scraper->loop)));
	if (scraper->pusher)
		add_page(shown, NULL, pusher_page(scraper->pusher));
}

static struct shown *shown_new(struct scraper *scraper, struct roster *roster)
{
	struct shown *shown = mem_alloc(sizeof *shown);

	shown->scraper = scraper;
	shown->roster = roster_ref(roster);
	shown->pages = mem_array(roster->n + 2, sizeof *shown->pages);
	shown->owners = mem_array(roster->n + 2, sizeof *shown->owners);
	return shown;
}

static void shown_free(struct shown *shown)
{
	while (shown->n)
		page_unref(shown->pages[--shown->n]);
	roster_unref(shown->roster);
	free(shown->owners);
	free(shown->pages);
	free(shown);
}

static void merged(void *arg, const struct exposition *exposition)
{
	struct shown *shown = arg;

	if (exposition)
		told_tell(&shown->scraper->told, exposition, shown->owners);
	shown_free(shown);
}

/* ---- answers ---- */

static void show_all(struct request *request, struct shown *shown)
{
	struct scraper *scraper = shown->scraper;
	struct serve_order order = {
		.request = request,
		.of = scraper,
		.seconds = serve_seconds(request, loop_now(scraper->loop)),
		.merged = merged,
		.arg = shown,
	};

	add_own(shown);
	order.pages = shown->pages;
	order.n = shown->n;
	serve_pages(scraper->serve, &order);
}

static void show_one(struct request *request, struct shown *shown)
{
	struct scraper *scraper = shown->scraper;
	const struct serve_order order = {
		.request = request,
		.pages = shown->pages,
		.n = shown->n,
		.of = exporter_board(shown->owners[0]),
		.seconds = serve_seconds(request, loop_now(scraper->loop)),
	};

	serve_pages(scraper->serve, &order);
	shown_free(shown);
}

/* ONLY is the exporter that was asked for by name, or NULL. */
static void answer(struct scraper *scraper, struct request *request,
		   struct roster *roster, const struct roster_entry *only,
		   const struct scrape *scrape)
{
	struct shown *shown = shown_new(scraper, roster);

	gather(shown, only, scrape);
	if (!only) {
		show_all(request, shown);
	} else if (shown->n) {
		show_one(request, shown);
	} else {
		request_answer_text(request, 503, PLAIN,
				    "the exporter does not answer in time\n");
		shown_free(shown);
	}
}

/* ---- asking ---- */

static void end(struct scrape *scrape)
{
	struct request *request = scrape->request;

	scrape->request = NULL;
	if (request)
		answer(scrape->scraper, request, scrape->roster, scrape->only,
		       scrape);
	timer_stop(&scrape->patience);
	if (scrape->open)
		return; /* the last late answer comes here again */
	timer_release(&scrape->patience);
	roster_unref(scrape->roster);
	free(scrape);
}

static void answered(struct exporter_question *exporter_question)
{
	struct question *question = (void *)exporter_question;
	struct scrape *scrape = question->scrape;

	question->answered = true;
	scrape->open--;
	scrape->needed -= question->needed;
	if (!scrape->open || (!scrape->needed && scrape->impatient))
		end(scrape);
}

/* Is there an answer that cannot be done without, and can still come? */
static bool has_hope(const struct scrape *scrape)
{
	for (size_t i = 0; i < scrape->asked; i++) {
		const struct question *q = &scrape->questions[i];

		if (q->needed && !q->answered &&
		    !exporter_is_stuck(q->question.exporter))
			return true;
	}
	return false;
}

static void patience_ended(struct timer *timer)
{
	struct scrape *scrape =
		(void *)((char *)timer - offsetof(struct scrape, patience));

	scrape->impatient = true;
	if (!scrape->request)
		return;
	if (has_hope(scrape))
		timer_start(&scrape->patience, look_again);
	else
		end(scrape);
}

static void expired(struct request *request, void *arg)
{
	struct scrape *scrape = arg;

	if (request_stopping(request)) {
		scrape->request = NULL;
		request_answer_text(request, 503, PLAIN, "lunex is stopping\n");
	}
	end(scrape);
}

double scrape_seconds(const struct request *request)
{
	double seconds = serve_timeout(request);

	if (seconds >= SERVE_TIMEOUT)
		return SERVE_TIMEOUT;
	return seconds > 2 * offset ? seconds - offset : seconds / 2;
}

static void prepare(struct scrape *scrape, struct exporter *exporter,
		    double seconds)
{
	struct question *question = &scrape->questions[scrape->asked++];
	bool ready = atomic_load(&exporter_status(exporter)->ready);

	question->scrape = scrape;
	question->needed = exporter_on_scrape(exporter) || !ready;
	question->question.exporter = exporter;
	question->question.asker = scrape->scraper->loop;
	question->question.seconds = seconds;
	question->question.answered = answered;
	scrape->needed += question->needed;
}

/* How long an answer can take, at most. */
static double longest_wait(const struct exporter *exporter)
{
	return exporter_timeout(exporter) + stuck_after;
}

/* One that has been stuck for longer than the scrape could wait, or is known to
 * be, is not asked: its questions would pile up. */
static bool worth_asking(const struct exporter *exporter, double seconds)
{
	double busy = exporter_busy_seconds(exporter);

	return exporter_wants_asking(exporter) && busy <= seconds &&
	       busy <= longest_wait(exporter) && !exporter_is_stuck(exporter);
}

/* The most that the exporters which are asked can take, and SECONDS at most. */
static double patience_of(const struct scrape *scrape, double seconds)
{
	double most = 0;

	for (size_t i = 0; i < scrape->asked; i++) {
		double wait =
			longest_wait(scrape->questions[i].question.exporter);

		if (wait > most)
			most = wait;
	}
	return most < seconds ? most : seconds;
}

static struct scrape *scrape_new(struct scraper *scraper,
				 struct request *request,
				 const struct roster_entry *only)
{
	struct roster *roster = scraper->roster;
	struct scrape *scrape = mem_alloc(
		sizeof *scrape + roster->n * sizeof scrape->questions[0]);

	scrape->scraper = scraper;
	scrape->roster = roster_ref(roster);
	scrape->request = request;
	scrape->only = only;
	timer_init(scraper->loop, &scrape->patience, patience_ended);
	return scrape;
}

/* Suspends the request until the exporters that want it have been asked. */
static void ask(struct scraper *scraper, struct request *request,
		const struct roster_entry *only)
{
	double seconds = scrape_seconds(request);
	struct scrape *scrape = scrape_new(scraper, request, only);
	const struct roster *roster = scrape->roster;

	for (size_t i = 0; i < roster->n; i++)
		if (is_concerned(&roster->entries[i], only) &&
		    worth_asking(roster->entries[i].exporter, seconds))
			prepare(scrape, roster->entries[i].exporter, seconds);
	scrape->open = scrape->asked;
	if (!scrape->open) { /* it is stuck, or has become ready meanwhile */
		end(scrape);
		return;
	}
	request_suspend(request, patience_of(scrape, seconds + grace), expired,
			scrape);
	timer_start(&scrape->patience, scheduled_wait);
	for (size_t i = 0; i < scrape->asked; i++)
		exporter_ask(&scrape->questions[i].question);
}

static bool anybody_wants_asking(const struct roster *roster,
				 const struct roster_entry *only)
{
	for (size_t i = 0; i < roster->n; i++)
		if (is_concerned(&roster->entries[i], only) &&
		    exporter_wants_asking(roster->entries[i].exporter))
			return true;
	return false;
}

enum { REFUSAL_MAX = 2048 };

static void refuse_name(const struct roster *roster, struct request *request)
{
	char text[REFUSAL_MAX];
	struct buf names;

	buf_init(&names, sizeof text - 64);
	for (size_t i = 0; i < roster->n; i++)
		buf_addf(&names, "%s%s", i ? ", " : "",
			 roster->entries[i].name);
	snprintf(text, sizeof text,
		 "no exporter of that name; there are: %s%s\n",
		 buf_text(&names), names.full ? " ..." : "");
	buf_release(&names);
	request_answer_text(request, 404, PLAIN, text);
}

void scrape_refuse_broken(const struct roster_entry *entry,
			  struct request *request)
{
	struct buf text;

	buf_init(&text, strlen(entry->error) + 64);
	buf_addf(&text, "the exporter cannot run: %s\n", entry->error);
	request_answer_text(request, 503, PLAIN, buf_text(&text));
	buf_release(&text);
}

void scrape_handle(struct request *request, void *arg)
{
	struct scraper *scraper = arg;
	struct roster *roster = scraper->roster;
	const char *name = request_query(request, "exporter");
	const struct roster_entry *only =
		name ? roster_find(roster, name) : NULL;

	if (name && !only)
		refuse_name(roster, request);
	else if (only && !only->exporter)
		scrape_refuse_broken(only, request);
	else if (anybody_wants_asking(roster, only))
		ask(scraper, request, only);
	else
		answer(scraper, request, roster, only, NULL);
}

/* ---- life ---- */

struct scraper *scraper_new(struct loop *loop, struct serve *serve,
			    struct roster *roster, struct host_metrics *host)
{
	struct scraper *scraper = mem_alloc(sizeof *scraper);

	scraper->loop = loop;
	scraper->serve = serve;
	scraper->roster = roster_ref(roster);
	scraper->host = host;
	return scraper;
}

void scraper_set_roster(struct scraper *scraper, struct roster *roster)
{
	struct roster *former = scraper->roster;

	scraper->roster = roster_ref(roster);
	roster_unref(former);
}

void scraper_set_pusher(struct scraper *scraper, struct pusher *pusher)
{
	scraper->pusher = pusher;
}

void scraper_free(struct scraper *scraper)
{
	if (!scraper)
		return;
	roster_unref(scraper->roster);
	told_release(&scraper->told);
	free(scraper);
}
