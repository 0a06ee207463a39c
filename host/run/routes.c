/* SPDX-License-Identifier: Apache-2.0 */
#include "run/routes.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "web/negotiate.h"

#define PLAIN "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"

enum { ROUTES = 5, PAGE_MAX = 1 << 20 };

struct routes {
	struct exporter *const *exporters;
	size_t n;
	const char *telemetry_path;
	struct route table[ROUTES + 1];
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
	struct buf query;

	buf_init(&query, PAGE_MAX);
	buf_addf(&query, "?exporter=%s", d->name);
	buf_addstr(page, "<tr><td>");
	add_link(page, routes->telemetry_path, buf_text(&query), d->name);
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
		   ".n{text-align:right}.s{overflow-wrap:anywhere}"
		   "</style></head>\n<body>\n<h1>lunex " LUNEX_VERSION
		   "</h1>\n<p>");
	add_link(&page, routes->telemetry_path, "", "Metrics");
	buf_addstr(&page,
		   "</p>\n<table>\n<tr><th>exporter</th>"
		   "<th class=\"n\">series</th><th class=\"n\">collections</th>"
		   "<th class=\"n\">failed</th><th>script</th></tr>\n");
	for (size_t i = 0; i < routes->n; i++)
		add_exporter(&page, routes, routes->exporters[i]);
	buf_addstr(&page, "</table>\n</body></html>\n");
	request_answer_text(request, 200, HTML, buf_text(&page));
	buf_release(&page);
}

/* What the scripts promise to clients that are no browsers. */
static const char *landing_text(const struct routes *routes)
{
	for (size_t i = 0; i < routes->n; i++) {
		const char *landing =
			exporter_declaration(routes->exporters[i])->landing;

		if (landing)
			return landing;
	}
	return NULL;
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

/* ---- the table ---- */

struct routes *routes_new(struct scraper *scraper,
			  struct exporter *const *exporters, size_t n,
			  const char *telemetry_path)
{
	struct routes *routes = mem_alloc(sizeof *routes);
	const struct route table[ROUTES] = {
		/* First, so that it wins when it is "/". */
		{ telemetry_path, SERVER_GET, "metrics", scrape_handle,
		  scraper },
		{ "/", SERVER_GET, "landing", handle_landing, routes },
		{ "/healthz", SERVER_GET, "health", handle_healthz, routes },
		{ "/-/healthy", SERVER_GET, "health", handle_healthy, routes },
		{ "/-/ready", SERVER_GET, "ready", handle_ready, routes },
	};

	routes->exporters = exporters;
	routes->n = n;
	routes->telemetry_path = telemetry_path;
	memcpy(routes->table, table, sizeof table);
	return routes;
}

void routes_free(struct routes *routes)
{
	free(routes);
}

const struct route *routes_table(const struct routes *routes)
{
	return routes->table;
}
