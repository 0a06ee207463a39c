/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scrape costs of which everything has changed, without a script: for
 * each GET /metrics all series are set in C to other values, published, merged
 * and answered as host/run/scrape.c does it, all in one web thread (the memory
 * allocator treats the main thread differently). Arguments: ADDRESS SERIES.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exposition.h"
#include "core/mem.h"
#include "core/registry.h"
#include "core/text.h"
#include "net/loop.h"
#include "web/negotiate.h"
#include "web/page_response.h"
#include "web/server.h"

enum { PER_FAMILY = 100 };

struct bench {
	struct registry *registry;
	struct child *children;
	size_t series;
	uint64_t round;
	struct exposition *exposition; /* of the last scrape */
	struct coders *coders;
};

static void die(const struct err *err)
{
	fprintf(stderr, "changed_server: %s\n", err->text);
	exit(1);
}

/* ---- series ---- */

static double value_of(uint64_t i, uint64_t round)
{
	uint64_t n = i * 7919 + round * 104729;

	return i % 2 ? (double)(n % 10000000) / 10000 : (double)(n % 100000);
}

static struct family *add_family(struct registry *registry, size_t number)
{
	static const char *const labels[] = { "core_id", "site", "unit" };
	struct family_options options = { .labels = labels, .nlabels = 3 };
	struct family *family;
	struct err err;
	char name[40];

	snprintf(name, sizeof name, "device_metric_%zu", number);
	options.metadata.type = METRIC_GAUGE;
	options.metadata.name = name;
	options.metadata.help = "A metric of a device.";
	family = registry_add(registry, &options, &err);
	if (!family)
		die(&err);
	return family;
}

static void add_series(struct bench *bench, struct family *family, uint32_t i)
{
	uint32_t device = i % PER_FAMILY;
	struct str values[3];
	char core[25], site[8];
	struct err err;

	snprintf(core, sizeof core, "%08x%08x%08x", device * 2654435761u,
		 device * 2246822519u, device * 3266489917u);
	snprintf(site, sizeof site, "site-%u", (unsigned)(device % 10));
	values[0] = (struct str){ core, strlen(core) };
	values[1] = (struct str){ site, strlen(site) };
	values[2] = (struct str){ "celsius", 7 };
	if (!child_init(&bench->children[i], family, values, &err))
		die(&err);
}

static void make_series(struct bench *bench)
{
	struct registry_options options = { .series_max = bench->series };
	struct family *family = NULL;

	bench->registry = registry_new(&options);
	bench->children = mem_array(bench->series, sizeof *bench->children);
	for (size_t i = 0; i < bench->series; i++) {
		if (i % PER_FAMILY == 0)
			family = add_family(bench->registry, i / PER_FAMILY);
		add_series(bench, family, (uint32_t)i);
	}
}

static void set_all(struct bench *bench)
{
	struct err err;
	uint32_t row;

	bench->round++;
	for (size_t i = 0; i < bench->series; i++) {
		struct child *child = &bench->children[i];

		if (!child_row(child, &row, &err))
			die(&err);
		family_set(child->family, row, 0, value_of(i, bench->round), 0);
	}
	registry_commit(bench->registry, 0, 0);
}

/* ---- answers ---- */

static void publish(struct bench *bench)
{
	struct page *page = registry_publish(bench->registry, 0);
	struct exposition *former = bench->exposition;

	bench->exposition = exposition_new(&page, 1, form_plain, former);
	exposition_unref(former);
	page_unref(page);
}

static void scrape(struct request *request, void *arg)
{
	struct bench *bench = arg;
	enum encoding encoding =
		negotiate_gzip(request_header(request, "Accept-Encoding"))
			? ENCODING_GZIP
			: ENCODING_IDENTITY;
	struct response *response;

	set_all(bench);
	publish(bench);
	exposition_make(bench->exposition, encoding, bench->coders);
	response =
		page_response(bench->exposition, encoding, TEXT_CONTENT_TYPE);
	request_answer(request, 200, response);
	response_unref(response);
}

static void *serve(void *loop)
{
	loop_run(loop);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench bench = { 0 };
	struct route routes[] = {
		{ "/metrics", SERVER_GET, "metrics", scrape, &bench },
		{ 0 },
	};
	const char *addresses[] = { argc == 3 ? argv[1] : NULL, NULL };
	struct server_options options = { .addresses = addresses,
					  .routes = routes };
	pthread_t thread;
	struct err err;

	if (argc != 3) {
		fprintf(stderr, "usage: changed_server ADDRESS SERIES\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_MMAP_THRESHOLD, 4 << 20); /* as host/run/command.c */
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
	bench.series = strtoul(argv[2], NULL, 10);
	bench.coders = coders_new();
	coders_open(bench.coders, ENCODING_GZIP, &err);
	make_series(&bench);
	options.loop = loop_new();
	if (!server_new(&options, &err))
		die(&err);
	if (pthread_create(&thread, NULL, serve, options.loop))
		return 1;
	pthread_join(thread, NULL); /* a signal ends the process */
	return 0;
}
