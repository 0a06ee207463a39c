/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What remote write costs: samples a second, bytes a sample and memory a
 * series, with the series of registry_bench.
 *
 *	remote_write_bench [SERIES]
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/registry.h"
#include "core/remote_write.h"

enum { ROUNDS = 15, PER_FAMILY = 1000 };

static uint64_t random_state = 88172645463325252u;
static size_t bytes, samples, requests;

static uint32_t any(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * below >> 32);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const struct err *err)
{
	fprintf(stderr, "remote_write_bench: %s\n", err->text);
	exit(1);
}

static void receive(void *arg, struct str body, size_t count,
		    enum remote_content content)
{
	(void)arg;
	(void)content;
	bytes += body.len;
	samples += count;
	requests++;
}

static struct family *add_family(struct registry *registry, int number)
{
	static const char *const labels[] = { "core_id", "site", "unit" };
	char name[32];
	struct family_options options = {
		.metadata = { .name = name,
			      .type = METRIC_GAUGE,
			      .help = "A metric of a device." },
		.labels = labels,
		.nlabels = 3,
	};
	struct err err;
	struct family *family;

	snprintf(name, sizeof name, "device_metric_%d", number);
	family = registry_add(registry, &options, &err);
	if (!family)
		die(&err);
	return family;
}

static void add_series(struct family *family, uint32_t *row)
{
	char id[25], site[8];
	struct str values[] = { { id, 24 }, { site, 6 }, STR("celsius") };
	struct err err;

	snprintf(id, sizeof id, "%08x%08x%08x", any(UINT32_MAX),
		 any(UINT32_MAX), any(UINT32_MAX));
	snprintf(site, sizeof site, "site-%c", 'A' + any(8));
	if (!family_row(family, values, row, &err))
		die(&err);
}

static void set_all(struct family **families, const uint32_t *rows, int series)
{
	for (int i = 0; i < series; i++)
		family_set(families[i / PER_FAMILY], rows[i], REGISTRY_LIVE,
			   i % 2 ? any(1000000000) / 1e4 : any(100000), 0);
}

/* Seconds for one page. */
static double write_page(struct remote_write *writer, struct page *page,
			 int64_t time)
{
	double start = now();
	struct err err;

	bytes = samples = requests = 0;
	if (!remote_write_page(writer, page, time, receive, NULL, &err))
		die(&err);
	return now() - start;
}

int main(int argc, char **argv)
{
	static const struct label_pair added[] = { { "job", "bench" },
						   { "instance", "a" } };
	int series = argc > 1 ? atoi(argv[1]) : 100000;
	int nfamilies = (series + PER_FAMILY - 1) / PER_FAMILY;
	struct registry *registry = registry_new(
		&(struct registry_options){ .series_max = 1 << 24 });
	struct remote_write *writer = remote_write_new(
		&(struct remote_write_options){ .labels = added, .nlabels = 2 },
		NULL);
	struct family **families = calloc((size_t)nfamilies, sizeof *families);
	uint32_t *rows = calloc((size_t)series, sizeof *rows);
	double best = 1e9, took;
	size_t before, with;

	for (int i = 0; i < nfamilies; i++)
		families[i] = add_family(registry, i);
	for (int i = 0; i < series; i++)
		add_series(families[i / PER_FAMILY], &rows[i]);
	for (int round = 0; round < ROUNDS; round++) {
		struct page *page;

		set_all(families, rows, series);
		page = registry_publish(registry, 0);
		took = write_page(writer, page, 1700000000000 + round * 15000);
		best = took < best ? took : best;
		page_unref(page);
	}
	printf("%zu samples in %zu requests: %.1f ms, %.2f million a second, "
	       "%.1f bytes a sample\n",
	       samples, requests, best * 1e3, (double)samples / best / 1e6,
	       (double)bytes / (double)samples);
	set_all(families, rows, series);
	page_unref(registry_publish(registry, 0));
	with = mallinfo2().uordblks + mallinfo2().hblkhd;
	took = write_page(writer, NULL, 1800000000000);
	printf("all ended: %.1f ms\n", took * 1e3);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("the writer keeps %.1f bytes a series\n",
	       (double)(with - before) / series);
	remote_write_free(writer);
	registry_free(registry);
	free(families);
	free(rows);
	return 0;
}
