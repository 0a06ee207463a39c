/* SPDX-License-Identifier: Apache-2.0 */
#include "run/push_stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/http_url.h"
#include "run/ticket.h"
#include "vm/task.h"

static const double restart_first = 1, restart_most = 60; /* seconds */
static const double farewell_seconds = 5;

struct push_stream {
	struct push_host *host;
	lua_Integer number;
	char *exporter_name;
	struct entry *entry; /* a reference */
	const struct config *config;
	char *url;
	struct stat folder; /* of the queue; st_ino 0: there is none */

	struct exporter *exporter;
	double interval;
	struct ticket *ticket;

	struct task *task; /* NULL: it waits to be begun, or begun again */
	struct timer restart, farewell;
	double restarted, restart_after;
	bool retired;
	bool over;

	/* since it began */
	char *target;
	struct push_account *account;
	struct push_line *line;
};

/* ---- calling the module ---- */

struct invocation {
	struct push_stream *stream;
	const char *function;
};

/* Leaves the function and the number of the stream. */
static void push_function(lua_State *L, const struct invocation *invocation)
{
	lua_getglobal(L, "require");
	lua_pushstring(L, invocation->stream->host->main);
	lua_call(L, 1, 1);
	lua_getfield(L, -1, invocation->function);
	lua_pushinteger(L, invocation->stream->number);
}

static void call_function(lua_State *L, void *arg)
{
	push_function(L, arg);
	lua_call(L, 1, 0);
}

static void log_failure(const struct push_stream *s, const char *why)
{
	log_error("a task that pushes failed", "exporter", s->exporter_name,
		  "target", s->target, "error", why);
}

/* For all of them that do not wait. */
static void call(struct push_stream *s, const char *function)
{
	struct invocation invocation = { s, function };
	struct err err;

	if (!vm_call(s->host->vm, call_function, &invocation, &err))
		log_failure(s, err.text);
}

/* ---- its task ---- */

/* Nothing of it runs any more, or will. */
static void set_over(struct push_stream *s)
{
	timer_stop(&s->restart);
	timer_stop(&s->farewell);
	s->over = true;
	s->host->over(s->host);
}

static void failed(struct push_stream *s, const char *why)
{
	log_failure(s, why);
	if (loop_now(s->host->loop) - s->restarted > restart_most)
		s->restart_after = restart_first;
	timer_start(&s->restart, s->restart_after);
	s->restart_after *= 2;
	if (s->restart_after > restart_most)
		s->restart_after = restart_most;
}

static void ended(struct task *task, lua_State *co, int results,
		  const struct err *err, void *arg)
{
	struct push_stream *s = arg;

	(void)task;
	(void)co;
	(void)results;
	s->task = NULL;
	if (s->retired || s->host->stopping)
		set_over(s);
	else
		failed(s, err ? err->text : "it came to its end");
}

static void start_task(lua_State *L, void *arg)
{
	struct invocation *invocation = arg;

	push_function(L, invocation);
	invocation->stream->task =
		task_start(L, 1, 0, ended, invocation->stream);
}

static void run(struct timer *timer)
{
	struct push_stream *s =
		(void *)((char *)timer - offsetof(struct push_stream, restart));
	struct invocation invocation = { s, "run" };
	struct err err;

	s->restarted = loop_now(s->host->loop);
	if (!vm_call(s->host->vm, start_task, &invocation, &err))
		failed(s, err.text);
}

void push_stream_begin(struct push_stream *s, const char *target)
{
	s->target = mem_string(target);
	s->account =
		push_metrics_open(s->host->metrics, s->exporter_name, target);
	s->line = push_lines_add(s->host->lines, s->exporter_name, target);
	run(&s->restart);
}

/* What its exporter has, or 0. */
static double interval_of(const struct exporter *exporter)
{
	return exporter_declaration(exporter)->nparts
		       ? exporter_interval(exporter)
		       : 0;
}

void push_stream_set_exporter(struct push_stream *s, struct exporter *exporter)
{
	double interval = interval_of(exporter);
	bool same = interval == s->interval;

	s->exporter = exporter;
	s->interval = interval;
	if (s->target && !same)
		call(s, "renew");
}

/* ---- its end ---- */

static void farewell_passed(struct timer *timer)
{
	struct push_stream *s =
		(void *)((char *)timer -
			 offsetof(struct push_stream, farewell));

	log_warn("the last push did not end in time", "exporter",
		 s->exporter_name, "target", s->target);
	task_cancel(s->task, "the farewell took too long");
}

/* The same folder has many names. */
static void find_folder(struct push_stream *s)
{
	const char *queue = config_string(s->config, "queue");

	if (!queue || stat(queue, &s->folder) != 0)
		s->folder.st_ino = 0;
}

/* One whose task has not begun, or waits to be begun again, has nothing to
 * say. */
void push_stream_retire(struct push_stream *s)
{
	s->retired = true;
	s->exporter = NULL;
	find_folder(s);
	if (!s->task) {
		set_over(s);
	} else if (!task_has_begun(s->task)) {
		task_cancel(s->task, "it is not wanted any more");
	} else {
		timer_start(&s->farewell, farewell_seconds);
		call(s, "retire");
	}
}

void push_stream_stop(struct push_stream *s)
{
	if (!s->task && !s->over)
		set_over(s);
}

/* ---- what it is ---- */

lua_Integer push_stream_number(const struct push_stream *s)
{
	return s->number;
}

const char *push_stream_exporter_name(const struct push_stream *s)
{
	return s->exporter_name;
}

const struct config *push_stream_config(const struct push_stream *s)
{
	return s->config;
}

const char *push_stream_url(const struct push_stream *s)
{
	return s->url;
}

const char *push_stream_target(const struct push_stream *s)
{
	return s->target;
}

bool push_stream_is_retired(const struct push_stream *s)
{
	return s->retired;
}

bool push_stream_is_over(const struct push_stream *s)
{
	return s->over;
}

/* ---- who gets in whose way ---- */

static size_t length_of(const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return len;
}

static bool same_url(const char *a, const char *b)
{
	size_t len = length_of(a);

	return length_of(b) == len && memcmp(a, b, len) == 0;
}

/* One that ends has made its folder before the next one was thought of. */
static bool same_folder(const struct push_stream *a,
			const struct push_stream *b)
{
	return a->folder.st_ino && a->folder.st_ino == b->folder.st_ino &&
	       a->folder.st_dev == b->folder.st_dev;
}

/* Of gateways the group, of others the labels that they add. */
static bool same_place(const struct config *a, const struct config *b)
{
	return config_same(a, b, "job") && config_same(a, b, "grouping") &&
	       config_same(a, b, "labels");
}

bool push_stream_meets(const struct push_stream *s,
		       const struct push_stream *next)
{
	return same_folder(s, next) ||
	       (same_url(s->url, next->url) &&
		(strcmp(s->exporter_name, next->exporter_name) == 0 ||
		 same_place(s->config, next->config)));
}

/* ---- for l_pages.c ---- */

struct exporter *push_stream_exporter(const struct push_stream *s)
{
	return s->exporter;
}

double push_stream_interval(const struct push_stream *s)
{
	return s->interval;
}

void push_stream_tell(struct push_stream *s, const char *text)
{
	push_lines_tell(s->line, text);
}

static bool note_change(struct push_stream *s, bool known)
{
	if (known)
		s->host->changed(s->host);
	return known;
}

bool push_stream_count(struct push_stream *s, const char *family,
		       const char *extra, double by)
{
	return note_change(s, push_metrics_add(s->account, family, extra, by));
}

bool push_stream_state(struct push_stream *s, const char *family,
		       const char *extra, double value)
{
	return note_change(s,
			   push_metrics_set(s->account, family, extra, value));
}

struct ticket **push_stream_ticket(struct push_stream *s)
{
	return &s->ticket;
}

/* ---- life ---- */

static char *shown_url(const struct config *config)
{
	enum { URL_MAX = 1024 };
	const char *whole = config_string(config, "url");
	struct buf url, shown;

	buf_init(&url, URL_MAX);
	buf_init(&shown, URL_MAX);
	http_url_redact(&url, whole ? whole : "");
	buf_add(&shown, buf_text(&url), strcspn(buf_text(&url), "?"));
	buf_release(&url);
	return buf_take(&shown, NULL);
}

struct push_stream *push_stream_new(struct push_host *host, lua_Integer number,
				    const char *exporter, struct entry *entry,
				    size_t i)
{
	struct push_stream *s = mem_alloc(sizeof *s);

	s->host = host;
	s->number = number;
	s->exporter_name = mem_string(exporter);
	s->entry = entry_ref(entry);
	s->config = entry->push[i];
	s->url = shown_url(s->config);
	find_folder(s);
	s->restart_after = restart_first;
	timer_init(host->loop, &s->restart, run);
	timer_init(host->loop, &s->farewell, farewell_passed);
	return s;
}

static void end_showing(struct push_stream *s)
{
	if (!s->target)
		return;
	if (s->host->vm)
		call(s, "forget");
	push_metrics_close(s->account);
	push_lines_remove(s->line);
	s->host->changed(s->host);
}

void push_stream_free(struct push_stream *s)
{
	end_showing(s);
	ticket_leave(s->ticket);
	timer_release(&s->restart);
	timer_release(&s->farewell);
	entry_unref(s->entry);
	free(s->exporter_name);
	free(s->url);
	free(s->target);
	free(s);
}
