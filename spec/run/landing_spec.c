/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the landing page and /api/v1/exporters say, also of names and sentences
 * that somebody chose to break them. With LUNEX_SHOW=1 in the environment it
 * serves the page of the first behaviour until it is killed, to be looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>
#include <unistd.h>

#include "core/mem.h"
#include "run/moment.h"
#include "run/web.h"
#include "web_world.h"

#define HEAD                                                                   \
	"local metric = require 'metric'\n"                                    \
	"return {\n"                                                           \
	"  name = '%s',\n"

static const char well[] =
	HEAD "  interval = 15,\n"
	     "  timeout = 2.5,\n"
	     "  labels = { site = 'a \"quoted\" <site>' },\n"
	     "  metrics = { %s_value = metric.gauge 'A value.' },\n"
	     "  collect = function(m) m.%s_value:set(1) end,\n"
	     "}\n";

static const char bad[] =
	HEAD "  collect = function() error(('<b>&\"bad ' .. ('x'):rep(480)))"
	     " end,\n"
	     "}\n";

static const char slow[] = HEAD "  limits = { cpu = 1000 },\n"
				"  interval = 1000,\n"
				"  timeout = 1000,\n"
				"  collect = function()\n"
				"    while not io.open '%F' do end\n"
				"  end,\n"
				"}\n";

static const char alone[] = HEAD "  landing = 'a landing',\n"
				 "  collect = function() end,\n"
				 "}\n";

enum { WELL, BAD, EXPORTERS, BROKEN = EXPORTERS, KEPT, ENTRIES };
enum { PAGE = 1 << 18 };

static struct web *web;
static struct exporter *exporters[EXPORTERS];
static char page[PAGE];

/* ---- the world ---- */

static void serve(struct roster *roster)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct web_options options = { .addresses = addresses,
				       .telemetry_path = "/metrics",
				       .roster = roster };
	struct err err;

	web = web_new(&options, &err);
	if (!web)
		fail_msg("%s", err.text);
	roster_unref(roster);
	web_start(web);
}

static int open_world(void **state)
{
	(void)state;
	alarm(60);
	world_open();
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	web_free(web);
	world_close();
	return 0;
}

static void get(const char *path)
{
	world_get(web, path, page, sizeof page);
}

static void has(const char *text)
{
	if (!strstr(page, text))
		fail_msg("no '%s' in %s", text, page);
}

static void has_not(const char *text)
{
	if (strstr(page, text))
		fail_msg("'%s' in %s", text, page);
}

static void set_broken(struct roster_entry *entry)
{
	char error[600];

	memset(error, 'y', 500);
	strcpy(error + 500, " \"<i>\"\xff\n second line");
	entry->name = mem_string("a <b>&\"c\" %/?#\xC3\xA4");
	entry->script = mem_string("x<script>alert(1)</script>.lua");
	entry->error = mem_string(error);
}

/* An old version goes on; the new one was not taken. */
static void set_kept(struct roster_entry *entry)
{
	entry->name = mem_string("kept");
	entry->script = mem_string("kept.lua");
	entry->exporter = exporters[WELL];
	entry->error = mem_string("kept.lua:7: <name> expected near '&'");
	entry->loads_ok = 2;
	entry->loads_bad = 1;
	entry->changed = 1763700163.1239;
}

static struct roster *make_roster(void)
{
	struct roster *roster = roster_new(ENTRIES, NULL, NULL, NULL);

	for (int i = 0; i < EXPORTERS; i++) {
		struct roster_entry *entry = &roster->entries[i];

		entry->name = mem_string(exporter_name(exporters[i]));
		entry->script =
			mem_string(exporter_declaration(exporters[i])->path);
		entry->exporter = exporters[i];
		entry->loaded = true;
		entry->error = mem_string("");
		entry->changed = moment_now() - 400;
	}
	set_broken(&roster->entries[BROKEN]);
	set_kept(&roster->entries[KEPT]);
	roster->config_error = mem_string("lunex.lua:3: <eof> & more");
	roster->config_changed = 1000000000;
	roster->left_behind = 1;
	return roster;
}

/* Numbers as the exporter's own thread leaves them. */
static void set_status(struct exporter *exporter, bool failing)
{
	struct exporter_status *status = &exporter_board(exporter)->status;

	atomic_store(&status->last_run, moment_now() - 12);
	atomic_store(&status->last_seconds, 0.01234000000123);
	atomic_store(&status->failing, failing);
}

static int set_up(void **state)
{
	open_world(state);
	exporters[WELL] = world_exporter("well", well);
	exporters[BAD] = world_exporter("bad", bad);
	serve(make_roster());
	while (!atomic_load(&exporter_status(exporters[WELL])->ready))
		sched_yield();
	get("/metrics?exporter=bad");
	for (int i = 0; i < EXPORTERS; i++)
		set_status(exporters[i], i == BAD);
	return 0;
}

static void end_exporters(void)
{
	web_stop(web);
	for (int i = 0; i < EXPORTERS; i++)
		if (exporters[i])
			world_end(exporters[i]);
	memset(exporters, 0, sizeof exporters);
}

static int tear_down(void **state)
{
	end_exporters();
	return close_world(state);
}

/* The error of the latest collection, as long as a sentence can be. */
static void tell_error(struct exporter *exporter)
{
	char text[512] = "bad.lua:4: <b>&\"bad ";
	size_t len = strlen(text);

	memset(text + len, 'x', sizeof text - 1 - len);
	board_tell(exporter_board(exporter), web_loop(web), text);
}

/* ---- the landing page ---- */

static void everything_on_the_page_is_escaped(void **state)
{
	(void)state;
	tell_error(exporters[BAD]);
	get("/");
	has(" 200 ");
	has("Content-Type: text/html; charset=utf-8\r\n");
	has_not("<script");
	has_not("<b>&");
	has_not("<i>");
	has_not("<eof>");
	has_not("<name>");
	has("bad.lua:4: &lt;b&gt;&amp;&quot;bad xxxx");
	has("a &lt;b&gt;&amp;&quot;c&quot; %/?#\xC3\xA4<");
	has("x&lt;script&gt;alert(1)&lt;/script&gt;.lua");
	has("yyy &quot;&lt;i&gt;&quot;\xEF\xBF\xBD\n second line</p>");
	has_not("\xff");
	has("kept.lua:7: &lt;name&gt; expected near '&amp;'</p>");
	has("lunex.lua:3: &lt;eof&gt; &amp; more</p>");
	has_not("http:");
	has_not("https:");
	has_not(" src=");
}

static void the_page_says_how_everybody_is(void **state)
{
	(void)state;
	get("/");
	has("<p>4 exporters: 2 running, 1 failing, 1 cannot run</p>");
	has("<a href=\"/metrics?exporter=well\">well</a>");
	has("<span class=\"state\">running</span>");
	has("<span class=\"state\">failing</span>");
	has("<span class=\"state\">cannot run</span>");
	has(">12 s ago</time></td><td class=\"n\" data-l=\"took\">12.3 ms<");
	has("loaded <time datetime=\"");
	has(">6 min ago</time>");
	has("<span class=\"warn\">load failed</span>");
	has("<span class=\"warn\">reload failed</span>");
	has("<b>the new version was not taken <time "
	    "datetime=\"2025-11-21T04:42:43.123Z\"");
	has("<b>the configuration was not taken <time "
	    "datetime=\"2001-09-09T01:46:40.000Z\"");
	has("1 thread was left behind");
	has("</body></html>\n");
}

static void one_that_does_not_come_back_is_stalled(void **state)
{
	struct exporter *exporter = world_exporter("slow", slow);

	(void)state;
	serve(world_roster(&exporter, 1));
	get("/");
	has("<span class=\"state\">starting</span>");
	while (exporter_busy_seconds(exporter) < 1.01)
		usleep(10000);
	get("/");
	has("<p>1 exporter: 1 stalled</p>");
	has("<b>stalled:</b> the script has not come back");
	get("/api/v1/exporters");
	has("\"state\":\"stalled\"");
	assert_true(world_read(
		world_send(web, "GET /metrics HTTP/1.0\r\n"
				"X-Prometheus-Scrape-Timeout-Seconds: 1\r\n"
				"\r\n"),
		page, sizeof page));
	has("\nlunex_exporter_stalled{exporter=\"slow\"} 1\n");
	world_free_them();
	web_stop(web);
	world_end(exporter);
}

/* Two of them are no longer alone. */
static void the_landing_of_a_script_that_is_alone_is_kept(void **state)
{
	struct exporter *exporter = world_exporter("alone", alone);
	struct roster *roster;

	(void)state;
	serve(world_roster(&exporter, 1));
	get("/");
	has("\r\n\r\na landing");
	assert_true(world_read(world_send(web, "GET / HTTP/1.0\r\n"
					       "Accept: text/html\r\n\r\n"),
			       page, sizeof page));
	has("<!doctype html>");
	roster = world_roster((struct exporter *[]){ exporter, exporter }, 2);
	web_set_roster(web, roster);
	roster_unref(roster);
	world_wait_gone(1);
	get("/");
	has("<!doctype html>");
	web_stop(web);
	world_end(exporter);
}

/* ---- the API ---- */

static void the_api_lists_everybody(void **state)
{
	(void)state;
	tell_error(exporters[BAD]);
	get("/api/v1/exporters");
	has(" 200 ");
	has("Content-Type: application/json\r\n");
	has("\r\n\r\n{\"status\":\"success\",\"data\":{\"exporters\":[{"
	    "\"name\":\"well\",\"script\":\"");
	has("\"state\":\"running\",\"lastError\":\"\","
	    "\"labels\":{\"site\":\"a \\\"quoted\\\" <site>\"},"
	    "\"onScrape\":false,\"interval\":15,\"timeout\":2.5,"
	    "\"lastRun\":\"20");
	has("Z\",\"lastRunDuration\":0.01234,\"lastSuccess\":\"20");
	has("\"collections\":{\"success\":1,\"failure\":0},\"reload\":{"
	    "\"success\":true,\"time\":\"20");
	has("\"state\":\"failing\",\"lastError\":\"bad.lua:4: <b>&\\\"bad xxx");
	has("\"onScrape\":true,\"interval\":null,\"timeout\":10,");
	has("\"lastSuccess\":null,");
	has("\"collections\":{\"success\":0,\"failure\":1}");
	has("{\"name\":\"a <b>&\\\"c\\\" %/?#\xC3\xA4\",\"script\":"
	    "\"x<script>alert(1)</script>.lua\",\"state\":\"cannot run\",");
	has("yyy \\\"<i>\\\"\xEF\xBF\xBD\\n second line\",\"reload\":{"
	    "\"success\":false,\"time\":null,");
	has("\"reload\":{\"success\":false,"
	    "\"time\":\"2025-11-21T04:42:43.123Z\",\"error\":"
	    "\"kept.lua:7: <name> expected near '&'\",\"successes\":2,"
	    "\"failures\":1}}],");
	has("\"config\":{\"success\":false,"
	    "\"time\":\"2001-09-09T01:46:40.000Z\","
	    "\"error\":\"lunex.lua:3: <eof> & more\"},"
	    "\"threadsLeftBehind\":1}}\n");
}

/* ---- to be looked at ---- */

static int show(void)
{
	set_up(NULL);
	alarm(0);
	tell_error(exporters[BAD]);
	printf("http://%s/\n", web_address(web, 0));
	fflush(stdout);
	return pause();
}

int main(void)
{
#define page(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define other(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
	const struct CMUnitTest tests[] = {
		page(everything_on_the_page_is_escaped),
		page(the_page_says_how_everybody_is),
		other(one_that_does_not_come_back_is_stalled),
		other(the_landing_of_a_script_that_is_alone_is_kept),
		page(the_api_lists_everybody),
	};

	if (getenv("LUNEX_SHOW"))
		return show();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
