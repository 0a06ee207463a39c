/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp_clock.h"

enum { TRIES_MAX = 3, NARROW = 2000 };

int64_t icmp_clock_stamp(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

double icmp_clock_seconds(int64_t time)
{
	return (double)time / 1e9;
}

static int64_t read_one(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return icmp_clock_stamp(&now);
}

int64_t icmp_clock_now(void)
{
	return read_one(CLOCK_MONOTONIC);
}

/* The wall clock between two looks at the other; again when the thread was put
 * aside in between. */
struct icmp_clock icmp_clock_read(void)
{
	struct icmp_clock best = { 0 };
	int64_t before, wall, after, width = INT64_MAX;

	for (int i = 0; i < TRIES_MAX && width > NARROW; i++) {
		before = icmp_clock_now();
		wall = read_one(CLOCK_REALTIME);
		after = icmp_clock_now();
		if (after - before >= width)
			continue;
		width = after - before;
		best.now = after;
		best.offset = wall - (before + width / 2);
	}
	return best;
}

int64_t icmp_clock_arrival(const struct icmp_clock *clock,
			   const struct icmp_clock *before, int64_t empty,
			   int64_t wall)
{
	int64_t first = empty - ICMP_CLOCK_DELIVERY_MAX;
	int64_t time = wall - clock->offset;

	if (time >= first && time <= clock->now)
		return time;
	time = wall - before->offset;
	if (time >= first && time <= clock->now)
		return time;
	return clock->now;
}
