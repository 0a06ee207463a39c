/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is believed and what is only counted: a peer answers as it likes, in
 * place of this host. And what `done` may do.
 */
#include "icmp_world.h"

#include <stdlib.h>
#include <string.h>

static struct peer *peer;

static int start(void **state)
{
	world_start(state);
	world_answer(false);
	peer = peer_new();
	return 0;
}

static int stop(void **state)
{
	peer_free(peer);
	return world_stop(state);
}

/* An echo, and the request as it came to the peer. */
static struct peer_message send_and_see(struct icmp_echo *echo)
{
	world_send(echo);
	return peer_request(peer);
}

static void reply_to(const struct peer_message *request)
{
	struct peer_message reply = peer_reply(request);

	peer_send(&reply, world->self);
}

/* The right answer comes after all else: then all else was read, too. */
static void end_with_right_answer(struct icmp_echo *echo,
				  const struct peer_message *request)
{
	reply_to(request);
	world_wait(1);
	assert_outcome(ICMP_REPLY, echo);
	assert_address(world->self, &echo->from);
}

static void turn_until_late(uint64_t n)
{
	while (icmp_counts(icmp).late < n)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(n, icmp_counts(icmp).late);
}

/* ---- replies ---- */

static void a_reply_without_the_cookie_is_not_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		reply.bytes[PEER_COOKIE + i] ^= 1;
		peer_send(&reply, world->self);
		reply.bytes[PEER_COOKIE + i] ^= 1;
	}
	reply.len = PEER_COOKIE + 7;
	peer_send(&reply, world->self);
	reply.len = PEER_COOKIE;
	peer_send(&reply, world->self);
	end_with_right_answer(&echo, &request);
	assert_int_equal(10, icmp_counts(icmp).foreign);
	assert_int_equal(0, echo.duplicates);
}

static void a_reply_from_another_address_is_not_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	peer_send(&reply, world->other);
	end_with_right_answer(&echo, &request);
	assert_int_equal(1, icmp_counts(icmp).foreign);
}

/* Who answers for the any-address, or a group, cannot be known before. */
static void an_echo_to_the_any_address_is_answered_by_another(void **state)
{
	struct icmp_echo echo = world_echo(world->any);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	reply.bytes[PEER_COOKIE] ^= 1;
	peer_send(&reply, world->other);
	reply.bytes[PEER_COOKIE] ^= 1;
	peer_send(&reply, world->other);
	world_wait(1);
	assert_outcome(ICMP_REPLY, &echo);
	assert_address(world->other, &echo.from);
	assert_int_equal(1, icmp_counts(icmp).foreign);
}

static void a_reply_to_another_echo_is_not_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct icmp_echo second = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message other = send_and_see(&second);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	/* With the number of the second, and with one that was never used. */
	memcpy(reply.bytes + PEER_SEQUENCE, other.bytes + PEER_SEQUENCE, 2);
	peer_send(&reply, world->self);
	reply.bytes[PEER_SEQUENCE] ^= 0x80;
	peer_send(&reply, world->self);
	end_with_right_answer(&echo, &request);
	assert_outcome(ICMP_WAITING, &second);
	assert_int_equal(2, icmp_counts(icmp).foreign);
}

/* They are not ours, so they do not even wake us. */
static void answers_to_the_pings_of_others_are_not_seen(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request), error;

	(void)state;
	reply.bytes[PEER_ID] ^= 0x10;
	peer_send(&reply, world->self);
	request.bytes[PEER_ID] ^= 0x10;
	error = peer_error(&request, world->self, request.len);
	peer_send(&error, world->self);
	request.bytes[PEER_ID] ^= 0x10;
	end_with_right_answer(&echo, &request);
	assert_int_equal(0, icmp_counts(icmp).foreign);
}

static void a_damaged_reply_is_not_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	/* The kernel makes, and checks, the checksums of ICMPv6. */
	if (world->family == AF_INET)
		peer_send_spoiled(&reply, world->self);
	assert_int_equal(0, icmp_counts(icmp).replies);
	end_with_right_answer(&echo, &request);
	assert_int_equal(1, icmp_counts(icmp).replies);
}

static void a_shorter_reply_with_the_cookie_is_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message reply = peer_reply(&request);

	(void)state;
	reply.len = PEER_COOKIE + 8;
	peer_send(&reply, world->self);
	world_wait(1);
	assert_outcome(ICMP_REPLY, &echo);
	assert_int_equal(8, echo.size);
}

static void duplicates_are_counted_and_told_once(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct icmp_echo last = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message end;
	double rtt;

	(void)state;
	reply_to(&request);
	world_wait(1);
	rtt = echo.rtt;
	reply_to(&request);
	reply_to(&request);
	end = send_and_see(&last);
	end_with_right_answer(&last, &end);
	assert_outcome(ICMP_REPLY, &echo);
	assert_int_equal(2, echo.duplicates);
	assert_int_equal(2, icmp_counts(icmp).duplicates);
	assert_int_equal(2, icmp_counts(icmp).replies);
	assert_true(rtt == echo.rtt && !echo.late);
}

static void a_late_answer_is_counted_and_not_told(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request;

	(void)state;
	echo.timeout = 0.02;
	request = send_and_see(&echo);
	world_wait(1);
	assert_outcome(ICMP_TIMED_OUT, &echo);
	assert_false(echo.late);
	reply_to(&request);
	turn_until_late(1);
	assert_true(echo.late);
	assert_outcome(ICMP_TIMED_OUT, &echo);
	assert_int_equal(0, icmp_counts(icmp).replies);
	/* The next one is a duplicate of it. */
	reply_to(&request);
	while (!icmp_counts(icmp).duplicates)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(1, echo.duplicates);
}

/* This thread may be busy until long after. */
static void an_answer_after_the_deadline_is_late_whenever_it_is_read(
	void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request;

	(void)state;
	echo.timeout = 0.02;
	request = send_and_see(&echo);
	world_burn(0.04);
	reply_to(&request);
	world_wait(1);
	assert_outcome(ICMP_TIMED_OUT, &echo);
	assert_true(echo.late);
}

static void an_answer_before_the_deadline_is_in_time_whenever_it_is_read(
	void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request;

	(void)state;
	echo.timeout = 0.4; /* of a busy machine */
	request = send_and_see(&echo);
	world_burn(0.01);
	reply_to(&request);
	world_burn(0.45);
	world_wait(1);
	assert_outcome(ICMP_REPLY, &echo);
	assert_true(echo.rtt >= 0.01 && echo.rtt < 0.4);
}

static void an_answer_to_an_echo_that_is_forgotten_is_late(void **state)
{
	struct icmp_echo *echo = malloc(sizeof *echo);
	struct peer_message request;

	(void)state;
	*echo = world_echo(world->self);
	request = send_and_see(echo);
	icmp_forget(icmp, echo);
	icmp_forget(icmp, echo);
	free(echo);
	reply_to(&request);
	turn_until_late(1);
}

/* ---- errors ---- */

static void an_error_ends_an_echo(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message error = peer_error(&request, world->self, 64);

	(void)state;
	peer_send(&error, world->other);
	world_wait(1);
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_address(world->other, &echo.from);
	/* An answer after it changes nothing. */
	reply_to(&request);
	while (!icmp_counts(icmp).duplicates)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_outcome(ICMP_UNREACHABLE, &echo);
}

static void an_error_that_quotes_eight_bytes_is_enough(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message error = peer_error(&request, world->self, 8);

	(void)state;
	peer_send(&error, world->other);
	world_wait(1);
	assert_outcome(ICMP_UNREACHABLE, &echo);
}

static void an_error_that_quotes_something_else_is_not_believed(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	struct peer_message error;

	(void)state;
	/* Another address, another cookie, a number that was never used. */
	error = peer_error(&request, world->other, 8);
	peer_send(&error, world->self);
	request.bytes[PEER_COOKIE] ^= 1;
	error = peer_error(&request, world->self, 64);
	peer_send(&error, world->self);
	request.bytes[PEER_COOKIE] ^= 1;
	request.bytes[PEER_SEQUENCE] ^= 0x80;
	error = peer_error(&request, world->self, 8);
	peer_send(&error, world->self);
	request.bytes[PEER_SEQUENCE] ^= 0x80;
	/* Too little of it; a datagram socket does not even hear of it. */
	error = peer_error(&request, world->self, 7);
	peer_send(&error, world->self);
	/* The queue of errors is read behind that of messages. */
	error = peer_error(&request, world->self, 64);
	peer_send(&error, world->self);
	world_wait(1);
	assert_outcome(ICMP_UNREACHABLE, &echo);
	assert_int_equal(1, icmp_counts(icmp).errors);
	assert_int_equal(world->raw ? 4 : 3, icmp_counts(icmp).foreign);
}

/* ---- sequence numbers ---- */

static void a_number_is_used_again_after_all_others(void **state)
{
	struct icmp_echo echo = world_echo(world->self);
	struct peer_message request = send_and_see(&echo);
	unsigned first = peer_sequence(&request);

	(void)state;
	icmp_forget(icmp, &echo);
	for (unsigned i = 1; i < 3 * ICMP_KNOWN_MAX; i++) {
		echo = world_echo(world->self);
		request = send_and_see(&echo);
		if (peer_sequence(&request) != (first + i) % ICMP_KNOWN_MAX)
			fail_msg("%u is not the next one",
				 peer_sequence(&request));
		icmp_forget(icmp, &echo);
	}
}

static void more_echoes_than_numbers_are_refused(void **state)
{
	struct icmp_echo *echoes = calloc(ICMP_KNOWN_MAX + 1, sizeof *echoes);
	struct icmp_echo *last = &echoes[ICMP_KNOWN_MAX];
	struct err err;

	(void)state;
	for (unsigned i = 0; i <= ICMP_KNOWN_MAX; i++)
		echoes[i] = world_echo(world->self);
	for (unsigned i = 0; i < ICMP_KNOWN_MAX; i++)
		world_send(&echoes[i]);
	assert_false(icmp_send(icmp, last, &err));
	assert_string_equal("icmp: 65537 echoes at the same time are too many",
			    err.text);
	icmp_forget(icmp, last);
	icmp_forget(icmp, &echoes[1000]);
	world_send(last);
	for (unsigned i = 0; i <= ICMP_KNOWN_MAX; i++)
		icmp_forget(icmp, &echoes[i]);
	free(echoes);
}

/* ---- `done` ---- */

static unsigned rounds;

static void send_again(struct icmp_echo *echo)
{
	struct err err;

	rounds++;
	icmp_forget(icmp, echo);
	if (rounds == 100)
		return;
	*echo = world_echo(world->unreached);
	echo->done = send_again;
	assert_true(icmp_send(icmp, echo, &err));
}

/* What fails at once is told in the next turn, so others have theirs. */
static void done_may_send_again(void **state)
{
	struct icmp_echo echo = world_echo(world->unreached);
	unsigned turns = 0;

	(void)state;
	rounds = 0;
	echo.done = send_again;
	world_send(&echo);
	for (; rounds < 100; turns++)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_true(turns >= 50);
}

static struct icmp_echo both[2];

static void forget_both(struct icmp_echo *echo)
{
	(void)echo;
	rounds++;
	icmp_forget(icmp, &both[0]);
	icmp_forget(icmp, &both[1]);
}

static void done_may_forget_another_that_is_done(void **state)
{
	struct icmp_echo last = world_echo(world->unreached);

	(void)state;
	rounds = 0;
	for (int i = 0; i < 2; i++) {
		both[i] = world_echo(world->unreached);
		both[i].done = forget_both;
		world_send(&both[i]);
	}
	world_send(&last);
	world_wait(1);
	assert_int_equal(1, rounds);
}

static void free_all(struct icmp_echo *echo)
{
	(void)echo;
	rounds++;
	icmp_free(icmp);
	icmp = NULL;
}

static void done_may_free_it_all(void **state)
{
	struct icmp_echo echo;
	struct icmp_echo waiting = world_echo(world->self);

	(void)state;
	rounds = 0;
	world_send(&waiting);
	for (int i = 0; i < 2; i++) {
		both[i] = world_echo(world->unreached);
		both[i].done = free_all;
		world_send(&both[i]);
	}
	while (!rounds)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	assert_int_equal(1, rounds);
	/* From the socket's and the timer's callbacks as well. */
	icmp = icmp_new(loop, NULL);
	world_answer(true);
	echo = world_echo(world->self);
	echo.done = free_all;
	world_send(&echo);
	while (rounds < 2)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	icmp = icmp_new(loop, NULL);
	world_answer(false);
	echo = world_echo(world->self);
	echo.done = free_all;
	echo.timeout = 0.01;
	world_send(&echo);
	while (rounds < 3)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
}

#define forged_test(function) WORLD_TEST(function, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		forged_test(a_reply_without_the_cookie_is_not_believed),
		forged_test(a_reply_from_another_address_is_not_believed),
		forged_test(an_echo_to_the_any_address_is_answered_by_another),
		forged_test(a_reply_to_another_echo_is_not_believed),
		forged_test(answers_to_the_pings_of_others_are_not_seen),
		forged_test(a_damaged_reply_is_not_believed),
		forged_test(a_shorter_reply_with_the_cookie_is_believed),
		forged_test(duplicates_are_counted_and_told_once),
		forged_test(a_late_answer_is_counted_and_not_told),
		forged_test(
			an_answer_after_the_deadline_is_late_whenever_it_is_read),
		forged_test(
			an_answer_before_the_deadline_is_in_time_whenever_it_is_read),
		forged_test(an_answer_to_an_echo_that_is_forgotten_is_late),
		forged_test(an_error_ends_an_echo),
		forged_test(an_error_that_quotes_eight_bytes_is_enough),
		forged_test(
			an_error_that_quotes_something_else_is_not_believed),
		forged_test(a_number_is_used_again_after_all_others),
		forged_test(more_echoes_than_numbers_are_refused),
		forged_test(done_may_send_again),
		forged_test(done_may_forget_another_that_is_done),
		forged_test(done_may_free_it_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
