/* SPDX-License-Identifier: Apache-2.0 */
#include "run/call.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "web/path.h"
#include "web/response.h"

#define PLAIN "text/plain; charset=utf-8"

/* For an exporter that ends at its deadline to say so. */
static const double grace = 0.2;

/* ---- what a call carries ---- */

static void add_pair(void *arg, const char *name, const char *value)
{
	pairs_add(arg, name, value);
}

void call_init(struct call *call, struct request *request,
	       const struct declared_route *route)
{
	call->route = route;
	call->method = mem_string(request_method(request));
	call->path = mem_string(request_path(request));
	call->peer = mem_string(request_peer(request));
	pairs_init(&call->params, PAIRS_MAX);
	pairs_init(&call->query, PAIRS_MAX);
	pairs_init(&call->headers, PAIRS_MAX);
	pairs_init(&call->answer_headers, CALL_HEADERS_MAX);
	path_parameters(route->path, request_sent_path(request), add_pair,
			&call->params);
	request_queries(request, NULL, add_pair, &call->query);
	request_all_headers(request, add_pair, &call->headers);
	call->body = request_take_body(request, &call->body_len);
}

void call_release(struct call *call)
{
	pairs_release(&call->params);
	pairs_release(&call->query);
	pairs_release(&call->headers);
	pairs_release(&call->answer_headers);
	free(call->method);
	free(call->path);
	free(call->peer);
	free(call->body);
	free(call->answer_body);
}

void call_set_text(struct call *call, unsigned status, const char *text)
{
	free(call->answer_body);
	call->status = status;
	call->answer_body = mem_string(text);
	call->answer_len = strlen(text);
	pairs_release(&call->answer_headers);
	pairs_add(&call->answer_headers, "Content-Type", PLAIN);
}

/* ---- the web thread ---- */

/* A call with what the web thread knows about it. */
struct open_call {
	struct call call;	 /* first */
	struct roster *roster;	 /* that it began with */
	struct board *board;	 /* where it is counted */
	struct request *request; /* NULL: answered without the exporter */
};

/* A body that is on its way. */
struct answer {
	struct board *board; /* where its bytes are counted */
	size_t len;
	char *body;
};

/* In any thread of the server. */
static void answer_free(void *arg)
{
	struct answer *answer = arg;

	atomic_fetch_sub(&answer->board->answering, answer->len);
	board_unref(answer->board);
	free(answer->body);
	free(answer);
}

static struct answer *take_answer(struct open_call *open)
{
	struct answer *answer = mem_alloc(sizeof *answer);

	answer->board = board_ref(open->board);
	answer->len = open->call.answer_len;
	answer->body = open->call.answer_body;
	open->call.answer_body = NULL;
	atomic_fetch_add(&answer->board->answering, answer->len);
	return answer;
}

/* Those who ask and do not read must not make the host keep what it likes to
 * answer: bodies on their way may be as large together as the script. */
static bool has_room(const struct open_call *open)
{
	double under_way = (double)atomic_load(&open->board->answering);

	return under_way <= 0 ||
	       under_way + (double)open->call.answer_len <=
		       exporter_limit(open->call.exporter, VM_LIMIT_MEMORY);
}

static struct response *response_of(struct open_call *open)
{
	struct call *call = &open->call;
	size_t n = pairs_count(&call->answer_headers);
	const char **headers = mem_array(2 * n + 1, sizeof *headers);
	struct iovec body = { call->answer_body, call->answer_len };
	const char *name, *value = NULL;
	struct response *response;

	for (size_t i = 0; pairs_next(&call->answer_headers, &name, &value);
	     i += 2) {
		headers[i] = name;
		headers[i + 1] = value;
	}
	if (call->answer_len)
		response = response_new(&body, 1, answer_free,
					take_answer(open), headers);
	else
		response = response_new(&body, 1, NULL, NULL, headers);
	free(headers);
	return response;
}

static void refuse(struct request *request)
{
	static const char *const headers[] = { "Retry-After", "1", NULL };
	struct response *response = response_text(
		PLAIN, "the exporter has too much to do\n", headers);

	request_answer(request, 503, response);
	response_unref(response);
}

static void answered(struct call *call)
{
	struct open_call *open = (void *)call;
	struct response *response;

	open->board->calls--;
	if (open->request && has_room(open)) {
		response = response_of(open);
		request_answer(open->request, call->status, response);
		response_unref(response);
	} else if (open->request) {
		refuse(open->request);
	}
	call_release(call);
	board_unref(open->board);
	roster_unref(open->roster);
	free(open);
}

/* The exporter is stuck, or the server stops: its answer comes too late. */
static void expired(struct request *request, void *arg)
{
	struct open_call *open = arg;

	open->request = NULL;
	if (request_stopping(request))
		request_answer_text(request, 503, PLAIN, "lunex is stopping\n");
	else
		request_answer_text(request, 504, PLAIN,
				    "the exporter does not answer in time\n");
}

static struct open_call *open_call(const struct call_route *route,
				   struct request *request)
{
	struct open_call *open = mem_alloc(sizeof *open);

	open->roster = roster_ref(route->roster);
	open->board = board_ref(exporter_board(route->exporter));
	open->board->calls++;
	open->request = request;
	call_init(&open->call, request, route->route);
	open->call.exporter = route->exporter;
	open->call.asker = route->loop;
	open->call.answered = answered;
	open->call.seconds = exporter_timeout(route->exporter);
	return open;
}

void call_handle(struct request *request, void *arg)
{
	const struct call_route *route = arg;
	struct open_call *open;

	if (exporter_board(route->exporter)->calls == CALLS_MAX) {
		refuse(request);
		return;
	}
	open = open_call(route, request);
	request_suspend(request, open->call.seconds + grace, expired, open);
	exporter_call(&open->call);
}
