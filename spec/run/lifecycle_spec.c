/* SPDX-License-Identifier: Apache-2.0 */
/* POST /-/reload, with somebody else who reloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "run/lifecycle.h"
#include "run/web.h"
#include "web_world.h"

enum { PAGE = 1 << 14 };

static struct web *web;
static char page[PAGE];

/* ---- reloads, as somebody else does them ---- */

/* Answers from another thread, when it is told to. */
static struct {
	struct reload_request *asked[LIFECYCLE_MAX + 1];
	unsigned n;
	pthread_mutex_t mutex;
} fake = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void fake_ask(struct reload_request *request)
{
	pthread_mutex_lock(&fake.mutex);
	fake.asked[fake.n++] = request;
	pthread_mutex_unlock(&fake.mutex);
}

/* Waits for request number I. */
static struct reload_request *asked(unsigned i)
{
	unsigned n;

	do {
		sched_yield();
		pthread_mutex_lock(&fake.mutex);
		n = fake.n;
		pthread_mutex_unlock(&fake.mutex);
	} while (n <= i);
	return fake.asked[i];
}

static void deliver_answer(struct message *message)
{
	struct reload_request *request = (void *)message;

	request->answered(request);
}

static void answer(unsigned i, struct report *report)
{
	struct reload_request *request = asked(i);

	request->report = report;
	request->message.deliver = deliver_answer;
	loop_post(request->asker, &request->message);
}

/* ---- the world ---- */

static void serve(bool lifecycle, double seconds)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	struct web_options options = { .addresses = addresses,
				       .telemetry_path = "/metrics",
				       .roster = world_roster(NULL, 0),
				       .lifecycle = lifecycle,
				       .reload_ask = fake_ask,
				       .reload_seconds = seconds };
	struct err err;

	fake.n = 0;
	web = web_new(&options, &err);
	if (!web)
		fail_msg("%s", err.text);
	roster_unref(options.roster);
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

static int set_up(void **state)
{
	open_world(state);
	serve(true, 0);
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

/* ---- reloads ---- */

static int ask(const char *method, const char *accept)
{
	char request[256];

	snprintf(request, sizeof request,
		 "%s /-/reload HTTP/1.0\r\nAccept: %s\r\n\r\n", method, accept);
	return world_send(web, request);
}

static void read_answer(int fd)
{
	assert_true(world_read(fd, page, sizeof page));
}

static struct report *failed(void)
{
	struct report *report = report_new();

	report_add(report, REPORT_FAILED, "t", "t.lua", "t.lua:7: \"x\"");
	report->unchanged = 3;
	return report;
}

static void a_reload_answers_what_it_did(void **state)
{
	struct report *report = report_new();
	int fd = ask("POST", "*/*");

	(void)state;
	report_add(report, REPORT_RELOADED, "a", "a.lua", NULL);
	answer(0, report);
	read_answer(fd);
	has(" 200 ");
	has("Content-Type: text/plain; charset=utf-8\r\n");
	has("\r\n\r\nreloaded a (a.lua)\n");
	fd = ask("PUT", "*/*");
	answer(1, report_new());
	read_answer(fd);
	has(" 200 ");
	has("\r\n\r\nnothing changed\n");
}

static void a_reload_that_failed_is_500_in_both_forms(void **state)
{
	int fd = ask("POST", "*/*");

	(void)state;
	answer(0, failed());
	read_answer(fd);
	has(" 500 ");
	has("\r\n\r\nfailed t (t.lua): t.lua:7: \"x\"\n3 unchanged\n");
	fd = ask("POST", "application/json");
	answer(1, failed());
	read_answer(fd);
	has(" 500 ");
	has("Content-Type: application/json\r\n");
	has("\r\n\r\n{\"ok\":false,\"unchanged\":3,\"exporters\":[{"
	    "\"exporter\":\"t\",\"script\":\"t.lua\",\"result\":\"failed\","
	    "\"error\":\"t.lua:7: \\\"x\\\"\"}]}\n");
}

static void several_may_wait_at_the_same_time(void **state)
{
	int fds[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = ask("POST", "*/*");
		asked(i);
	}
	get("/-/healthy");
	has(" 200 ");
	for (unsigned i = 4; i-- > 0;)
		answer(i, failed());
	for (int i = 0; i < 4; i++) {
		read_answer(fds[i]);
		has(" 500 ");
	}
}

static void only_post_and_put_reload(void **state)
{
	(void)state;
	get("/-/reload");
	has(" 405 ");
	has("\r\nAllow: POST, PUT\r\n");
	assert_int_equal(0, fake.n);
}

/* Without a report, too: whoever reloads stops. */
static void the_end_answers_who_waits(void **state)
{
	int fd = ask("POST", "*/*");

	(void)state;
	answer(0, NULL);
	read_answer(fd);
	has(" 503 ");
	has("\r\n\r\nlunex is stopping\n");
	fd = ask("POST", "application/json");
	asked(1);
	web_stop(web);
	read_answer(fd);
	has(" 503 ");
	has("\r\n\r\n{\"ok\":false,\"error\":\"lunex is stopping\"}\n");
	answer(1, failed());
}

static void a_reload_that_takes_long_goes_on(void **state)
{
	int fd;

	(void)state;
	serve(true, 0.02);
	fd = ask("POST", "*/*");
	read_answer(fd);
	has(" 504 ");
	has("\r\n\r\nthe reload is not over yet and goes on; ");
	answer(0, failed());
	get("/-/healthy");
	has(" 200 ");
}

static void too_many_who_wait_are_refused(void **state)
{

	(void)state;
	serve(true, 0.001);
	for (int i = 0; i < LIFECYCLE_MAX; i++) {
		read_answer(ask("POST", "*/*"));
		has(" 504 ");
	}
	read_answer(ask("POST", "*/*"));
	has(" 503 ");
	has("\r\nRetry-After: 1\r\n");
	for (unsigned i = 0; i < LIFECYCLE_MAX; i++)
		answer(i, failed());
	/* Those were the first; now there is room again. */
	do
		read_answer(ask("POST", "*/*"));
	while (strstr(page, " 503 "));
	has(" 504 ");
	answer(LIFECYCLE_MAX, NULL);
}

static void without_the_flag_a_reload_is_forbidden(void **state)
{

	(void)state;
	serve(false, 0);
	read_answer(ask("POST", "*/*"));
	has(" 403 ");
	has("--web.enable-lifecycle\n");
	read_answer(ask("POST", "application/json"));
	has(" 403 ");
	has("{\"ok\":false,\"error\":\"");
	assert_int_equal(0, fake.n);
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, set_up, close_world)
#define other(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
	const struct CMUnitTest tests[] = {
		test(a_reload_answers_what_it_did),
		test(a_reload_that_failed_is_500_in_both_forms),
		test(several_may_wait_at_the_same_time),
		test(only_post_and_put_reload),
		test(the_end_answers_who_waits),
		other(a_reload_that_takes_long_goes_on),
		other(too_many_who_wait_are_refused),
		other(without_the_flag_a_reload_is_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
