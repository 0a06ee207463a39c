/* SPDX-License-Identifier: Apache-2.0 */
#include "run/thread.h"

#include <time.h>

/* The thread sanitizer of gcc 12 does not know pthread_clockjoin_np(), and so
 * not that a thread was waited for. */
#ifdef __SANITIZE_THREAD__
enum { CLOCK = CLOCK_REALTIME };
#define JOIN(thread, until) pthread_timedjoin_np(thread, NULL, until)
#else
enum { CLOCK = CLOCK_MONOTONIC };
#define JOIN(thread, until) pthread_clockjoin_np(thread, NULL, CLOCK, until)
#endif

bool thread_join(pthread_t thread, double seconds)
{
	enum { SECOND = 1000000000 }; /* in nanoseconds */
	struct timespec until;

	clock_gettime(CLOCK, &until);
	until.tv_nsec += (long)((seconds - (double)(long)seconds) * SECOND);
	until.tv_sec += (time_t)seconds + until.tv_nsec / SECOND;
	until.tv_nsec %= SECOND;
	return JOIN(thread, &until) == 0;
}
