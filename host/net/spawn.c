/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is in one of two lists: in line, or running, that is holding a place.
 * It leaves the second when its process was waited for, so a run that is over
 * for whoever asked may stay a little longer (`done` is NULL then).
 *
 * As long as nobody has waited for a child, its number belongs to it, also as
 * that of its group. So the group is killed before the child is waited for,
 * always, and never afterwards.
 */
#include "net/spawn.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/mem.h"
#include "net/reaper.h"

enum { CHUNK = 64 << 10 };

/* What has a pipe of a command that has ended gets so many seconds. */
#define LINGER 0.1

/* A descriptor that the loop watches. The memory is uv's until it is closed. */
struct tap {
	uv_poll_t poll; /* first: the handle is freed by its address */
	int fd;
	struct spawn *spawn;
	struct buf *buf; /* NULL: the process itself */
};

enum { OUT, ERR, END, TAPS };

struct spawn {
	TAILQ_ENTRY(spawn) link;
	struct spawner *spawner;
	struct spawn_request request;
	pid_t pid; /* 0: in line */
	struct tap *taps[TAPS];
	double started;
	double due;
	bool failed;  /* before it began: `err` waits to be told */
	bool exited;  /* seen, and not waited for */
	bool refused; /* may not be killed */
	struct timer timer;
	spawn_done done;
	void *arg;
	struct err err;
	struct spawn_result result;
};

TAILQ_HEAD(spawns, spawn);

struct spawner {
	struct loop *loop;
	struct spawns line;
	struct spawns running;
	unsigned nrunning;
};

#define NAME(spawn) SPAWN_COMMAND_NAME(&(spawn)->request.command)

/* ---- taps ---- */

static void free_tap(uv_handle_t *handle)
{
	free(handle);
}

static void close_tap(struct tap **tap)
{
	struct tap *closing = *tap;

	if (!closing)
		return;
	*tap = NULL;
	uv_close((uv_handle_t *)&closing->poll, free_tap);
	close(closing->fd);
}

/* FD is the tap's, also after a failure. uv makes it non-blocking. */
static bool open_tap(struct spawn *spawn, int which, int fd, struct buf *buf,
		     uv_poll_cb on_event)
{
	struct tap *tap = mem_alloc(sizeof *tap);

	if (uv_poll_init(loop_uv(spawn->spawner->loop), &tap->poll, fd) != 0) {
		close(fd);
		free(tap);
		return false;
	}
	tap->fd = fd;
	tap->spawn = spawn;
	tap->buf = buf;
	spawn->taps[which] = tap;
	uv_poll_start(&tap->poll, UV_READABLE, on_event);
	return true;
}

/* ---- the end of a process ---- */

/* Has it ended? It stays to be waited for. Also true when somebody else has
 * waited for it (a C module of a script), and then it is not ours any more. */
static bool has_ended(struct spawn *spawn, siginfo_t *info)
{
	memset(info, 0, sizeof *info);
	while (waitid(P_PID, (id_t)spawn->pid, info,
		      WEXITED | WNOHANG | WNOWAIT) != 0) {
		if (errno == ECHILD)
			return true;
		if (errno != EINTR)
			return false;
	}
	return info->si_pid == spawn->pid;
}

static void kill_group(struct spawn *spawn)
{
	siginfo_t info;
	bool lost = has_ended(spawn, &info) && !info.si_pid;

	spawn->refused =
		!lost && kill(-spawn->pid, SIGKILL) != 0 && errno == EPERM;
}

static void free_spawn(struct spawn *spawn)
{
	timer_release(&spawn->timer);
	for (int i = 0; i < TAPS; i++)
		close_tap(&spawn->taps[i]);
	buf_release(&spawn->result.out);
	buf_release(&spawn->result.err);
	free(spawn);
}

static void fill_places(struct spawner *spawner);

/* The child is waited for, mostly at once, since it has ended; what is left of
 * its group goes with it. Its number is not ours afterwards. */
static void bury(struct spawn *spawn)
{
	kill_group(spawn);
	reaper_take(spawn->pid);
}

static void give_place_back(struct spawn *spawn)
{
	struct spawner *spawner = spawn->spawner;

	TAILQ_REMOVE(&spawner->running, spawn, link);
	spawner->nrunning--;
	free_spawn(spawn);
	fill_places(spawner);
}

/* The run is over for whoever asked; its process may need a moment to die. */
static void abandon(struct spawn *spawn)
{
	siginfo_t info;

	spawn->done = NULL;
	timer_release(&spawn->timer);
	close_tap(&spawn->taps[OUT]);
	close_tap(&spawn->taps[ERR]);
	if (spawn->taps[END] && !has_ended(spawn, &info))
		return;
	bury(spawn);
	give_place_back(spawn);
}

/* ---- what is told ----
 *
 * Each of these must be the last use of SPAWN, and of its spawner. */

static void tell_failure(struct spawn *spawn)
{
	spawn_done done = spawn->done;
	void *arg = spawn->arg;
	struct err err = spawn->err;

	if (spawn->pid) {
		abandon(spawn);
	} else {
		TAILQ_REMOVE(&spawn->spawner->line, spawn, link);
		free_spawn(spawn);
	}
	done(arg, NULL, &err);
}

static void tell_result(struct spawn *spawn, const siginfo_t *info)
{
	struct spawn_result result = spawn->result;
	spawn_done done = spawn->done;
	void *arg = spawn->arg;
	struct err err = spawn->err;
	bool ok = info->si_pid == spawn->pid;

	if (!ok)
		err_set(&err, ERR_IO,
			"%.*s: its end is not known, something else in this "
			"process has waited for it",
			NAME(spawn));
	else if (info->si_code == CLD_EXITED)
		result.status = info->si_status;
	else
		result.signal = info->si_status;
	buf_init(&spawn->result.out, 0);
	buf_init(&spawn->result.err, 0);
	bury(spawn);
	give_place_back(spawn);
	done(arg, ok ? &result : NULL, ok ? NULL : &err);
	buf_release(&result.out);
	buf_release(&result.err);
}

static void tell_overflow(struct spawn *spawn, const struct tap *tap)
{
	kill_group(spawn);
	err_set(&spawn->err, ERR_LIMIT,
		"%.*s: wrote more than %zu bytes to %s, killed", NAME(spawn),
		spawn->request.max,
		tap->buf == &spawn->result.out ? "stdout" : "stderr");
	tell_failure(spawn);
}

static void tell_timeout(struct spawn *spawn)
{
	if (!spawn->pid) {
		err_set(&spawn->err, ERR_TIMEOUT,
			"%.*s: not begun within %.3g s, as %d others are "
			"running",
			NAME(spawn), spawn->request.timeout, SPAWN_PLACES);
	} else {
		kill_group(spawn);
		err_set(&spawn->err, ERR_TIMEOUT,
			"%.*s: still running after %.3g s, %s", NAME(spawn),
			spawn->request.timeout,
			spawn->refused ? "and we may not kill it" : "killed");
	}
	tell_failure(spawn);
}

/* ---- output ---- */

/* Reads once. False when there is nothing now, or the pipe is at its end: then
 * the tap is closed. Too much is marked in the buffer. */
static bool read_some(struct spawn *spawn, int which)
{
	char chunk[CHUNK];
	struct tap *tap = spawn->taps[which];
	ssize_t n = read(tap->fd, chunk, sizeof chunk);

	if (n > 0)
		return buf_add(tap->buf, chunk, (size_t)n);
	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0 || errno != EAGAIN)
		close_tap(&spawn->taps[which]);
	return false;
}

/* What the pipe holds; a full buffer ends it, too. */
static struct tap *drain(struct spawn *spawn)
{
	for (int which = OUT; which <= ERR; which++) {
		while (spawn->taps[which] && read_some(spawn, which))
			;
		if (spawn->taps[which] && spawn->taps[which]->buf->full)
			return spawn->taps[which];
	}
	return NULL;
}

static bool is_at_end(const struct spawn *spawn)
{
	return spawn->exited && !spawn->taps[OUT] && !spawn->taps[ERR];
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	struct tap *tap = (struct tap *)poll;
	struct spawn *spawn = tap->spawn;
	int which = spawn->taps[OUT] == tap ? OUT : ERR;
	siginfo_t info;

	(void)events;
	if (status < 0)
		close_tap(&spawn->taps[which]);
	else
		read_some(spawn, which);
	if (spawn->taps[which] && tap->buf->full)
		tell_overflow(spawn, tap);
	else if (is_at_end(spawn) && has_ended(spawn, &info))
		tell_result(spawn, &info);
}

/* ---- the course of a run ---- */

/* The command has ended. Most have left nobody behind who has the pipes. */
static void on_ended(struct spawn *spawn, const siginfo_t *info)
{
	struct tap *full;
	double left = spawn->due - loop_now(spawn->spawner->loop);

	spawn->exited = true;
	close_tap(&spawn->taps[END]);
	spawn->result.seconds = loop_now(spawn->spawner->loop) - spawn->started;
	full = drain(spawn);
	if (full)
		tell_overflow(spawn, full);
	else if (is_at_end(spawn))
		tell_result(spawn, info);
	else
		timer_start(&spawn->timer, fmin(LINGER, left));
}

static void on_end(uv_poll_t *poll, int status, int events)
{
	struct spawn *spawn = ((struct tap *)poll)->spawn;
	siginfo_t info;

	(void)status;
	(void)events;
	if (!has_ended(spawn, &info))
		return;
	if (spawn->done) {
		on_ended(spawn, &info);
	} else {
		bury(spawn);
		give_place_back(spawn);
	}
}

static void on_linger(struct spawn *spawn)
{
	struct tap *full = drain(spawn);
	siginfo_t info;

	has_ended(spawn, &info);
	if (full)
		tell_overflow(spawn, full);
	else
		tell_result(spawn, &info);
}

/* Timers come before descriptors in a round of the loop, and a script may have
 * kept it busy: then the command may have ended in time. */
static void on_timer(struct timer *timer)
{
	struct spawn *spawn =
		(struct spawn *)(void *)((char *)timer -
					 offsetof(struct spawn, timer));
	siginfo_t info;

	if (spawn->failed)
		tell_failure(spawn);
	else if (spawn->exited)
		on_linger(spawn);
	else if (spawn->pid && has_ended(spawn, &info))
		on_ended(spawn, &info);
	else
		tell_timeout(spawn);
}

/* ---- beginning ---- */

static bool watch(struct spawn *spawn, const struct spawn_command_started *at)
{
	struct spawn_result *result = &spawn->result;
	bool ok = open_tap(spawn, END, at->pidfd, NULL, on_end);

	/* All three are tried, so that each descriptor has an owner. */
	ok &= open_tap(spawn, OUT, at->out, &result->out, on_output);
	ok &= open_tap(spawn, ERR, at->err, &result->err, on_output);
	return ok;
}

static void move_to_running(struct spawn *spawn, pid_t pid)
{
	struct spawner *spawner = spawn->spawner;

	spawn->pid = pid;
	TAILQ_REMOVE(&spawner->line, spawn, link);
	TAILQ_INSERT_TAIL(&spawner->running, spawn, link);
	spawner->nrunning++;
}

static bool begin(struct spawn *spawn)
{
	struct spawn_command_started at;

	spawn->started = loop_now(spawn->spawner->loop);
	if (!spawn_command_start(&spawn->request.command, &at, &spawn->err))
		return false;
	move_to_running(spawn, at.pid);
	if (watch(spawn, &at))
		return true;
	kill_group(spawn);
	return err_set(&spawn->err, ERR_IO, "%.*s: cannot be watched",
		       NAME(spawn));
}

/* Nothing is told from here: whoever calls may be inside of spawn_start(). */
static void fill_places(struct spawner *spawner)
{
	struct spawn *spawn, *next;

	for (spawn = TAILQ_FIRST(&spawner->line);
	     spawn && spawner->nrunning < SPAWN_PLACES; spawn = next) {
		next = TAILQ_NEXT(spawn, link);
		if (spawn->failed || begin(spawn))
			continue;
		spawn->failed = true;
		timer_start(&spawn->timer, 0);
	}
}

/* What a single run may bring. */
static bool check_size(struct spawn *spawn)
{
	const struct spawn_request *request = &spawn->request;
	size_t n = 0;

	while (request->command.argv[n])
		n++;
	if (n > SPAWN_ARGUMENTS_MAX)
		return err_set(&spawn->err, ERR_IO,
			       "%.*s: has %zu arguments, at most %d are passed",
			       NAME(spawn), n - 1, SPAWN_ARGUMENTS_MAX - 1);
	if (request->command.input.len > SPAWN_INPUT_MAX)
		return err_set(&spawn->err, ERR_IO,
			       "%.*s: its input has %zu bytes, at most %d are "
			       "passed",
			       NAME(spawn), request->command.input.len,
			       SPAWN_INPUT_MAX);
	return true;
}

struct spawn *spawn_start(struct spawner *spawner,
			  const struct spawn_request *request, spawn_done done,
			  void *arg)
{
	struct spawn *spawn = mem_alloc(sizeof *spawn);

	spawn->spawner = spawner;
	spawn->request = *request;
	spawn->done = done;
	spawn->arg = arg;
	spawn->due = loop_now(spawner->loop) + request->timeout;
	buf_init(&spawn->result.out, request->max);
	buf_init(&spawn->result.err, request->max);
	timer_init(spawner->loop, &spawn->timer, on_timer);
	timer_start(&spawn->timer, request->timeout);
	TAILQ_INSERT_TAIL(&spawner->line, spawn, link);
	spawn->failed = !check_size(spawn);
	if (spawn->failed)
		timer_start(&spawn->timer, 0);
	fill_places(spawner);
	return spawn;
}

void spawn_cancel(struct spawn *spawn)
{
	if (spawn->pid) {
		kill_group(spawn);
		abandon(spawn);
		return;
	}
	TAILQ_REMOVE(&spawn->spawner->line, spawn, link);
	free_spawn(spawn);
}

/* ---- spawners ---- */

struct spawner *spawner_new(struct loop *loop)
{
	struct spawner *spawner = mem_alloc(sizeof *spawner);

	spawner->loop = loop;
	TAILQ_INIT(&spawner->line);
	TAILQ_INIT(&spawner->running);
	return spawner;
}

void spawner_free(struct spawner *spawner)
{
	struct spawn *spawn;

	if (!spawner)
		return;
	while ((spawn = TAILQ_FIRST(&spawner->line)) != NULL) {
		TAILQ_REMOVE(&spawner->line, spawn, link);
		free_spawn(spawn);
	}
	while ((spawn = TAILQ_FIRST(&spawner->running)) != NULL) {
		TAILQ_REMOVE(&spawner->running, spawn, link);
		bury(spawn);
		free_spawn(spawn);
	}
	free(spawner);
}

unsigned spawner_running(const struct spawner *spawner)
{
	return spawner->nrunning;
}

unsigned spawner_waiting(const struct spawner *spawner)
{
	struct spawn *spawn;
	unsigned n = 0;

	TAILQ_FOREACH(spawn, &spawner->line, link)
	n++;
	return n;
}
