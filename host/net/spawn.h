/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that are run to their end, their output collected: what
 * process.run() stands on. One thread: the loop's.
 *
 * A command is the leader of a session of its own. When it is over, has taken
 * too long, has said too much, or nobody wants it any more, everything that is
 * left of its process group gets SIGKILL. What it has put into another session
 * escapes. A result is there when the command has ended and its output is at an
 * end, or soon after: somebody in the background may hold the pipe for ever.
 *
 * Every child is waited for: here, or by net/reaper.h when the spawner is gone
 * before the child is. One that cannot be killed at once (it hangs in the
 * kernel, or runs as somebody else) keeps its place until it has ended.
 *
 * Sentences name the command, never its arguments, environment or input.
 */
#ifndef NET_SPAWN_H
#define NET_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "net/loop.h"
#include "net/spawn_command.h"

struct spawner;
struct spawn;

enum {
	SPAWN_PLACES = 16, /* processes of one spawner; more wait in line */
	SPAWN_ARGUMENTS_MAX = 1000,
	SPAWN_INPUT_MAX = 16 << 20,
	SPAWN_OUTPUT = 1 << 20, /* of each stream, unless told otherwise */
	SPAWN_OUTPUT_MAX = 16 << 20,
};

struct spawn_request {
	struct spawn_command command; /* borrowed until the run is over */
	double timeout;		      /* with the wait for a place */
	size_t max;		      /* bytes of each stream */
};

struct spawn_result {
	int status;	/* its exit status, or */
	int signal;	/* the signal that ended it; 0: it exited */
	double seconds; /* from its start to its end */
	struct buf out; /* the receiver may take them */
	struct buf err;
};

/*
 * How it ended; called once, in the loop's thread, never from inside
 * spawn_start(). One of RESULT and ERR is NULL. Codes: ERR_USAGE no such
 * command, ERR_DENIED it may not be executed, ERR_TIMEOUT, ERR_LIMIT too much
 * output, ERR_IO anything else. It may start others and free the spawner.
 */
typedef void (*spawn_done)(void *arg, struct spawn_result *result,
			   const struct err *err);

struct spawner *spawner_new(struct loop *loop);

/* Kills all that runs and forgets it; nobody is told. NULL is allowed. */
void spawner_free(struct spawner *spawner);

/* Runs a command when there is a place. The answer is valid until DONE is
 * called. */
struct spawn *spawn_start(struct spawner *spawner,
			  const struct spawn_request *request, spawn_done done,
			  void *arg);

/* Kills it now, or takes it out of the line; DONE is not called. */
void spawn_cancel(struct spawn *spawn);

/* Processes that have not been waited for, and those that wait for a place. */
unsigned spawner_running(const struct spawner *spawner);
unsigned spawner_waiting(const struct spawner *spawner);

#endif
