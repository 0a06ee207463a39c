/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that got SIGKILL is gone within a millisecond, mostly. But the loop
 * of an exporter must not wait for one that hangs in the kernel, and a child
 * that nobody waits for stays as a zombie for as long as lunex runs. So a
 * thread, which ends with the child, waits in its place.
 */
#include "net/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

enum { STACK = 256 << 10, PATIENCE = 100 }; /* bytes; milliseconds */

static int wait_for(pid_t pid, int options)
{
	siginfo_t info = { 0 };
	int status;

	do
		status = waitid(P_PID, (id_t)pid, &info, WEXITED | options);
	while (status != 0 && errno == EINTR);
	return status != 0 || info.si_pid == pid;
}

static void *reap(void *arg)
{
	wait_for((pid_t)(intptr_t)arg, 0);
	return NULL;
}

static void be_patient(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < PATIENCE && !wait_for(pid, WNOHANG); i++)
		nanosleep(&moment, NULL);
}

void reaper_take(pid_t pid)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (wait_for(pid, WNOHANG))
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	if (pthread_create(&thread, &attr, reap, (void *)(intptr_t)pid) != 0)
		be_patient(pid);
	pthread_attr_destroy(&attr);
}
