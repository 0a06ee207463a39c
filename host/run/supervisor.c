/* SPDX-License-Identifier: Apache-2.0 */
#include "run/supervisor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/exposition.h"
#include "core/log.h"
#include "core/mem.h"
#include "run/exporter.h"
#include "run/host_metrics.h"
#include "run/routes.h"
#include "run/scrape.h"
#include "web/server.h"

static const double server_grace = 0.3, exporter_grace = 0.4;
static const double look_every = 1, stalled_after = 1;
static const char *const default_listen = ":9999";

struct supervisor {
	const struct supervisor_options *options;
	struct loop *loop; /* the main thread's */
	struct exporter *exporter;

	/* the web thread's, while it runs */
	struct loop *web_loop;
	pthread_t web_thread;
	struct host_metrics *host;
	struct scraper *scraper;
	struct routes *routes;
	struct server *server;

	int signals; /* a signalfd, or -1 */
	uv_poll_t *signals_poll;
	struct timer look;
	bool stalled;
	bool signalled;
	bool told; /* news have come */
	bool failed;
	struct err err;
};

/* A message to the main thread from an exporter. */
struct news {
	struct message message;
	struct supervisor *supervisor;
	bool failed;
	struct err err;
};

/* ---- loading ---- */

static void deliver_news(struct message *message)
{
	struct news *news = (void *)message;
	struct supervisor *s = news->supervisor;

	s->told = true;
	s->failed = news->failed;
	s->err = news->err;
	free(news);
	loop_stop(s->loop);
}

static void post_news(struct supervisor *s, const struct err *err)
{
	struct news *news = mem_alloc(sizeof *news);

	news->message.deliver = deliver_news;
	news->supervisor = s;
	news->failed = err != NULL;
	if (err)
		news->err = *err;
	loop_post(s->loop, &news->message);
}

/* Runs the main loop until somebody posts news. */
static void await_news(struct supervisor *s)
{
	s->told = false;
	while (!s->told)
		loop_run(s->loop);
}

/* The same, but a signal ends it too: a script that is stuck never says that it
 * is loaded. */
static void await_loaded(struct supervisor *s)
{
	while (!s->told && !s->signalled)
		loop_run(s->loop);
}

/* In the exporter's thread. */
static void exporter_loaded(void *arg, const struct err *err)
{
	post_news(arg, err);
}

/* Starts the exporter and waits until it is loaded, or a signal came. */
static bool load_exporter(struct supervisor *s, double interval,
			  struct err *err)
{
	struct exporter_options options = {
		.path = s->options->script,
		.config = s->options->config,
		.interval = interval,
		.timeout = s->options->timeout,
		.lua_path = s->options->lua_path,
		.lua_cpath = s->options->lua_cpath,
		.loaded = exporter_loaded,
		.arg = s,
	};

	s->exporter = exporter_new(&options);
	await_loaded(s);
	if (!s->failed)
		return true;
	*err = s->err;
	exporter_free(s->exporter, 1);
	s->exporter = NULL;
	return false;
}

/* ---- the web thread ---- */

static void request_finished(void *arg, const char *handler, unsigned status,
			     double seconds)
{
	struct supervisor *s = arg;

	host_metrics_request(s->host, handler, status, seconds);
}

static bool open_server(struct supervisor *s, struct err *err)
{
	const struct declaration *d = exporter_declaration(s->exporter);
	const char *const fallback[] = { d->listen ? d->listen : default_listen,
					 NULL };
	const char *path = s->options->telemetry_path
				   ? s->options->telemetry_path
				   : "/metrics";
	struct server_options options = {
		.loop = s->web_loop,
		.addresses = s->options->listen && s->options->listen[0]
				     ? s->options->listen
				     : fallback,
		.finished = request_finished,
		.arg = s,
	};

	if (!routes_check(&s->exporter, 1, path, err))
		return false;
	s->host = host_metrics_new(&s->exporter, 1);
	s->scraper = scraper_new(s->web_loop, &s->exporter, 1, s->host);
	s->routes = routes_new(s->web_loop, s->scraper, &s->exporter, 1, path);
	options.routes = routes_table(s->routes);
	s->server = server_new(&options, err);
	return s->server != NULL;
}

static void close_server(struct supervisor *s)
{
	server_free(s->server);
	routes_free(s->routes);
	scraper_free(s->scraper);
	host_metrics_free(s->host);
}

static void *web_main(void *arg)
{
	struct supervisor *s = arg;

	loop_run(s->web_loop);
	return NULL;
}

struct order {
	struct message message;
	struct supervisor *supervisor;
};

static void server_stopped(void *arg)
{
	struct supervisor *s = arg;

	post_news(s, NULL);
}

static void deliver_stop_server(struct message *message)
{
	struct order *order = (void *)message;

	server_stop(order->supervisor->server, server_grace, server_stopped,
		    order->supervisor);
}

static void deliver_stop_loop(struct message *message)
{
	struct order *order = (void *)message;

	loop_stop(order->supervisor->web_loop);
}

static void start_web(struct supervisor *s)
{
	if (pthread_create(&s->web_thread, NULL, web_main, s)) {
		log_error("cannot create a thread");
		abort();
	}
}

/* ---- signals ---- */

static void signal_arrived(uv_poll_t *poll, int status, int events)
{
	struct supervisor *s = poll->data;
	struct signalfd_siginfo info;

	(void)status;
	(void)events;
	if (read(s->signals, &info, sizeof info) != sizeof info)
		return;
	if (!s->signalled)
		log_info("stopping", "signal",
			 info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	s->signalled = true;
	loop_stop(s->loop);
}

/* The signals were blocked before there was any thread; they are read here. */
static void watch_signals(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0) {
		log_error("cannot watch signals", "error", strerror(errno));
		abort();
	}
	s->signals_poll = mem_alloc(sizeof *s->signals_poll);
	uv_poll_init(loop_uv(s->loop), s->signals_poll, s->signals);
	s->signals_poll->data = s;
	uv_poll_start(s->signals_poll, UV_READABLE, signal_arrived);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void forget_signals(struct supervisor *s)
{
	if (s->signals < 0)
		return;
	uv_poll_stop(s->signals_poll);
	uv_close((uv_handle_t *)s->signals_poll, free_handle);
	close(s->signals);
}

/* ---- the watchdog ---- */

static void look(struct timer *timer)
{
	struct supervisor *s =
		(void *)((char *)timer - offsetof(struct supervisor, look));
	bool stalled = exporter_busy_seconds(s->exporter) > stalled_after;

	if (stalled && !s->stalled)
		log_warn("the script does not come back to the host",
			 "exporter", exporter_declaration(s->exporter)->name,
			 "script", exporter_declaration(s->exporter)->path);
	else if (!stalled && s->stalled)
		log_info("the script is back", "exporter",
			 exporter_declaration(s->exporter)->name);
	s->stalled = stalled;
	timer_start(timer, look_every);
}

/* ---- running ---- */

static void announce(const struct supervisor *s)
{
	const char *address;

	for (size_t i = 0; (address = server_address(s->server, i)); i++)
		log_info("listening", "address", address, "exporter",
			 exporter_declaration(s->exporter)->name);
}

/* A script that is stuck in C cannot be waited for: the process ends around
 * it. */
static void stop_exporter(struct supervisor *s)
{
	exporter_stop(s->exporter);
	if (exporter_free(s->exporter, exporter_grace))
		return;
	log_warn("the script or the resolver did not come back in time");
	_exit(0);
}

/* First the server, whose suspended scrapes are answered; then the exporters,
 * whose late answers the web loop still takes; then that loop. */
static void stop(struct supervisor *s)
{
	struct order stop_server = { { deliver_stop_server, NULL }, s };
	struct order stop_loop = { { deliver_stop_loop, NULL }, s };

	timer_stop(&s->look);
	loop_post(s->web_loop, &stop_server.message);
	await_news(s);
	stop_exporter(s);
	loop_post(s->web_loop, &stop_loop.message);
	pthread_join(s->web_thread, NULL);
}

/* The exporter is loaded; serves its pages until a signal comes. */
static bool serve(struct supervisor *s, struct err *err)
{
	if (!open_server(s, err)) {
		exporter_stop(s->exporter);
		if (exporter_free(s->exporter, exporter_grace))
			return false;
		fprintf(stderr, "lunex: %s\n", err->text);
		_exit(1); /* around a script that is stuck */
	}
	start_web(s);
	announce(s);
	timer_start(&s->look, look_every);
	while (!s->signalled)
		loop_run(s->loop);
	stop(s);
	return true;
}

static void supervisor_init(struct supervisor *s,
			    const struct supervisor_options *options)
{
	memset(s, 0, sizeof *s);
	s->options = options;
	s->signals = -1;
	s->loop = loop_new();
	s->web_loop = loop_new();
	timer_init(s->loop, &s->look, look);
}

static void supervisor_release(struct supervisor *s)
{
	close_server(s);
	timer_release(&s->look);
	forget_signals(s);
	loop_free(s->web_loop);
	loop_free(s->loop);
}

bool supervisor_run(const struct supervisor_options *options, struct err *err)
{
	struct supervisor s;
	bool ok;

	supervisor_init(&s, options);
	watch_signals(&s);
	ok = load_exporter(&s, options->interval, err);
	if (ok && s.signalled)
		stop_exporter(&s);
	else if (ok)
		ok = serve(&s, err);
	supervisor_release(&s);
	return ok;
}

/* ---- once ---- */

static void once_collected(struct exporter_question *question)
{
	loop_stop(question->asker);
}

static void print_page(struct page *page)
{
	struct exposition *exposition = exposition_new(&page, 1, NULL);

	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *text = exposition_text(exposition, i);

		fwrite(text->data, 1, text->len, stdout);
		bytes_unref(text);
	}
	fflush(stdout);
	exposition_unref(exposition);
}

static bool check_once(const struct exporter *exporter, struct err *err)
{
	const struct exporter_status *status = exporter_status(exporter);
	const char *name = exporter_declaration(exporter)->name;

	if (atomic_load(&status->collections_failed))
		return err_set(err, ERR_IO, "%s: the collection failed", name);
	if (atomic_load(&status->starts_failed))
		return err_set(err, ERR_IO, "%s: start failed", name);
	return true;
}

bool supervisor_once(const struct supervisor_options *options, struct err *err)
{
	struct exporter_question question = { .answered = once_collected,
					      .seconds = 1e9 };
	struct supervisor s;
	struct page *page;
	bool ok;

	supervisor_init(&s, options);
	ok = load_exporter(&s, 0, err);
	if (ok) {
		question.exporter = s.exporter;
		question.asker = s.loop;
		exporter_ask(&question);
		loop_run(s.loop);
		page = exporter_page(s.exporter);
		if (page)
			print_page(page);
		page_unref(page);
		ok = check_once(s.exporter, err);
		exporter_stop(s.exporter);
		if (!exporter_free(s.exporter, exporter_grace))
			_exit(ok ? 0 : 1);
	}
	supervisor_release(&s);
	return ok;
}
