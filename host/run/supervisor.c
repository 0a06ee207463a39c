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
#include "run/change.h"
#include "run/exporter.h"
#include "run/fleet.h"
#include "run/meeting.h"
#include "run/once.h"
#include "run/pusher.h"
#include "run/reload.h"
#include "run/routes.h"
#include "run/watcher.h"
#include "run/web.h"

static const double exporter_grace = 0.4;

/* For the last pushes. */
static const double push_grace = 5;

/* For threads that only read files. */
static const double reader_grace = 0.2;

static const double look_every = 1;
static const char *const default_listen = ":9999";

struct supervisor {
	const struct plan *plan;
	struct planner *planner;
	struct loop *loop;     /* the main thread's */
	struct loop *web_loop; /* the web thread's, while it runs */
	struct fleet *fleet;
	struct change *first;
	struct reload *reload;
	struct watcher *watcher; /* NULL: files are not watched */
	struct web *web;
	struct pusher *pusher; /* NULL: there is nothing to push */

	int signals; /* a signalfd, or -1 */
	uv_poll_t *signals_poll;
	struct timer look;
	bool loaded;
	bool signalled;
	bool reload_asked; /* before there was something to reload */
	bool stuck;	   /* a thread that reads files does not come back */
};

/* ---- loading ---- */

static const char *path_of(const struct supervisor *s)
{
	return s->plan->telemetry_path ? s->plan->telemetry_path : "/metrics";
}

static bool routes_fit(void *arg, struct exporter *const *exporters, size_t n,
		       struct err *err)
{
	const struct supervisor *s = arg;

	return routes_check(exporters, n, path_of(s), err);
}

static void fleet_loaded(void *arg, struct report *report)
{
	struct supervisor *s = arg;

	report_free(report);
	s->loaded = true;
	loop_stop(s->loop);
}

/* Stops the exporters. A script that is stuck in C cannot be waited for: the
 * process ends around it, for the reason ERR (NULL: all is well). */
static void stop_fleet(struct supervisor *s, const struct err *err)
{
	if (fleet_stop(s->fleet, exporter_grace) && !s->stuck)
		return;
	if (err)
		fprintf(stderr, "lunex: %s\n", err->text);
	_exit(err ? 1 : 0);
}

/* Says which of the listed exporters cannot run, and why. */
static void log_failures(const struct supervisor *s)
{
	size_t n;
	struct member *const *members = fleet_members(s->fleet, &n);

	for (size_t i = 0; s->plan->configuration && i < n; i++)
		if (!members[i]->current)
			log_error("the exporter cannot run", "exporter",
				  members[i]->entry->name, "configuration",
				  members[i]->entry->where, "error",
				  members[i]->err.text);
}

static bool nobody_runs(const struct supervisor *s, struct err *err)
{
	size_t n;
	struct member *const *members = fleet_members(s->fleet, &n);

	if (n == 1)
		*err = members[0]->err;
	else
		err_set(err, ERR_USAGE, "%s: none of the exporters can run",
			s->plan->configuration);
	return false;
}

static bool somebody_runs(const struct supervisor *s)
{
	size_t n;
	struct member *const *members = fleet_members(s->fleet, &n);

	for (size_t i = 0; i < n; i++)
		if (members[i]->current)
			return true;
	return false;
}

/* Loads the exporters, or as many as can run. A signal ends it too: a script
 * that is stuck never says that it is loaded. */
static bool load_fleet(struct supervisor *s, struct err *err)
{
	const struct change_options options = {
		.loop = s->loop,
		.fleet = s->fleet,
		.entries = s->plan->exporters,
		.n = s->plan->nexporters,
		.fits = routes_fit,
		.done = fleet_loaded,
		.arg = s,
		.patient = !s->plan->configuration,
		.hold = true,
	};

	s->first = change_new(&options);
	while (!s->loaded && !s->signalled)
		loop_run(s->loop);
	change_free(s->first);
	s->first = NULL;
	return s->signalled || s->plan->open || somebody_runs(s) ||
	       nobody_runs(s, err);
}

/* ---- the web thread ---- */

static bool open_web(struct supervisor *s, struct err *err)
{
	const char *const fallback[] = { default_listen, NULL };
	struct roster *roster = fleet_roster(s->fleet);
	const struct web_options options = {
		.loop = s->web_loop,
		.addresses = s->plan->listen && s->plan->listen[0]
				     ? (const char *const *)s->plan->listen
				     : fallback,
		.telemetry_path = path_of(s),
		.roster = roster,
		.reload = s->reload,
		.reload_ask = reload_ask,
		.lifecycle = s->plan->lifecycle,
		.without_created = s->plan->without_created,
	};

	s->web = web_new(&options, err);
	roster_unref(roster);
	return s->web != NULL;
}

static void announce(const struct supervisor *s)
{
	const char *address;
	size_t n;
	struct member *const *members = fleet_members(s->fleet, &n);

	for (size_t i = 0; (address = web_address(s->web, i)); i++)
		log_info("listening", "address", address, "exporter",
			 s->plan->configuration ? NULL
						: members[0]->entry->name,
			 "configuration", s->plan->configuration);
}

/* ---- the push thread ---- */

/* One that cannot run has nothing to push. */
static void log_unpushed(const struct supervisor *s)
{
	size_t n;
	struct member *const *members = fleet_members(s->fleet, &n);

	for (size_t i = 0; i < n; i++)
		if (!members[i]->current && members[i]->entry->npush)
			log_warn("nothing to push: the exporter cannot run",
				 "exporter", members[i]->entry->name);
}

static void open_pusher(struct supervisor *s)
{
	const struct pusher_options options = { .web = s->web_loop };

	s->pusher = pusher_new(&options);
	web_set_pusher(s->web, s->pusher);
	pusher_start(s->pusher);
}

/* It stays when nothing is pushed any more. */
static void tell_pusher(struct supervisor *s, struct roster *roster)
{
	if (!s->pusher && pusher_is_wanted(roster))
		open_pusher(s);
	if (s->pusher)
		pusher_set_roster(s->pusher, roster);
}

/* ---- reloads ---- */

static void fleet_changed(void *arg)
{
	struct supervisor *s = arg;
	struct roster *roster = fleet_roster(s->fleet);

	web_set_roster(s->web, roster);
	tell_pusher(s, roster);
	roster_unref(roster);
}

static void open_reload(struct supervisor *s)
{
	const struct reload_options options = { .loop = s->loop,
						.fleet = s->fleet,
						.planner = s->planner,
						.watcher = s->watcher,
						.first = s->plan,
						.fits = routes_fit,
						.changed = fleet_changed,
						.arg = s };

	s->reload = reload_new(&options);
}

static void files_changed(void *arg)
{
	struct supervisor *s = arg;

	reload_wish(s->reload, false);
}

/* Without it a reload has to be asked for. */
static void open_watcher(struct supervisor *s)
{
	const struct watcher_options options = {
		.loop = s->loop,
		.poll = s->plan->watch == PLAN_WATCH_POLL,
		.changed = files_changed,
		.arg = s,
	};
	struct err err;

	if (s->plan->watch == PLAN_WATCH_OFF)
		return;
	s->watcher = watcher_new(&options, &err);
	if (!s->watcher)
		log_warn("files are not watched", "error", err.text);
}

static void stop_reloads(struct supervisor *s)
{
	if (s->watcher && !watcher_stop(s->watcher, reader_grace))
		s->stuck = true;
	if (s->reload && !reload_stop(s->reload, reader_grace))
		s->stuck = true;
}

/* ---- signals ---- */

static void take_signal(struct supervisor *s, uint32_t number)
{
	if (number == SIGHUP) {
		log_info("reloading", "signal", "SIGHUP");
		s->reload_asked = !s->reload;
		if (s->reload)
			reload_wish(s->reload, true);
		return;
	}
	if (!s->signalled)
		log_info("stopping", "signal",
			 number == SIGINT ? "SIGINT" : "SIGTERM");
	s->signalled = true;
	loop_stop(s->loop);
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof info) == sizeof info)
		take_signal(s, info.ssi_signo);
}

static void signal_arrived(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	take_signals(poll->data);
}

/* The signals were blocked before there was any thread; they are read here. */
static void watch_signals(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
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
	if (fleet_has_news(s->fleet))
		fleet_changed(s);
	if (fleet_seen_more(s->fleet))
		reload_watch_more(s->reload);
	if (s->pusher)
		pusher_look(s->pusher);
	timer_start(timer, look_every);
}

/* ---- running ---- */

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
 * that loop. What still holds rosters after that is freed before the main loop,
 * which takes them back. */
static void stop(struct supervisor *s)
{
	timer_stop(&s->look);
	stop_reloads(s);
	web_stop(s->web);
	stop_pusher(s);
	stop_fleet(s, NULL);
}

/* The exporters are loaded; serves their pages until a signal comes. */
static bool serve(struct supervisor *s, struct err *err)
{
	open_watcher(s);
	open_reload(s);
	if (!open_web(s, err)) {
		stop_reloads(s);
		stop_fleet(s, err);
		return false;
	}
	log_unpushed(s);
	fleet_start(s->fleet);
	fleet_changed(s);
	web_start(s->web);
	announce(s);
	reload_watch(s->reload);
	timer_start(&s->look, look_every);
	if (s->reload_asked)
		reload_wish(s->reload, true);
	while (!s->signalled)
		loop_run(s->loop);
	stop(s);
	return true;
}

static void supervisor_init(struct supervisor *s, const struct plan *plan)
{
	struct fleet_options fleet = { 0 };

	memset(s, 0, sizeof *s);
	s->plan = plan;
	s->signals = -1;
	s->loop = loop_new();
	s->web_loop = loop_new();
	fleet.loop = s->loop;
	fleet.web = s->web_loop;
	s->fleet = fleet_new(&fleet);
	timer_init(s->loop, &s->look, look);
}

static void supervisor_release(struct supervisor *s)
{
	/* A reload that was asked for last is answered to the web loop. */
	loop_deliver(s->loop);
	if (s->web)
		web_free(s->web); /* and the loop */
	else
		loop_free(s->web_loop);
	pusher_free(s->pusher);
	timer_release(&s->look);
	forget_signals(s);
	watcher_free(s->watcher);
	loop_free(s->loop);
	reload_free(s->reload);
	fleet_free(s->fleet);
}

bool supervisor_run(const struct plan *plan, struct planner *planner,
		    struct err *err)
{
	struct supervisor s;
	bool ok;

	supervisor_init(&s, plan);
	s.planner = planner;
	watch_signals(&s);
	ok = load_fleet(&s, err);
	log_failures(&s);
	take_signals(&s); /* that came when nobody looked */
	if (ok && !s.signalled)
		ok = serve(&s, err);
	else
		stop_fleet(&s, ok ? NULL : err);
	supervisor_release(&s);
	return ok;
}

/* ---- once ---- */

static bool check_once(const struct supervisor *s,
		       struct exporter *const *exporters, size_t n,
		       struct err *err)
{
	size_t members;
	struct member *const *member = fleet_members(s->fleet, &members);

	if (!once_succeeded(exporters, n, err))
		return false;
	for (size_t i = 0; i < members; i++)
		if (!member[i]->current) {
			*err = member[i]->err;
			return false;
		}
	return true;
}

static bool run_once(struct supervisor *s, struct err *err)
{
	bool ok = load_fleet(s, err);
	struct exporter **exporters;
	size_t n;

	log_failures(s);
	if (!ok)
		return false;
	exporters = fleet_running(s->fleet, &n);
	fleet_start(s->fleet);
	once_collect(s->loop, exporters, n);
	once_print(exporters, n, s->plan->form);
	ok = check_once(s, exporters, n, err);
	free(exporters);
	return ok;
}

bool supervisor_once(const struct plan *plan, struct err *err)
{
	struct supervisor s;
	bool ok;

	supervisor_init(&s, plan);
	ok = run_once(&s, err);
	stop_fleet(&s, ok ? NULL : err);
	supervisor_release(&s);
	return ok;
}

/* ---- check ---- */

static void compare_all(struct member *const *members, size_t n,
			struct buf *advice)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; members[i]->current && k < i; k++) {
			struct outline_owner first, second;

			if (!members[k]->current)
				continue;
			first = version_owner(members[k]->current);
			second = version_owner(members[i]->current);
			meeting_tell(advice, &first, &second);
		}
	}
}

bool supervisor_check(const struct plan *plan,
		      void (*tell)(const char *sentence), struct buf *advice)
{
	struct member *const *members;
	const struct err *first = NULL;
	struct supervisor s;
	struct err err;
	size_t n;

	supervisor_init(&s, plan);
	load_fleet(&s, &err);
	members = fleet_members(s.fleet, &n);
	for (size_t i = 0; i < n; i++) {
		if (members[i]->current)
			continue;
		tell(members[i]->err.text);
		first = first ? first : &members[i]->err;
	}
	compare_all(members, n, advice);
	stop_fleet(&s, first);
	supervisor_release(&s);
	return !first;
}
