/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCHED_IDLE rather than a nice value: whoever wakes up preempts such a thread
 * at once, and finds the processor that runs it as good as idle. The way back
 * wants CAP_SYS_NICE, or RLIMIT_NICE of 20.
 */
#include "vm/priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

static bool set_policy(int policy)
{
	const struct sched_param none = { .sched_priority = 0 };

	return sched_setscheduler(0, policy, &none) == 0;
}

bool priority_lower(void)
{
	return set_policy(SCHED_IDLE);
}

bool priority_raise(void)
{
	return set_policy(SCHED_OTHER);
}

/* The limit is 20 less the nice value that may be had. */
bool priority_can_raise(void)
{
	struct rlimit limit;

	return geteuid() == 0 ||
	       (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 20);
}
