/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "net/address.h"
#include "net/ports.h"
#include "net/udp.h"

/* ---- versions on one thread, each with its loop ---- */

enum { VERSIONS = 3 };

struct version {
	struct loop *loop;
	struct ports *ports;
	struct udp *udp;
	unsigned told; /* by udp_wait */
	unsigned quiet;
};

static struct version versions[VERSIONS];
static struct version *const a = &versions[0], *const b = &versions[1],
			     *const c = &versions[2];
static unsigned port; /* that was free a moment ago */
static int client;

/* ONCE with nothing to wait for; every loop, so that one that wrongly reads
 * gets its chance. */
static void turn_all(void)
{
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < VERSIONS; i++)
			uv_run(loop_uv(versions[i].loop), UV_RUN_NOWAIT);
}

static void on_quiet(void *arg)
{
	struct version *v = arg;

	v->quiet++;
}

static void on_told(void *arg, const struct err *err)
{
	struct version *v = arg;

	if (err)
		fail_msg("%s", err->text);
	v->told++;
}

static void begin(struct version *v, const char *lineage, bool held)
{
	v->ports = ports_new(v->loop, lineage, held);
}

static struct udp *listen_at(struct version *v, const char *host)
{
	struct err err;
	struct udp *udp = udp_listen(v->loop, v->ports, host, port, &err);

	if (!udp)
		fail_msg("%s", err.text);
	return udp;
}

static void open_at(struct version *v, const char *host, bool held)
{
	begin(v, "meter", held);
	v->udp = listen_at(v, host);
	udp_wait(v->udp, on_told, v);
}

static void end(struct version *v)
{
	udp_free(v->udp);
	ports_free(v->ports);
	v->udp = NULL;
	v->ports = NULL;
}

static void set_loopback(struct sockaddr_in *to)
{
	*to = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void send_text(const char *text)
{
	struct sockaddr_in to;

	set_loopback(&to);
	assert_int_equal(strlen(text),
			 sendto(client, text, strlen(text), 0,
				(struct sockaddr *)&to, sizeof to));
}

/* Takes one datagram, which must be TEXT, and says who sent it. */
static struct sockaddr_storage take(struct version *v, const char *text)
{
	struct udp_datagram datagram;

	assert_true(udp_take(v->udp, &datagram));
	assert_int_equal(strlen(text), datagram.len);
	assert_memory_equal(text, datagram.data, datagram.len);
	free(datagram.data);
	return datagram.from;
}

static void take_none(struct version *v)
{
	struct udp_datagram datagram;

	assert_false(udp_take(v->udp, &datagram));
}

static int open_client(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&own, sizeof own))
		fail_msg("%s", strerror(errno));
	return fd;
}

static unsigned free_port(void)
{
	struct sockaddr_in own;
	socklen_t size = sizeof own;
	int fd = open_client();

	getsockname(fd, (struct sockaddr *)&own, &size);
	close(fd);
	return ntohs(own.sin_port);
}

static int start(void **state)
{
	(void)state;
	alarm(60);
	memset(versions, 0, sizeof versions);
	for (int i = 0; i < VERSIONS; i++)
		versions[i].loop = loop_new();
	port = free_port();
	client = open_client();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (int i = 0; i < VERSIONS; i++) {
		end(&versions[i]);
		loop_free(versions[i].loop);
	}
	close(client);
	return 0;
}

/* ---- sharing ---- */

static void the_next_version_reads_what_the_last_one_left(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	send_text("for a");
	turn_all();
	take(a, "for a");
	assert_int_equal(0, b->told);
	ports_hold(a->ports, on_quiet, a);
	send_text("one");
	send_text("two");
	turn_all();
	take_none(a);
	take_none(b);
	end(a);
	turn_all();
	take_none(b);
	ports_let_go(b->ports);
	turn_all();
	assert_int_equal(1, b->told);
	take(b, "one");
	take(b, "two");
}

static void a_failed_trial_takes_nothing(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	for (int i = 0; i < 10; i++) {
		open_at(b, "127.0.0.1", true);
		send_text("x");
		/* What the binding calls when a wait times out, and what a
		 * script can call. */
		udp_collect(b->udp);
		assert_int_equal(0, udp_drain(b->udp));
		uv_run(loop_uv(b->loop), UV_RUN_NOWAIT);
		take_none(b);
		end(b);
		turn_all();
		take(a, "x");
		take_none(a);
	}
}

/* Has the loop anything to do? */
static bool is_awake(struct version *v)
{
	struct pollfd backend = { .events = POLLIN };

	backend.fd = uv_backend_fd(loop_uv(v->loop));
	return poll(&backend, 1, 0) > 0;
}

static void a_held_socket_lets_the_loop_sleep(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	turn_all();
	ports_hold(a->ports, NULL, NULL);
	turn_all();
	send_text("x");
	assert_false(is_awake(a));
	assert_false(is_awake(b));
	ports_let_go(b->ports);
	uv_run(loop_uv(b->loop), UV_RUN_NOWAIT);
	take(b, "x");
}

/* Closing a copy does not take it out of epoll, while there is another one:
 * what arrives there would keep the loop awake. */
static void a_closed_copy_is_out_of_its_loop(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", true);
	open_at(b, "127.0.0.1", false);
	turn_all();
	end(b);
	turn_all();
	send_text("x");
	assert_false(is_awake(b));
	ports_let_go(a->ports);
	turn_all();
	take(a, "x");
}

static void held_sockets_send(void **state)
{
	struct sockaddr_in own;
	socklen_t size = sizeof own;
	char text[8] = "";
	struct err err;

	(void)state;
	open_at(a, "", true);
	getsockname(client, (struct sockaddr *)&own, &size);
	assert_true(
		udp_send_to(a->udp, (struct sockaddr *)&own, "hello", 5, &err));
	assert_int_equal(5, recv(client, text, sizeof text, 0));
	assert_string_equal("hello", text);
}

/* One socket of both families; the copy knows how to answer IPv4 by it. */
static void a_socket_for_all_addresses_is_shared(void **state)
{
	struct sockaddr_storage from;
	char text[8] = "";
	struct err err;

	(void)state;
	open_at(a, "", true);
	open_at(b, "", false);
	assert_string_equal(udp_name(a->udp), udp_name(b->udp));
	assert_int_equal(port, udp_port(b->udp));
	send_text("ask");
	turn_all();
	from = take(b, "ask");
	assert_true(
		udp_send_to(b->udp, (struct sockaddr *)&from, "yes", 3, &err));
	assert_int_equal(3, recv(client, text, sizeof text, 0));
	assert_string_equal("yes", text);
}

/* Nobody is at the address: ICMP says so to a connected socket, and must not
 * say it to the other version. */
static void refusals_do_not_reach_the_other_version(void **state)
{
	struct sockaddr_in nobody;
	struct err err;

	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	set_loopback(&nobody);
	nobody.sin_port = htons((uint16_t)free_port());
	for (int i = 0; i < 3; i++) {
		assert_true(udp_send_to(b->udp, (struct sockaddr *)&nobody, "x",
					1, &err));
		turn_all();
	}
	assert_int_equal(0, a->told);
	send_text("still there");
	turn_all();
	take(a, "still there");
}

/* ---- what is not shared ---- */

static void expect_in_use(struct version *v)
{
	char text[80];
	struct err err;

	snprintf(text, sizeof text,
		 "udp listen 127.0.0.1:%u: address already in use", port);
	assert_null(udp_listen(v->loop, v->ports, "127.0.0.1", port, &err));
	assert_string_equal(text, err.text);
}

static void other_exporters_find_the_address_in_use(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	begin(b, "meters", false);
	expect_in_use(b);
	expect_in_use(c); /* of no exporter */
	/* Nor does a version share with itself. */
	expect_in_use(a);
	/* The failures left nothing behind. */
	send_text("x");
	turn_all();
	take(a, "x");
}

static void any_port_is_nobody_elses(void **state)
{
	struct sockaddr_storage own;
	struct udp *first, *second;
	struct err err;

	(void)state;
	port = 0;
	begin(a, "meter", false);
	begin(b, "meter", true);
	first = listen_at(a, "127.0.0.1");
	second = b->udp = listen_at(b, "127.0.0.1");
	assert_int_not_equal(udp_port(first), udp_port(second));
	/* It receives on trial: what is sent to it is meant for it. */
	assert_true(address_parse(&own, udp_name(second)));
	assert_true(udp_send_to(first, (struct sockaddr *)&own, "x", 1, &err));
	turn_all();
	take(b, "x");
	udp_free(first);
}

static rlim_t next_descriptor(void)
{
	int fd = dup(client);

	close(fd);
	return (rlim_t)fd;
}

static void running_out_of_descriptors_is_an_error(void **state)
{
	struct rlimit limit, none;
	struct err err;

	(void)state;
	open_at(a, "127.0.0.1", false);
	begin(b, "meter", true);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = next_descriptor();
	setrlimit(RLIMIT_NOFILE, &none);
	assert_null(udp_listen(b->loop, b->ports, "127.0.0.1", port, &err));
	assert_false(ports_abandon(a->ports));
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_non_null(strstr(err.text, "too many open files"));
	b->udp = listen_at(b, "127.0.0.1");
	send_text("x");
	turn_all();
	take(a, "x");
}

/* ---- holding ---- */

static void what_was_read_is_still_received(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	send_text("one");
	send_text("two");
	turn_all();
	ports_hold(a->ports, on_quiet, a);
	send_text("three");
	turn_all();
	take(a, "one");
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(2, a->told);
	take(a, "two");
	turn_all();
	/* It is being handled. */
	assert_int_equal(0, a->quiet);
	udp_wait(a->udp, on_told, a);
	assert_int_equal(0, a->quiet);
	turn_all();
	assert_int_equal(1, a->quiet);
	take_none(a);
}

static void quiet_waits_for_every_socket(void **state)
{
	struct udp *second;
	struct udp_datagram datagram;

	(void)state;
	open_at(a, "127.0.0.1", false);
	send_text("x");
	turn_all();
	take(a, "x");
	port = free_port();
	second = listen_at(a, "127.0.0.1");
	send_text("y");
	turn_all();
	ports_hold(a->ports, on_quiet, a);
	/* A script that receives from one, then from the other. */
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(0, a->quiet);
	udp_forget(a->udp);
	assert_true(udp_take(second, &datagram));
	free(datagram.data);
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(0, a->quiet);
	udp_free(second);
	turn_all();
	assert_int_equal(1, a->quiet);
}

static void without_a_socket_it_is_quiet_at_once(void **state)
{
	(void)state;
	begin(a, "meter", false);
	ports_hold(a->ports, on_quiet, a);
	assert_int_equal(0, a->quiet);
	turn_all();
	assert_int_equal(1, a->quiet);
	/* A socket made now is held. */
	a->udp = listen_at(a, "127.0.0.1");
	udp_wait(a->udp, on_told, a);
	send_text("x");
	turn_all();
	take_none(a);
	assert_int_equal(1, a->quiet);
}

static void a_hold_can_be_taken_back(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	ports_hold(a->ports, on_quiet, a);
	send_text("x");
	ports_let_go(a->ports);
	turn_all();
	take(a, "x");
	assert_int_equal(0, a->quiet);
	ports_hold(a->ports, on_quiet, a);
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(1, a->quiet);
}

/* ---- more than the script is ready for ---- */

static unsigned take_all(struct version *v)
{
	struct udp_datagram datagram;
	unsigned n = 0;

	for (; udp_take(v->udp, &datagram); n++)
		free(datagram.data);
	return n;
}

static void send_number(unsigned number)
{
	char text[16];

	snprintf(text, sizeof text, "%u", number);
	send_text(text);
}

static void take_number(struct version *v, unsigned number)
{
	char text[16];

	snprintf(text, sizeof text, "%u", number);
	for (int i = 0; i < 3 && !udp_pending(v->udp); i++)
		turn_all();
	take(v, text);
}

/* What was read and what the kernel has, in the order of arrival. */
static void what_a_slow_script_has_not_received_passes_on(void **state)
{
	enum { MANY = 300 };

	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	for (unsigned i = 0; i < MANY; i++)
		send_number(i);
	turn_all();
	/* What it does not read does not keep the loop busy. */
	assert_false(is_awake(a));
	take_number(a, 0);
	ports_hold(a->ports, on_quiet, a);
	take_none(a);
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(1, a->quiet);
	assert_int_equal(0, b->told);
	ports_let_go(b->ports);
	turn_all();
	assert_int_equal(1, b->told);
	for (unsigned i = 1; i < MANY; i++)
		take_number(b, i);
	assert_int_equal(0, udp_dropped(a->udp) + udp_dropped(b->udp));
}

static void each_socket_gets_what_was_its_own(void **state)
{
	struct udp *first, *second;
	struct udp_datagram datagram;

	(void)state;
	open_at(a, "127.0.0.1", false);
	first = listen_at(a, "127.0.0.2");
	open_at(b, "127.0.0.1", true);
	second = listen_at(b, "127.0.0.2");
	send_number(1);
	turn_all();
	ports_hold(a->ports, NULL, NULL);
	ports_let_go(b->ports);
	turn_all();
	assert_false(udp_take(second, &datagram));
	take_number(b, 1);
	udp_free(first);
	udp_free(second);
}

static void what_was_given_up_can_be_taken_back(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	send_number(1);
	turn_all();
	ports_hold(a->ports, NULL, NULL);
	send_number(2);
	end(b);
	udp_wait(a->udp, on_told, a);
	turn_all();
	assert_int_equal(1, a->told);
	ports_let_go(a->ports);
	turn_all();
	assert_int_equal(2, a->told);
	take_number(a, 1);
	take_number(a, 2);
}

static void what_nobody_can_receive_is_gone(void **state)
{
	(void)state;
	open_at(a, "127.0.0.1", false);
	open_at(b, "127.0.0.1", true);
	send_number(1);
	turn_all();
	ports_hold(a->ports, NULL, NULL);
	end(a);
	end(b);
	open_at(c, "127.0.0.1", false);
	ports_let_go(c->ports);
	turn_all();
	take_none(c);
	/* The same when the last is taken away. */
	open_at(a, "127.0.0.1", true);
	send_number(2);
	turn_all();
	ports_hold(c->ports, NULL, NULL);
	end(a);
	assert_true(ports_abandon(c->ports));
	open_at(a, "127.0.0.1", false);
	ports_let_go(a->ports);
	turn_all();
	take_none(a);
}

static void a_script_that_catches_up_gets_the_rest(void **state)
{
	static char large[60001];
	unsigned n = 0;

	(void)state;
	memset(large, 'L', sizeof large - 1);
	open_at(a, "127.0.0.1", false);
	for (int i = 0; i < 200; i++) {
		send_text(large);
		if (i % 3 == 0)
			turn_all();
		if (i % 50 == 0)
			n += take_all(a);
	}
	for (int i = 0; i < 30; i++) {
		turn_all();
		n += take_all(a);
	}
	assert_int_equal(200, n + udp_dropped(a->udp));
	/* What the kernel has no room for is dropped, and nothing else. */
	assert_in_range(n, 50, 200);
	send_text("more");
	turn_all();
	assert_int_equal(1, take_all(a));
}

static void drops_are_counted_from_the_start_of_a_version(void **state)
{
	unsigned sent = 0, n = 0, more;

	(void)state;
	open_at(a, "127.0.0.1", true);
	for (; udp_dropped(a->udp) < 10; sent++)
		send_text("x");
	open_at(b, "127.0.0.1", false);
	assert_int_equal(0, udp_dropped(b->udp));
	do {
		turn_all();
		more = take_all(b);
		n += more;
	} while (more);
	assert_int_equal(sent, n + udp_dropped(a->udp));
}

/* ---- abandoned ---- */

static void an_abandoned_version_has_nothing_any_more(void **state)
{
	struct sockaddr_in to;
	struct err err;

	(void)state;
	open_at(a, "127.0.0.1", false);
	assert_true(ports_abandon(a->ports));
	assert_null(udp_listen(a->loop, a->ports, "127.0.0.1", port, &err));
	assert_non_null(strstr(err.text, "operation canceled"));
	/* The address is free, also for others. */
	begin(b, "other", false);
	b->udp = listen_at(b, "127.0.0.1");
	send_text("x");
	turn_all();
	take_none(a);
	take(b, "x");
	set_loopback(&to);
	assert_false(udp_send_to(a->udp, (struct sockaddr *)&to, "x", 1, &err));
	/* And its end disturbs nobody. */
	end(a);
	begin(c, "other", true);
	c->udp = listen_at(c, "127.0.0.1");
	send_text("y");
	turn_all();
	take(b, "y");
}

/* ---- threads ---- */

enum { OPENINGS = 10000 };

static void *open_and_close(void *arg)
{
	struct ports *ports;
	struct loop *loop = loop_new();
	struct udp *udp;
	unsigned *failures = arg;

	ports = ports_new(loop, "meter", false);
	for (int i = 0; i < OPENINGS; i++) {
		udp = udp_listen(loop, ports, "", port, NULL);
		*failures += !udp;
		udp_free(udp);
		uv_run(loop_uv(loop), UV_RUN_NOWAIT);
	}
	ports_free(ports);
	loop_free(loop);
	return NULL;
}

/* Each finds the other's socket, or none at all. */
static void an_address_is_never_in_use_by_the_own_lineage(void **state)
{
	unsigned failures[2] = { 0 };
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, open_and_close, &failures[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(0, failures[0] + failures[1]);
}

/* ---- many versions, each on a thread, while datagrams arrive ---- */

enum {
	HANDOVERS = 50,
	STEP = 2000, /* datagrams received between two */
	DATAGRAMS = (HANDOVERS + 1) * STEP,
	WINDOW = 200, /* on their way: fewer than the kernel's buffer holds */
};

static struct storm {
	_Atomic unsigned char seen[DATAGRAMS];
	atomic_uint received;
	sem_t window; /* what may be sent */
	sem_t step;   /* posted every STEP */
} storm;

struct runner {
	pthread_t thread;
	struct loop *loop;
	struct ports *ports;
	struct udp *udp;
	unsigned received;
	sem_t done; /* of the last command */
	sem_t resume;
};

struct command {
	struct message message;
	struct runner *runner;
	void (*run)(struct runner *runner);
};

/* One at a time, so that some are in the queue when a version is held. */
static void on_number(void *arg, const struct err *err)
{
	struct runner *r = arg;
	struct udp_datagram datagram;
	uint32_t number;

	if (!err && udp_take(r->udp, &datagram)) {
		memcpy(&number, datagram.data, sizeof number);
		free(datagram.data);
		atomic_fetch_add(&storm.seen[number], 1);
		r->received++;
		if ((atomic_fetch_add(&storm.received, 1) + 1) % STEP == 0)
			sem_post(&storm.step);
		sem_post(&storm.window);
	}
	udp_wait(r->udp, on_number, r);
}

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	loop_run(r->loop);
	return NULL;
}

static struct runner *runner_new(bool held)
{
	struct runner *r = mem_alloc(sizeof *r);
	struct err err;

	r->loop = loop_new();
	r->ports = ports_new(r->loop, "storm", held);
	r->udp = udp_listen(r->loop, r->ports, "", port, &err);
	if (!r->udp)
		fail_msg("%s", err.text);
	sem_init(&r->done, 0, 0);
	sem_init(&r->resume, 0, 0);
	udp_wait(r->udp, on_number, r);
	pthread_create(&r->thread, NULL, runner_main, r);
	return r;
}

static void deliver_command(struct message *message)
{
	struct command *command = (void *)message;
	struct runner *r = command->runner;
	void (*run)(struct runner * runner) = command->run;

	free(command);
	run(r);
}

static void post(struct runner *r, void (*run)(struct runner *runner))
{
	struct command *command = mem_alloc(sizeof *command);

	*command = (struct command){ { deliver_command, NULL }, r, run };
	loop_post(r->loop, &command->message);
}

static void on_runner_quiet(void *arg)
{
	struct runner *r = arg;

	sem_post(&r->done);
}

static void hold(struct runner *r)
{
	ports_hold(r->ports, on_runner_quiet, r);
}

static void let_go(struct runner *r)
{
	ports_let_go(r->ports);
}

/* What it had read when it began to hang would be lost, as it should be. */
static void hang(struct runner *r)
{
	if (udp_pending(r->udp)) {
		post(r, hang);
		return;
	}
	sem_post(&r->done);
	sem_wait(&r->resume);
}

static void quit(struct runner *r)
{
	loop_stop(r->loop);
}

/* Returns what it had received. */
static unsigned runner_free(struct runner *r)
{
	unsigned received;

	post(r, quit);
	pthread_join(r->thread, NULL);
	received = r->received;
	udp_free(r->udp);
	ports_free(r->ports);
	loop_free(r->loop);
	sem_destroy(&r->done);
	sem_destroy(&r->resume);
	free(r);
	return received;
}

static void *send_numbers(void *arg)
{
	struct sockaddr_in to;
	ssize_t sent;

	(void)arg;
	set_loopback(&to);
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		sem_wait(&storm.window);
		do
			sent = sendto(client, &i, sizeof i, 0,
				      (struct sockaddr *)&to, sizeof to);
		while (sent < 0 && errno == EAGAIN);
	}
	return NULL;
}

static struct runner *hand_over(struct runner *old)
{
	struct runner *next = runner_new(true);

	post(old, hold);
	sem_wait(&old->done);
	post(next, let_go);
	runner_free(old);
	return next;
}

/* The old one hangs until the new one has taken over and received. */
static struct runner *replace_hanging(struct runner *old)
{
	struct runner *next;
	unsigned received;

	post(old, hang);
	sem_wait(&old->done);
	received = old->received;
	next = runner_new(true);
	assert_true(ports_abandon(old->ports));
	post(next, let_go);
	sem_wait(&storm.step);
	sem_post(&old->resume);
	assert_int_equal(received, runner_free(old));
	sem_post(&storm.step);
	return next;
}

/* The last column of the line of the socket: what the kernel dropped. */
static unsigned long kernel_drops(void)
{
	FILE *file = fopen("/proc/net/udp6", "r");
	char line[512], key[64];
	const char *last = NULL;
	unsigned long drops = 0;

	snprintf(key, sizeof key, "%032d:%04X", 0, port);
	while (file && fgets(line, sizeof line, file))
		if (strstr(line, key)) {
			line[strcspn(line, "\n")] = '\0';
			for (char *word = strtok(line, " "); word;
			     word = strtok(NULL, " "))
				last = word;
			drops = strtoul(last, NULL, 10);
		}
	if (file)
		fclose(file);
	if (!last)
		fail_msg("no line for %s", key);
	return drops;
}

static void nothing_is_lost_and_nothing_comes_twice(void **state)
{
	struct runner *r = runner_new(false);
	pthread_t sender;

	(void)state;
	alarm(300);
	sem_init(&storm.window, 0, WINDOW);
	sem_init(&storm.step, 0, 0);
	pthread_create(&sender, NULL, send_numbers, NULL);
	for (int i = 1; i <= HANDOVERS; i++) {
		sem_wait(&storm.step);
		if (i % 5 == 0)
			assert_int_equal(0, runner_free(runner_new(true)));
		r = i % 7 == 0 ? replace_hanging(r) : hand_over(r);
	}
	sem_wait(&storm.step);
	pthread_join(sender, NULL);
	assert_int_equal(0, kernel_drops());
	runner_free(r);
	assert_int_equal(DATAGRAMS, storm.received);
	for (int i = 0; i < DATAGRAMS; i++)
		if (storm.seen[i] != 1)
			fail_msg("number %d came %d times", i, storm.seen[i]);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_next_version_reads_what_the_last_one_left),
		test(a_failed_trial_takes_nothing),
		test(a_held_socket_lets_the_loop_sleep),
		test(a_closed_copy_is_out_of_its_loop),
		test(held_sockets_send),
		test(a_socket_for_all_addresses_is_shared),
		test(refusals_do_not_reach_the_other_version),
		test(other_exporters_find_the_address_in_use),
		test(any_port_is_nobody_elses),
		test(running_out_of_descriptors_is_an_error),
		test(what_was_read_is_still_received),
		test(quiet_waits_for_every_socket),
		test(without_a_socket_it_is_quiet_at_once),
		test(a_hold_can_be_taken_back),
		test(what_a_slow_script_has_not_received_passes_on),
		test(each_socket_gets_what_was_its_own),
		test(what_was_given_up_can_be_taken_back),
		test(what_nobody_can_receive_is_gone),
		test(a_script_that_catches_up_gets_the_rest),
		test(drops_are_counted_from_the_start_of_a_version),
		test(an_abandoned_version_has_nothing_any_more),
		test(an_address_is_never_in_use_by_the_own_lineage),
		test(nothing_is_lost_and_nothing_comes_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
