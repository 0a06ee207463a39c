/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page at /: the exporters, how they are, what went wrong, and what became
 * of the latest reload. One document: no script, nothing from elsewhere. In the
 * web thread.
 */
#ifndef RUN_LANDING_H
#define RUN_LANDING_H

#include "run/pusher.h"
#include "run/roster.h"
#include "web/request.h"

/* A script that is alone may have a text of its own for clients that are no
 * browsers. PUSHER may be NULL: nothing is pushed. */
void landing_answer(struct request *request, const struct roster *roster,
		    const struct pusher *pusher, const char *telemetry_path);

#endif
