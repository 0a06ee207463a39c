/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a script, each in a state of its own, that hand over a port: what
 * net/ports_spec.c shows, seen from Lua. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "bind/modules.h"
#include "net/loop.h"
#include "net/ports.h"
#include "vm/state.h"
#include "vm/task.h"

struct version {
	struct loop *loop;
	struct ports *ports;
	struct vm *vm;
	const char *source;
	double deadline; /* of the task, in seconds; 0: none */
	struct task *task;
	struct err err;	 /* how the task ended */
	char result[80]; /* its first, as a string */
	struct op gate;	 /* what pass() waits for */
	char got[80];	 /* what got() was given */
	unsigned quiet;
	bool threaded;
	pthread_t thread;
	struct message hold, let_go;
};

static unsigned port;
static int client;

/* ---- what scripts have ---- */

static struct version *version_of(lua_State *L)
{
	return vm_owner(vm_of(L));
}

static int k_pass(lua_State *L, int status, lua_KContext ctx)
{
	(void)L;
	(void)status;
	(void)ctx;
	return 0;
}

/* pass(): waits until the test lets it */
static int l_pass(lua_State *L)
{
	return task_await(L, &version_of(L)->gate, 0, k_pass);
}

static void count(const char *data);

/* got(data): the script has handled it */
static int l_got(lua_State *L)
{
	struct version *v = version_of(L);
	const char *data = luaL_checkstring(L, 1);

	if (v->threaded)
		count(data);
	else
		snprintf(v->got, sizeof v->got, "%s", data);
	return 0;
}

static void open_all(lua_State *L)
{
	static const luaL_Reg functions[] = { { "got", l_got },
					      { "pass", l_pass },
					      { NULL, NULL } };

	modules_open(L);
	lua_pushglobaltable(L);
	luaL_setfuncs(L, functions, 0);
	lua_pushinteger(L, port);
	lua_setfield(L, -2, "PORT");
	lua_pop(L, 1);
}

/* ---- versions ---- */

static void on_done(struct task *task, lua_State *co, int results,
		    const struct err *err, void *arg)
{
	struct version *v = arg;
	const char *text = results > 0 ? lua_tostring(co, -results) : NULL;

	(void)task;
	v->task = NULL;
	v->err = err ? *err : (struct err){ 0 };
	if (text)
		snprintf(v->result, sizeof v->result, "%s", text);
}

static void begin_task(lua_State *L, void *arg)
{
	struct version *v = arg;
	double deadline = v->deadline;

	if (luaL_loadbufferx(L, v->source, strlen(v->source), "=t", "t") !=
	    LUA_OK)
		lua_error(L);
	if (deadline > 0)
		deadline += loop_now(v->loop);
	v->task = task_start(L, 0, deadline, on_done, v);
}

static void begin(struct version *v, const char *source, bool held)
{
	struct vm_options options = { .open = open_all, .owner = v };
	struct err err = { 0 };

	v->loop = loop_new();
	v->ports = ports_new(v->loop, "meter", held);
	v->source = source;
	options.loop = v->loop;
	options.ports = v->ports;
	v->vm = vm_new(&options, &err);
	if (!v->vm || !vm_call(v->vm, begin_task, v, &err))
		fail_msg("%s", err.text);
}

static void end(struct version *v)
{
	vm_free(v->vm);
	ports_free(v->ports);
	assert_true(loop_free(v->loop));
}

static void on_quiet(void *arg)
{
	struct version *v = arg;

	v->quiet++;
}

static void turn(struct version *v)
{
	for (int i = 0; i < 8; i++)
		uv_run(loop_uv(v->loop), UV_RUN_NOWAIT);
}

static void turn_until_ended(struct version *v)
{
	while (v->task)
		uv_run(loop_uv(v->loop), UV_RUN_ONCE);
}

static void send_text(const char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(strlen(text),
			 sendto(client, text, strlen(text), 0,
				(struct sockaddr *)&to, sizeof to));
}

static int open_client(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(0, bind(fd, (struct sockaddr *)&own, sizeof own));
	return fd;
}

static int start(void **state)
{
	struct sockaddr_in own;
	socklen_t size = sizeof own;
	int fd = open_client();

	(void)state;
	alarm(60);
	getsockname(fd, (struct sockaddr *)&own, &size);
	close(fd);
	port = ntohs(own.sin_port);
	client = open_client();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(client);
	return 0;
}

/* ---- behaviour ---- */

static const char serve[] = "local udp = require 'udp'\n"
			    "local server <close> =\n"
			    "  assert(udp.listen('127.0.0.1', PORT))\n"
			    "while true do got((server:receive())) end\n";

static void a_version_on_trial_receives_when_it_is_let_go(void **state)
{
	struct version a = { 0 }, b = { 0 };

	(void)state;
	begin(&a, serve, false);
	turn(&a);
	begin(&b, serve, true);
	turn(&b);
	send_text("one");
	turn(&b);
	turn(&a);
	assert_string_equal("one", a.got);
	ports_hold(a.ports, on_quiet, &a);
	turn(&a);
	assert_int_equal(1, a.quiet);
	send_text("two");
	turn(&a);
	end(&a);
	turn(&b);
	assert_string_equal("", b.got);
	ports_let_go(b.ports);
	turn(&b);
	assert_string_equal("two", b.got);
	end(&b);
}

static void a_held_script_has_its_timeouts(void **state)
{
	struct version a = { 0 };

	(void)state;
	begin(&a,
	      "local udp = require 'udp'\n"
	      "local server <close> = assert(udp.listen('', PORT))\n"
	      "local _, first, why = server:receive(0.02)\n"
	      "assert(why == 'timeout', first)\n"
	      "assert(server:drain() == 0)\n"
	      "return select(2, server:receive(0))\n",
	      true);
	turn(&a);
	send_text("x");
	turn_until_ended(&a);
	assert_string_equal("", a.err.text);
	end(&a);
}

static void quiet_means_that_the_handler_came_back(void **state)
{
	struct version a = { 0 };

	(void)state;
	begin(&a,
	      "local server <close> =\n"
	      "  assert(require('udp').listen('127.0.0.1', PORT))\n"
	      "while true do\n"
	      "  local data = server:receive()\n"
	      "  pass()\n"
	      "  got(data)\n"
	      "end\n",
	      false);
	turn(&a);
	send_text("one");
	send_text("two");
	turn(&a);
	ports_hold(a.ports, on_quiet, &a);
	send_text("three");
	turn(&a);
	task_wake(&a.gate);
	turn(&a);
	assert_string_equal("one", a.got);
	assert_int_equal(0, a.quiet);
	task_wake(&a.gate);
	turn(&a);
	assert_string_equal("two", a.got);
	assert_int_equal(1, a.quiet);
	end(&a);
}

static void what_it_had_not_received_goes_to_the_next(void **state)
{
	struct version a = { 0 }, b = { 0 };

	(void)state;
	begin(&a,
	      "local server <close> =\n"
	      "  assert(require('udp').listen('127.0.0.1', PORT))\n"
	      "while true do\n"
	      "  local data = server:receive()\n"
	      "  pass()\n"
	      "  got(data)\n"
	      "end\n",
	      false);
	begin(&b, serve, true);
	turn(&a);
	turn(&b);
	send_text("one");
	send_text("two");
	turn(&a);
	ports_hold(a.ports, on_quiet, &a);
	task_wake(&a.gate);
	turn(&a);
	assert_string_equal("one", a.got);
	assert_int_equal(1, a.quiet);
	end(&a);
	ports_let_go(b.ports);
	turn(&b);
	assert_string_equal("two", b.got);
	end(&b);
}

/* It never waits for both at a time. */
static void a_script_that_looks_at_two_sockets_gets_quiet(void **state)
{
	struct version a = { 0 };

	(void)state;
	begin(&a,
	      "local udp = require 'udp'\n"
	      "local one <close> = assert(udp.listen('127.0.0.1', PORT))\n"
	      "local two <close> = assert(udp.listen('127.0.0.2', PORT))\n"
	      "while true do\n"
	      "  for _, server in ipairs { one, two } do\n"
	      "    local data = server:receive(0.001)\n"
	      "    if data then got(data) end\n"
	      "  end\n"
	      "end\n",
	      false);
	turn(&a);
	send_text("one");
	while (strcmp(a.got, "one") != 0)
		uv_run(loop_uv(a.loop), UV_RUN_ONCE);
	ports_hold(a.ports, on_quiet, &a);
	while (!a.quiet)
		uv_run(loop_uv(a.loop), UV_RUN_ONCE);
	end(&a);
}

static void a_script_that_ends_is_quiet(void **state)
{
	struct version a = { 0 };

	(void)state;
	begin(&a,
	      "local server <close> =\n"
	      "  assert(require('udp').listen('127.0.0.1', PORT))\n"
	      "local data = server:receive()\n"
	      "pass()\n"
	      "error(data)\n",
	      false);
	turn(&a);
	send_text("broken");
	turn(&a);
	ports_hold(a.ports, on_quiet, &a);
	turn(&a);
	assert_int_equal(0, a.quiet);
	task_wake(&a.gate);
	turn(&a);
	assert_string_equal("t:5: broken", a.err.text);
	assert_int_equal(1, a.quiet);
	end(&a);
}

/* A collection asks from the port that its device answers to; it must get the
 * answer on trial, and in an old version that ends with it. */
static void what_a_collection_opens_is_its_own(void **state)
{
	static const char ask[] = "local udp = require 'udp'\n"
				  "local server <close> =\n"
				  "  assert(udp.listen('127.0.0.1', PORT))\n"
				  "return assert(server:receive())\n";
	struct version a = { .deadline = 30 }, b = { .deadline = 30 };
	char expected[80];

	(void)state;
	begin(&a, ask, true);
	turn(&a);
	begin(&b, ask, false);
	turn_until_ended(&b);
	snprintf(expected, sizeof expected,
		 "t:3: udp listen 127.0.0.1:%u: address already in use", port);
	assert_string_equal(expected, b.err.text);
	ports_hold(a.ports, NULL, NULL);
	send_text("answer");
	turn_until_ended(&a);
	assert_string_equal("", a.err.text);
	assert_string_equal("answer", a.result);
	end(&a);
	end(&b);
}

/* ---- many versions ---- */

enum {
	HANDOVERS = 25,
	STEP = 400,
	DATAGRAMS = (HANDOVERS + 1) * STEP,
	WINDOW = 100,
};

static struct storm {
	_Atomic unsigned char seen[DATAGRAMS];
	atomic_uint handled;
	sem_t window;
	sem_t step;
} storm;

/* Every third handler waits, so that versions are asked to stop in the middle
 * of one, and with others in the queue. */
static const char storm_script[] =
	"local task = require 'task'\n"
	"local server <close> =\n"
	"  assert(require('udp').listen('', PORT))\n"
	"while true do\n"
	"  local data = assert(server:receive())\n"
	"  if tonumber(data) % 3 == 0 then task.sleep(0) end\n"
	"  got(data)\n"
	"end\n";

static void count(const char *data)
{
	atomic_fetch_add(&storm.seen[strtoul(data, NULL, 10)], 1);
	if ((atomic_fetch_add(&storm.handled, 1) + 1) % STEP == 0)
		sem_post(&storm.step);
	sem_post(&storm.window);
}

/* As an exporter does: what is not handled now never will be. */
static void on_last_quiet(void *arg)
{
	struct version *v = arg;

	loop_stop(v->loop);
}

static void deliver_hold(struct message *message)
{
	struct version *v =
		(struct version *)(void *)((char *)message -
					   offsetof(struct version, hold));

	ports_hold(v->ports, on_last_quiet, v);
}

static void deliver_let_go(struct message *message)
{
	struct version *v =
		(struct version *)(void *)((char *)message -
					   offsetof(struct version, let_go));

	ports_let_go(v->ports);
}

static void *version_main(void *arg)
{
	struct version *v = arg;

	loop_run(v->loop);
	vm_free(v->vm);
	ports_free(v->ports);
	return NULL;
}

static struct version *version_new(bool held)
{
	struct version *v = calloc(1, sizeof *v);

	assert_non_null(v);
	v->threaded = true;
	v->hold.deliver = deliver_hold;
	v->let_go.deliver = deliver_let_go;
	begin(v, storm_script, held);
	/* Until it listens. */
	turn(v);
	pthread_create(&v->thread, NULL, version_main, v);
	return v;
}

static void version_free(struct version *v)
{
	pthread_join(v->thread, NULL);
	assert_string_equal("cancelled", v->err.text);
	assert_true(loop_free(v->loop));
	free(v);
}

static void *send_numbers(void *arg)
{
	char text[16];

	(void)arg;
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		sem_wait(&storm.window);
		snprintf(text, sizeof text, "%u", i);
		send_text(text);
	}
	return NULL;
}

static void every_datagram_is_handled_once(void **state)
{
	struct version *old = version_new(false), *next;
	pthread_t sender;

	(void)state;
	alarm(300);
	sem_init(&storm.window, 0, WINDOW);
	sem_init(&storm.step, 0, 0);
	pthread_create(&sender, NULL, send_numbers, NULL);
	for (int i = 0; i < HANDOVERS; i++) {
		sem_wait(&storm.step);
		next = version_new(true);
		loop_post(old->loop, &old->hold);
		version_free(old);
		loop_post(next->loop, &next->let_go);
		old = next;
	}
	sem_wait(&storm.step);
	pthread_join(sender, NULL);
	loop_post(old->loop, &old->hold);
	version_free(old);
	for (int i = 0; i < DATAGRAMS; i++)
		if (storm.seen[i] != 1)
			fail_msg("number %d came %d times", i, storm.seen[i]);
}

#define test(function) cmocka_unit_test_setup_teardown(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_version_on_trial_receives_when_it_is_let_go),
		test(a_held_script_has_its_timeouts),
		test(quiet_means_that_the_handler_came_back),
		test(what_it_had_not_received_goes_to_the_next),
		test(a_script_that_looks_at_two_sockets_gets_quiet),
		test(a_script_that_ends_is_quiet),
		test(what_a_collection_opens_is_its_own),
		test(every_datagram_is_handled_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
