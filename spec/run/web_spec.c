/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporters of a web thread change while it answers. Whoever is not in a
 * roster any more is freed as soon as the roster is gone, so that a sanitizer
 * sees who still looks at it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "core/mem.h"
#include "run/web.h"
#include "web_world.h"

#define HEAD                                                                   \
	"local metric = require 'metric'\n"                                    \
	"local task = require 'task'\n"                                        \
	"return {\n"                                                           \
	"  name = '%s',\n"                                                     \
	"  limits = { cpu = 1000 },\n"

/* Collected on scrape; everything takes a little while. */
static const char plain[] =
	HEAD "  metrics = { %s_value = metric.gauge 'A value.' },\n"
	     "  collect = function(m)\n"
	     "    task.sleep(0.002)\n"
	     "    m.%s_value:set(1)\n"
	     "  end,\n"
	     "  probe = function(m) task.sleep(0.002) end,\n"
	     "  routes = {\n"
	     "    ['GET /%s/:id'] = function(request)\n"
	     "      task.sleep(0.002)\n"
	     "      return request.params.id\n"
	     "    end,\n"
	     "    ['POST /%s/:id'] = function(request)\n"
	     "      return request.body\n"
	     "    end,\n"
	     "  },\n"
	     "}\n";

/* Everything but the first collection is stuck until there is a file. */
static const char stuck[] =
	HEAD "  timeout = 0.05,\n"
	     "  metrics = { %s_value = metric.gauge 'A value.' },\n"
	     "  collect = function(m)\n"
	     "    while not io.open '%F' do end\n"
	     "    m.%s_value:set(1)\n"
	     "  end,\n"
	     "  probe = function(m)\n"
	     "    while not io.open '%F' do end\n"
	     "  end,\n"
	     "  routes = {\n"
	     "    ['GET /%s/:id'] = function(request)\n"
	     "      while not io.open '%F' do end\n"
	     "      return request.params.id\n"
	     "    end,\n"
	     "  },\n"
	     "}\n";

/* Its first collection is not over before there is a file. */
static const char waiting[] =
	HEAD "  interval = 1000,\n"
	     "  timeout = 1000,\n"
	     "  metrics = { %s_value = metric.gauge 'A value.' },\n"
	     "  collect = function(m)\n"
	     "    while not io.open '%F' do task.sleep(0.001) end\n"
	     "    m.%s_value:set(1)\n"
	     "  end,\n"
	     "}\n";

enum { CLIENTS = 4, SWAPS = 30, PAGE = 1 << 17 };

static struct web *web;
static char page[PAGE];

static void serve(struct exporter *const *exporters, size_t n)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct web_options options = { .addresses = addresses,
				       .telemetry_path = "/metrics",
				       .roster = world_roster(exporters, n) };
	struct err err;

	web = web_new(&options, &err);
	if (!web)
		fail_msg("%s", err.text);
	roster_unref(options.roster);
	web_start(web);
}

static void show(struct roster *roster)
{
	web_set_roster(web, roster);
	roster_unref(roster);
}

static void show_these(struct exporter *const *exporters, size_t n)
{
	show(world_roster(exporters, n));
}

static void get(const char *path)
{
	world_get(web, path, page, sizeof page);
}

/* Reads the page until it has TEXT, or has it no more. */
static void wait_page(const char *path, const char *text, bool has)
{
	do
		get(path);
	while ((strstr(page, text) != NULL) != has);
}

static int set_up(void **state)
{
	(void)state;
	alarm(120);
	world_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_close();
	return 0;
}

/* ---- under load ---- */

struct client {
	pthread_t thread;
	_Atomic bool *over;
	unsigned rounds;
	bool failed;
};

/* One of several at the same time: no cmocka in here. */
static void *work(void *arg)
{
	static const char *const requests[][2] = {
		{ "GET /metrics HTTP/1.0\r\n\r\n", "\na_value 1\n" },
		{ "GET /a/17 HTTP/1.0\r\n\r\n", "\r\n\r\n17" },
		{ "GET /probe?exporter=a&target=x HTTP/1.0\r\n\r\n",
		  "\nprobe_success 1\n" },
		{ "GET /metrics?exporter=a HTTP/1.0\r\n\r\n", "\na_value 1\n" },
		{ "POST /a/1 HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody",
		  "\r\n\r\nbody" },
		{ "GET / HTTP/1.0\r\n\r\n", "?exporter=a\"" },
		{ "GET /api/v1/exporters HTTP/1.0\r\n\r\n", "\"name\":\"a\"" },
		{ "GET /-/ready HTTP/1.0\r\n\r\n", " 200 " },
	};
	struct client *client = arg;
	char *answer = mem_alloc(PAGE);

	while (!client->failed && !atomic_load(client->over)) {
		const char *const *request = requests[client->rounds++ % 8];

		if (world_read(world_send(web, request[0]), answer, PAGE) &&
		    strstr(answer, request[1]) && strstr(answer, " 200 "))
			continue;
		fprintf(stderr, "%s: %s\n", request[0], answer);
		client->failed = true;
	}
	free(answer);
	return NULL;
}

static void rosters_are_swapped_while_everything_is_asked_for(void **state)
{
	struct exporter *now[2] = { world_exporter("a", plain), NULL };
	struct client clients[CLIENTS] = { 0 };
	_Atomic bool over = false;

	(void)state;
	serve(now, 1);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].over = &over;
		assert_int_equal(0, pthread_create(&clients[i].thread, NULL,
						   work, &clients[i]));
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		struct exporter *former = now[0];

		now[0] = world_exporter("a", plain);
		now[1] = i % 2 ? NULL : world_exporter("b", plain);
		show_these(now, now[1] ? 2 : 1);
		/* The one before is gone with its roster. */
		world_wait_gone(2 * i + 1);
		world_end(former);
		former = now[1];
		now[1] = NULL;
		show_these(now, 1);
		world_wait_gone(2 * i + 2);
		if (former)
			world_end(former);
	}
	atomic_store(&over, true);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		assert_false(clients[i].failed);
		assert_true(clients[i].rounds > 8);
	}
	web_stop(web);
	world_end(now[0]);
	web_free(web);
	world_wait_gone(2 * SWAPS + 1);
}

/* ---- who holds a roster ---- */

/* A request for PATH is answered with STATUS while the exporter is stuck; the
 * roster goes when the exporter has come back, and not before. */
static void is_held(const char *path, const char *status)
{
	struct exporter *old = world_exporter("a", stuck);
	struct exporter *next = world_exporter("b", plain);
	char request[128];
	int fd;

	serve(&old, 1);
	snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
	fd = world_send(web, request);
	while (exporter_busy_seconds(old) < 0.001)
		sched_yield();
	show_these(&next, 1);
	wait_page("/metrics", "\nb_value 1\n", true);
	assert_true(world_read(fd, page, sizeof page));
	if (!strstr(page, status))
		fail_msg("%s", page);
	assert_int_equal(0, world_gone());
	/* It is known to nobody who asks now. */
	get("/a/1");
	assert_non_null(strstr(page, " 404 "));
	get("/metrics");
	assert_null(strstr(page, "exporter=\"a\""));
	assert_int_equal(0, world_gone());
	world_free_them();
	world_wait_gone(1);
	world_end(old);
	get("/metrics");
	assert_non_null(strstr(page, "\nb_value 1\n"));
	web_stop(web);
	world_end(next);
	web_free(web);
	world_wait_gone(2);
}

static void a_call_that_was_given_up_holds_its_roster(void **state)
{
	(void)state;
	is_held("/a/17", " 504 ");
}

static void a_probe_that_was_given_up_holds_its_roster(void **state)
{
	(void)state;
	is_held("/probe?target=x", " 503 ");
}

/* The page is answered without it. */
static void a_scrape_that_was_given_up_holds_its_roster(void **state)
{
	(void)state;
	is_held("/metrics", " 200 ");
}

static void the_end_does_not_wait_for_who_holds_a_roster(void **state)
{
	struct exporter *old = world_exporter("a", stuck);
	struct exporter *next = world_exporter("b", plain);
	struct roster *late = world_roster(&old, 1);
	int fds[3];

	(void)state;
	serve(&old, 1);
	fds[0] = world_send(web, "GET /a/17 HTTP/1.0\r\n\r\n");
	fds[1] = world_send(web, "GET /probe?target=x HTTP/1.0\r\n\r\n");
	fds[2] = world_send(web, "GET /metrics HTTP/1.0\r\n\r\n");
	while (exporter_busy_seconds(old) < 0.001)
		sched_yield();
	show_these(&next, 1);
	web_stop(web);
	for (int i = 0; i < 3; i++)
		world_read(fds[i], page, sizeof page);
	world_free_them();
	world_end(old);
	world_end(next);
	/* One that comes now is not looked at. */
	show(late);
	web_free(web);
	world_wait_gone(3);
}

static void one_that_was_not_started_ends(void **state)
{
	struct exporter *exporter = world_exporter("a", plain);
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct web_options options = { .addresses = addresses,
				       .telemetry_path = "/metrics",
				       .roster = world_roster(&exporter, 1) };

	(void)state;
	web = web_new(&options, NULL);
	assert_non_null(web);
	show(options.roster);
	web_stop(web);
	world_end(exporter);
	web_free(web);
	world_wait_gone(1);
}

/* ---- what follows the roster ---- */

static void one_that_is_removed_is_nowhere(void **state)
{
	struct exporter *both[] = { world_exporter("a", plain),
				    world_exporter("b", plain) };
	struct exporter *first = both[0];

	(void)state;
	serve(both, 2);
	get("/metrics");
	assert_non_null(strstr(page, "\na_value 1\n"));
	assert_non_null(strstr(page, "\nb_value 1\n"));
	assert_non_null(
		strstr(page, "{exporter=\"b\",result=\"success\"} 1\n"));
	show_these(&first, 1);
	world_wait_gone(1);
	world_end(both[1]);
	get("/metrics");
	assert_non_null(strstr(page, "\na_value 1\n"));
	assert_null(strstr(page, "\nb_value"));
	assert_null(strstr(page, "exporter=\"b\""));
	assert_non_null(
		strstr(page, "{exporter=\"a\",result=\"success\"} 2\n"));
	get("/metrics?exporter=b");
	assert_non_null(strstr(page, " 404 "));
	get("/b/1");
	assert_non_null(strstr(page, " 404 "));
	get("/probe?exporter=b&target=x");
	assert_non_null(strstr(page, " 404 "));
	get("/");
	assert_null(strstr(page, "?exporter=b"));
	show_these(NULL, 0);
	world_wait_gone(2);
	world_end(first);
	get("/metrics");
	assert_non_null(strstr(page, " 200 "));
	assert_null(strstr(page, "exporter=\""));
	get("/probe?target=x");
	assert_non_null(strstr(page, " 404 "));
	web_free(web);
}

static void one_that_is_added_is_everywhere(void **state)
{
	struct exporter *both[] = { world_exporter("b", plain), NULL };

	(void)state;
	serve(both, 1);
	get("/a/1");
	assert_non_null(strstr(page, " 404 "));
	both[1] = world_exporter("a", plain);
	show_these(both, 2);
	wait_page("/metrics", "\na_value 1\n", true);
	assert_non_null(strstr(page, "\nlunex_exporter_info{exporter=\"a\""));
	get("/a/17");
	assert_non_null(strstr(page, "\r\n\r\n17"));
	get("/probe?exporter=a&target=x");
	assert_non_null(strstr(page, "\nprobe_success 1\n"));
	web_stop(web);
	world_end(both[0]);
	world_end(both[1]);
	web_free(web);
}

static void one_that_is_added_does_not_make_the_process_unready(void **state)
{
	struct exporter *both[] = { world_exporter("a", waiting), NULL };

	(void)state;
	serve(both, 1);
	get("/-/ready");
	assert_non_null(strstr(page, " 503 "));
	world_free_them();
	while (!atomic_load(&exporter_status(both[0])->ready))
		sched_yield();
	world_hold_them();
	both[1] = world_exporter("b", waiting);
	show_these(both, 2);
	/* Nobody had asked before. */
	wait_page("/", "?exporter=b\"", true);
	assert_false(atomic_load(&exporter_status(both[1])->ready));
	get("/-/ready");
	assert_non_null(strstr(page, " 200 "));
	web_stop(web);
	world_free_them();
	world_end(both[0]);
	world_end(both[1]);
	web_free(web);
}

/* ---- the host's metrics ---- */

static struct roster *reloaded(struct exporter *exporter, const char *script,
			       uint64_t ok, uint64_t bad)
{
	struct roster *roster = world_roster(&exporter, 1);
	struct roster_entry *entry = &roster->entries[0];

	free(entry->script);
	entry->script = mem_string(script);
	entry->loaded = ok > 0;
	entry->loads_ok = ok;
	entry->loads_bad = bad;
	entry->changed = 1000.5;
	return roster;
}

static void has(const char *line)
{
	if (!strstr(page, line))
		fail_msg("no '%s' in %s", line, page);
}

static void the_metrics_of_the_host_follow_the_roster(void **state)
{
	struct exporter *exporter = world_exporter("a", plain);
	struct roster *roster;

	(void)state;
	serve(&exporter, 1);
	get("/metrics");
	has("\nlunex_exporter_reloads_total{exporter=\"a\",result=\"success\"} "
	    "0\n");
	has("\nlunex_exporter_reload_success{exporter=\"a\"} 1\n");
	has("\nlunex_threads_left_behind 0\n");
	has("\nlunex_config_last_reload_successful 1\n");
	show(reloaded(exporter, "new.lua", 0, 3));
	wait_page("/metrics", "script=\"new.lua\"", true);
	has("\nlunex_exporter_info{exporter=\"a\",script=\"new.lua\"} 1\n");
	assert_null(strstr(page, "a.lua\""));
	has("\nlunex_exporter_reloads_total{exporter=\"a\",result=\"success\"} "
	    "0\n");
	has("\nlunex_exporter_reloads_total{exporter=\"a\",result=\"failure\"} "
	    "3\n");
	has("\nlunex_exporter_reload_success{exporter=\"a\"} 0\n");
	has("\nlunex_exporter_last_reload_timestamp_seconds{exporter=\"a\"} "
	    "1000.5\n");
	roster = reloaded(exporter, "new.lua", 1, 3);
	roster->left_behind = 2;
	roster->config_loaded = false;
	roster->config_changed = 77;
	show(roster);
	wait_page("/metrics", "\nlunex_threads_left_behind 2\n", true);
	has("\nlunex_exporter_reload_success{exporter=\"a\"} 1\n");
	has("\nlunex_exporter_reloads_total{exporter=\"a\",result=\"success\"} "
	    "1\n");
	has("\nlunex_config_last_reload_successful 0\n");
	has("\nlunex_config_last_reload_timestamp_seconds 77\n");
	web_stop(web);
	world_end(exporter);
	web_free(web);
}

/* Its own counts do not stay when it cannot run any more. */
static void one_that_cannot_run_shows_why(void **state)
{
	struct exporter *exporter = world_exporter("a", plain);
	struct roster *roster;

	(void)state;
	serve(&exporter, 1);
	get("/metrics");
	has("\nlunex_exporter_series{exporter=\"a\"}");
	roster = world_roster(&exporter, 1);
	roster->entries[0].exporter = NULL;
	roster->entries[0].loaded = false;
	free(roster->entries[0].error);
	roster->entries[0].error = mem_string("a.lua:7: <eof> expected");
	show(roster);
	world_wait_gone(1);
	world_end(exporter);
	get("/metrics");
	has("\nlunex_exporter_reload_success{exporter=\"a\"} 0\n");
	assert_null(strstr(page, "\nlunex_exporter_series{"));
	assert_null(strstr(page, "\na_value"));
	get("/metrics?exporter=a");
	has(" 503 ");
	has("\r\n\r\nthe exporter cannot run: a.lua:7: <eof> expected\n");
	get("/probe?target=x");
	has(" 503 ");
	get("/a/1");
	has(" 404 ");
	get("/-/ready");
	has(" 200 ");
	web_free(web);
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		test(rosters_are_swapped_while_everything_is_asked_for),
		test(a_call_that_was_given_up_holds_its_roster),
		test(a_probe_that_was_given_up_holds_its_roster),
		test(a_scrape_that_was_given_up_holds_its_roster),
		test(the_end_does_not_wait_for_who_holds_a_roster),
		test(one_that_was_not_started_ends),
		test(one_that_is_removed_is_nowhere),
		test(one_that_is_added_is_everywhere),
		test(one_that_is_added_does_not_make_the_process_unready),
		test(the_metrics_of_the_host_follow_the_roster),
		test(one_that_cannot_run_shows_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
