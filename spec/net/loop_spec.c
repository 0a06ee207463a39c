/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "net/loop.h"

/* ---- messages ---- */

enum { SENDERS = 4, EACH = 20000 };

static unsigned last_of[SENDERS];
static unsigned delivered;
static unsigned disordered;

struct note {
	struct message message;
	struct loop *loop;
	unsigned sender;
	unsigned number;
};

static void deliver_note(struct message *message)
{
	struct note *note = (struct note *)message;

	if (note->number != last_of[note->sender] + 1)
		disordered++;
	last_of[note->sender] = note->number;
	if (++delivered == SENDERS * EACH)
		loop_stop(note->loop);
	free(note);
}

struct sender {
	pthread_t thread;
	struct loop *loop;
	unsigned index;
};

static void *send_notes(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 1; i <= EACH; i++) {
		struct note *note = mem_alloc(sizeof *note);

		note->message.deliver = deliver_note;
		note->loop = sender->loop;
		note->sender = sender->index;
		note->number = i;
		loop_post(sender->loop, &note->message);
	}
	return NULL;
}

static void delivers_each_senders_messages_once_and_in_order(void **state)
{
	struct sender senders[SENDERS];
	struct loop *loop = loop_new();

	(void)state;
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){ .loop = loop, .index = i };
		assert_int_equal(0, pthread_create(&senders[i].thread, NULL,
						   send_notes, &senders[i]));
	}
	loop_run(loop);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_int_equal(SENDERS * EACH, delivered);
	assert_int_equal(0, disordered);
	loop_free(loop);
}

struct parcel {
	struct message message;
	struct loop *loop;
	unsigned *count;
	unsigned more;
};

static struct parcel *parcel_new(struct loop *loop, unsigned *count,
				 unsigned more);

static void deliver_parcel(struct message *message)
{
	struct parcel *parcel = (struct parcel *)message;

	(*parcel->count)++;
	if (parcel->more)
		loop_post(parcel->loop, &parcel_new(parcel->loop, parcel->count,
						    parcel->more - 1)
						 ->message);
	free(parcel);
}

static struct parcel *parcel_new(struct loop *loop, unsigned *count,
				 unsigned more)
{
	struct parcel *parcel = mem_alloc(sizeof *parcel);

	*parcel = (struct parcel){
		.message.deliver = deliver_parcel,
		.loop = loop,
		.count = count,
		.more = more,
	};
	return parcel;
}

static void delivers_what_is_still_queued_when_freed(void **state)
{
	struct loop *loop = loop_new();
	unsigned count = 0;

	(void)state;
	loop_post(loop, &parcel_new(loop, &count, 0)->message);
	/* One that posts two more, each of them when it is delivered. */
	loop_post(loop, &parcel_new(loop, &count, 2)->message);
	loop_free(loop);
	assert_int_equal(4, count);
}

/* The last message tells the loop's thread to free the loop at once. */
/* One that asks a loop that is freed later, and its answer. */
struct question {
	struct message message;
	struct loop *asker;
	unsigned delivered;
};

static void count_delivery(struct message *message)
{
	((struct question *)message)->delivered++;
}

static void answer_question(struct message *message)
{
	struct question *question = (struct question *)message;

	message->deliver = count_delivery;
	loop_post(question->asker, message);
}

static void delivers_what_is_queued_when_told_to(void **state)
{
	struct loop *loop = loop_new(), *asker = loop_new();
	struct question own = { .message.deliver = answer_question,
				.asker = loop };
	struct question other = { .message.deliver = answer_question,
				  .asker = asker };

	(void)state;
	loop_post(loop, &own.message);
	loop_post(loop, &other.message);
	loop_deliver(loop);
	assert_int_equal(1, own.delivered);
	assert_int_equal(0, other.delivered);
	loop_free(asker);
	assert_int_equal(1, other.delivered);
	loop_free(loop);
}

static void *run_and_free(void *arg)
{
	struct loop *loop = arg;

	loop_run(loop);
	loop_free(loop);
	return NULL;
}

static void deliver_stop(struct message *message)
{
	struct parcel *parcel = (struct parcel *)message;

	loop_stop(parcel->loop);
	free(parcel);
}

static void may_be_freed_as_soon_as_the_last_message_came(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct loop *loop = loop_new();
		struct parcel *stop = parcel_new(loop, NULL, 0);
		pthread_t thread;

		stop->message.deliver = deliver_stop;
		pthread_create(&thread, NULL, run_and_free, loop);
		loop_post(loop, &stop->message);
		pthread_join(thread, NULL);
	}
}

/* ---- timers ---- */

struct alarm {
	struct timer timer; /* first */
	struct loop *loop;
	double started;
	double fired;
	unsigned count;
	bool stop;
	char name;
};

static char fired_order[8];
static size_t fired_count;

static void on_alarm(struct timer *timer)
{
	struct alarm *alarm = (struct alarm *)timer;

	alarm->fired = loop_now(alarm->loop);
	alarm->count++;
	if (fired_count < sizeof fired_order - 1)
		fired_order[fired_count++] = alarm->name;
	if (alarm->stop)
		loop_stop(alarm->loop);
}

static void alarm_start(struct alarm *alarm, struct loop *loop, char name,
			double seconds)
{
	*alarm = (struct alarm){ .loop = loop, .name = name };
	timer_init(loop, &alarm->timer, on_alarm);
	alarm->started = loop_now(loop);
	timer_start(&alarm->timer, seconds);
}

static void timers_fire_in_order_once_and_never_early(void **state)
{
	struct loop *loop = loop_new();
	struct alarm a, b, c;

	(void)state;
	fired_count = 0;
	alarm_start(&b, loop, 'b', 0.0123);
	alarm_start(&a, loop, 'a', 0);
	alarm_start(&c, loop, 'c', 0.03);
	c.stop = true;
	assert_int_equal(0, a.count);
	loop_run(loop);
	assert_memory_equal("abc", fired_order, 3);
	assert_int_equal(1, a.count);
	assert_int_equal(1, b.count);
	assert_true(b.fired - b.started >= 0.0123);
	assert_true(c.fired - c.started >= 0.03);
	timer_release(&a.timer);
	timer_release(&b.timer);
	timer_release(&c.timer);
	timer_release(&c.timer);
	loop_free(loop);
}

static void a_stopped_or_released_timer_does_not_fire(void **state)
{
	struct loop *loop = loop_new();
	struct alarm stopped, released, last;
	struct timer zero = { 0 };

	(void)state;
	alarm_start(&stopped, loop, 's', 0);
	alarm_start(&released, loop, 'r', 0);
	alarm_start(&last, loop, 'l', 0.005);
	last.stop = true;
	timer_stop(&stopped.timer);
	timer_release(&released.timer);
	timer_stop(&zero);
	timer_release(&zero);
	loop_run(loop);
	assert_int_equal(0, stopped.count);
	assert_int_equal(0, released.count);
	assert_int_equal(1, last.count);
	timer_release(&stopped.timer);
	timer_release(&last.timer);
	loop_free(loop);
}

static void starting_a_timer_again_moves_it(void **state)
{
	struct loop *loop = loop_new();
	struct alarm moved, last;

	(void)state;
	fired_count = 0;
	alarm_start(&moved, loop, 'm', 0);
	timer_start(&moved.timer, 0.02);
	alarm_start(&last, loop, 'l', 0.01);
	moved.stop = true;
	loop_run(loop);
	assert_memory_equal("lm", fired_order, 2);
	assert_int_equal(1, moved.count);
	timer_release(&moved.timer);
	timer_release(&last.timer);
	loop_free(loop);
}

static void on_suicide(struct timer *timer)
{
	struct alarm *alarm = (struct alarm *)timer;

	loop_stop(alarm->loop);
	timer_release(timer);
	free(alarm);
}

static void a_timer_may_be_released_and_freed_while_it_fires(void **state)
{
	struct loop *loop = loop_new();
	struct alarm *alarm = mem_alloc(sizeof *alarm);

	(void)state;
	alarm->loop = loop;
	timer_init(loop, &alarm->timer, on_suicide);
	timer_start(&alarm->timer, 0.001);
	loop_run(loop);
	loop_free(loop);
}

static void a_timer_that_was_left_is_inert_after_its_loop(void **state)
{
	struct loop *loop = loop_new();
	struct alarm alarm;

	(void)state;
	alarm_start(&alarm, loop, 'x', 60);
	loop_free(loop);
	assert_null(alarm.timer.handle);
	timer_stop(&alarm.timer);
	timer_release(&alarm.timer);
	assert_int_equal(0, alarm.count);
}

/* ---- laps ---- */

struct runner {
	struct laps laps; /* first */
	struct loop *loop;
	unsigned runs, most;
};

static void on_lap(struct laps *laps)
{
	struct runner *runner = (struct runner *)laps;

	if (++runner->runs < runner->most)
		return;
	laps_stop(laps);
	loop_stop(runner->loop);
}

static void laps_run_once_in_each_round(void **state)
{
	struct runner runner = { .loop = loop_new(), .most = 3 };
	struct alarm alarm;

	(void)state;
	laps_init(runner.loop, &runner.laps, on_lap);
	laps_start(&runner.laps);
	loop_run(runner.loop);
	assert_int_equal(3, runner.runs);
	/* They are over until they are started again. */
	fired_count = 0;
	alarm_start(&alarm, runner.loop, 'a', 0.01);
	alarm.stop = true;
	loop_run(runner.loop);
	assert_int_equal(3, runner.runs);
	runner.most = 5;
	laps_start(&runner.laps);
	loop_run(runner.loop);
	assert_int_equal(5, runner.runs);
	timer_release(&alarm.timer);
	laps_release(&runner.laps);
	laps_release(&runner.laps);
	laps_stop(&runner.laps);
	loop_free(runner.loop);
}

/* A timer fires between them, however long they would go on. */
static void others_have_their_turn_between_laps(void **state)
{
	struct runner runner = { .loop = loop_new(), .most = UINT_MAX };
	struct alarm alarm;

	(void)state;
	fired_count = 0;
	laps_init(runner.loop, &runner.laps, on_lap);
	laps_start(&runner.laps);
	alarm_start(&alarm, runner.loop, 'a', 0.01);
	alarm.stop = true;
	loop_run(runner.loop);
	assert_int_equal(1, alarm.count);
	assert_true(runner.runs > 1);
	timer_release(&alarm.timer);
	loop_free(runner.loop);
	assert_null(runner.laps.handle);
}

static void on_last_lap(struct laps *laps)
{
	struct runner *runner = (struct runner *)laps;

	loop_stop(runner->loop);
	laps_release(laps);
	free(runner);
}

static void laps_may_be_released_and_freed_while_they_run(void **state)
{
	struct runner *runner = mem_alloc(sizeof *runner), left = { 0 };
	struct loop *loop = loop_new();

	(void)state;
	runner->loop = loop;
	laps_init(loop, &left.laps, on_lap);
	laps_init(loop, &runner->laps, on_last_lap);
	laps_start(&runner->laps);
	loop_run(loop);
	loop_free(loop);
	assert_null(left.laps.handle);
}

static int next_descriptor(void)
{
	int next = dup(STDERR_FILENO);

	close(next);
	return next;
}

/* A loop takes four of them. */
static void is_not_made_without_descriptors(void **state)
{
	int first = next_descriptor();
	struct rlimit before, few;
	struct loop *loop;
	struct err err;

	(void)state;
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
	for (int more = 0; more < 4; more++) {
		few = (struct rlimit){ (rlim_t)(first + more),
				       before.rlim_max };
		assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &few));
		loop = loop_try(&err);
		assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
		assert_null(loop);
		assert_string_equal("cannot make an event loop: too many open "
				    "files (ulimit -n)",
				    err.text);
		assert_int_equal(first, next_descriptor());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			delivers_each_senders_messages_once_and_in_order),
		cmocka_unit_test(delivers_what_is_still_queued_when_freed),
		cmocka_unit_test(delivers_what_is_queued_when_told_to),
		cmocka_unit_test(may_be_freed_as_soon_as_the_last_message_came),
		cmocka_unit_test(timers_fire_in_order_once_and_never_early),
		cmocka_unit_test(a_stopped_or_released_timer_does_not_fire),
		cmocka_unit_test(starting_a_timer_again_moves_it),
		cmocka_unit_test(
			a_timer_may_be_released_and_freed_while_it_fires),
		cmocka_unit_test(a_timer_that_was_left_is_inert_after_its_loop),
		cmocka_unit_test(laps_run_once_in_each_round),
		cmocka_unit_test(others_have_their_turn_between_laps),
		cmocka_unit_test(laps_may_be_released_and_freed_while_they_run),
		cmocka_unit_test(is_not_made_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
