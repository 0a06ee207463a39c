/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and probes on their way between a web thread, exporters and clients,
 * each of which may be gone before the other answers; spec/e2e/routes_test.py
 * and probe_test.py have what they say.
 */
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
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "run/exporter.h"
#include "run/routes.h"
#include "run/web.h"

#define ROUTES                                                                 \
	"  routes = {\n"                                                       \
	"    ['GET /%s/:id'] = function(request, m)\n"                         \
	"      m.x_calls_total:inc()\n"                                        \
	"      return request.params.id\n"                                     \
	"    end,\n"                                                           \
	"    ['GET /%s/slow'] = function()\n"                                  \
	"      require('task').sleep(0.02)\n"                                  \
	"      return 'slow'\n"                                                \
	"    end,\n"                                                           \
	"  },\n"

static const char text[] =
	"local metric = require 'metric'\n"
	"return {\n"
	"  name = '%s',\n"
	"  timeout = 5,\n"
	"  config = { user = { 'nobody' }, password = { '', secret = true } "
	"},\n"
	"  metrics = { x_calls_total = metric.counter 'Calls.',\n"
	"    x_as = metric.info { 'Who.', labels = { 'user', 'password' } } "
	"},\n"
	"  collect = function(m) require('task').sleep(0.01) end,\n"
	"  probe = function(m, target, config)\n"
	"    m.x_as:set(1, config.user, config.password)\n"
	"    require('task').sleep(0.01)\n"
	"  end,\n" ROUTES "}\n";

enum { EXPORTERS = 2, CLIENTS = 4, ROUNDS = 40 };

static struct config_value values[] = {
	{ .key = "user", .type = CONFIG_STRING, .string = "monitor" },
	{ .key = "password", .type = CONFIG_STRING, .string = "secret-b" },
};
static struct config_value wrong_values[] = {
	{ .key = "usr", .type = CONFIG_STRING, .string = "monitor" },
};
static const struct config config = { values, 2 };
static const struct config wrong_config = { wrong_values, 1 };
static const struct exporter_profile profiles[] = { { "b", &config } };
static const struct exporter_profile wrong_profiles[] = {
	{ "b", &config },
	{ "c", &wrong_config },
};

static char folder[] = "/tmp/lunex-call-spec-XXXXXX";

static struct {
	struct loop *loop; /* where `loaded` arrives */
	struct message loaded;
	bool failed;
	struct err err;
	struct exporter *exporters[EXPORTERS];
	struct web *web;
} fixture;

/* ---- exporters ---- */

static void deliver_loaded(struct message *message)
{
	(void)message;
	loop_stop(fixture.loop);
}

static void on_loaded(void *arg, const struct err *err)
{
	(void)arg;
	fixture.failed = err != NULL;
	if (err)
		fixture.err = *err;
	fixture.loaded.deliver = deliver_loaded;
	loop_post(fixture.loop, &fixture.loaded);
}

/* NULL when it cannot be loaded. */
static struct exporter *start(const char *name, const char *path_name,
			      const struct exporter_profile *given, size_t n)
{
	struct exporter_options options = { .interval = -1,
					    .timeout = -1,
					    .profiles = given,
					    .nprofiles = n,
					    .loaded = on_loaded };
	struct exporter *exporter;
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s.lua", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, text, name, path_name, path_name);
	fclose(file);
	options.path = path;
	exporter = exporter_new(&options);
	loop_run(fixture.loop);
	unlink(path);
	if (!fixture.failed)
		return exporter;
	assert_true(exporter_free(exporter, 20));
	return NULL;
}

static void start_web(void)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	const struct web_options options = {
		.roster = roster_of(fixture.exporters, EXPORTERS),
		.addresses = addresses,
		.telemetry_path = "/metrics",
	};

	fixture.web = web_new(&options, &fixture.err);
	assert_non_null(fixture.web);
	roster_unref(options.roster);
	web_start(fixture.web);
}

static int set_up(void **state)
{
	(void)state;
	fixture.loop = loop_new();
	fixture.exporters[0] = start("a", "a", profiles, 1);
	fixture.exporters[1] = start("b", "b", NULL, 0);
	assert_non_null(fixture.exporters[0]);
	assert_non_null(fixture.exporters[1]);
	start_web();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	web_stop(fixture.web);
	for (int i = 0; i < EXPORTERS; i++) {
		exporter_stop(fixture.exporters[i]);
		assert_true(exporter_free(fixture.exporters[i], 20));
	}
	web_free(fixture.web);
	loop_free(fixture.loop);
	return 0;
}

static int make_folder(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* ---- clients ---- */

static int open_client(const char *path)
{
	const char *port = strrchr(web_address(fixture.web, 0), ':');
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { 20, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char request[256];
	int n = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n",
			 path);

	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_return_code(
		connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(n, send(fd, request, (size_t)n, MSG_NOSIGNAL));
	return fd;
}

/* Reads until the end; false when the connection broke. */
static bool read_all(int fd, char *page, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, page + len, size - 1 - len)) > 0)
		len += (size_t)n;
	page[len] = '\0';
	close(fd);
	return n == 0;
}

static void get(const char *path, char *page, size_t size)
{
	assert_true(read_all(open_client(path), page, size));
}

struct client {
	pthread_t thread;
	bool gone; /* does not wait for answers */
	bool failed;
};

/* One of several at the same time: no cmocka in here. */
static void *work(void *arg)
{
	static const char *const paths[][2] = {
		{ "/a/17", "\r\n\r\n17" },
		{ "/b/slow", "\r\n\r\nslow" },
		{ "/probe?exporter=a&target=x&profile=b",
		  "\nprobe_success 1\n" },
		{ "/probe?exporter=b&target=x&debug=1", "the probe succeeded" },
		{ "/metrics", "\nx_calls_total " },
	};
	struct client *client = arg;
	char page[1 << 15];

	for (int i = 0; i < ROUNDS; i++) {
		const char *const *path = paths[i % 5];
		int fd = open_client(path[0]);

		if (client->gone) {
			close(fd);
			continue;
		}
		if (!read_all(fd, page, sizeof page) ||
		    !strstr(page, path[1])) {
			fprintf(stderr, "%s: %s\n", path[0], page);
			client->failed = true;
		}
	}
	return NULL;
}

/* ---- behaviours ---- */

static void calls_and_probes_do_not_disturb_each_other(void **state)
{
	struct client clients[CLIENTS] = { 0 };

	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].gone = i == 0;
		assert_int_equal(0, pthread_create(&clients[i].thread, NULL,
						   work, &clients[i]));
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		assert_false(clients[i].failed);
	}
}

/* tear_down() comes while they wait. */
static void the_end_answers_what_is_open(void **state)
{
	int fds[16];
	char page[4096];

	(void)state;
	for (int i = 0; i < 16; i++)
		fds[i] = open_client(i % 2 ? "/b/slow"
					   : "/probe?exporter=a&target=x");
	tear_down(NULL);
	for (int i = 0; i < 16; i++) {
		bool whole = read_all(fds[i], page, sizeof page);

		if (whole && *page && !strstr(page, " 503 ") &&
		    !strstr(page, " 200 "))
			fail_msg("%s", page);
	}
	set_up(NULL);
}

static void a_profile_lies_over_the_configuration(void **state)
{
	char page[4096];

	(void)state;
	get("/probe?exporter=a&target=x&profile=b", page, sizeof page);
	assert_non_null(strstr(
		page, "\nx_as{user=\"monitor\",password=\"secret-b\"} 1\n"));
	get("/probe?exporter=a&target=x", page, sizeof page);
	assert_non_null(
		strstr(page, "\nx_as{user=\"nobody\",password=\"\"} 1\n"));
	get("/probe?exporter=a&target=x&profile=c", page, sizeof page);
	assert_non_null(strstr(page, " 404 "));
	assert_non_null(strstr(
		page, "\r\n\r\nno profile of that name; there are: b\n"));
}

static void among_several_exporters_one_must_be_named(void **state)
{
	char page[4096];

	(void)state;
	get("/probe?target=x", page, sizeof page);
	assert_non_null(strstr(page, " 400 "));
	assert_non_null(strstr(page, "; there are: a, b\n"));
}

static void a_profile_must_be_a_configuration(void **state)
{
	(void)state;
	assert_null(start("c", "c", wrong_profiles, 2));
	assert_string_equal("c, profile 'c': no configuration key 'usr'",
			    fixture.err.text);
}

static void the_second_exporter_with_a_route_is_refused(void **state)
{
	struct exporter *both[] = { fixture.exporters[0], NULL };
	char expected[256];
	struct err err;

	(void)state;
	assert_true(routes_check(fixture.exporters, 2, "/metrics", &err));
	assert_false(routes_check(fixture.exporters, 2, "/b/metrics", &err));
	snprintf(expected, sizeof expected,
		 "%s/b.lua:14: the route 'GET /b/:id' takes the telemetry "
		 "path /b/metrics",
		 folder);
	assert_string_equal(expected, err.text);
	both[1] = start("c", "a", NULL, 0);
	assert_non_null(both[1]);
	assert_false(routes_check(both, 2, "/metrics", &err));
	snprintf(expected, sizeof expected,
		 "%s/c.lua:14: the route 'GET /a/:id' is taken by the "
		 "exporter 'a' (%s/a.lua:14)",
		 folder, folder);
	assert_string_equal(expected, err.text);
	exporter_stop(both[1]);
	assert_true(exporter_free(both[1], 20));
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		test(calls_and_probes_do_not_disturb_each_other),
		test(the_end_answers_what_is_open),
		test(a_profile_lies_over_the_configuration),
		test(among_several_exporters_one_must_be_named),
		test(a_profile_must_be_a_configuration),
		test(the_second_exporter_with_a_route_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
