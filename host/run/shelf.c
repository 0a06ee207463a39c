/* SPDX-License-Identifier: Apache-2.0 */
#include "run/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "web/page_response.h"

enum { ENCODINGS = ENCODING_ZSTD + 1 };

/* A body: when it was last asked for, and the responses that send it. */
struct kept_body {
	bool wanted;
	double asked;
	size_t n;
	struct {
		char *type;
		struct response *response;
	} responses[SHELF_TYPES_MAX];
};

struct kept {
	struct kept *next;
	const void *of;
	struct exposition *exposition;
	struct kept_body bodies[ENCODINGS];
};

struct shelf {
	double seconds;
	struct kept *list;
};

/* ---- places ---- */

static void drop_responses(struct kept_body *body)
{
	while (body->n) {
		body->n--;
		response_unref(body->responses[body->n].response);
		free(body->responses[body->n].type);
	}
}

static void take_out(struct kept **place)
{
	struct kept *kept = *place;

	*place = kept->next;
	for (int i = 0; i < ENCODINGS; i++)
		drop_responses(&kept->bodies[i]);
	exposition_unref(kept->exposition);
	free(kept);
}

static double asked(const struct kept *kept)
{
	double last = 0;

	for (int i = 0; i < ENCODINGS; i++)
		if (kept->bodies[i].wanted && kept->bodies[i].asked > last)
			last = kept->bodies[i].asked;
	return last;
}

/* Makes room for one more form. */
static void keep_few(struct shelf *shelf, const void *of)
{
	struct kept **oldest = NULL;
	size_t n = 0;

	for (struct kept **p = &shelf->list; *p; p = &(*p)->next) {
		if ((*p)->of != of)
			continue;
		n++;
		if (!oldest || asked(*p) < asked(*oldest))
			oldest = p;
	}
	if (n >= SHELF_FORMS_MAX)
		take_out(oldest);
}

static struct kept *place_for(struct shelf *shelf, const void *of,
			      struct form form)
{
	struct kept *kept;

	for (kept = shelf->list; kept; kept = kept->next)
		if (kept->of == of &&
		    form_same(exposition_form(kept->exposition), form))
			return kept;
	keep_few(shelf, of);
	kept = mem_alloc(sizeof *kept);
	kept->of = of;
	kept->next = shelf->list;
	return shelf->list = kept;
}

struct kept *shelf_ask(struct shelf *shelf, const void *of, struct form form,
		       enum encoding encoding, struct page *const *pages,
		       size_t n, double now)
{
	struct kept *kept = place_for(shelf, of, form);
	struct exposition *former = kept->exposition;

	if (!former || !exposition_shows(former, pages, n)) {
		kept->exposition = exposition_begin(pages, n, form, former);
		exposition_unref(former);
		for (int i = 0; i < ENCODINGS; i++)
			drop_responses(&kept->bodies[i]);
	}
	kept->bodies[encoding].wanted = true;
	kept->bodies[encoding].asked = now;
	return kept;
}

struct exposition *kept_exposition(const struct kept *kept)
{
	return kept->exposition;
}

/* ---- responses ---- */

struct response *kept_response(const struct kept *kept, enum encoding encoding,
			       const char *content_type)
{
	const struct kept_body *body = &kept->bodies[encoding];

	for (size_t i = 0; i < body->n; i++)
		if (strcmp(body->responses[i].type, content_type) == 0)
			return body->responses[i].response;
	return NULL;
}

static void keep(struct kept_body *body, struct response *response,
		 const char *content_type)
{
	if (body->n == SHELF_TYPES_MAX)
		drop_responses(body);
	body->responses[body->n].type = mem_string(content_type);
	body->responses[body->n].response = response_ref(response);
	body->n++;
}

struct response *shelf_respond(struct shelf *shelf,
			       struct exposition *exposition,
			       enum encoding encoding, const char *content_type)
{
	struct kept *kept = shelf->list;
	struct response *response;

	while (kept && kept->exposition != exposition)
		kept = kept->next;
	response = kept ? kept_response(kept, encoding, content_type) : NULL;
	if (response)
		return response_ref(response);
	response = page_response(exposition, encoding, content_type);
	if (kept && kept->bodies[encoding].wanted)
		keep(&kept->bodies[encoding], response, content_type);
	return response;
}

/* ---- giving up ---- */

/* Seconds until its last body may go; 0: none is left. */
static double sweep_place(struct shelf *shelf, struct kept *kept, double now,
			  bool *freed)
{
	double least = 0;

	for (int i = 0; i < ENCODINGS; i++) {
		struct kept_body *body = &kept->bodies[i];
		double left = body->asked + shelf->seconds - now;

		if (!body->wanted)
			continue;
		if (left > 0) {
			least = least > 0 && least < left ? least : left;
			continue;
		}
		body->wanted = false;
		*freed = true;
		drop_responses(body);
		exposition_forget(kept->exposition, (enum encoding)i);
	}
	return least;
}

double shelf_sweep(struct shelf *shelf, double now, bool *freed)
{
	double least = 0;

	*freed = false;
	for (struct kept **p = &shelf->list; *p;) {
		double left = sweep_place(shelf, *p, now, freed);

		if (left > 0) {
			least = least > 0 && least < left ? least : left;
			p = &(*p)->next;
		} else {
			take_out(p);
		}
	}
	return least;
}

/* ---- life ---- */

struct shelf *shelf_new(double seconds)
{
	struct shelf *shelf = mem_alloc(sizeof *shelf);

	shelf->seconds = seconds;
	return shelf;
}

void shelf_free(struct shelf *shelf)
{
	if (!shelf)
		return;
	while (shelf->list)
		take_out(&shelf->list);
	free(shelf);
}
