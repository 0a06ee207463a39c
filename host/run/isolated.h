/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a script that is not trusted declares, for the command line: it is
 * loaded in a sandbox, in a state and a thread of its own, where it meets the
 * command line's scripts, files and functions nowhere, and cannot keep it
 * waiting. Only plain data comes out (run/plain.h). Any thread.
 */
#ifndef RUN_ISOLATED_H
#define RUN_ISOLATED_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

struct isolated {
	struct buf declared; /* what the command line looks at of the table */
	struct buf advice;   /* a list of sentences, if it was checked */
};

/*
 * Loads the script at PATH; with CHECK its metrics are tried, too. It may not
 * go anywhere on the network. False and ERR, also when it is still loading
 * after some seconds: then its thread is left behind, and when there are too
 * many of these nothing is loaded any more.
 */
bool isolated_load(struct isolated *isolated, const char *path, bool check,
		   struct err *err);
void isolated_release(struct isolated *isolated);

#endif
