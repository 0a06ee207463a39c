/* SPDX-License-Identifier: Apache-2.0 */
/* Times of arrival when the wall clock is set, and echoes by deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/icmp_clock.h"
#include "net/icmp_heap.h"

/* ---- clocks ---- */

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)

/* The socket was read at 90 s, and at 100 s, when it had something. */
static const int64_t wall_ahead = 1800000000 * SECOND;
static const int64_t empty = 90 * SECOND;

static int64_t arrival(int64_t stamp, int64_t offset_before, int64_t offset)
{
	struct icmp_clock before = { empty, offset_before };
	struct icmp_clock now = { 100 * SECOND, offset };

	return icmp_clock_arrival(&now, &before, empty, stamp);
}

static void a_stamp_is_taken_over(void **state)
{
	int64_t w = wall_ahead;

	(void)state;
	assert_int_equal(99 * SECOND, arrival(99 * SECOND + w, w, w));
	assert_int_equal(90 * SECOND, arrival(90 * SECOND + w, w, w));
}

static void a_clock_set_before_the_arrival_does_not_matter(void **state)
{
	int64_t w = wall_ahead;

	(void)state;
	assert_int_equal(99 * SECOND,
			 arrival(99 * SECOND + w + HOUR, w, w + HOUR));
	assert_int_equal(99 * SECOND,
			 arrival(99 * SECOND + w - HOUR, w, w - HOUR));
	assert_int_equal(99 * SECOND, arrival(99 * SECOND + w + 1, w, w + 1));
}

static void a_clock_set_after_the_arrival_is_noticed(void **state)
{
	int64_t w = wall_ahead;

	(void)state;
	assert_int_equal(99 * SECOND, arrival(99 * SECOND + w, w, w + HOUR));
	assert_int_equal(99 * SECOND, arrival(99 * SECOND + w, w, w - HOUR));
}

static void a_stamp_that_fits_nowhere_is_now(void **state)
{
	int64_t w = wall_ahead;

	(void)state;
	assert_int_equal(100 * SECOND, arrival(0, w, w));
	assert_int_equal(100 * SECOND,
			 arrival(99 * SECOND + w + HOUR, w, w - HOUR));
}

/* Its stamp is older than its place in the socket's buffer. */
static void a_slow_delivery_is_no_set_clock(void **state)
{
	int64_t w = wall_ahead, stamp = empty - SECOND / 100 + w;

	(void)state;
	assert_int_equal(empty - SECOND / 100, arrival(stamp, w, w));
}

static void clocks_are_read_together(void **state)
{
	struct icmp_clock one = icmp_clock_read(), two = icmp_clock_read();

	(void)state;
	assert_true(two.now >= one.now);
	assert_true(llabs(two.offset - one.offset) < SECOND / 100);
}

/* ---- deadlines ---- */

enum { ECHOES = 500 };

static struct icmp_echo echoes[ECHOES];

static struct icmp_echo *earliest(void)
{
	struct icmp_echo *found = NULL;

	for (int i = 0; i < ECHOES; i++)
		if (echoes[i].state.place &&
		    (!found ||
		     echoes[i].state.deadline < found->state.deadline))
			found = &echoes[i];
	return found;
}

/* Echoes come and go at random; the heap must always know the first. */
static void the_first_deadline_is_known(void **state)
{
	struct icmp_heap heap = { 0 };
	struct icmp_echo *echo, *first;

	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		echo = &echoes[random() % ECHOES];
		if (echo->state.place) {
			icmp_heap_remove(&heap, echo);
			assert_int_equal(0, echo->state.place);
		} else {
			echo->state.deadline = (double)(random() % 100);
			icmp_heap_add(&heap, echo);
		}
		first = earliest();
		echo = icmp_heap_first(&heap);
		assert_true(!first == !echo);
		if (echo && echo->state.deadline != first->state.deadline)
			fail_msg("%f before %f", echo->state.deadline,
				 first->state.deadline);
	}
	icmp_heap_release(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stamp_is_taken_over),
		cmocka_unit_test(
			a_clock_set_before_the_arrival_does_not_matter),
		cmocka_unit_test(a_clock_set_after_the_arrival_is_noticed),
		cmocka_unit_test(a_stamp_that_fits_nowhere_is_now),
		cmocka_unit_test(a_slow_delivery_is_no_set_clock),
		cmocka_unit_test(clocks_are_read_together),
		cmocka_unit_test(the_first_deadline_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
