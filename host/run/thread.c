/* SPDX-License-Identifier: Apache-2.0 */
#include "run/thread.h"

#include <time.h>

bool thread_join(pthread_t thread, double seconds)
{
	enum { SECOND = 1000000000 }; /* in nanoseconds */
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)((seconds - (double)(long)seconds) * SECOND);
	until.tv_sec += (time_t)seconds + until.tv_nsec / SECOND;
	until.tv_nsec %= SECOND;
	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}
