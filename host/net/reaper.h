/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for children that were killed and whose loop ends before they have.
 * Any thread.
 */
#ifndef NET_REAPER_H
#define NET_REAPER_H

#include <sys/types.h>

/* PID is a child of ours that leads a group, which nobody has waited for and
 * nobody else will. Where lunex is the init process of a container it takes the
 * rest of the group, too, which has got SIGKILL. Does not wait itself, but
 * where there cannot be a thread more: then a little. */
void reaper_take(pid_t pid);

#endif
