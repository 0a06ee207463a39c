/* SPDX-License-Identifier: Apache-2.0 */
#include "run/routes.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/api.h"
#include "run/call.h"
#include "run/declared_routes.h"
#include "run/landing.h"
#include "run/probe.h"
#include "run/view.h"
#include "web/path.h"

#define PLAIN "text/plain; charset=utf-8"

enum { ROUTES = 8 };

struct routes {
	struct loop *loop;
	struct scraper *scraper;
	struct lifecycle *lifecycle;
	const char *telemetry_path;
	const struct pusher *pusher; /* NULL: nothing is pushed */
	struct server *server;	     /* NULL: none yet */
	struct probes *probes;
	bool ready; /* it was, once */

	struct roster *roster;
	struct call_route *calls; /* arguments of the scripts' routes */
	struct route *table;
};

/* ---- the host's routes ---- */

static void handle_landing(struct request *request, void *arg)
{
	const struct routes *routes = arg;

	landing_answer(request, routes->roster, routes->pusher,
		       routes->telemetry_path);
}

static void handle_exporters(struct request *request, void *arg)
{
	const struct routes *routes = arg;

	api_exporters(request, routes->roster);
}

static void handle_healthz(struct request *request, void *arg)
{
	(void)arg;
	request_answer_text(request, 200, PLAIN, "ok\n");
}

static void handle_healthy(struct request *request, void *arg)
{
	(void)arg;
	request_answer_text(request, 200, PLAIN, "lunex is healthy.\n");
}

/*
 * Ready: every exporter has been through its first collection. Once the process
 * was ready it remains so: one that a reload adds is not missing in what was
 * there before, and must not take the others out of service.
 */
static bool is_ready(struct routes *routes)
{
	const struct roster *roster = routes->roster;

	for (size_t i = 0; i < roster->n && !routes->ready; i++)
		if (roster->entries[i].exporter &&
		    view_starting(roster->entries[i].exporter))
			return false;
	routes->ready = true;
	return true;
}

static void handle_ready(struct request *request, void *arg)
{
	if (is_ready(arg))
		request_answer_text(request, 200, PLAIN, "lunex is ready.\n");
	else
		request_answer_text(request, 503, PLAIN,
				    "lunex is not ready: a first collection is "
				    "under way.\n");
}

/* ---- the routes of scripts ---- */

static bool check_telemetry(const struct declared_route *route,
			    const char *telemetry_path, struct err *err)
{
	if (!path_matches(route->path, telemetry_path))
		return true;
	return err_set(err, ERR_USAGE,
		       "%s: the route '%s' takes the telemetry path %s",
		       route->place, route->key, telemetry_path);
}

static bool check_pair(const struct declared_route *route,
		       const struct exporter *exporter, struct err *err)
{
	const struct declaration *former = exporter_declaration(exporter);

	for (unsigned i = 0; i < former->nroutes; i++)
		if (declared_routes_meet(&former->routes[i], route))
			return err_set(err, ERR_USAGE,
				       "%s: the route '%s' is taken by the "
				       "exporter '%s' (%s)",
				       route->place, route->key,
				       exporter_name(exporter),
				       former->routes[i].place);
	return true;
}

bool routes_check(struct exporter *const *exporters, size_t n,
		  const char *telemetry_path, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct declaration *d =
			exporter_declaration(exporters[i]);

		for (unsigned k = 0; k < d->nroutes; k++) {
			if (!check_telemetry(&d->routes[k], telemetry_path,
					     err))
				return false;
			for (size_t j = 0; j < i; j++)
				if (!check_pair(&d->routes[k], exporters[j],
						err))
					return false;
		}
	}
	return true;
}

/* ---- the table ---- */

static size_t count_calls(const struct roster *roster)
{
	size_t count = 0;

	for (size_t i = 0; i < roster->n; i++)
		if (roster->entries[i].exporter)
			count += exporter_declaration(
					 roster->entries[i].exporter)
					 ->nroutes;
	return count;
}

/* Fills CALLS and TABLE with the routes of EXPORTER; how many they are. */
static size_t add_calls(const struct routes *routes, struct exporter *exporter,
			struct call_route *calls, struct route *table)
{
	const struct declaration *d = exporter_declaration(exporter);

	for (unsigned i = 0; i < d->nroutes; i++) {
		calls[i] = (struct call_route){ routes->loop, routes->roster,
						exporter, &d->routes[i] };
		table[i] =
			(struct route){ d->routes[i].path, d->routes[i].method,
					d->routes[i].path, call_handle,
					&calls[i] };
	}
	return d->nroutes;
}

static void make_table(struct routes *routes)
{
	const struct route own[ROUTES] = {
		/* First, so that it wins when it is "/". */
		{ routes->telemetry_path, SERVER_GET, "metrics", scrape_handle,
		  routes->scraper },
		{ "/", SERVER_GET, "landing", handle_landing, routes },
		{ "/healthz", SERVER_GET, "health", handle_healthz, routes },
		{ "/-/healthy", SERVER_GET, "health", handle_healthy, routes },
		{ "/-/ready", SERVER_GET, "ready", handle_ready, routes },
		{ "/-/reload", SERVER_POST | SERVER_PUT, "reload",
		  lifecycle_handle, routes->lifecycle },
		{ "/api/v1/exporters", SERVER_GET, "api", handle_exporters,
		  routes },
		{ "/probe", SERVER_GET, "probe", probe_handle, routes->probes },
	};
	const struct roster *roster = routes->roster;
	size_t count = count_calls(roster), at = 0;

	routes->calls = mem_array(count, sizeof *routes->calls);
	routes->table = mem_array(ROUTES + count + 1, sizeof *routes->table);
	memcpy(routes->table, own, sizeof own);
	for (size_t i = 0; i < roster->n; i++)
		if (roster->entries[i].exporter)
			at += add_calls(routes, roster->entries[i].exporter,
					routes->calls + at,
					routes->table + ROUTES + at);
}

/* ---- life ---- */

struct routes *routes_new(const struct routes_options *options)
{
	struct routes *routes = mem_alloc(sizeof *routes);

	routes->loop = options->loop;
	routes->scraper = options->scraper;
	routes->lifecycle = options->lifecycle;
	routes->telemetry_path = options->telemetry_path;
	routes->roster = roster_ref(options->roster);
	routes->probes =
		probes_new(routes->loop, options->serve, routes->roster);
	make_table(routes);
	return routes;
}

void routes_serve(struct routes *routes, struct server *server)
{
	routes->server = server;
	server_set_routes(server, routes->table);
}

/* The server looks at the former table until it has the new one. */
void routes_set_roster(struct routes *routes, struct roster *roster)
{
	struct roster *former = routes->roster;
	struct call_route *calls = routes->calls;
	struct route *table = routes->table;

	is_ready(routes); /* before one is added that is not */
	routes->roster = roster_ref(roster);
	probes_set_roster(routes->probes, roster);
	make_table(routes);
	if (routes->server)
		server_set_routes(routes->server, routes->table);
	free(calls);
	free(table);
	roster_unref(former);
}

void routes_set_pusher(struct routes *routes, const struct pusher *pusher)
{
	routes->pusher = pusher;
}

void routes_free(struct routes *routes)
{
	if (!routes)
		return;
	probes_free(routes->probes);
	roster_unref(routes->roster);
	free(routes->calls);
	free(routes->table);
	free(routes);
}
