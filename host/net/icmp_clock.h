/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a message arrived. The kernel stamps it on the wall clock, which may be
 * set at any time; all else is on the monotonic clock. Times are nanoseconds:
 * seconds as a double are too coarse for the wall clock. Any thread.
 */
#ifndef NET_ICMP_CLOCK_H
#define NET_ICMP_CLOCK_H

#include <stdint.h>
#include <time.h>

enum {
	/* From the stamp to the socket's buffer, where that is long. */
	ICMP_CLOCK_DELIVERY_MAX = 50000000,
};

/* Both clocks at one time. */
struct icmp_clock {
	int64_t now;	/* monotonic, as loop_now() */
	int64_t offset; /* the wall clock is that much ahead */
};

struct icmp_clock icmp_clock_read(void);

/* The monotonic clock alone. */
int64_t icmp_clock_now(void);

int64_t icmp_clock_stamp(const struct timespec *time);
double icmp_clock_seconds(int64_t time);

/*
 * The monotonic time of a message with the stamp WALL, which was read just
 * before CLOCK and came to a buffer that was EMPTY at that time (monotonic).
 * BEFORE was read earlier: it counts when the wall clock was set after the
 * message had arrived, which shows as an arrival outside of these bounds. When
 * nothing fits, it is the time of CLOCK.
 */
int64_t icmp_clock_arrival(const struct icmp_clock *clock,
			   const struct icmp_clock *before, int64_t empty,
			   int64_t wall);

#endif
