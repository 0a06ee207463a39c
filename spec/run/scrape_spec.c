/* SPDX-License-Identifier: Apache-2.0 */
/* Scrapes of several exporters at once; spec/e2e/scrape_test.py has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "run/exporter.h"
#include "run/host_metrics.h"
#include "run/scrape.h"
#include "web/server.h"

/* Collected on scrape, longer than a scheduled one is waited for. */
static const char slow[] =
	"local metric = require 'metric'\n"
	"return {\n"
	"  name = 'slow',\n"
	"  metrics = { slow_value = metric.gauge 'A value.' },\n"
	"  collect = function(m)\n"
	"    require('task').sleep(0.1)\n"
	"    m.slow_value:set(1)\n"
	"  end,\n"
	"}\n";

/* Scheduled; once it has collected it comes back when there is a file. */
static const char busy[] =
	"local metric = require 'metric'\n"
	"local collected = false\n"
	"return {\n"
	"  name = 'busy',\n"
	"  interval = 1000,\n"
	"  limits = { cpu = 1000 },\n"
	"  metrics = { busy_value = metric.gauge 'A value.' },\n"
	"  collect = function(m)\n"
	"    m.busy_value:set(1)\n"
	"    collected = true\n"
	"  end,\n"
	"  start = function()\n"
	"    while not collected do require('task').sleep(0.001) end\n"
	"    require('task').sleep(0.001)\n"
	"    while not io.open '%s/free' do end\n"
	"  end,\n"
	"}\n";

enum { SLOW, BUSY, EXPORTERS };

static char folder[] = "/tmp/lunex-scrape-spec-XXXXXX";

struct fixture {
	struct loop *loop; /* where `loaded` arrives, then of the server */
	struct exporter *exporters[EXPORTERS];
	struct message loaded;
	struct err err;
	struct host_metrics *host;
	struct serve *serve;
	struct scraper *scraper;
	struct server *server;
	pthread_t thread;
	struct message stop;
};

static struct fixture fixture;

/* ---- exporters ---- */

static void deliver_loaded(struct message *message)
{
	(void)message;
	loop_stop(fixture.loop);
}

static void on_loaded(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		fixture.err = *err;
	fixture.loaded.deliver = deliver_loaded;
	loop_post(fixture.loop, &fixture.loaded);
}

static struct exporter *start(const char *name, const char *text)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .loaded = on_loaded };
	struct exporter *exporter;
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s.lua", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	options.path = path;
	exporter = exporter_new(&options);
	loop_run(fixture.loop);
	unlink(path);
	if (*fixture.err.text)
		fail_msg("%s", fixture.err.text);
	return exporter;
}

static void make_free(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/free", folder);
	fclose(fopen(path, "w"));
}

/* ---- the server ---- */

static void *serve(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void on_stopped(void *arg)
{
	loop_stop(arg);
}

static void deliver_stop(struct message *message)
{
	(void)message;
	server_stop(fixture.server, 1, on_stopped, fixture.loop);
}

static int set_up(void **state)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct fixture *f = &fixture;
	struct roster *roster;
	char text[1024];
	struct route routes[] = {
		{ "/metrics", SERVER_GET, "metrics", scrape_handle, NULL },
		{ NULL, 0, NULL, NULL, NULL },
	};
	struct server_options options = { .addresses = addresses,
					  .routes = routes };

	(void)state;
	log_set_level(LOG_ERROR);
	assert_non_null(mkdtemp(folder));
	f->loop = options.loop = loop_new();
	f->exporters[SLOW] = start("slow", slow);
	snprintf(text, sizeof text, busy, folder);
	f->exporters[BUSY] = start("busy", text);
	roster = roster_of(f->exporters, EXPORTERS);
	f->host = host_metrics_new(roster);
	f->serve = serve_new(&(struct serve_options){ .loop = f->loop });
	f->scraper = scraper_new(f->loop, f->serve, roster, f->host);
	roster_unref(roster);
	routes[0].arg = f->scraper;
	f->server = server_new(&options, &f->err);
	assert_non_null(f->server);
	return pthread_create(&f->thread, NULL, serve, f->loop);
}

static int tear_down(void **state)
{
	struct fixture *f = &fixture;
	char path[64];

	(void)state;
	make_free();
	f->stop.deliver = deliver_stop;
	loop_post(f->loop, &f->stop);
	pthread_join(f->thread, NULL);
	for (int i = 0; i < EXPORTERS; i++) {
		exporter_stop(f->exporters[i]);
		assert_true(exporter_free(f->exporters[i], 20));
	}
	server_free(f->server);
	/* Late answers come while the loop is freed. */
	assert_true(loop_free(f->loop));
	scraper_free(f->scraper);
	serve_free(f->serve);
	host_metrics_free(f->host);
	snprintf(path, sizeof path, "%s/free", folder);
	unlink(path);
	return rmdir(folder);
}

/* ---- a client ---- */

static void scrape(char *page, size_t size)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	const char *port = strrchr(server_address(fixture.server, 0), ':');
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { 20, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t len = 0;
	ssize_t n;

	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_return_code(
		connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(sizeof request - 1,
			 write(fd, request, sizeof request - 1));
	while ((n = read(fd, page + len, size - 1 - len)) > 0)
		len += (size_t)n;
	assert_int_equal(0, n); /* the end, not the end of patience */
	page[len] = '\0';
	close(fd);
}

static void a_busy_exporter_is_not_waited_for_after_the_others(void **state)
{
	static char page[1 << 16];
	struct exporter *exporter = fixture.exporters[BUSY];

	(void)state;
	while (!atomic_load(&exporter_status(exporter)->ready) ||
	       exporter_busy_seconds(exporter) < 0.02)
		sched_yield();
	scrape(page, sizeof page);
	assert_non_null(strstr(page, "\nslow_value 1\n"));
	assert_non_null(strstr(page, "\nbusy_value 1\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_busy_exporter_is_not_waited_for_after_the_others),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
