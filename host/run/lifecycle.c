/* SPDX-License-Identifier: Apache-2.0 */
#include "run/lifecycle.h"

#include <stdlib.h>

#include "core/buf.h"
#include "core/json_text.h"
#include "core/mem.h"
#include "run/report.h"
#include "web/negotiate.h"

#define PLAIN "text/plain; charset=utf-8"
#define JSON "application/json"

/* Scripts that do not come back have deadlines; this is behind all of them. */
static const double default_seconds = 120;

enum { REPORT_MAX = 16 << 20 };

struct lifecycle {
	struct lifecycle_options options;
	unsigned open;
};

/* Somebody waits for a reload. */
struct waiting {
	struct reload_request wish; /* first */
	struct lifecycle *lifecycle;
	struct request *request; /* NULL: answered already */
};

/* ---- answers ---- */

static bool wants_json(const struct request *request)
{
	return negotiate_json(request_header(request, "Accept"));
}

static void add_json(struct buf *text, const char *sentence)
{
	struct json_text json;

	json_text_init(&json, text);
	json_text_object(&json, NULL);
	json_text_bool(&json, "ok", false);
	json_text_string(&json, "error", sentence);
	json_text_end_object(&json);
}

/* A sentence, in the form that the client wants. */
static void say(struct request *request, unsigned status, const char *sentence)
{
	static const char *const again[] = { "Retry-After", "1", NULL };
	bool json = wants_json(request);
	struct response *response;
	struct buf text;

	buf_init(&text, 1024);
	if (json)
		add_json(&text, sentence);
	else
		buf_addstr(&text, sentence);
	buf_addch(&text, '\n');
	response = response_text(json ? JSON : PLAIN, buf_text(&text),
				 status == 503 ? again : NULL);
	request_answer(request, status, response);
	response_unref(response);
	buf_release(&text);
}

static void say_report(struct request *request, const struct report *report)
{
	bool json = wants_json(request);
	unsigned status = report->ok ? 200 : 500;
	struct buf text;

	buf_init(&text, REPORT_MAX);
	if (json)
		report_json(report, &text);
	else
		report_text(report, &text);
	if (json)
		buf_addch(&text, '\n');
	else if (!text.len)
		buf_addstr(&text, "nothing changed\n");
	if (text.full)
		say(request, status,
		    "the report is too long to be sent; the log has it");
	else
		request_answer_text(request, status, json ? JSON : PLAIN,
				    buf_text(&text));
	buf_release(&text);
}

/* ---- waiting ---- */

static void answered(struct reload_request *wish)
{
	struct waiting *waiting = (void *)wish;

	waiting->lifecycle->open--;
	if (waiting->request && wish->report)
		say_report(waiting->request, wish->report);
	else if (waiting->request)
		say(waiting->request, 503, "lunex is stopping");
	report_free(wish->report);
	free(waiting);
}

static void expired(struct request *request, void *arg)
{
	struct waiting *waiting = arg;

	waiting->request = NULL;
	if (request_stopping(request))
		say(request, 503, "lunex is stopping");
	else
		say(request, 504,
		    "the reload is not over yet and goes on; the log, / and "
		    "/api/v1/exporters will say what became of it");
}

static void wait_for_it(struct lifecycle *lifecycle, struct request *request)
{
	const struct lifecycle_options *options = &lifecycle->options;
	struct waiting *waiting = mem_alloc(sizeof *waiting);

	lifecycle->open++;
	waiting->lifecycle = lifecycle;
	waiting->request = request;
	waiting->wish.reload = options->reload;
	waiting->wish.asker = options->loop;
	waiting->wish.answered = answered;
	request_suspend(request, options->seconds, expired, waiting);
	options->ask(&waiting->wish);
}

void lifecycle_handle(struct request *request, void *arg)
{
	struct lifecycle *lifecycle = arg;

	if (!lifecycle->options.enabled || !lifecycle->options.ask)
		say(request, 403,
		    "reloading by HTTP is not enabled; lunex does it when it "
		    "is started with --web.enable-lifecycle");
	else if (lifecycle->open == LIFECYCLE_MAX)
		say(request, 503, "too many requests wait for a reload");
	else
		wait_for_it(lifecycle, request);
}

/* ---- life ---- */

struct lifecycle *lifecycle_new(const struct lifecycle_options *options)
{
	struct lifecycle *lifecycle = mem_alloc(sizeof *lifecycle);

	lifecycle->options = *options;
	if (options->seconds <= 0)
		lifecycle->options.seconds = default_seconds;
	return lifecycle;
}

void lifecycle_free(struct lifecycle *lifecycle)
{
	free(lifecycle);
}
