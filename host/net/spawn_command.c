/* SPDX-License-Identifier: Apache-2.0 */
#include "net/spawn_command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "net/launch.h"

enum { STDIO = 3, NAME_SHOWN = 100 };

int spawn_command_name_len(const struct spawn_command *command)
{
	size_t len = strcspn(command->argv[0], " \t\r\n");

	return len < NAME_SHOWN ? (int)len : NAME_SHOWN;
}

/* ---- descriptors ---- */

/* Descriptors of the child's, and ours of its pipes. */
struct ends {
	int in, out, err;
	int from_out, from_err;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A program that was started with its standard streams closed gets their
 * numbers for anything else. */
static int above_stdio(int fd)
{
	int other;

	if (fd < 0 || fd >= STDIO)
		return fd;
	other = fcntl(fd, F_DUPFD_CLOEXEC, STDIO);
	close_fd(&fd);
	return other;
}

static bool open_pipe(int *from, int *to)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	*from = above_stdio(fds[0]);
	*to = above_stdio(fds[1]);
	return *from >= 0 && *to >= 0;
}

/* A file in memory and no pipe: nobody has to write while the command runs, and
 * it may leave as much of it unread as it likes. */
static int input_file(struct str input)
{
	int fd = memfd_create("stdin", MFD_CLOEXEC);

	for (size_t done = 0; fd >= 0 && done < input.len;) {
		ssize_t n = write(fd, input.data + done, input.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			close_fd(&fd);
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static bool open_ends(const struct spawn_command *command, struct ends *ends)
{
	*ends = (struct ends){ -1, -1, -1, -1, -1 };
	ends->in = above_stdio(
		command->input.data ? input_file(command->input)
				    : open("/dev/null", O_RDONLY | O_CLOEXEC));
	return ends->in >= 0 && open_pipe(&ends->from_out, &ends->out) &&
	       open_pipe(&ends->from_err, &ends->err);
}

static void close_ends(struct ends *ends)
{
	close_fd(&ends->in);
	close_fd(&ends->out);
	close_fd(&ends->err);
	close_fd(&ends->from_out);
	close_fd(&ends->from_err);
}

/* ---- sentences ---- */

static const char *reason(int error)
{
	if (error == ENOEXEC || error == ELIBBAD) /* unknown to uv */
		return "not a program for this machine, nor a script that "
		       "begins with #!";
	return uv_strerror(uv_translate_sys_error(error));
}

static bool fail_to_start(const struct spawn_command *command, int error,
			  struct err *err)
{
	return err_set(err, ERR_IO, "%.*s: cannot be started: %s%s",
		       SPAWN_COMMAND_NAME(command), reason(error),
		       error == EMFILE	 ? " (ulimit -n)"
		       : error == EAGAIN ? " (too many processes)"
		       : error == ENOSYS ? " (Linux 5.4 has what it takes)"
					 : "");
}

/* FILE was found, or has a slash and may not be there; "": it was not. */
static bool fail_to_execute(const struct spawn_command *command,
			    const char *file, int error, struct err *err)
{
	/* Seen from another folder it may be something else. */
	bool is_there =
		(*file == '/' || !command->dir) && access(file, F_OK) == 0;

	if (error == ENOENT && is_there)
		return err_set(err, ERR_IO,
			       "%.*s: the interpreter in its first line: %s",
			       SPAWN_COMMAND_NAME(command), reason(error));
	return err_set(err,
		       error == ENOENT || error == ENOTDIR ? ERR_USAGE
		       : error == EACCES || error == EPERM ? ERR_DENIED
							   : ERR_IO,
		       "%.*s: %s", SPAWN_COMMAND_NAME(command), reason(error));
}

/* ERR_USAGE is for a command that is not there, not for its folder. */
static bool fail_in_dir(const struct spawn_command *command, int error,
			struct err *err)
{
	return err_set(err, ERR_IO, "%.*s: the folder to run it in: %s",
		       SPAWN_COMMAND_NAME(command), reason(error));
}

static bool fail(const struct spawn_command *command,
		 const struct launched *launched, const char *file,
		 struct err *err)
{
	if (launched->in_dir)
		return fail_in_dir(command, launched->error, err);
	if (launched->pid < 0 || launched->pidfd < 0)
		return fail_to_start(command, launched->error, err);
	return fail_to_execute(command, file, launched->error, err);
}

/* ---- starting ---- */

static const char *path_of(const char *const *envp)
{
	for (; *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return NULL;
}

static bool execute(const struct spawn_command *command,
		    const struct ends *ends, struct launched *launched,
		    struct err *err)
{
	const char *const *envp =
		command->envp ? command->envp : (const char *const *)environ;
	char file[PATH_MAX];
	struct launch launch = {
		.file = file,
		.argv = command->argv,
		.envp = envp,
		.dir = command->dir,
		.in = ends->in,
		.out = ends->out,
		.err = ends->err,
	};
	int error =
		launch_find(command->argv[0], path_of(envp), file, sizeof file);

	if (error)
		return fail_to_execute(command, "", error, err);
	return launch_start(&launch, launched) ||
	       fail(command, launched, file, err);
}

bool spawn_command_start(const struct spawn_command *command,
			 struct spawn_command_started *started, struct err *err)
{
	struct launched launched;
	struct ends ends;
	bool ok = open_ends(command, &ends)
			  ? execute(command, &ends, &launched, err)
			  : fail_to_start(command, errno, err);

	if (ok) {
		*started = (struct spawn_command_started){
			.pid = launched.pid,
			.pidfd = launched.pidfd,
			.out = ends.from_out,
			.err = ends.from_err,
		};
		ends.from_out = -1;
		ends.from_err = -1;
	}
	close_ends(&ends);
	return ok;
}
