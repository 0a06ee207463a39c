/* SPDX-License-Identifier: Apache-2.0 */
#include "run/serve.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/number.h"
#include "run/shelf.h"
#include "web/negotiate.h"
#include "web/page_response.h"

#define PLAIN "text/plain; charset=utf-8"

/* What is done at once, and in one round of the loop. */
static const double slice = 0.001;

/* What a client is given that should have its answer by now. */
static const double least_seconds = 0.05;

/* What a client wants. */
struct wish {
	struct negotiated page;
	enum encoding encoding;
};

/* A request that waits for a making. */
struct waiter {
	struct waiter *next;
	struct making *making;
	struct request *request;
	char type[FORM_TYPE_MAX];
};

/* A body that is being made. */
struct making {
	struct making *next;
	struct serve *serve;
	struct exposition *exposition; /* a reference */
	enum encoding encoding;
	struct waiter *waiters;
	void (*merged)(void *arg, const struct exposition *exposition);
	void *arg;
};

struct serve {
	struct loop *loop;
	double keep_seconds;
	bool without_created;
	bool told; /* that there is no zstd */
	struct coders *coders;
	struct shelf *shelf;
	struct timer sweep;
	bool sweeping; /* its timer runs */
	struct laps laps;
	struct making *makings; /* the next one to go on with first */
};

/* ---- what a client wants ---- */

/* Without its library there is no zstd, which is said once. */
static enum encoding openable(struct serve *serve, enum encoding encoding,
			      const struct request *request)
{
	const char *accepted = request_header(request, "Accept-Encoding");
	struct err err;

	if (coders_open(serve->coders, encoding, &err))
		return encoding;
	if (!serve->told)
		log_warn("pages are not compressed with zstd", "err", err.text);
	serve->told = true;
	encoding = negotiate_gzip(accepted) ? ENCODING_GZIP : ENCODING_IDENTITY;
	coders_open(serve->coders, encoding, &err);
	return encoding;
}

static void read_wish(struct serve *serve, const struct request *request,
		      struct wish *wish)
{
	const char *accepted = request_header(request, "Accept-Encoding");

	negotiate_form(request_header(request, "Accept"), &wish->page);
	if (serve->without_created)
		wish->page.form.created = false;
	wish->encoding = openable(serve, negotiate_encoding(accepted), request);
}

/* Where all escapings show the same, one form is made for all of them. */
static void join_escapings(const struct serve_order *order, struct form *form)
{
	for (size_t i = 0; i < order->n; i++)
		if (order->pages[i]->quoted)
			return;
	form->escaping = ESCAPING_UNDERSCORES;
}

double serve_timeout(const struct request *request)
{
	const char *text =
		request_header(request, "X-Prometheus-Scrape-Timeout-Seconds");
	double seconds;

	if (!text || !number_parse(text, strlen(text), &seconds) ||
	    !(seconds > 0) || seconds > SERVE_TIMEOUT)
		return SERVE_TIMEOUT;
	return seconds;
}

double serve_seconds(const struct request *request, double now)
{
	double left = serve_timeout(request) + request_started(request) - now;

	return left > least_seconds ? left : least_seconds;
}

/* ---- makings ---- */

static void tell_merged(struct making *making,
			const struct exposition *exposition)
{
	void (*merged)(void *, const struct exposition *) = making->merged;

	making->merged = NULL;
	if (merged)
		merged(making->arg, exposition);
}

static void take_out(struct making *making)
{
	struct serve *serve = making->serve;
	struct making **place = &serve->makings;

	while (*place != making)
		place = &(*place)->next;
	*place = making->next;
	if (!serve->makings)
		laps_stop(&serve->laps);
}

static void append(struct serve *serve, struct making *making)
{
	struct making **place = &serve->makings;

	while (*place)
		place = &(*place)->next;
	making->next = NULL;
	*place = making;
	laps_start(&serve->laps);
}

static void making_free(struct making *making)
{
	tell_merged(making, NULL);
	exposition_unref(making->exposition);
	free(making);
}

/* Works for a slice of time; true when the body is made. */
static bool work(struct serve *serve, struct making *making)
{
	double end = loop_now(serve->loop) + slice;
	bool more;

	do {
		more = exposition_step(making->exposition, making->encoding,
				       serve->coders);
		if (making->merged && exposition_merged(making->exposition))
			tell_merged(making, making->exposition);
	} while (more && loop_now(serve->loop) < end);
	return !more;
}

static void answer(struct serve *serve, struct request *request,
		   const struct making *making, const char *type)
{
	struct response *response = shelf_respond(
		serve->shelf, making->exposition, making->encoding, type);

	request_answer(request, 200, response);
	response_unref(response);
}

static void answer_waiters(struct making *making)
{
	while (making->waiters) {
		struct waiter *waiter = making->waiters;

		making->waiters = waiter->next;
		answer(making->serve, waiter->request, making, waiter->type);
		free(waiter);
	}
}

static void run_lap(struct laps *laps)
{
	struct serve *serve =
		(void *)((char *)laps - offsetof(struct serve, laps));
	struct making *making = serve->makings;

	take_out(making);
	if (work(serve, making)) {
		answer_waiters(making);
		making_free(making);
	} else {
		append(serve, making);
	}
}

/* ---- waiting ---- */

/* What is made so far stays on the shelf for the next one who asks. */
static void leave(struct waiter *waiter)
{
	struct making *making = waiter->making;
	struct waiter **place = &making->waiters;

	while (*place != waiter)
		place = &(*place)->next;
	*place = waiter->next;
	free(waiter);
	if (making->waiters)
		return;
	take_out(making);
	making_free(making);
}

static void expired(struct request *request, void *arg)
{
	leave(arg);
	request_answer_text(request, 503, PLAIN,
			    request_stopping(request)
				    ? "lunex is stopping\n"
				    : "the page is not ready in time\n");
}

static void wait_for(struct making *making, const struct serve_order *order,
		     const struct wish *wish)
{
	struct waiter *waiter = mem_alloc(sizeof *waiter);

	waiter->making = making;
	waiter->request = order->request;
	strcpy(waiter->type, wish->page.content_type);
	waiter->next = making->waiters;
	making->waiters = waiter;
	request_suspend(order->request, order->seconds, expired, waiter);
}

static struct making *find_making(const struct serve *serve,
				  const struct exposition *exposition,
				  enum encoding encoding)
{
	struct making *making = serve->makings;

	while (making && (making->exposition != exposition ||
			  making->encoding != encoding))
		making = making->next;
	return making;
}

/* ---- giving up ---- */

static void start_sweep(struct serve *serve, double seconds)
{
	serve->sweeping = seconds > 0;
	if (serve->sweeping)
		timer_start(&serve->sweep, seconds);
}

/* The memory is the system's again, not only the allocator's. */
static void sweep(struct timer *timer)
{
	struct serve *serve =
		(void *)((char *)timer - offsetof(struct serve, sweep));
	bool freed;

	start_sweep(serve,
		    shelf_sweep(serve->shelf, loop_now(serve->loop), &freed));
	if (freed)
		malloc_trim(0);
}

/* ---- orders ---- */

/* The exposition of an order, a reference; *RESPONSE is the answer, borrowed,
 * if it is there already. */
static struct exposition *find_exposition(struct serve *serve,
					  const struct serve_order *order,
					  const struct wish *wish,
					  struct response **response)
{
	struct kept *kept;

	*response = NULL;
	if (!order->of)
		return exposition_begin(order->pages, order->n, wish->page.form,
					NULL);
	kept = shelf_ask(serve->shelf, order->of, wish->page.form,
			 wish->encoding, order->pages, order->n,
			 loop_now(serve->loop));
	if (!serve->sweeping)
		start_sweep(serve, serve->keep_seconds);
	*response =
		kept_response(kept, wish->encoding, wish->page.content_type);
	return exposition_ref(kept_exposition(kept));
}

/* Nobody makes it yet. It is made at once if that does not take long. */
static void make(struct serve *serve, const struct serve_order *order,
		 const struct wish *wish, struct exposition *exposition)
{
	struct making *making = mem_alloc(sizeof *making);

	making->serve = serve;
	making->exposition = exposition_ref(exposition);
	making->encoding = wish->encoding;
	making->merged = order->merged;
	making->arg = order->arg;
	if (work(serve, making)) {
		answer(serve, order->request, making, wish->page.content_type);
		making_free(making);
	} else {
		append(serve, making);
		wait_for(making, order, wish);
	}
}

static void told_already(const struct serve_order *order)
{
	if (order->merged)
		order->merged(order->arg, NULL);
}

void serve_pages(struct serve *serve, const struct serve_order *order)
{
	struct exposition *exposition;
	struct response *response;
	struct making *making;
	struct wish wish;

	read_wish(serve, order->request, &wish);
	join_escapings(order, &wish.page.form);
	exposition = find_exposition(serve, order, &wish, &response);
	making = find_making(serve, exposition, wish.encoding);
	if (response) {
		request_answer(order->request, 200, response);
		told_already(order);
	} else if (making) {
		wait_for(making, order, &wish);
		told_already(order);
	} else {
		make(serve, order, &wish, exposition);
	}
	exposition_unref(exposition);
}

const struct coders *serve_coders(const struct serve *serve)
{
	return serve->coders;
}

/* ---- life ---- */

struct serve *serve_new(const struct serve_options *options)
{
	struct serve *serve = mem_alloc(sizeof *serve);

	serve->loop = options->loop;
	serve->without_created = options->without_created;
	serve->keep_seconds =
		options->keep_seconds > 0 ? options->keep_seconds : SERVE_KEEP;
	serve->coders = coders_new();
	serve->shelf = shelf_new(serve->keep_seconds);
	timer_init(serve->loop, &serve->sweep, sweep);
	laps_init(serve->loop, &serve->laps, run_lap);
	return serve;
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	laps_release(&serve->laps);
	timer_release(&serve->sweep);
	shelf_free(serve->shelf);
	coders_free(serve->coders);
	free(serve);
}
