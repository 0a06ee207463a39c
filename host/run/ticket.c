/* SPDX-License-Identifier: Apache-2.0 */
#include "run/ticket.h"

#include <stdlib.h>

#include "core/mem.h"

struct ticket {
	struct exporter_question question; /* first */
	struct ticket **place;
	struct roster *roster;
	void (*answered)(void *arg);
	void *arg;
};

static void on_answered(struct exporter_question *question)
{
	struct ticket *ticket = (void *)question;

	ticket_leave(ticket);
	if (ticket->arg)
		ticket->answered(ticket->arg);
	roster_unref(ticket->roster);
	free(ticket);
}

struct ticket *ticket_new(const struct ticket_options *options)
{
	struct ticket *ticket = mem_alloc(sizeof *ticket);

	ticket->place = options->place;
	*ticket->place = ticket;
	ticket->roster = roster_ref(options->roster);
	ticket->answered = options->answered;
	ticket->arg = options->arg;
	ticket->question.exporter = options->exporter;
	ticket->question.asker = options->asker;
	ticket->question.seconds = options->seconds;
	ticket->question.answered = on_answered;
	exporter_ask(&ticket->question);
	return ticket;
}

void ticket_give_up(struct ticket *ticket)
{
	ticket->arg = NULL;
}

void ticket_leave(struct ticket *ticket)
{
	if (ticket && ticket->place)
		*ticket->place = NULL;
	if (ticket)
		ticket->place = NULL;
}

void *ticket_asker(const struct ticket *ticket)
{
	return ticket->arg;
}

bool ticket_is_for(const struct ticket *ticket, const struct exporter *exporter)
{
	return ticket->question.exporter == exporter;
}
