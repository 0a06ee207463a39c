/* SPDX-License-Identifier: Apache-2.0 */
#include "run/web.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "run/host_metrics.h"
#include "run/lifecycle.h"
#include "run/routes.h"
#include "run/scrape.h"
#include "run/serve.h"
#include "web/server.h"

static const double server_grace = 0.3;

struct web {
	struct loop *loop;
	bool lent; /* the loop is still the caller's */
	pthread_t thread;
	struct host_metrics *host;
	struct serve *serve;
	struct scraper *scraper;
	struct lifecycle *lifecycle;
	struct routes *routes;
	struct server *server; /* NULL: it could not be opened */
	bool stopping;	       /* in the web thread */
	struct message stop, end;

	/* the main thread's */
	bool started, stopped;
	uv_sem_t silent; /* the server has stopped */
};

/* Something for the web thread to show. */
struct order {
	struct message message;
	struct web *web;
	struct roster *roster;
	struct pusher *pusher;
};

/* ---- in the web thread ---- */

static void finished(void *arg, const char *handler, unsigned status,
		     double seconds)
{
	struct web *web = arg;

	host_metrics_request(web->host, handler, status, seconds);
}

static void *thread_main(void *arg)
{
	struct web *web = arg;

	loop_run(web->loop);
	return NULL;
}

/* The exporters of one that comes late may be gone. */
static void deliver_roster(struct message *message)
{
	struct order *order = (void *)message;
	struct web *web = order->web;

	if (!web->stopping) {
		host_metrics_set_roster(web->host, order->roster);
		scraper_set_roster(web->scraper, order->roster);
		routes_set_roster(web->routes, order->roster);
	}
	roster_unref(order->roster);
	free(order);
}

static void deliver_pusher(struct message *message)
{
	struct order *order = (void *)message;

	scraper_set_pusher(order->web->scraper, order->pusher);
	routes_set_pusher(order->web->routes, order->pusher);
	free(order);
}

static void server_stopped(void *arg)
{
	struct web *web = arg;

	uv_sem_post(&web->silent);
}

static void deliver_stop(struct message *message)
{
	struct web *web =
		(void *)((char *)message - offsetof(struct web, stop));

	web->stopping = true;
	server_stop(web->server, server_grace, server_stopped, web);
}

static void deliver_end(struct message *message)
{
	struct web *web = (void *)((char *)message - offsetof(struct web, end));

	loop_stop(web->loop);
}

/* ---- start ---- */

static bool open_server(struct web *web, const struct web_options *options,
			struct err *err)
{
	const struct server_options server = { .loop = web->loop,
					       .addresses = options->addresses,
					       .finished = finished,
					       .arg = web };

	web->server = server_new(&server, err);
	if (web->server)
		routes_serve(web->routes, web->server);
	return web->server != NULL;
}

static void open_lifecycle(struct web *web, const struct web_options *options)
{
	const struct lifecycle_options lifecycle = {
		.loop = web->loop,
		.enabled = options->lifecycle,
		.reload = options->reload,
		.ask = options->reload_ask,
		.seconds = options->reload_seconds,
	};

	web->lifecycle = lifecycle_new(&lifecycle);
}

static void open_routes(struct web *web, const struct web_options *options)
{
	const struct routes_options routes = {
		.loop = web->loop,
		.serve = web->serve,
		.scraper = web->scraper,
		.lifecycle = web->lifecycle,
		.telemetry_path = options->telemetry_path,
		.roster = options->roster,
	};

	web->routes = routes_new(&routes);
}

static void open_serve(struct web *web, const struct web_options *options)
{
	const struct serve_options serve = {
		.loop = web->loop,
		.without_created = options->without_created,
	};

	web->serve = serve_new(&serve);
}

struct web *web_new(const struct web_options *options, struct err *err)
{
	struct web *web = mem_alloc(sizeof *web);

	web->lent = options->loop != NULL;
	web->loop = web->lent ? options->loop : loop_new();
	web->stop.deliver = deliver_stop;
	web->end.deliver = deliver_end;
	uv_sem_init(&web->silent, 0);
	web->host = host_metrics_new(options->roster);
	open_serve(web, options);
	web->scraper =
		scraper_new(web->loop, web->serve, options->roster, web->host);
	open_lifecycle(web, options);
	open_routes(web, options);
	if (!open_server(web, options, err)) {
		web_free(web);
		return NULL;
	}
	web->lent = false;
	return web;
}

void web_start(struct web *web)
{
	if (pthread_create(&web->thread, NULL, thread_main, web)) {
		log_error("cannot create a thread");
		_Exit(EXIT_FAILURE);
	}
	web->started = true;
}

/* ---- in the main thread ---- */

struct loop *web_loop(const struct web *web)
{
	return web->loop;
}

const char *web_address(const struct web *web, size_t i)
{
	return server_address(web->server, i);
}

static struct order *order_new(struct web *web,
			       void (*deliver)(struct message *message))
{
	struct order *order = mem_alloc(sizeof *order);

	order->message.deliver = deliver;
	order->web = web;
	return order;
}

void web_set_roster(struct web *web, struct roster *roster)
{
	struct order *order = order_new(web, deliver_roster);

	order->roster = roster_ref(roster);
	loop_post(web->loop, &order->message);
}

void web_set_pusher(struct web *web, struct pusher *pusher)
{
	struct order *order = order_new(web, deliver_pusher);

	order->pusher = pusher;
	loop_post(web->loop, &order->message);
}

/* ---- stop ---- */

void web_stop(struct web *web)
{
	if (!web->started || web->stopped)
		return;
	web->stopped = true;
	loop_post(web->loop, &web->stop);
	uv_sem_wait(&web->silent);
}

/* The thread was never there: its work is done here. */
static void on_idle_stopped(void *arg)
{
	struct web *web = arg;

	loop_stop(web->loop);
}

static void stop_idle(struct web *web)
{
	web->stopping = true;
	server_stop(web->server, 0, on_idle_stopped, web);
	loop_run(web->loop);
}

static void end_thread(struct web *web)
{
	web_stop(web);
	loop_post(web->loop, &web->end);
	pthread_join(web->thread, NULL);
}

/* What the late answers look at is freed after the loop that delivers them. */
void web_free(struct web *web)
{
	if (!web)
		return;
	if (web->started)
		end_thread(web);
	else if (web->server)
		stop_idle(web);
	web->stopping = true;
	server_free(web->server);
	if (!web->lent)
		loop_free(web->loop);
	routes_free(web->routes);
	lifecycle_free(web->lifecycle);
	scraper_free(web->scraper);
	serve_free(web->serve);
	host_metrics_free(web->host);
	uv_sem_destroy(&web->silent);
	free(web);
}
