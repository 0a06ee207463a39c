/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What resolve.h promises to its callers in C. What names do is in
 * spec/bind/resolve_spec.lua. The name server here is silent, or is not there;
 * /etc/hosts and getaddrinfo() are ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/resolve.h"

static char hosts_path[] = "/tmp/lunex-hosts-XXXXXX";
static char conf_path[] = "/tmp/lunex-resolv-XXXXXX";
static char nss_path[] = "/tmp/lunex-nsswitch-XXXXXX";

/* Takes the place of the C library's, also for c-ares. */
FILE *fopen(const char *path, const char *mode)
{
	__typeof__(fopen) *real;

	*(void **)&real = dlsym(RTLD_NEXT, "fopen");
	return real(strcmp(path, "/etc/hosts") == 0 ? hosts_path : path, mode);
}

/* Knows "printer.local" alone. */
int getaddrinfo(const char *name, const char *service,
		const struct addrinfo *hints, struct addrinfo **result)
{
	__typeof__(getaddrinfo) *real;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (strcmp(name, "printer.local") && strcmp(name, "guest"))
		return EAI_NONAME;
	return real("192.0.2.77", service, hints, result);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* ---- a loop, a silent name server ---- */

static struct loop *loop;
static struct timer beat; /* UV_RUN_ONCE does not end with a timer */
static struct resolver *resolver;
static int server;
static unsigned descriptors;

static unsigned count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static unsigned bind_server(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof own;

	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(0, bind(server, (struct sockaddr *)&own, size));
	getsockname(server, (struct sockaddr *)&own, &size);
	return ntohs(own.sin_port);
}

static void on_beat(struct timer *timer)
{
	timer_start(timer, 0.005);
}

static int start(void **state)
{
	struct resolver_options options = { .resolv_conf = conf_path,
					    .nsswitch = nss_path };

	(void)state;
	alarm(60);
	write_file(conf_path, "nameserver 127.0.0.1\n");
	write_file(nss_path, "hosts: files dns\n");
	write_file(hosts_path, "");
	descriptors = count_descriptors();
	options.port = bind_server();
	loop = loop_new();
	timer_init(loop, &beat, on_beat);
	timer_start(&beat, 0.005);
	resolver = resolver_new(loop, NULL);
	resolver_configure(resolver, &options);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	resolver_free(resolver);
	timer_release(&beat);
	loop_free(loop);
	close(server);
	assert_int_equal(descriptors, count_descriptors());
	return 0;
}

static size_t questions(void)
{
	char data[512];
	size_t n = 0;

	while (recv(server, data, sizeof data, 0) > 0)
		n++;
	return n;
}

/* ---- questions ---- */

struct asking {
	struct resolve resolve;
	unsigned calls;
	struct asking *victim; /* to be forgotten by `done` */
	const char *next;      /* to be asked for by `done` */
};

static void on_done(struct resolve *resolve)
{
	struct asking *asking = (struct asking *)resolve;

	asking->calls++;
	if (asking->victim)
		resolve_forget(resolver, &asking->victim->resolve);
	if (!asking->next)
		return;
	resolve->name = asking->next;
	asking->next = NULL;
	resolve_start(resolver, resolve);
}

static void ask(struct asking *asking, const char *name, int family)
{
	asking->resolve.name = name;
	asking->resolve.family = family;
	asking->resolve.max_age = -1;
	asking->resolve.done = on_done;
	resolve_start(resolver, &asking->resolve);
}

static void wait_for(struct asking *asking, unsigned calls)
{
	while (asking->calls < calls)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(calls, asking->calls);
}

static void turn(void)
{
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

static void expect(struct asking *asking, const char *address)
{
	char text[ADDRESS_TEXT_MAX];

	if (!asking->resolve.ok)
		fail_msg("%s", asking->resolve.err.text);
	assert_int_equal(1, asking->resolve.n);
	address_host_text(&asking->resolve.addresses[0].any, text);
	assert_string_equal(address, text);
}

static void is_not_told_inside_of_start(void **state)
{
	struct asking asking = { .next = "192.0.2.2" };

	(void)state;
	ask(&asking, "192.0.2.1", AF_UNSPEC);
	assert_int_equal(0, asking.calls);
	wait_for(&asking, 2);
	expect(&asking, "192.0.2.2");
	resolve_forget(resolver, &asking.resolve);
}

static void reads_the_file_of_hosts(void **state)
{
	struct asking asking = { 0 };

	(void)state;
	write_file(hosts_path, "192.0.2.7 meter meter.lan # the one\n"
			       "192.0.2.7 meter\n"
			       "2001:db8::7 meter\n");
	ask(&asking, "METER.lan", AF_INET);
	wait_for(&asking, 1);
	expect(&asking, "192.0.2.7");
	assert_true(asking.resolve.ttl == RESOLVE_TTL_UNSTATED);
	ask(&asking, "meter", AF_INET6);
	wait_for(&asking, 2);
	expect(&asking, "2001:db8::7");
	ask(&asking, "meter", AF_UNSPEC);
	wait_for(&asking, 3);
	assert_int_equal(2, asking.resolve.n);
	assert_int_equal(0, questions());
}

static void what_is_forgotten_is_not_told(void **state)
{
	struct asking pending = { 0 }, told = { .victim = &pending };

	(void)state;
	ask(&pending, "meter.lan", AF_INET);
	resolve_forget(resolver, &pending.resolve);
	resolve_forget(resolver, &pending.resolve);
	/* Complete, but not told yet. */
	ask(&told, "192.0.2.1", AF_INET);
	ask(&pending, "192.0.2.2", AF_INET);
	wait_for(&told, 1);
	turn();
	assert_int_equal(0, pending.calls);
	assert_null(pending.resolve.private);
}

static void the_end_of_time_says_who_is_silent(void **state)
{
	struct asking asking = { 0 };

	(void)state;
	ask(&asking, "meter.lan", AF_INET);
	resolve_expire(resolver, &asking.resolve, 2.5);
	assert_false(asking.resolve.ok);
	assert_int_equal(ERR_TIMEOUT, asking.resolve.err.code);
	assert_memory_equal("meter.lan: the name server 127.0.0.1:",
			    asking.resolve.err.text, 37);
	assert_non_null(strstr(asking.resolve.err.text,
			       " did not answer within 2.5 s"));
	/* What is complete keeps its result. */
	ask(&asking, "192.0.2.1", AF_INET);
	resolve_expire(resolver, &asking.resolve, 0);
	expect(&asking, "192.0.2.1");
	turn();
	assert_int_equal(0, asking.calls);
}

static void only_so_many_are_asked_for_at_once(void **state)
{
	static struct asking many[1000];
	static char names[1000][16];
	size_t first;

	(void)state;
	memset(many, 0, sizeof many);
	for (size_t i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof names[i], "n%zu.lan", i);
		ask(&many[i], names[i], AF_INET);
	}
	turn();
	first = questions();
	assert_true(first >= 32 && first <= 256);
	/* The places of those that are forgotten are taken by the others, and
	 * what c-ares still asks for is bounded. */
	for (size_t i = 0; i < 1000; i++) {
		resolve_forget(resolver, &many[i].resolve);
		if (i % 32 == 0)
			turn();
	}
	turn();
	ask(&many[0], "last.lan", AF_INET);
	assert_true(questions() > 0);
	resolve_forget(resolver, &many[0].resolve);
}

static void is_freed_with_questions_open(void **state)
{
	struct asking open = { 0 }, complete = { 0 }, queued[100];
	static char names[100][16];

	(void)state;
	memset(queued, 0, sizeof queued);
	ask(&open, "meter.lan", AF_UNSPEC);
	ask(&complete, "192.0.2.1", AF_UNSPEC);
	for (size_t i = 0; i < 100; i++) {
		snprintf(names[i], sizeof names[i], "n%zu.lan", i);
		ask(&queued[i], names[i], AF_UNSPEC);
	}
	resolver_free(resolver);
	resolve_forget(resolver, &open.resolve);
	resolve_forget(resolver, &complete.resolve);
	resolver = NULL;
	turn();
	assert_int_equal(0, open.calls + complete.calls + queued[99].calls);
	assert_null(queued[99].resolve.private);
}

/* ---- other sources ---- */

static void other_sources_are_asked_last(void **state)
{
	struct asking asking = { 0 };

	(void)state;
	write_file(nss_path, "passwd: files\n"
			     "hosts: files mymachines mdns4_minimal "
			     "[NOTFOUND=return] # dns\n");
	write_file(hosts_path, "192.0.2.7 guest\n");
	ask(&asking, "guest", AF_INET);
	wait_for(&asking, 1);
	expect(&asking, "192.0.2.7");
	ask(&asking, "printer.local", AF_INET);
	wait_for(&asking, 2);
	expect(&asking, "192.0.2.77");
	assert_true(asking.resolve.ttl == RESOLVE_TTL_UNSTATED);
	ask(&asking, "scanner.local", AF_INET);
	wait_for(&asking, 3);
	assert_string_equal("scanner.local: no such name",
			    asking.resolve.err.text);
	ask(&asking, "meter.lan", AF_INET);
	wait_for(&asking, 4);
	assert_string_equal("meter.lan: no such name", asking.resolve.err.text);
	assert_int_equal(0, questions());
}

static void is_freed_while_other_sources_are_asked(void **state)
{
	struct asking asking = { 0 }, other = { 0 };

	(void)state;
	write_file(nss_path, "hosts: files mdns4\n");
	ask(&asking, "printer.local", AF_INET);
	ask(&other, "scanner.local", AF_INET);
	resolve_forget(resolver, &other.resolve);
	resolver_free(resolver);
	resolver = NULL;
	turn();
	assert_int_equal(0, asking.calls + other.calls);
}

static void are_not_asked_where_there_are_none(void **state)
{
	struct asking asking = { 0 };

	(void)state;
	write_file(nss_path, "hosts: files\n");
	ask(&asking, "guest", AF_INET);
	wait_for(&asking, 1);
	assert_string_equal("guest: no such name", asking.resolve.err.text);
}

static int make_files(void **state)
{
	char *paths[] = { hosts_path, conf_path, nss_path };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		close(mkstemp(paths[i]));
	/* The first loop opens what all loops share. */
	loop_free(loop_new());
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(hosts_path);
	unlink(conf_path);
	unlink(nss_path);
	return 0;
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(is_not_told_inside_of_start),
		test(reads_the_file_of_hosts),
		test(what_is_forgotten_is_not_told),
		test(the_end_of_time_says_who_is_silent),
		test(only_so_many_are_asked_for_at_once),
		test(is_freed_with_questions_open),
		test(other_sources_are_asked_last),
		test(is_freed_while_other_sources_are_asked),
		test(are_not_asked_where_there_are_none),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
