/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exposition of the last scrape is kept, and with it the responses made
 * from it: a scrape whose pages are the same answers with the same bytes.
 * Nothing is freed under an open answer: responses hold their exposition.
 */
#include "run/scrape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exposition.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/number.h"
#include "web/negotiate.h"
#include "web/page_response.h"

#define PLAIN "text/plain; charset=utf-8"

/* An exporter that is not collected on scrape and does not answer in time is
 * busy: it is served from its last page. */
static const double scheduled_wait = 0.05;

/* Without the header of Prometheus. An exporter's own timeout is mostly less.
 */
static const double default_seconds = 120;

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
	struct pusher *pusher;	       /* NULL: nothing is pushed */
	struct exposition *exposition; /* of all pages */
	struct response *text, *gzip;  /* made from it, or NULL */
	struct deflate *deflate;
	unsigned conflicts; /* already told */
	size_t duplicates;  /* the same, and the first of them: */
	char *series;
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

/* ---- the merged exposition ---- */

static void forget(struct scraper *scraper)
{
	response_unref(scraper->text);
	response_unref(scraper->gzip);
	scraper->text = scraper->gzip = NULL;
	exposition_unref(scraper->exposition);
	scraper->exposition = NULL;
}

/* Two scripts that declare one family differently show at merging. */
static void tell_conflicts(struct scraper *scraper)
{
	unsigned n = exposition_conflicts(scraper->exposition);

	if (n && n != scraper->conflicts)
		log_warn("metrics are left out: exporters declare them "
			 "differently");
	scraper->conflicts = n;
}

static const char *name_of(const struct exporter *exporter)
{
	return exporter ? exporter_name(exporter) : "lunex";
}

void scrape_tell_duplicates(const struct duplicates *d,
			    const struct exporter *const *owners)
{
	char count[32];

	snprintf(count, sizeof count, "%zu", d->count);
	log_warn("series are left out: another exporter shows them", "exporter",
		 name_of(owners[d->again]), "other", name_of(owners[d->first]),
		 "series", d->series, "count", count);
}

/* Two exporters that show the same series; said again when it is another one,
 * or another number of them. */
static void tell_duplicates(struct scraper *scraper,
			    const struct exporter *const *owners)
{
	const struct duplicates *d = exposition_duplicates(scraper->exposition);

	if (d->count == scraper->duplicates &&
	    (!d->count || strcmp(d->series, scraper->series) == 0))
		return;
	scraper->duplicates = d->count;
	free(scraper->series);
	scraper->series = mem_string(d->series);
	if (d->count)
		scrape_tell_duplicates(d, owners);
}

static struct exposition *present(struct scraper *scraper,
				  struct page *const *pages, size_t n)
{
	struct exposition *former = scraper->exposition;

	if (former && exposition_shows(former, pages, n))
		return former;
	scraper->exposition = NULL;
	response_unref(scraper->text);
	response_unref(scraper->gzip);
	scraper->text = scraper->gzip = NULL;
	scraper->exposition = exposition_new(pages, n, former);
	exposition_unref(former);
	tell_conflicts(scraper);
	return scraper->exposition;
}

static bool wants_gzip(const struct request *request)
{
	return negotiate_gzip(request_header(request, "Accept-Encoding"));
}

/* The text of a large page is not kept for the next scrape. */
static void answer_all(struct scraper *scraper, struct request *request,
		       struct page *const *pages, size_t n)
{
	struct exposition *exposition = present(scraper, pages, n);
	struct response *response;

	if (wants_gzip(request)) {
		if (!scraper->gzip)
			scraper->gzip = page_response_gzip(exposition,
							   scraper->deflate);
		request_answer(request, 200, scraper->gzip);
	} else if (scraper->text) {
		request_answer(request, 200, scraper->text);
	} else {
		response = page_response_text(exposition);
		request_answer(request, 200, response);
		if (exposition_keeps_text(exposition))
			scraper->text = response;
		else
			response_unref(response);
	}
}

static void answer_one(struct scraper *scraper, struct request *request,
		       struct page *page)
{
	struct exposition *exposition = exposition_new(&page, 1, NULL);
	struct response *response =
		wants_gzip(request)
			? page_response_gzip(exposition, scraper->deflate)
			: page_response_text(exposition);

	request_answer(request, 200, response);
	response_unref(response);
	exposition_unref(exposition);
}

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

/* Fills PAGES and OWNERS; how many there are. */
static size_t gather(const struct roster *roster,
		     const struct roster_entry *only,
		     const struct scrape *scrape, struct page **pages,
		     const struct exporter **owners)
{
	size_t n = 0, next = 0;

	for (size_t i = 0; i < roster->n; i++) {
		struct exporter *exporter = roster->entries[i].exporter;
		const struct question *question;

		if (!is_concerned(&roster->entries[i], only))
			continue;
		question = question_for(scrape, exporter, &next);
		if (is_missing(exporter, question))
			continue;
		owners[n] = exporter;
		pages[n] = exporter_page(exporter);
		n += pages[n] != NULL;
	}
	return n;
}

/* Adds the pages of the host behind the N that are there. */
static size_t add_own(struct scraper *scraper, struct page **pages,
		      const struct exporter **owners, size_t n)
{
	owners[n] = NULL;
	pages[n++] = host_metrics_page(scraper->host, loop_now(scraper->loop));
	owners[n] = NULL;
	if (scraper->pusher)
		pages[n] = pusher_page(scraper->pusher);
	return n + (pages[n] != NULL);
}

/* ONLY is the exporter that was asked for by name, or NULL. */
static void answer(struct scraper *scraper, struct request *request,
		   const struct roster *roster, const struct roster_entry *only,
		   const struct scrape *scrape)
{
	struct page **pages = mem_array(roster->n + 2, sizeof *pages);
	const struct exporter **owners =
		mem_array(roster->n + 2, sizeof *owners);
	size_t n = gather(roster, only, scrape, pages, owners);

	if (only && !n) {
		request_answer_text(request, 503, PLAIN,
				    "the exporter does not answer in time\n");
	} else if (only) {
		answer_one(scraper, request, pages[0]);
	} else {
		n = add_own(scraper, pages, owners, n);
		answer_all(scraper, request, pages, n);
		tell_duplicates(scraper, owners);
	}
	while (n)
		page_unref(pages[--n]);
	free(owners);
	free(pages);
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
	const char *text =
		request_header(request, "X-Prometheus-Scrape-Timeout-Seconds");
	double seconds;

	if (!text || !number_parse(text, strlen(text), &seconds) ||
	    !(seconds > 0) || seconds > default_seconds)
		return default_seconds;
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
	const struct roster *roster = scraper->roster;
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

struct scraper *scraper_new(struct loop *loop, struct roster *roster,
			    struct host_metrics *host)
{
	struct scraper *scraper = mem_alloc(sizeof *scraper);

	scraper->loop = loop;
	scraper->roster = roster_ref(roster);
	scraper->host = host;
	scraper->deflate = deflate_new();
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
	forget(scraper);
	roster_unref(scraper->roster);
	free(scraper->series);
	deflate_free(scraper->deflate);
	free(scraper);
}
