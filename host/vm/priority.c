/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCHED_IDLE rather than a nice value: whoever wakes up preempts such a thread
 * at once, and finds the processor that runs it as good as idle. The way back
 * wants CAP_SYS_NICE, or RLIMIT_NICE of 20.
 */
#include "vm/priority.h"

#include <sched.h>

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
