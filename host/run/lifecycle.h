/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST and PUT /-/reload: asks for a reload and answers when it is over. In the
 * web thread.
 */
#ifndef RUN_LIFECYCLE_H
#define RUN_LIFECYCLE_H

#include <stdbool.h>

#include "net/loop.h"
#include "run/reload.h"
#include "web/request.h"

/* Requests that wait for a reload, at the same time. */
enum { LIFECYCLE_MAX = 64 };

struct lifecycle_options {
	struct loop *loop; /* of the web thread */
	bool enabled;	   /* else every request is refused */
	struct reload *reload;
	/* reload_ask(), or another one in specs. NULL: there is nothing that
	 * could be reloaded, and every request is refused. */
	void (*ask)(struct reload_request *request);
	double seconds; /* 0: 120 */
};

struct lifecycle;

struct lifecycle *lifecycle_new(const struct lifecycle_options *options);

/* After the last answer has come. NULL is allowed. */
void lifecycle_free(struct lifecycle *lifecycle);

/* The handler; ARG is the lifecycle. */
void lifecycle_handle(struct request *request, void *arg);

#endif
