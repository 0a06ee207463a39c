/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to an exporter that may be answered later than its asker waits,
 * or never: an allocation of its own, which holds the roster that it was asked
 * under until then. At most one is open in each place. Belongs to the thread of
 * the asker.
 */
#ifndef RUN_TICKET_H
#define RUN_TICKET_H

#include <stdbool.h>

#include "net/loop.h"
#include "run/exporter.h"
#include "run/roster.h"

struct ticket;

struct ticket_options {
	struct ticket **place; /* of the ticket until it is answered, or left */
	struct roster *roster; /* has the exporter; a reference is taken */
	struct exporter *exporter;
	struct loop *asker;
	double seconds; /* see exporter_question */
	void (*answered)(void *arg);
	void *arg;
};

/* Asks; it frees itself when it is answered. */
struct ticket *ticket_new(const struct ticket_options *options);

/* The asker gave up: `answered` will not be called. */
void ticket_give_up(struct ticket *ticket);

/* Its place is used for something else from now on. NULL is allowed. */
void ticket_leave(struct ticket *ticket);

/* `arg`, or NULL when the asker gave up. */
void *ticket_asker(const struct ticket *ticket);

/* Was that exporter asked? */
bool ticket_is_for(const struct ticket *ticket,
		   const struct exporter *exporter);

#endif
