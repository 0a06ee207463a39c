/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command with what it gets, started: the descriptors, net/launch.h, and the
 * sentences that say why it could not be. Any thread; net/spawn.h has the rest
 * of its life.
 */
#ifndef NET_SPAWN_COMMAND_H
#define NET_SPAWN_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/err.h"

struct spawn_command {
	const char *const *argv; /* the command first; ended by NULL */
	const char *const *envp; /* ended by NULL; NULL: our environment */
	const char *dir;	 /* NULL: where we are */
	struct str input;	 /* NULL data: /dev/null */
};

/* What begins the sentences about it, for "%.*s": its first word, because one
 * that was given with its arguments in one string must not show them. */
int spawn_command_name_len(const struct spawn_command *command);
#define SPAWN_COMMAND_NAME(command)                                            \
	spawn_command_name_len(command), (command)->argv[0]

/* All are the caller's: a child to be waited for, and descriptors. */
struct spawn_command_started {
	pid_t pid;
	int pidfd;
	int out, err; /* to read what it writes; blocking */
};

/* Codes of a failure as in net/spawn.h. */
bool spawn_command_start(const struct spawn_command *command,
			 struct spawn_command_started *started,
			 struct err *err);

#endif
