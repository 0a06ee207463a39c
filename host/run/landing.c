/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table with a row for each exporter, below it rows for what is wrong with it
 * and for what it pushes. On a narrow screen each exporter becomes a card: the
 * style alone does that, with the names of the columns from `data-l`.
 */
#include "run/landing.h"

#include <string.h>

#include "core/buf.h"
#include "core/label.h"
#include "run/moment.h"
#include "run/view.h"
#include "web/negotiate.h"

#define PLAIN "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"

enum { PAGE_MAX = 64 << 20 };

struct landing {
	struct buf html;
	const struct roster *roster;
	const struct pusher *pusher;
	const char *telemetry_path;
	double now;
};

static const char head[] =
	"<!doctype html>\n"
	"<html lang=\"en\"><head><meta charset=\"utf-8\">"
	"<title>lunex</title>\n"
	"<meta name=\"viewport\" "
	"content=\"width=device-width,initial-scale=1\">\n"
	"<style>\n"
	":root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6470;"
	"--line:#d9dee5;--back:#fff;--card:#f6f8fa;--bad:#b3261e;"
	"--warn:#8a5300;--good:#1a7f37;--link:#0757a8;--pale:#fdecea}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#9aa4b2;"
	"--line:#333b47;--back:#12161c;--card:#1a2028;--bad:#ff8a80;"
	"--warn:#ffb74d;--good:#66cc7d;--link:#7db7ff;--pale:#331a1a}}\n"
	"body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);"
	"background:var(--back);margin:1.5rem auto;padding:0 1rem;"
	"max-width:75rem}\n"
	"h1{font-size:1.5rem;margin:0}h1 small{font-weight:400;"
	"color:var(--dim);font-size:1rem}\n"
	"nav{margin:.3rem 0 1rem}nav a{margin-right:1.2em}\n"
	"a{color:var(--link)}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem "
	"0}\n"
	"th{color:var(--dim);font-weight:600;font-size:.85rem;"
	"white-space:nowrap}\n"
	"tbody{border-top:1px solid var(--line)}\n"
	".n{text-align:right;font-variant-numeric:tabular-nums;"
	"white-space:nowrap}\n"
	".t{white-space:nowrap}\n"
	".s{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}\n"
	".name{font-weight:600;overflow-wrap:anywhere}\n"
	"td .s{display:block;font-weight:400}\n"
	".e{font:.85rem/1.4 ui-monospace,monospace;color:var(--ink);"
	"background:var(--pale);border-left:3px solid var(--bad);"
	"padding:.4rem .7rem;margin:0 0 .5rem;white-space:pre-wrap;"
	"overflow-wrap:anywhere}\n"
	".e b{font-family:system-ui,sans-serif;color:var(--bad)}\n"
	".more td{padding:0}\n"
	"td.l,th.l{padding-left:1.2rem}\n"
	".state{white-space:nowrap;font-weight:600}\n"
	".running .state{color:var(--good)}.starting .state{color:var(--dim)}\n"
	".failing .state,.broken .state{color:var(--bad)}\n"
	".stalled .state,.warn{color:var(--warn)}\n"
	"@media(max-width:48rem){\n"
	"table,tbody,tr,td{display:block}thead{display:none}\n"
	"tbody{border:1px solid var(--line);border-radius:.5rem;"
	"background:var(--card);margin:0 0 .8rem;padding:.6rem .8rem}\n"
	"td,td.n,td.l{padding:.1rem 0;text-align:left;white-space:normal}\n"
	"td[data-l]::before{content:attr(data-l);color:var(--dim);"
	"display:inline-block;width:7.5rem}\n"
	".e{margin:.4rem 0 0}}\n"
	"</style></head>\n<body>\n<header><h1>lunex <small>" LUNEX_VERSION
	"</small></h1>\n";

/* ---- pieces ---- */

static void add(struct landing *page, const char *html)
{
	buf_addstr(&page->html, html);
}

static void add_escaped(struct landing *page, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&': add(page, "&amp;"); break;
		case '<': add(page, "&lt;"); break;
		case '>': add(page, "&gt;"); break;
		case '"': add(page, "&quot;"); break;
		default: buf_addch(&page->html, *s);
		}
	}
}

/* What a source said may be in a sentence: any bytes. */
static void add_text(struct landing *page, const char *s)
{
	size_t len = strlen(s);
	struct buf repaired;

	if (utf8_valid(s, len)) {
		add_escaped(page, s);
		return;
	}
	buf_init(&repaired, 3 * len);
	utf8_repair(&repaired, s, len);
	add_escaped(page, buf_text(&repaired));
	buf_release(&repaired);
}

/* In a query every byte but the plainest is escaped. */
static void add_query(struct landing *page, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

	for (; *s; s++) {
		if (strchr(plain, *s))
			buf_addch(&page->html, *s);
		else
			buf_addf(&page->html, "%%%02X", (unsigned char)*s);
	}
}

static void add_link(struct landing *page, const char *path, const char *text)
{
	add(page, "<a href=\"");
	add_text(page, path);
	add(page, "\">");
	add_text(page, text);
	add(page, "</a>\n");
}

/* "12 s ago", with the time itself for who points at it. */
static void add_ago(struct landing *page, double moment)
{
	char text[MOMENT_MAX];

	moment_text(text, moment);
	buf_addf(&page->html, "<time datetime=\"%s\" title=\"%s\">", text,
		 text);
	moment_ago(text, moment, page->now);
	buf_addf(&page->html, "%s</time>", text);
}

static void add_seconds(struct landing *page, double seconds)
{
	if (seconds < 0.001)
		buf_addf(&page->html, "%.0f \xC2\xB5s", seconds * 1e6);
	else if (seconds < 1)
		buf_addf(&page->html, "%.3g ms", seconds * 1e3);
	else
		buf_addf(&page->html, "%.3g s", seconds);
}

static void add_count(struct landing *page, const char *column, uint64_t n)
{
	buf_addf(&page->html, "<td class=\"n\" data-l=\"%s\">%llu</td>", column,
		 (unsigned long long)n);
}

/* What is wrong: "BOLD: sentence", in the words of who noticed it. WHEN is 0:
 * that is not known. */
static void add_error(struct landing *page, const char *bold, double when,
		      const char *sentence)
{
	buf_addf(&page->html, "<p class=\"e\"><b>%s", bold);
	if (when > 0) {
		add(page, " ");
		add_ago(page, when);
	}
	add(page, ":</b> ");
	add_text(page, sentence);
	add(page, "</p>\n");
}

/* ---- an exporter ---- */

static void add_name(struct landing *page, const struct roster_entry *entry)
{
	add(page, "<td class=\"name\">");
	if (entry->exporter) {
		add(page, "<a href=\"");
		add_text(page, page->telemetry_path);
		add(page, "?exporter=");
		add_query(page, entry->name);
		add(page, "\">");
	}
	add_text(page, entry->name);
	if (entry->exporter)
		add(page, "</a>");
	add(page, "<span class=\"s\">");
	add_text(page, entry->script);
	add(page, "</span></td>");
}

static void add_runs(struct landing *page, const struct view *view)
{
	add(page, "<td class=\"t\" data-l=\"last run\">");
	if (view->last_run > 0)
		add_ago(page, view->last_run);
	else
		add(page, "never");
	add(page, "</td><td class=\"n\" data-l=\"took\">");
	if (view->last_run > 0)
		add_seconds(page, view->last_seconds);
	else
		add(page, "&ndash;");
	add(page, "</td>");
	add_count(page, "series", view->series);
	add_count(page, "collections", view->succeeded + view->failed);
	add_count(page, "failed", view->failed);
}

/* The latest load, of which a failure has a row of its own. */
static void add_load(struct landing *page, const struct roster_entry *entry)
{
	bool again = entry->loads_ok + entry->loads_bad > 0;

	add(page, "<td class=\"t l\" data-l=\"script\">");
	if (!entry->loaded)
		add(page, again ? "<span class=\"warn\">reload failed</span>"
				: "<span class=\"warn\">load failed</span>");
	else if (entry->changed > 0) {
		add(page, again ? "reloaded " : "loaded ");
		add_ago(page, entry->changed);
	} else
		add(page, "loaded");
	add(page, "</td>");
}

static void add_row(struct landing *page, const struct roster_entry *entry,
		    const struct view *view)
{
	add(page, "<tr>");
	add_name(page, entry);
	buf_addf(&page->html,
		 "<td data-l=\"state\"><span class=\"state\">%s</span></td>",
		 view_word(view->state));
	if (entry->exporter)
		add_runs(page, view);
	else
		add(page, "<td colspan=\"5\"></td>");
	add_load(page, entry);
	add(page, "</tr>\n");
}

/* A row below that of the exporter, all across. */
static void begin_more(struct landing *page)
{
	add(page, "<tr class=\"more\"><td colspan=\"8\">");
}

static void end_more(struct landing *page)
{
	add(page, "</td></tr>\n");
}

static void add_errors(struct landing *page, const struct roster_entry *entry,
		       const struct view *view)
{
	bool stalled = view->state == VIEW_STALLED;
	bool kept = entry->exporter && !entry->loaded;

	if (!*view->error && !stalled && !kept)
		return;
	begin_more(page);
	if (stalled)
		add_error(page, "stalled", 0,
			  "the script has not come back to the host for more "
			  "than a second");
	if (*view->error)
		add_error(page, entry->exporter ? "last error" : "cannot run",
			  0, view->error);
	if (kept)
		add_error(page, "the new version was not taken", entry->changed,
			  entry->error);
	end_more(page);
}

/* What became of one of its targets. */
static void add_push(struct landing *page, const struct push_shown *shown)
{
	begin_more(page);
	if (*shown->text) {
		add_error(page, "push", 0, shown->text);
		add(page, "<span class=\"s\">");
	} else if (shown->success > 0) {
		add(page, "<span class=\"s\">pushed ");
		add_ago(page, shown->success);
		add(page, " to ");
	} else {
		add(page, "<span class=\"s\">not pushed yet to ");
	}
	add_text(page, shown->target);
	add(page, "</span>");
	end_more(page);
}

static void add_pushes(struct landing *page, const char *exporter)
{
	struct push_shown shown;

	for (size_t i = 0;
	     page->pusher && pusher_shown(page->pusher, exporter, i, &shown);
	     i++)
		add_push(page, &shown);
}

static void add_exporter(struct landing *page, const struct roster_entry *entry)
{
	static const char *const classes[VIEW_STATES] = {
		[VIEW_RUNNING] = "running", [VIEW_STARTING] = "starting",
		[VIEW_FAILING] = "failing", [VIEW_STALLED] = "stalled",
		[VIEW_BROKEN] = "broken",
	};
	struct view view = view_of(entry);

	buf_addf(&page->html, "<tbody class=\"%s\">\n", classes[view.state]);
	add_row(page, entry, &view);
	add_errors(page, entry, &view);
	if (entry->exporter)
		add_pushes(page, entry->name);
	add(page, "</tbody>\n");
}

/* ---- the page ---- */

static void add_head(struct landing *page)
{
	add(page, head);
	add(page, "<nav>");
	add_link(page, page->telemetry_path, "Metrics");
	add_link(page, "/api/v1/exporters", "API");
	add_link(page, "/-/ready", "Ready");
	add(page, "</nav></header>\n");
}

/* Where one script runs alone, a mistake in it is one of both: it is told with
 * the exporter. */
static bool is_told_below(const struct roster *roster)
{
	return roster->n == 1 && !roster->entries[0].loaded &&
	       strcmp(roster->entries[0].error, roster->config_error) == 0;
}

static void add_config(struct landing *page)
{
	const struct roster *roster = page->roster;

	if (!roster->config_loaded && !is_told_below(roster))
		add_error(page, "the configuration was not taken",
			  roster->config_changed, roster->config_error);
	if (roster->left_behind)
		buf_addf(&page->html,
			 "<p class=\"warn\">%u %s left behind by scripts that "
			 "were stuck when they were replaced or refused.</p>\n",
			 roster->left_behind,
			 roster->left_behind == 1 ? "thread was"
						  : "threads were");
}

/* "3 exporters: 2 running, 1 failing" */
static void add_summary(struct landing *page)
{
	size_t states[VIEW_STATES] = { 0 };
	const char *before = ": ";

	for (size_t i = 0; i < page->roster->n; i++)
		states[view_of(&page->roster->entries[i]).state]++;
	buf_addf(&page->html, "<p>%zu %s", page->roster->n,
		 page->roster->n == 1 ? "exporter" : "exporters");
	for (int i = 0; i < VIEW_STATES; i++) {
		if (!states[i])
			continue;
		buf_addf(&page->html, "%s%zu %s", before, states[i],
			 view_word((enum view_state)i));
		before = ", ";
	}
	add(page, "</p>\n");
}

static void add_exporters(struct landing *page)
{
	add(page, "<table>\n<thead><tr><th>exporter</th><th>state</th>"
		  "<th>last run</th><th class=\"n\">took</th>"
		  "<th class=\"n\">series</th><th class=\"n\">collections</th>"
		  "<th class=\"n\">failed</th><th "
		  "class=\"l\">script</th></tr></thead>\n");
	for (size_t i = 0; i < page->roster->n; i++)
		add_exporter(page, &page->roster->entries[i]);
	add(page, "</table>\n");
}

static void answer_html(struct request *request, struct landing *page)
{
	buf_init(&page->html, PAGE_MAX);
	add_head(page);
	add_summary(page);
	add_config(page);
	add_exporters(page);
	add(page, "</body></html>\n");
	request_answer_text(request, 200, HTML, buf_text(&page->html));
	buf_release(&page->html);
}

/* What a script that is alone promises to clients that are no browsers. */
static const char *landing_text(const struct roster *roster)
{
	if (roster->n != 1 || !roster->entries[0].exporter)
		return NULL;
	return exporter_declaration(roster->entries[0].exporter)->landing;
}

void landing_answer(struct request *request, const struct roster *roster,
		    const struct pusher *pusher, const char *telemetry_path)
{
	struct landing page = { .roster = roster,
				.pusher = pusher,
				.telemetry_path = telemetry_path,
				.now = moment_now() };
	const char *text = landing_text(roster);

	if (text && !negotiate_html(request_header(request, "Accept")))
		request_answer_text(request, 200, PLAIN, text);
	else
		answer_html(request, &page);
}
