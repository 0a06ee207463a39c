/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As posix_spawn() of glibc does it: clone() with our memory and with us
 * stopped until the child executes, which takes the same time in a large
 * process as in a small one, and needs no pipe to tell an error. posix_spawn()
 * itself cannot say PR_SET_PDEATHSIG; libuv forks, and wants to handle SIGCHLD.
 *
 * So between launch_start() and execve() two processes have one memory, and the
 * child must not run anything that another thread, a signal handler of ours or
 * a sanitizer could stumble over: it makes bare system calls, on a stack of its
 * own, with all signals blocked.
 */
#include "net/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 << 10, SIGNALS = 64, STDIO = 3 };

static const char default_path[] =
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#define BARE __attribute__((no_sanitize("address", "thread", "undefined")))

/* The thread sanitizer's own takes every child for one with a copy of our
 * memory. */
#ifdef __SANITIZE_THREAD__
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* ---- in the child ---- */

struct child {
	const struct launch *launch;
	pid_t parent;
	int error;
	bool in_dir;
};

/* The kernel's sigset_t has a bit for each of its 64 signals. */
static long set_mask(uint64_t mask, uint64_t *before)
{
	return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, before,
		       sizeof mask);
}

/* Handlers would end with execve() anyway, but they must not run before; what
 * we ignore would stay ignored. */
BARE static void reset_signals(void)
{
	/* SIG_DFL is 0 in the kernel's structure, whose form depends on the
	 * processor. */
	char none[128] = { 0 };

	for (int signal = 1; signal <= SIGNALS; signal++)
		syscall(SYS_rt_sigaction, signal, none, NULL, sizeof(uint64_t));
}

BARE static void set_descriptors(const struct launch *launch)
{
	syscall(SYS_dup3, launch->in, STDIN_FILENO, 0);
	syscall(SYS_dup3, launch->out, STDOUT_FILENO, 0);
	syscall(SYS_dup3, launch->err, STDERR_FILENO, 0);
	/* All of ours are close-on-exec; those of C modules may not be. */
	syscall(SYS_close_range, STDIO, ~0U, 0);
}

BARE static int run_child(void *arg)
{
	struct child *child = arg;
	const struct launch *launch = child->launch;
	uint64_t unblocked = 0;

	syscall(SYS_setsid);
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* It may have died before that. */
	if (syscall(SYS_getppid) != child->parent)
		syscall(SYS_exit_group, 1);
	reset_signals();
	set_descriptors(launch);
	child->in_dir = launch->dir && syscall(SYS_chdir, launch->dir) != 0;
	if (!child->in_dir) {
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &unblocked, NULL,
			sizeof unblocked);
		syscall(SYS_execve, launch->file, launch->argv, launch->envp);
	}
	child->error = errno;
	syscall(SYS_exit_group, 1);
	return 0;
}

/* ---- in the parent ---- */

/* Where SIGCHLD is ignored, which a process inherits, the kernel waits for
 * children itself, and nobody learns how they ended. */
static void heed_children(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action) == 0 &&
	    action.sa_handler == SIG_IGN) {
		action.sa_handler = SIG_DFL;
		sigaction(SIGCHLD, &action, NULL);
	}
}

static void wait_for(pid_t pid)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR)
		;
}

/* A kernel before 5.2 makes the process and no descriptor of it. */
static void give_up(struct launched *launched)
{
	kill(launched->pid, SIGKILL);
	wait_for(launched->pid);
	launched->error = ENOSYS;
}

static void start(struct child *child, char *stack, struct launched *launched)
{
	const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
	uint64_t before;

	set_mask(~(uint64_t)0, &before);
	launched->pid = clone(run_child, stack + STACK, flags, child,
			      &launched->pidfd, NULL, NULL);
	if (launched->pid < 0)
		child->error = errno;
	set_mask(before, NULL);
}

bool launch_start(const struct launch *launch, struct launched *launched)
{
	struct child child = { .launch = launch, .parent = getpid() };
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	*launched = (struct launched){ .pid = -1, .pidfd = -1 };
	if (stack == MAP_FAILED) {
		launched->error = errno;
		return false;
	}
	heed_children();
	start(&child, stack, launched);
	munmap(stack, STACK);
	launched->error = child.error;
	launched->in_dir = child.in_dir;
	if (launched->pid > 0 && child.error)
		wait_for(launched->pid);
	else if (launched->pid > 0 && launched->pidfd < 0)
		give_up(launched);
	if (launched->error && launched->pidfd >= 0)
		close(launched->pidfd);
	return !launched->error;
}

/* ---- PATH ---- */

static int look_at(const char *file)
{
	struct stat st;

	if (stat(file, &st) != 0)
		return errno;
	return S_ISREG(st.st_mode) &&
			       faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) == 0
		       ? 0
		       : EACCES;
}

int launch_find(const char *name, const char *path, char *file, size_t size)
{
	const char *folder = path ? path : default_path;
	int error = ENOENT;

	if (strchr(name, '/'))
		return snprintf(file, size, "%s", name) < (int)size
			       ? 0
			       : ENAMETOOLONG;
	while (*folder && *name) {
		size_t len = strcspn(folder, ":");

		if (*folder == '/' && snprintf(file, size, "%.*s/%s", (int)len,
					       folder, name) < (int)size) {
			int found = look_at(file);

			if (found == 0)
				return 0;
			if (found == EACCES)
				error = EACCES;
		}
		folder += len + (folder[len] == ':');
	}
	return error;
}
