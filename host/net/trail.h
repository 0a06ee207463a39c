/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a file: every folder and every symbolic link that leads to it. Any
 * of them can be what changes: a ConfigMap is script.lua -> ..data/script.lua
 * and ..data -> ..2026_x, of which only ..data is ever replaced.
 */
#ifndef NET_TRAIL_H
#define NET_TRAIL_H

#include <stdbool.h>

#include "net/notify.h"
#include "net/seen.h"

/* Marks the way to SEEN, as far as there is one, in the round of NOTIFY. False
 * when not all changes of it will be told, so that it must be polled. */
bool trail_mark(struct notify *notify, const struct seen *seen);

#endif
