/* SPDX-License-Identifier: Apache-2.0 */
#include "run/supervisor.h"

#include <errno.h>
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
#include "run/moment.h"
#include "run/once.h"
#include "run/pusher.h"
#include "run/routes.h"
#include "run/web.h"

static const double exporter_grace = 0.4;

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

	struct web *web;       /* NULL: not yet */
	struct pusher *pusher; /* NULL: there is nothing to push */

	int signals; /* a signalfd, or -1 */
	uv_poll_t *signals_poll;
	struct timer look;
	bool loaded;
	bool signalled;
};

/* ---- loading ---- */

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

static void add_entry(struct roster_entry *shown, const char *name,
		      const char *script, struct exporter *exporter,
		      const char *error)
{
	shown->name = mem_string(name);
	shown->script = mem_string(script);
	shown->exporter = exporter;
	shown->loaded = exporter != NULL;
	shown->error = mem_string(error);
	shown->changed = moment_now();
}

/* Those that cannot run are shown, too. */
static struct roster *make_roster(const struct supervisor *s)
{
	size_t nfailures;
	const struct fleet_failure *failures =
		fleet_failures(s->fleet, &nfailures);
	struct roster *roster =
		roster_new(s->nexporters + nfailures, NULL, NULL, NULL);

	roster->config_loaded = true;
	roster->config_error = mem_string("");
	roster->config_changed = moment_now();
	for (size_t i = 0; i < s->nexporters; i++)
		add_entry(&roster->entries[i], exporter_name(s->exporters[i]),
			  exporter_declaration(s->exporters[i])->path,
			  s->exporters[i], "");
	for (size_t i = 0; i < nfailures; i++)
		add_entry(&roster->entries[s->nexporters + i],
			  failures[i].entry->name, failures[i].entry->script,
			  NULL, failures[i].err->text);
	return roster;
}

/* Where a script that runs alone wants to be served. */
static const char *listen_of(const struct supervisor *s)
{
	const char *listen = exporter_declaration(s->exporters[0])->listen;

	return listen && !s->options->configuration ? listen : default_listen;
}

static bool open_web(struct supervisor *s, struct err *err)
{
	const char *const fallback[] = { listen_of(s), NULL };
	struct web_options options = {
		.addresses = s->options->listen && s->options->listen[0]
				     ? s->options->listen
				     : fallback,
		.telemetry_path = path_of(s),
		.roster = make_roster(s),
	};

	s->web = web_new(&options, err);
	roster_unref(options.roster);
	return s->web != NULL;
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
	struct pusher_options options = { .web = web_loop(s->web) };
	struct buf streams;

	log_unpushed(s);
	buf_init(&streams, (size_t)1 << 24);
	add_streams(s, &streams);
	options.streams = (const void *)streams.data;
	options.n = streams.len / sizeof *options.streams;
	if (options.n)
		s->pusher = pusher_new(&options);
	buf_release(&streams);
	web_set_pusher(s->web, s->pusher);
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

	for (size_t i = 0; (address = web_address(s->web, i)); i++)
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
	timer_stop(&s->look);
	web_stop(s->web);
	stop_pusher(s);
	stop_fleet(s, NULL);
	web_free(s->web);
	s->web = NULL;
}

/* The exporters are loaded; serves their pages until a signal comes. */
static bool serve(struct supervisor *s, struct err *err)
{
	if (!open_web(s, err)) {
		stop_fleet(s, err);
		return false;
	}
	open_pusher(s);
	fleet_start(s->fleet);
	if (s->pusher)
		pusher_start(s->pusher);
	web_start(s->web);
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
	timer_init(s->loop, &s->look, look);
}

static void supervisor_release(struct supervisor *s)
{
	timer_release(&s->look);
	forget_signals(s);
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
