/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that got SIGKILL is gone within a millisecond, mostly. But the loop
 * of an exporter must not wait for one that hangs in the kernel, and a child
 * that nobody waits for stays as a zombie for as long as lunex runs. So a
 * thread, which ends with the child, waits in its place.
 *
 * What a command has started comes to the init process when the command is
 * gone, which waits for it. In a container that is lunex itself, often.
 */
#include "net/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 256 << 10, PATIENCE = 100 }; /* bytes; milliseconds */

/* Do the children of children that are gone become ours? */
static bool is_init(void)
{
	int subreaper = 0;

	return getpid() == 1 ||
	       (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

/* Waits for one of them; true when there is none any more. */
static bool wait_for(idtype_t which, pid_t pid, int options, bool *ended)
{
	siginfo_t info = { 0 };
	int status;

	do
		status = waitid(which, (id_t)pid, &info, WEXITED | options);
	while (status != 0 && errno == EINTR);
	*ended = status == 0 && info.si_pid;
	return status != 0;
}

/* True when the child is gone, and what is left of its group if that is ours:
 * each of them gives its own children to us before it can be waited for. */
static bool reap(pid_t pid, int options)
{
	bool ended;

	if (!wait_for(P_PID, pid, options, &ended) && !ended)
		return false;
	if (!is_init())
		return true;
	do
		if (wait_for(P_PGID, pid, options, &ended))
			return true;
	while (ended);
	return false;
}

static void *reap_at_last(void *arg)
{
	reap((pid_t)(intptr_t)arg, 0);
	return NULL;
}

static void be_patient(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int i = 0; i < PATIENCE && !reap(pid, WNOHANG); i++)
		nanosleep(&moment, NULL);
}

void reaper_take(pid_t pid)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (reap(pid, WNOHANG))
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	if (pthread_create(&thread, &attr, reap_at_last,
			   (void *)(intptr_t)pid) != 0)
		be_patient(pid);
	pthread_attr_destroy(&attr);
}
