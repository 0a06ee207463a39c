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

#include "core/log.h"
#include "core/mem.h"
#include "run/exporter.h"
#include "run/fleet.h"
#include "run/host_metrics.h"
#include "run/once.h"
#include "run/pusher.h"
#include "run/routes.h"
#include "run/scrape.h"
#include "web/server.h"

static const double server_grace = 0.3, exporter_grace = 0.4;

/* For the last pushes. */
static const double push_grace = 5;

static const double look_every = 1;
static const char *const default_listen = ":9999";

struct supervisor {
	const struct supervisor_options *options;
	struct loop *loop; /* the main thread's */
	struct fleet *fleet;
	struct exporter *const *exporters; /* that run */
	size_t nexporters;

	/* the web thread's, while it runs */
	struct loop *web_loop;
	pthread_t web_thread;
	struct host_metrics *host;
	struct scraper *scraper;
	struct routes *routes;
	struct server *server;

	struct pusher *pusher; /* NULL: there is nothing to push */

	int signals; /* a signalfd, or -1 */
	uv_poll_t *signals_poll;
	struct timer look;
	bool loaded;
	bool signalled;
	bool told; /* news have come */
};

/* A message to the main thread. */
struct news {
	struct message message;
	struct supervisor *supervisor;
};

/* ---- loading ---- */

static void deliver_news(struct message *message)
{
	struct news *news = (void *)message;
	struct supervisor *s = news->supervisor;

	s->told = true;
	free(news);
	loop_stop(s->loop);
}

static void post_news(struct supervisor *s)
{
	struct news *news = mem_alloc(sizeof *news);

	news->message.deliver = deliver_news;
	news->supervisor = s;
	loop_post(s->loop, &news->message);
}

/* Runs the main loop until somebody posts news. */
static void await_news(struct supervisor *s)
{
	s->told = false;
	while (!s->told)
		loop_run(s->loop);
}

static const char *path_of(const struct supervisor *s)
{
	return s->options->telemetry_path ? s->options->telemetry_path
					  : "/metrics";
}

static bool routes_fit(void *arg, struct exporter *const *exporters, size_t n,
		       struct err *err)
{
	return routes_check(exporters, n, path_of(arg), err);
}

static void fleet_loaded(void *arg)
{
	struct supervisor *s = arg;

	s->loaded = true;
	loop_stop(s->loop);
}

/* Stops the exporters. A script that is stuck in C cannot be waited for: the
 * process ends around it, for the reason ERR (NULL: all is well). */
static void stop_fleet(struct supervisor *s, const struct err *err)
{
	if (fleet_stop(s->fleet, exporter_grace))
		return;
	if (err)
		fprintf(stderr, "lunex: %s\n", err->text);
	_exit(err ? 1 : 0);
}

/* Says which of the listed exporters cannot run, and why. */
static void log_failures(const struct supervisor *s)
{
	size_t n;
	const struct fleet_failure *failures = fleet_failures(s->fleet, &n);

	for (size_t i = 0; s->options->configuration && i < n; i++)
		log_error("the exporter cannot run", "exporter",
			  failures[i].entry->name, "configuration",
			  failures[i].entry->where, "error",
			  failures[i].err->text);
}

static bool nobody_runs(struct supervisor *s, struct err *err)
{
	size_t n;
	const struct fleet_failure *failures = fleet_failures(s->fleet, &n);

	if (n == 1)
		*err = *failures[0].err;
	else
		err_set(err, ERR_USAGE, "%s: none of the exporters can run",
			s->options->configuration);
	return false;
}

/* Loads the exporters, or as many as can run. A signal ends it too: a script
 * that is stuck never says that it is loaded. */
static bool load_fleet(struct supervisor *s, struct err *err)
{
	s->fleet = fleet_new(s->loop, s->options->exporters,
			     s->options->nexporters);
	fleet_load(s->fleet, routes_fit, fleet_loaded, s);
	while (!s->loaded && !s->signalled)
		loop_run(s->loop);
	if (s->signalled)
		return true;
	s->exporters = fleet_running(s->fleet, &s->nexporters);
	return s->nexporters > 0 || nobody_runs(s, err);
}

/* ---- the web thread ---- */

static void request_finished(void *arg, const char *handler, unsigned status,
			     double seconds)
{
	struct supervisor *s = arg;

	host_metrics_request(s->host, handler, status, seconds);
}

/* Those that cannot run are shown, too. */
static void add_failures(struct supervisor *s)
{
	size_t n;
	const struct fleet_failure *failures = fleet_failures(s->fleet, &n);

	routes_set_failures(s->routes, failures, n);
	for (size_t i = 0; i < n; i++)
		host_metrics_failed(s->host, failures[i].entry->name,
				    failures[i].entry->script);
}

/* Where a script that runs alone wants to be served. */
static const char *listen_of(const struct supervisor *s)
{
	const char *listen = exporter_declaration(s->exporters[0])->listen;

	return listen && !s->options->configuration ? listen : default_listen;
}

static bool open_server(struct supervisor *s, struct err *err)
{
	const char *const fallback[] = { listen_of(s), NULL };
	struct server_options options = {
		.loop = s->web_loop,
		.addresses = s->options->listen && s->options->listen[0]
				     ? s->options->listen
				     : fallback,
		.finished = request_finished,
		.arg = s,
	};

	s->host = host_metrics_new(s->exporters, s->nexporters);
	s->scraper =
		scraper_new(s->web_loop, s->exporters, s->nexporters, s->host);
	s->routes = routes_new(s->web_loop, s->scraper, s->exporters,
			       s->nexporters, path_of(s));
	add_failures(s);
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

	post_news(s);
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
		_exit(EXIT_FAILURE);
	}
}

/* ---- the push thread ---- */

/* One that cannot run has nothing to push. */
static void log_unpushed(const struct supervisor *s)
{
	size_t n;
	const struct fleet_failure *failures = fleet_failures(s->fleet, &n);

	for (size_t i = 0; i < n; i++)
		if (failures[i].entry->npush)
			log_warn("nothing to push: the exporter cannot run",
				 "exporter", failures[i].entry->name);
}

static void add_streams(const struct supervisor *s, struct buf *streams)
{
	for (size_t i = 0; i < s->nexporters; i++) {
		const struct entry *entry = fleet_running_entry(s->fleet, i);

		for (size_t k = 0; k < entry->npush; k++) {
			const struct pusher_stream stream = { s->exporters[i],
							      entry->push[k] };

			buf_add(streams, &stream, sizeof stream);
		}
	}
}

static void open_pusher(struct supervisor *s)
{
	struct pusher_options options = { .web = s->web_loop };
	struct buf streams;

	log_unpushed(s);
	buf_init(&streams, (size_t)1 << 24);
	add_streams(s, &streams);
	options.streams = (const void *)streams.data;
	options.n = streams.len / sizeof *options.streams;
	if (options.n)
		s->pusher = pusher_new(&options);
	buf_release(&streams);
	scraper_set_pusher(s->scraper, s->pusher);
	routes_set_pusher(s->routes, s->pusher);
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
		_exit(EXIT_FAILURE);
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

	fleet_look(s->fleet);
	if (s->pusher)
		pusher_look(s->pusher);
	timer_start(timer, look_every);
}

/* ---- running ---- */

static void announce(const struct supervisor *s)
{
	const char *address;

	for (size_t i = 0; (address = server_address(s->server, i)); i++)
		log_info("listening", "address", address, "exporter",
			 s->options->configuration
				 ? NULL
				 : exporter_name(s->exporters[0]),
			 "configuration", s->options->configuration);
}

/* The last pushes need the exporters. */
static void stop_pusher(struct supervisor *s)
{
	if (!s->pusher || pusher_stop(s->pusher, push_grace))
		return;
	log_warn("the push thread did not come back in time");
	fleet_stop(s->fleet, exporter_grace);
	_exit(0);
}

/* First the server, whose suspended scrapes are answered; then the push thread
 * and the exporters, whose late answers and news the web loop still takes; then
 * that loop. */
static void stop(struct supervisor *s)
{
	struct order stop_server = { { deliver_stop_server, NULL }, s };
	struct order stop_loop = { { deliver_stop_loop, NULL }, s };

	timer_stop(&s->look);
	loop_post(s->web_loop, &stop_server.message);
	await_news(s);
	stop_pusher(s);
	stop_fleet(s, NULL);
	loop_post(s->web_loop, &stop_loop.message);
	pthread_join(s->web_thread, NULL);
}

/* The exporters are loaded; serves their pages until a signal comes. */
static bool serve(struct supervisor *s, struct err *err)
{
	if (!open_server(s, err)) {
		stop_fleet(s, err);
		return false;
	}
	open_pusher(s);
	fleet_start(s->fleet);
	if (s->pusher)
		pusher_start(s->pusher);
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
	pusher_free(s->pusher);
	loop_free(s->loop);
	fleet_free(s->fleet);
}

bool supervisor_run(const struct supervisor_options *options, struct err *err)
{
	struct supervisor s;
	bool ok;

	supervisor_init(&s, options);
	watch_signals(&s);
	ok = load_fleet(&s, err);
	log_failures(&s);
	if (ok && !s.signalled)
		ok = serve(&s, err);
	else
		stop_fleet(&s, ok ? NULL : err);
	supervisor_release(&s);
	return ok;
}

/* ---- once ---- */

static bool check_once(const struct supervisor *s, struct err *err)
{
	size_t n;
	const struct fleet_failure *failures = fleet_failures(s->fleet, &n);

	if (!once_succeeded(s->exporters, s->nexporters, err))
		return false;
	if (n)
		*err = *failures[0].err;
	return n == 0;
}

static bool run_once(struct supervisor *s, struct err *err)
{
	bool ok = load_fleet(s, err);

	log_failures(s);
	if (!ok)
		return false;
	fleet_start(s->fleet);
	once_collect(s->loop, s->exporters, s->nexporters);
	once_print(s->exporters, s->nexporters);
	return check_once(s, err);
}

bool supervisor_once(const struct supervisor_options *options, struct err *err)
{
	struct supervisor s;
	bool ok;

	supervisor_init(&s, options);
	ok = run_once(&s, err);
	stop_fleet(&s, ok ? NULL : err);
	supervisor_release(&s);
	return ok;
}

/* ---- check ---- */

bool supervisor_check(const struct supervisor_options *options,
		      void (*tell)(const char *sentence))
{
	const struct fleet_failure *failures;
	struct supervisor s;
	struct err err;
	size_t n;

	supervisor_init(&s, options);
	load_fleet(&s, &err);
	failures = fleet_failures(s.fleet, &n);
	for (size_t i = 0; i < n; i++)
		tell(failures[i].err->text);
	stop_fleet(&s, n ? failures[0].err : NULL);
	supervisor_release(&s);
	return n == 0;
}
