/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of a process: found in PATH, and started in a session of its
 * own with nothing of ours but three descriptors, the environment and the user.
 * Any thread. The caller watches it and must wait for it (net/spawn.h does).
 *
 * The kernel ends the process with SIGKILL when the thread that started it
 * ends, so that a killed lunex leaves none behind. (Not one that gains
 * privileges when it is executed, and not what it started itself.)
 */
#ifndef NET_LAUNCH_H
#define NET_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Borrowed during the call. */
struct launch {
	const char *file;	 /* no PATH here */
	const char *const *argv; /* ended by NULL */
	const char *const *envp; /* ended by NULL */
	const char *dir;	 /* NULL: where we are */
	int in, out, err;	 /* descriptors above 2; stay the caller's */
};

struct launched {
	pid_t pid;
	int pidfd;   /* readable when the process has ended; close-on-exec */
	int error;   /* of a failure */
	bool in_dir; /* it was DIR that failed */
};

/*
 * Starts it, and returns when it is executed: the calling thread is stopped
 * until then, whatever the size of our memory. False: `error` and `in_dir` are
 * set and there is no process.
 */
bool launch_start(const struct launch *launch, struct launched *launched);

/*
 * The file of the command NAME, at most SIZE bytes with the NUL, in FILE: NAME
 * itself when it has a slash, otherwise what the folders of PATH have that can
 * be executed. Only absolute folders are looked at. PATH may be NULL. Returns 0
 * or an errno.
 */
int launch_find(const char *name, const char *path, char *file, size_t size);

#endif
