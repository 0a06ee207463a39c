/* SPDX-License-Identifier: Apache-2.0 */
#include "run/probe.h"

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/exposition.h"
#include "core/mem.h"
#include "run/scrape.h"

#define PLAIN "text/plain; charset=utf-8"

/* For an exporter that ends at its deadline to say so. */
static const double grace = 0.2;

enum { SENTENCE_MAX = 4096, DEBUG_MAX = 64 << 20 };

struct probes {
	struct loop *loop;
	struct roster *roster; /* the present one */
	struct serve *serve;
};

/* A probe with what the web thread knows about it. */
struct open_probe {
	struct probe probe; /* first */
	struct probes *probes;
	struct roster *roster;	 /* that it began with */
	struct board *board;	 /* where it is counted */
	struct request *request; /* NULL: answered without the exporter */
};

void probe_release(struct probe *probe)
{
	for (size_t i = 0; i < probe->npages; i++)
		page_unref(probe->pages[i]);
	pairs_release(&probe->params);
	free(probe->target);
	free(probe->trace);
}

/* ---- answers ---- */

static void answer_pages(const struct open_probe *open)
{
	struct probes *probes = open->probes;
	const struct serve_order order = {
		.request = open->request,
		.pages = open->probe.pages,
		.n = open->probe.npages,
		.seconds = serve_seconds(open->request, loop_now(probes->loop)),
	};

	serve_pages(probes->serve, &order);
}

/* The trace, and the page below it. */
static void answer_trace(const struct open_probe *open)
{
	const struct probe *probe = &open->probe;
	struct exposition *exposition =
		exposition_new(probe->pages, probe->npages, form_plain, NULL);
	struct buf text;

	buf_init(&text, DEBUG_MAX);
	buf_addstr(&text, probe->trace);
	buf_addch(&text, '\n');
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *bytes = exposition_text(exposition, i);

		buf_add(&text, bytes->data, bytes->len);
		bytes_unref(bytes);
	}
	request_answer_text(open->request, 200, PLAIN, buf_text(&text));
	buf_release(&text);
	exposition_unref(exposition);
}

static void answer(const struct open_probe *open)
{
	if (!open->probe.npages)
		request_answer_text(open->request, 503, PLAIN,
				    "the exporter is stopping\n");
	else if (open->probe.trace)
		answer_trace(open);
	else
		answer_pages(open);
}

static void answered(struct probe *probe)
{
	struct open_probe *open = (void *)probe;

	open->board->probes--;
	if (open->request)
		answer(open);
	probe_release(probe);
	board_unref(open->board);
	roster_unref(open->roster);
	free(open);
}

static void expired(struct request *request, void *arg)
{
	struct open_probe *open = arg;

	open->request = NULL;
	if (request_stopping(request))
		request_answer_text(request, 503, PLAIN, "lunex is stopping\n");
	else
		request_answer_text(request, 503, PLAIN,
				    "the exporter does not answer in time\n");
}

/* ---- what is asked for ---- */

/* "SENTENCE; there are: a, b" */
static void refuse(struct request *request, unsigned status,
		   const char *sentence, struct buf *names)
{
	struct buf text;

	buf_init(&text, SENTENCE_MAX);
	buf_addstr(&text, sentence);
	if (names && names->len)
		buf_addf(&text, "; there are: %s", buf_text(names));
	else if (names)
		buf_addstr(&text, "; there are none");
	buf_addch(&text, '\n');
	request_answer_text(request, status, PLAIN, buf_text(&text));
	buf_release(&text);
	if (names)
		buf_release(names);
}

static void add_name(struct buf *names, const char *name)
{
	if (names->len)
		buf_addstr(names, ", ");
	buf_addstr(names, name);
}

static bool can_probe(const struct roster_entry *entry)
{
	return entry->exporter &&
	       exporter_declaration(entry->exporter)->has_probe;
}

static void refuse_exporter(const struct roster *roster,
			    struct request *request, unsigned status,
			    const char *sentence)
{
	struct buf names;

	buf_init(&names, SENTENCE_MAX / 2);
	for (size_t i = 0; i < roster->n; i++)
		if (can_probe(&roster->entries[i]))
			add_name(&names, roster->entries[i].name);
	refuse(request, status, sentence, &names);
}

/* The one that NAME (NULL: none was given) means. */
static const struct roster_entry *named_entry(const struct roster *roster,
					      const char *name)
{
	if (name)
		return roster_find(roster, name);
	return roster->n ? &roster->entries[0] : NULL;
}

/* The exporter that is asked for; NULL: REQUEST is answered. */
static struct exporter *find_exporter(const struct roster *roster,
				      struct request *request)
{
	const char *name = request_query(request, "exporter");
	const struct roster_entry *entry = named_entry(roster, name);

	if (!name && roster->n > 1)
		refuse_exporter(roster, request, 400,
				"which one? /probe?exporter=NAME&target=...");
	else if (!entry)
		refuse_exporter(roster, request, 404,
				"no exporter of that name can probe");
	else if (!entry->exporter)
		scrape_refuse_broken(entry, request);
	else if (!can_probe(entry))
		refuse_exporter(roster, request, 400,
				"that exporter has no probe");
	else
		return entry->exporter;
	return NULL;
}

/* "https://user:password@host": a query is kept in the logs of everybody. */
static bool has_credentials(const char *target)
{
	const char *host = strstr(target, "://");

	host = host ? host + 3 : target;
	return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

static const char *find_target(struct request *request)
{
	const char *target = request_query(request, "target");

	if (!target || !*target) {
		refuse(request, 400,
		       "the parameter 'target' is missing: "
		       "/probe?exporter=NAME&target=...",
		       NULL);
		return NULL;
	}
	if (has_credentials(target)) {
		refuse(request, 400,
		       "credentials do not belong into 'target'; the "
		       "configuration has them, by profile",
		       NULL);
		return NULL;
	}
	return target;
}

/* Has a probe that names no profile. */
static const char default_profile[] = "default";

/* The profile that is asked for, if any; false: REQUEST is answered. */
static bool find_profile(const struct exporter *exporter,
			 struct request *request,
			 const struct exporter_profile **found)
{
	const char *name = request_query(request, "profile");
	const struct exporter_profile *profiles;
	struct buf names;
	size_t n;

	*found = NULL;
	profiles = exporter_profiles(exporter, &n);
	buf_init(&names, SENTENCE_MAX / 2);
	for (size_t i = 0; i < n && !*found; i++) {
		add_name(&names, profiles[i].name);
		if (strcmp(profiles[i].name, name ? name : default_profile) ==
		    0)
			*found = &profiles[i];
	}
	if (name && !*found)
		refuse(request, 404, "no profile of that name", &names);
	else
		buf_release(&names);
	return *found || !name;
}

static bool wants_debug(const struct request *request)
{
	const char *debug = request_query(request, "debug");

	return debug && strcmp(debug, "false") != 0 && strcmp(debug, "0") != 0;
}

static void add_param(void *arg, const char *name, const char *value)
{
	static const char *const own[] = { "exporter", "target", "profile",
					   "debug" };

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strcmp(own[i], name) == 0)
			return;
	pairs_add(arg, name, value);
}

/* ---- asking ---- */

static void refuse_more(struct request *request)
{
	static const char *const headers[] = { "Retry-After", "1", NULL };
	struct response *response = response_text(
		PLAIN, "too many probes of this exporter run already\n",
		headers);

	request_answer(request, 503, response);
	response_unref(response);
}

static double seconds_of(const struct request *request,
			 const struct exporter *exporter)
{
	double seconds = scrape_seconds(request);
	double timeout = exporter_timeout(exporter);

	return seconds < timeout ? seconds : timeout;
}

static struct open_probe *open_probe(struct probes *probes,
				     struct request *request,
				     struct exporter *exporter)
{
	struct open_probe *open = mem_alloc(sizeof *open);

	open->probes = probes;
	open->roster = roster_ref(probes->roster);
	open->board = board_ref(exporter_board(exporter));
	open->board->probes++;
	open->request = request;
	return open;
}

static void ask(struct probes *probes, struct request *request,
		struct exporter *exporter, const char *target,
		const struct exporter_profile *profile)
{
	struct open_probe *open = open_probe(probes, request, exporter);
	struct probe *probe = &open->probe;

	probe->exporter = exporter;
	probe->asker = probes->loop;
	probe->answered = answered;
	probe->seconds = seconds_of(request, exporter);
	probe->target = mem_string(target);
	probe->profile = profile;
	probe->debug = wants_debug(request);
	pairs_init(&probe->params, PAIRS_MAX);
	request_queries(request, NULL, add_param, &probe->params);
	request_suspend(request, probe->seconds + grace, expired, open);
	exporter_probe(probe);
}

void probe_handle(struct request *request, void *arg)
{
	struct probes *probes = arg;
	const struct exporter_profile *profile;
	struct exporter *exporter = find_exporter(probes->roster, request);
	const char *target = exporter ? find_target(request) : NULL;

	if (!target || !find_profile(exporter, request, &profile))
		return;
	if (exporter_board(exporter)->probes == PROBES_MAX)
		refuse_more(request);
	else
		ask(probes, request, exporter, target, profile);
}

/* ---- life ---- */

struct probes *probes_new(struct loop *loop, struct serve *serve,
			  struct roster *roster)
{
	struct probes *probes = mem_alloc(sizeof *probes);

	probes->loop = loop;
	probes->roster = roster_ref(roster);
	probes->serve = serve;
	return probes;
}

void probes_set_roster(struct probes *probes, struct roster *roster)
{
	struct roster *former = probes->roster;

	probes->roster = roster_ref(roster);
	roster_unref(former);
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	roster_unref(probes->roster);
	free(probes);
}
