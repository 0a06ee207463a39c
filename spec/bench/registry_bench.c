/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry and its pages cost: nanoseconds a series for updates,
 * publishing, rendering, gzip and carrying over, and resident bytes a series.
 *The series are
 *
 *	device_metric_F{core_id="<24 hex>",site="site-D",unit="celsius"} V
 *
 * where even values are integers below 100000 and odd ones have up to four
 * decimals. Times are the best of several rounds; each memory figure comes from
 * a process of its own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/carry.h"
#include "core/exposition.h"
#include "core/mem.h"
#include "core/registry.h"
#include "core/text.h"

enum { ROUNDS = 15, PART = 1 };

struct labels_text {
	char core_id[25], site[8];
};

struct load {
	int families, devices; /* devices of each family */
	bool shared;	       /* the same in each family */
	enum metric_type type;
	struct registry *registry;
	struct family **list;
	struct labels_text *texts;
	struct child *children;
	int *order; /* of updates: family * devices + device */
	double *values;
};

static uint64_t random_state = 88172645463325252u;

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
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const struct err *err)
{
	fprintf(stderr, "registry_bench: %s\n", err->text);
	exit(1);
}

/* ---- the load ---- */

static int series_of(const struct load *load)
{
	return load->families * load->devices;
}

static const struct labels_text *text_of(const struct load *load, int i)
{
	return &load->texts[load->shared ? i % load->devices : i];
}

static void values_of(const struct labels_text *text, struct str values[3])
{
	values[0] = (struct str){ text->core_id, 24 };
	values[1] = (struct str){ text->site, 6 };
	values[2] = STR("celsius");
}

static void add_families(struct load *load)
{
	static const char *const labels[] = { "core_id", "site", "unit" };
	struct registry_options options = { .series_max = 1 << 24 };
	struct err err;

	load->registry = registry_new(&options);
	load->list = mem_array((size_t)load->families, sizeof *load->list);
	for (int i = 0; i < load->families; i++) {
		char name[32];
		struct family_options family = {
			.metadata = { .name = name,
				      .type = load->type,
				      .help = "A metric of a device." },
			.labels = labels,
			.nlabels = 3,
		};

		snprintf(name, sizeof name, "device_metric_%d", i);
		load->list[i] = registry_add(load->registry, &family, &err);
		if (!load->list[i])
			die(&err);
	}
}

static double any_value(int i)
{
	return i % 2 ? any(1000000000) / 1e4 : any(100000);
}

static void load_init(struct load *load, int families, int devices, bool shared)
{
	int n = families * devices;
	int texts = shared ? devices : n;

	*load = (struct load){ .families = families,
			       .devices = devices,
			       .shared = shared,
			       .type = METRIC_GAUGE };
	load->texts = mem_array((size_t)texts, sizeof *load->texts);
	for (int i = 0; i < texts; i++) {
		snprintf(load->texts[i].core_id, 25, "%08x%08x%08x",
			 any(UINT32_MAX), any(UINT32_MAX), any(UINT32_MAX));
		snprintf(load->texts[i].site, 8, "site-%c", 'A' + any(8));
	}
	load->order = mem_array((size_t)n, sizeof *load->order);
	load->values = mem_array((size_t)n, sizeof *load->values);
	for (int i = 0; i < n; i++) {
		load->order[i] = i;
		load->values[i] = any_value(i);
	}
}

static void load_free(struct load *load)
{
	for (int i = 0; load->children && i < series_of(load); i++)
		child_release(&load->children[i]);
	registry_free(load->registry);
	free(load->children);
	free(load->list);
	free(load->texts);
	free(load->order);
	free(load->values);
}

static void new_values(struct load *load)
{
	for (int i = 0; i < series_of(load); i++)
		load->values[i] = any_value(i);
}

static void shuffle(struct load *load)
{
	for (int i = series_of(load) - 1; i > 0; i--) {
		int k = (int)any((uint32_t)i + 1), x = load->order[i];

		load->order[i] = load->order[k];
		load->order[k] = x;
	}
}

/* ---- updates ---- */

static void set_all(struct load *load)
{
	for (int k = 0; k < series_of(load); k++) {
		int i = load->order[k];
		struct family *family = load->list[i / load->devices];
		struct str values[3];
		struct err err;
		uint32_t row;

		values_of(text_of(load, i), values);
		if (!family_row(family, values, &row, &err))
			die(&err);
		family_set(family, row, PART, load->values[i], 0);
	}
}

static void set_children(struct load *load)
{
	for (int i = 0; i < series_of(load); i++) {
		struct child *child = &load->children[i];
		struct err err;
		uint32_t row;

		if (!child_row(child, &row, &err))
			die(&err);
		family_set(child->family, row, PART, load->values[i], 0);
	}
}

static void make_children(struct load *load)
{
	load->children =
		mem_array((size_t)series_of(load), sizeof *load->children);
	for (int i = 0; i < series_of(load); i++) {
		struct str values[3];
		struct err err;

		values_of(text_of(load, i), values);
		if (!child_init(&load->children[i],
				load->list[i / load->devices], values, &err))
			die(&err);
	}
}

struct times {
	double set, publish;
};

/* Sets everything, commits, publishes; nanoseconds a series. */
static struct times collect(struct load *load, void (*set)(struct load *))
{
	struct times best = { 1e9, 1e9 };

	for (int round = 0; round < ROUNDS; round++) {
		double start, middle, end;

		new_values(load);
		start = now();
		set(load);
		middle = now();
		registry_commit(load->registry, PART, 0);
		page_unref(registry_publish(load->registry, 0));
		end = now();
		if (middle - start < best.set)
			best.set = middle - start;
		if (end - middle < best.publish)
			best.publish = end - middle;
	}
	best.set /= series_of(load);
	best.publish /= series_of(load);
	return best;
}

static void bench_updates(int families, int devices, bool shared)
{
	struct load load;
	struct times times;

	load_init(&load, families, devices, shared);
	add_families(&load);
	set_all(&load);
	registry_commit(load.registry, PART, 0);
	page_unref(registry_publish(load.registry, 0));
	printf("%7d series, %4d families, labels %s:", families * devices,
	       families, shared ? "shared" : "unique");
	times = collect(&load, set_all);
	printf("  row+set %5.1f", times.set);
	make_children(&load);
	times = collect(&load, set_children);
	printf("  child+set %5.1f  commit+publish %5.1f", times.set,
	       times.publish);
	shuffle(&load);
	times = collect(&load, set_all);
	printf("  row+set at random %5.1f\n", times.set);
	load_free(&load);
}

/* ---- rendering ---- */

static double render_chunks(const struct page *page)
{
	double start = now();
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		const struct page_family *family = &page->families[f];

		if (out.len > EXPOSITION_BLOCK)
			buf_clear(&out);
		text_head(&out, family->metadata);
		for (uint32_t i = 0; i < family->nchunks; i++)
			text_chunk(&out, family->metadata, family->chunks[i]);
	}
	buf_release(&out);
	return now() - start;
}

/* As a scrape does it: merge, render all blocks. */
static double render_page(struct page *page, size_t *bytes)
{
	double start = now();
	struct exposition *exposition =
		exposition_new(&page, 1, form_plain, NULL);

	*bytes = 0;
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *text = exposition_text(exposition, i);

		*bytes += text->len;
		bytes_unref(text);
	}
	exposition_unref(exposition);
	return now() - start;
}

static struct coders *gzip_coders(void)
{
	struct coders *coders = coders_new();
	struct err err;

	if (!coders_open(coders, ENCODING_GZIP, &err))
		die(&err);
	return coders;
}

static double compress_page(struct page *page, struct coders *coders,
			    size_t *bytes)
{
	double start = now();
	struct exposition *exposition =
		exposition_new(&page, 1, form_plain, NULL);

	exposition_make(exposition, ENCODING_GZIP, coders);
	start = now() - start;
	*bytes = 0;
	for (size_t i = 0; i < exposition_blocks(exposition); i++)
		*bytes += exposition_part(exposition, ENCODING_GZIP, i)->len;
	exposition_unref(exposition);
	return start;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void bench_rendering(int families, int devices, bool shared)
{
	struct coders *coders = gzip_coders();
	double chunks = 1e12, text = 1e12, gzip = 1e12, n;
	size_t text_bytes, gzip_bytes;
	struct load load;
	struct page *page;

	load_init(&load, families, devices, shared);
	add_families(&load);
	set_all(&load);
	registry_commit(load.registry, PART, 0);
	page = registry_publish(load.registry, 0);
	n = (double)page->series;
	for (int round = 0; round < ROUNDS; round++) {
		chunks = least(chunks, render_chunks(page));
		text = least(text, render_page(page, &text_bytes));
		gzip = least(gzip, compress_page(page, coders, &gzip_bytes));
	}
	printf("%7.0f series, labels %s:  text_chunk %5.1f  merge and render "
	       "%5.1f  and gzip %5.1f  (%.1f bytes, gzip %.1f by %s)\n",
	       n, shared ? "shared" : "unique", chunks / n, text / n, gzip / n,
	       (double)text_bytes / n, (double)gzip_bytes / n,
	       deflate_engine(coders->deflate));
	page_unref(page);
	load_free(&load);
	coders_free(coders);
}

/* ---- carrying over ---- */

static void count(struct load *load, int n)
{
	for (int i = 0; i < n; i++) {
		struct family *family = load->list[i / load->devices];
		struct str values[3];
		struct err err;
		uint32_t row;

		values_of(text_of(load, i), values);
		if (!family_row(family, values, &row, &err))
			die(&err);
		family_inc(family, row, 1);
	}
}

/* The time to carry AFTER, beyond BEFORE, into a registry like that of LOAD. It
 * is made anew for a first page, and has it for the next ones. */
static double carry(struct load *to, const struct page *before,
		    const struct page *after)
{
	double start;

	if (!before) {
		registry_free(to->registry);
		free(to->list);
		add_families(to);
	}
	start = now();
	registry_carry(to->registry, before, after, 0, NULL);
	return now() - start;
}

static void bench_carry(int families, int devices, bool shared)
{
	double all = 1e12, rest = 1e12, few = 1e12, n = families * devices;
	struct load from, to = { .families = families, .type = METRIC_COUNTER };
	struct page *pages[3];

	load_init(&from, families, devices, shared);
	from.type = METRIC_COUNTER;
	add_families(&from);
	count(&from, (int)n);
	pages[0] = registry_publish(from.registry, 0);
	count(&from, (int)n);
	pages[1] = registry_publish(from.registry, 0);
	count(&from, 100);
	pages[2] = registry_publish(from.registry, 0);
	for (int round = 0; round < ROUNDS; round++) {
		all = least(all, carry(&to, NULL, pages[0]));
		rest = least(rest, carry(&to, pages[0], pages[1]));
		few = least(few, carry(&to, pages[1], pages[2]));
	}
	printf("%7.0f counters, labels %s:  new %5.1f  all counted on %5.1f  "
	       "100 counted on %5.1f\n",
	       n, shared ? "shared" : "unique", all / n, rest / n, few / n);
	for (int i = 0; i < 3; i++)
		page_unref(pages[i]);
	load_free(&from);
	load_free(&to);
}

/* ---- memory ---- */

static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, pages;

	if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
		exit(1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void collect_once(struct load *load)
{
	new_values(load);
	set_all(load);
	registry_commit(load->registry, PART, 0);
}

static void measure_memory(struct load *load)
{
	struct coders *coders = gzip_coders();
	double start = resident(), rest, text, gzip, n = series_of(load);
	struct exposition *exposition = NULL, *former;
	struct page *page;
	size_t bytes;

	add_families(load);
	for (int i = 0; i < 3; i++) {
		collect_once(load);
		page_unref(registry_publish(load->registry, 0));
	}
	rest = resident() - start;
	page = registry_publish(load->registry, 0);
	render_page(page, &bytes);
	page_unref(page);
	text = resident() - start;
	for (int i = 0; i < 3; i++) {
		collect_once(load);
		page = registry_publish(load->registry, 0);
		former = exposition;
		exposition = exposition_new(&page, 1, form_plain, former);
		exposition_unref(former);
		exposition_make(exposition, ENCODING_GZIP, coders);
		page_unref(page);
	}
	gzip = resident() - start;
	printf("%7.0f series, %5d families, labels %s:  at rest %5.1f  after "
	       "identity %5.1f  after gzip %5.1f\n",
	       n, load->families, load->shared ? "shared" : "unique", rest / n,
	       text / n, gzip / n);
}

static void bench_memory(int families, int devices, bool shared)
{
	struct load load;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		load_init(&load, families, devices, shared);
		measure_memory(&load);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(void)
{
	/* First: what is freed before the fork would be used again. */
	printf("memory, resident bytes a series\n");
	bench_memory(1000, 100, true);
	bench_memory(1000, 100, false);
	bench_memory(1, 100000, false);
	printf("updates, ns a series\n");
	bench_updates(10, 100, true);
	bench_updates(100, 100, true);
	bench_updates(1000, 100, true);
	bench_updates(10, 1000, false);
	bench_updates(1, 100000, false);
	printf("rendering, ns a series\n");
	bench_rendering(10, 100, true);
	bench_rendering(100, 100, true);
	bench_rendering(1000, 100, true);
	bench_rendering(1000, 100, false);
	printf("carrying over, ns a series\n");
	bench_carry(1000, 100, true);
	bench_carry(1000, 100, false);
	bench_carry(1, 100000, false);
	return 0;
}
