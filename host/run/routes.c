/* SPDX-License-Identifier: Apache-2.0 */
#include "run/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/mem.h"
#include "run/call.h"
#include "run/declared_routes.h"
#include "run/probe.h"
#include "web/negotiate.h"
#include "web/path.h"

#define PLAIN "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"

enum { ROUTES = 6, PAGE_MAX = 1 << 20 };

struct routes {
	struct exporter *const *exporters;
	size_t n;
	const struct fleet_failure *failures;
	size_t nfailures;
	const struct pusher *pusher; /* NULL: nothing is pushed */
	const char *telemetry_path;
	struct caller **callers; /* of each exporter */
	struct probes *probes;
	struct route *table;
};

/* ---- the landing page ---- */

static void add_html(struct buf *page, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&': buf_addstr(page, "&amp;"); break;
		case '<': buf_addstr(page, "&lt;"); break;
		case '>': buf_addstr(page, "&gt;"); break;
		case '"': buf_addstr(page, "&quot;"); break;
		default: buf_addch(page, *s);
		}
	}
}

static void add_link(struct buf *page, const char *path, const char *query,
		     const char *text)
{
	buf_addstr(page, "<a href=\"");
	add_html(page, path);
	add_html(page, query);
	buf_addstr(page, "\">");
	add_html(page, text);
	buf_addstr(page, "</a>");
}

static void add_exporter(struct buf *page, const struct routes *routes,
			 const struct exporter *exporter)
{
	const struct declaration *d = exporter_declaration(exporter);
	const struct exporter_status *s = exporter_status(exporter);
	const char *name = exporter_name(exporter);
	struct buf query;

	buf_init(&query, PAGE_MAX);
	buf_addf(&query, "?exporter=%s", name);
	buf_addstr(page, "<tr><td>");
	add_link(page, routes->telemetry_path, buf_text(&query), name);
	buf_addf(page,
		 "</td><td class=\"n\">%llu</td><td class=\"n\">%llu</td>"
		 "<td class=\"n\">%llu</td><td class=\"s\">",
		 (unsigned long long)atomic_load(&s->series),
		 (unsigned long long)atomic_load(&s->collections_ok),
		 (unsigned long long)atomic_load(&s->collections_failed));
	add_html(page, d->path);
	buf_addstr(page, "</td></tr>\n");
	buf_release(&query);
}

/* What became of one of its targets. */
static void add_push(struct buf *page, const struct pusher_shown *shown)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buf_addstr(page, "<tr><td></td><td colspan=\"3\" class=\"");
	buf_addstr(page, *shown->text ? "e\">" : "s\">");
	if (*shown->text)
		add_html(page, shown->text);
	else if (shown->success > 0)
		buf_addf(page, "pushed %.0f s ago",
			 fmax(0, (double)now.tv_sec - shown->success));
	else
		buf_addstr(page, "not pushed yet");
	buf_addstr(page, "</td><td class=\"s\">");
	add_html(page, shown->target);
	buf_addstr(page, "</td></tr>\n");
}

static void add_pushes(struct buf *page, const struct routes *routes,
		       const struct exporter *exporter)
{
	struct pusher_shown shown;

	for (size_t i = 0;
	     routes->pusher && pusher_shown(routes->pusher, i, &shown); i++)
		if (shown.exporter == exporter)
			add_push(page, &shown);
}

static void add_failure(struct buf *page, const struct fleet_failure *failure)
{
	buf_addstr(page, "<tr><td>");
	add_html(page, failure->entry->name);
	buf_addstr(page, "</td><td colspan=\"3\" class=\"e\">");
	add_html(page, failure->err->text);
	buf_addstr(page, "</td><td class=\"s\">");
	add_html(page, failure->entry->script);
	buf_addstr(page, "</td></tr>\n");
}

static void answer_html(struct request *request, const struct routes *routes)
{
	struct buf page;

	buf_init(&page, PAGE_MAX);
	buf_addstr(&page,
		   "<!doctype html>\n<html lang=\"en\"><head>"
		   "<meta charset=\"utf-8\"><title>lunex</title>\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">"
		   "<style>:root{color-scheme:light dark}"
		   "body{font-family:sans-serif;margin:2em}"
		   "td,th{padding:.3em 1em .3em 0;text-align:left}"
		   ".n{text-align:right}.s,.e{overflow-wrap:anywhere}"
		   ".e{color:#c33}"
		   "</style></head>\n<body>\n<h1>lunex " LUNEX_VERSION
		   "</h1>\n<p>");
	add_link(&page, routes->telemetry_path, "", "Metrics");
	buf_addstr(&page,
		   "</p>\n<table>\n<tr><th>exporter</th>"
		   "<th class=\"n\">series</th><th class=\"n\">collections</th>"
		   "<th class=\"n\">failed</th><th>script</th></tr>\n");
	for (size_t i = 0; i < routes->n; i++) {
		add_exporter(&page, routes, routes->exporters[i]);
		add_pushes(&page, routes, routes->exporters[i]);
	}
	for (size_t i = 0; i < routes->nfailures; i++)
		add_failure(&page, &routes->failures[i]);
	buf_addstr(&page, "</table>\n</body></html>\n");
	request_answer_text(request, 200, HTML, buf_text(&page));
	buf_release(&page);
}

/* What a script that is alone promises to clients that are no browsers. */
static const char *landing_text(const struct routes *routes)
{
	if (routes->n + routes->nfailures != 1 || !routes->n)
		return NULL;
	return exporter_declaration(routes->exporters[0])->landing;
}

static void handle_landing(struct request *request, void *arg)
{
	const struct routes *routes = arg;
	const char *landing = landing_text(routes);

	if (landing && !negotiate_html(request_header(request, "Accept")))
		request_answer_text(request, 200, PLAIN, landing);
	else
		answer_html(request, routes);
}

/* ---- health ---- */

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

/* Ready: every exporter has been through its first collection. One that is
 * collected on scrape has no reason to wait for it. */
static void handle_ready(struct request *request, void *arg)
{
	const struct routes *routes = arg;

	for (size_t i = 0; i < routes->n; i++) {
		const struct exporter *exporter = routes->exporters[i];

		if (exporter_on_scrape(exporter) ||
		    atomic_load(&exporter_status(exporter)->ready))
			continue;
		request_answer_text(request, 503, PLAIN,
				    "lunex is not ready: a first collection is "
				    "under way.\n");
		return;
	}
	request_answer_text(request, 200, PLAIN, "lunex is ready.\n");
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

static size_t count_routes(struct exporter *const *exporters, size_t n)
{
	size_t count = ROUTES;

	for (size_t i = 0; i < n; i++)
		count += exporter_declaration(exporters[i])->nroutes;
	return count;
}

/* The routes of the script number I, behind NEXT. */
static struct route *add_script(struct routes *routes, size_t i,
				struct route *next)
{
	const struct declaration *d =
		exporter_declaration(routes->exporters[i]);

	for (unsigned k = 0; k < d->nroutes; k++) {
		next->path = next->handler = d->routes[k].path;
		next->methods = d->routes[k].method;
		next->handle = call_handle;
		next++->arg = caller_route(routes->callers[i], k);
	}
	return next;
}

struct routes *routes_new(struct loop *loop, struct scraper *scraper,
			  struct exporter *const *exporters, size_t n,
			  const char *telemetry_path)
{
	struct routes *routes = mem_alloc(sizeof *routes);
	struct probes *probes = probes_new(loop, exporters, n);
	const struct route table[ROUTES] = {
		/* First, so that it wins when it is "/". */
		{ telemetry_path, SERVER_GET, "metrics", scrape_handle,
		  scraper },
		{ "/", SERVER_GET, "landing", handle_landing, routes },
		{ "/healthz", SERVER_GET, "health", handle_healthz, routes },
		{ "/-/healthy", SERVER_GET, "health", handle_healthy, routes },
		{ "/probe", SERVER_GET, "probe", probe_handle, probes },
		{ "/-/ready", SERVER_GET, "ready", handle_ready, routes },
	};
	struct route *next;

	routes->exporters = exporters;
	routes->n = n;
	routes->telemetry_path = telemetry_path;
	routes->probes = probes;
	routes->callers = mem_array(n, sizeof *routes->callers);
	routes->table = mem_array(count_routes(exporters, n) + 1,
				  sizeof *routes->table);
	memcpy(routes->table, table, sizeof table);
	next = routes->table + ROUTES;
	for (size_t i = 0; i < n; i++) {
		routes->callers[i] = caller_new(loop, exporters[i]);
		next = add_script(routes, i, next);
	}
	return routes;
}

void routes_set_failures(struct routes *routes,
			 const struct fleet_failure *failures, size_t n)
{
	routes->failures = failures;
	routes->nfailures = n;
}

void routes_set_pusher(struct routes *routes, const struct pusher *pusher)
{
	routes->pusher = pusher;
}

void routes_free(struct routes *routes)
{
	if (!routes)
		return;
	for (size_t i = 0; i < routes->n; i++)
		caller_free(routes->callers[i]);
	probes_free(routes->probes);
	free(routes->callers);
	free(routes->table);
	free(routes);
}

const struct route *routes_table(const struct routes *routes)
{
	return routes->table;
}
