/* SPDX-License-Identifier: Apache-2.0 */
#include "run/web.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "run/host_metrics.h"
#include "run/routes.h"
#include "run/scrape.h"
#include "web/server.h"

static const double server_grace = 0.3;

struct web {
	struct loop *loop;
	pthread_t thread;
	struct host_metrics *host;
	struct scraper *scraper;
	struct routes *routes;
	struct server *server; /* NULL: it could not be opened */
	struct message stop;
};

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

static bool open_server(struct web *web, const struct web_options *options,
			struct err *err)
{
	struct server_options server = { .loop = web->loop,
					 .addresses = options->addresses,
					 .routes = routes_table(web->routes),
					 .finished = finished,
					 .arg = web };

	web->server = server_new(&server, err);
	return web->server != NULL;
}

struct web *web_new(const struct web_options *options, struct err *err)
{
	struct web *web = mem_alloc(sizeof *web);

	web->loop = loop_new();
	web->host = host_metrics_new(options->exporters, options->n);
	web->scraper = scraper_new(web->loop, options->exporters, options->n,
				   web->host);
	web->routes = routes_new(web->loop, web->scraper, options->exporters,
				 options->n, options->telemetry_path);
	if (!open_server(web, options, err)) {
		web_free(web);
		return NULL;
	}
	if (pthread_create(&web->thread, NULL, thread_main, web)) {
		log_error("cannot create a thread");
		abort();
	}
	return web;
}

const char *web_address(const struct web *web, size_t i)
{
	return server_address(web->server, i);
}

static void stopped(void *arg)
{
	struct web *web = arg;

	loop_stop(web->loop);
}

static void deliver_stop(struct message *message)
{
	struct web *web =
		(void *)((char *)message - offsetof(struct web, stop));

	server_stop(web->server, server_grace, stopped, web);
}

void web_stop(struct web *web)
{
	web->stop.deliver = deliver_stop;
	loop_post(web->loop, &web->stop);
	pthread_join(web->thread, NULL);
}

/* What the late answers look at is freed after the loop that delivers them. */
void web_free(struct web *web)
{
	if (!web)
		return;
	server_free(web->server);
	loop_free(web->loop);
	routes_free(web->routes);
	scraper_free(web->scraper);
	host_metrics_free(web->host);
	free(web);
}
