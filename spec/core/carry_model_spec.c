/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exporter that is reloaded again and again beside one that never is. Both
 * count the same at random: the versions that are retired, the one that serves,
 * and the next one in its trial. What the last version shows as its own must be
 * what the exporter without reloads shows. Parts stage values over counted
 * series and fail; other series are set, and are nobody's count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carry.h"
#include "core/text.h"

enum { FAMILIES = 7, KEYS_MAX = 1500, RETIRED = 3, OPERATIONS = 60000 };

/* Of the parts, one always fails; the other sets what is never counted. */
enum { FAILING = 1, SETTING = 2 };

static const int keys[FAMILIES] = { 400, 90, 1, 1, 30, 12, 25 };
static const double bounds[] = { 1, 2, 4 };
static const double quantiles[] = { 0.25, 0.5, 1 };
static const struct native_options native = { 2, 0, 0.5 };
static double moment; /* counts operations */

struct version {
	struct registry *registry;
	struct family *families[FAMILIES];
	struct page *swap; /* what was carried over already */
	bool staged[FAMILIES][KEYS_MAX];
};

struct world {
	uint64_t random;
	int scale; /* of the keys */
	struct version *serving, *alone;
	struct version *retired[RETIRED];
	int operations, reloads;
};

static uint32_t any(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) * below >> 32);
}

/* ---- versions ---- */

static const struct metadata_desc descs[FAMILIES] = {
	{ .type = METRIC_COUNTER, .name = "calls_total" },
	{ .type = METRIC_HISTOGRAM,
	  .name = "seconds",
	  .bounds = bounds,
	  .nbounds = 3 },
	{ .type = METRIC_SUMMARY, .name = "bytes" },
	{ .type = METRIC_COUNTER, .name = "alone_total" },
	{ .type = METRIC_HISTOGRAM, .name = "native", .native = &native },
	{ .type = METRIC_HISTOGRAM,
	  .name = "both",
	  .bounds = bounds,
	  .nbounds = 3,
	  .native = &native },
	{ .type = METRIC_SUMMARY,
	  .name = "ranked",
	  .quantiles = quantiles,
	  .nquantiles = 3 },
};

static double count_moments(void)
{
	return moment;
}

static struct version *version_new(void)
{
	static const char *const labels[] = { "path", "code" };
	static const struct label_pair constant = { "site", "\\" };
	struct registry_options options = { .labels = &constant,
					    .nlabels = 1,
					    .clock = count_moments };
	struct version *v = calloc(1, sizeof *v);

	v->registry = registry_new(&options);
	for (int f = 0; f < FAMILIES; f++) {
		struct family_options family = {
			.metadata = descs[f],
			.labels = labels,
			.nlabels = keys[f] > 1 ? 2 : 0,
		};

		v->families[f] = registry_add(v->registry, &family, NULL);
		assert_non_null(v->families[f]);
	}
	return v;
}

static void version_free(struct version *v)
{
	page_unref(v->swap);
	registry_free(v->registry);
	free(v);
}

static int keys_of(const struct world *w, int f)
{
	return keys[f] > 1 ? keys[f] * w->scale : 1;
}

static uint32_t row(struct version *v, int f, int key)
{
	static const char *const hostile[] = { "\"",	   "\\", "\n",
					       "\xC3\xA9", "",	 "\\n" };
	const char *code = hostile[key % 6];
	struct str values[2];
	char path[16];
	uint32_t row;

	values[0].data = path;
	values[0].len = (size_t)snprintf(path, sizeof path, "/%d", key * 37);
	values[1] = (struct str){ code, strlen(code) };
	assert_true(family_row(v->families[f], values, &row, NULL));
	return row;
}

/* ---- operations ---- */

static void count_row(struct version *v, int f, int key, unsigned by)
{
	if (descs[f].type == METRIC_COUNTER)
		family_inc(v->families[f], row(v, f, key), by);
	else
		family_observe(v->families[f], row(v, f, key), REGISTRY_LIVE,
			       by, 0);
}

/* A third of the keys is only ever set. */
static bool is_set(int f, int key)
{
	return f == 0 && key % 3 == 0;
}

/* A count onto a value that is staged goes with it. */
static void count(struct world *w, struct version *v, int f, int key)
{
	unsigned by = any(w, 7);

	count_row(v, f, key, by);
	if (!v->staged[f][key])
		count_row(w->alone, f, key, by);
}

static void set(struct world *w, struct version *v, int key)
{
	unsigned part = any(w, 2) ? REGISTRY_LIVE : SETTING;

	family_set(v->families[0], row(v, 0, key), part, any(w, 50), 0);
	if (part == REGISTRY_LIVE && any(w, 2))
		family_inc(v->families[0], row(v, 0, key), 1);
}

static void stage(struct world *w, struct version *v, int f, int key)
{
	static double numbers[METADATA_BUCKETS_MAX];

	numbers[1] = any(w, 50);
	if (descs[f].type == METRIC_COUNTER)
		family_set(v->families[f], row(v, f, key), FAILING, numbers[1],
			   0);
	else
		family_set_numbers(v->families[f], row(v, f, key), FAILING,
				   numbers, 0);
	v->staged[f][key] = true;
}

static void op_value(struct world *w, struct version *v)
{
	int f = (int)any(w, FAMILIES);
	int key = (int)any(w, (uint32_t)keys_of(w, f));

	if (is_set(f, key))
		set(w, v, key);
	else if (any(w, 5) == 0)
		stage(w, v, f, key);
	else
		count(w, v, f, key);
}

static void op_end(struct world *w, struct version *v)
{
	if (any(w, 2)) {
		registry_drop(v->registry, FAILING, 0);
		memset(v->staged, 0, sizeof v->staged);
	} else if (any(w, 2)) {
		registry_commit(v->registry, SETTING, 0);
	} else {
		registry_drop(v->registry, SETTING, 0);
	}
}

static void op_any(struct world *w, struct version *v)
{
	uint32_t dice = any(w, 100);

	w->operations++;
	moment++;
	if (dice < 96)
		op_value(w, v);
	else if (dice < 98)
		op_end(w, v);
	else
		page_unref(registry_publish(v->registry, 0));
}

/* ---- reloads ---- */

/* All runs of retired version number I are over. */
static void finish(struct world *w, int i)
{
	struct version *v = w->retired[i];
	struct page *last;

	if (!v)
		return;
	last = registry_publish(v->registry, 0);
	registry_carry(w->serving->registry, v->swap, last, 0, NULL);
	page_unref(last);
	version_free(v);
	w->retired[i] = NULL;
}

/* The serving version is replaced. A stuck one leaves its last page. */
static void op_reload(struct world *w)
{
	struct version *next = version_new(), *old = w->serving;
	int i = (int)any(w, RETIRED);

	for (uint32_t n = any(w, 2) ? any(w, 400) : 0; n > 0; n--)
		op_any(w, next);
	old->swap = registry_publish(old->registry, 0);
	registry_carry(next->registry, NULL, old->swap, 0, NULL);
	w->serving = next;
	w->reloads++;
	finish(w, i);
	if (any(w, 4))
		w->retired[i] = old;
	else
		version_free(old);
}

static void add_side(struct buf *out, const struct native_side *side)
{
	for (uint32_t i = 0; i < side->n; i++)
		if (side->buckets[i].count)
			buf_addf(out, " %d:%llu", side->buckets[i].index,
				 (unsigned long long)side->buckets[i].count);
}

static void add_native(struct buf *out, const struct native *n)
{
	buf_addf(out, " native %d %llu %llu %.17g", n->schema,
		 (unsigned long long)n->count,
		 (unsigned long long)n->zero_count, n->sum);
	add_side(out, &n->positive);
	buf_addstr(out, " negative");
	add_side(out, &n->negative);
}

static void add_row(struct buf *out, const struct page_family *family,
		    const struct chunk *chunk, uint32_t i)
{
	const struct labels *labels = chunk->rows->labels[i];
	unsigned width = family->metadata->width;

	buf_addf(out, "%s{%.*s}", family->metadata->name, (int)labels->len,
		 labels->text);
	for (unsigned k = 0; k < width; k++)
		buf_addf(out, " %.17g", chunk->values[i * width + k]);
	if (chunk->natives && chunk->natives[i])
		add_native(out, chunk->natives[i]);
	buf_addch(out, '\n');
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* TEXT with its lines in order: families are not sorted at every change. */
static char *sorted(char *text)
{
	size_t n = 0, len = strlen(text);
	char **lines = malloc((len + 1) * sizeof *lines);
	struct buf out;

	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n"))
		lines[n++] = p;
	qsort(lines, n, sizeof *lines, by_line);
	buf_init(&out, SIZE_MAX / 2);
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%s\n", lines[i]);
	free(lines);
	free(text);
	return buf_take(&out, NULL);
}

static char *own_rows(const struct version *v)
{
	struct page *page = registry_publish(v->registry, 0);
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	buf_addstr(&out, "#\n");
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		const struct page_family *family = &page->families[f];

		for (uint32_t c = 0; c < family->nchunks; c++)
			for (uint32_t i = 0; i < family->chunks[c]->rows->count;
			     i++)
				if (chunk_is_own(family->chunks[c], i))
					add_row(&out, family, family->chunks[c],
						i);
	}
	page_unref(page);
	return sorted(buf_take(&out, NULL));
}

static void op_compare(struct world *w)
{
	struct version *v = w->serving;
	char *got, *want;

	for (int i = 0; i < RETIRED; i++)
		finish(w, i);
	if (any(w, 2)) {
		registry_drop(v->registry, FAILING, 0);
		memset(v->staged, 0, sizeof v->staged);
	}
	got = own_rows(v);
	want = own_rows(w->alone);
	assert_string_equal(got, want);
	free(got);
	free(want);
}

static struct version *any_version(struct world *w)
{
	struct version *v = w->retired[any(w, RETIRED)];

	return v && any(w, 2) ? v : w->serving;
}

static void play(uint64_t seed, int scale, uint32_t seldom)
{
	struct world w = { .random = seed * UINT64_C(0x9E3779B97F4A7C15),
			   .scale = scale,
			   .serving = version_new(),
			   .alone = version_new() };

	while (w.operations < OPERATIONS) {
		op_any(&w, any_version(&w));
		if (any(&w, seldom) == 0)
			op_reload(&w);
		if (any(&w, seldom) == 0)
			finish(&w, (int)any(&w, RETIRED));
		if (any(&w, seldom * 3) == 0)
			op_compare(&w);
	}
	op_compare(&w);
	assert_true(w.reloads > 5);
	version_free(w.serving);
	version_free(w.alone);
}

static void reloads_in_quick_succession(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		play(seed, 1, 20);
}

static void reloads_now_and_then(void **state)
{
	(void)state;
	for (uint64_t seed = 11; seed <= 14; seed++)
		play(seed, 1, 800);
}

static void families_of_several_chunks(void **state)
{
	(void)state;
	for (uint64_t seed = 21; seed <= 23; seed++)
		play(seed, 3, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reloads_in_quick_succession),
		cmocka_unit_test(reloads_now_and_then),
		cmocka_unit_test(families_of_several_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
