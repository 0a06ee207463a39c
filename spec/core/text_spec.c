/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in the top folder: it reads spec/golden/types.prom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/registry.h"
#include "core/text.h"

enum { LIVE = REGISTRY_LIVE };

static struct registry *registry;

static int make_registry(void **state)
{
	(void)state;
	registry = registry_new(&(struct registry_options){ 0 });
	return 0;
}

static int free_registry(void **state)
{
	(void)state;
	registry_free(registry);
	return 0;
}

/* LABELS: up to two names. */
static struct family *add(struct metadata_desc desc, const char *one,
			  const char *two)
{
	const char *labels[] = { one, two };
	struct family_options options = { .metadata = desc, .labels = labels };
	struct err err = { 0 };
	struct family *family;

	options.nlabels = two ? 2 : one ? 1 : 0;
	family = registry_add(registry, &options, &err);
	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static uint32_t row(struct family *family, const char *one, const char *two)
{
	struct str values[] = { { one, one ? strlen(one) : 0 },
				{ two, two ? strlen(two) : 0 } };
	struct err err = { 0 };
	uint32_t number;

	if (!family_row(family, values, &number, &err))
		fail_msg("%s", err.text);
	return number;
}

static void set(struct family *family, const char *one, const char *two,
		double value)
{
	family_set(family, row(family, one, two), LIVE, value, 0);
}

static void add_page(struct buf *out, const struct page *page)
{
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		const struct page_family *family = &page->families[f];

		text_head(out, family->metadata);
		for (uint32_t i = 0; i < family->nchunks; i++)
			text_chunk(out, family->metadata, family->chunks[i]);
	}
}

static void assert_page(const char *expected)
{
	struct page *page = registry_publish(registry, 0);
	struct buf out;

	buf_init(&out, 1 << 20);
	add_page(&out, page);
	assert_string_equal(buf_text(&out), expected);
	assert_int_equal(out.len, strlen(expected));
	buf_release(&out);
	page_unref(page);
}

/* ---- the golden page ---- */

static void make_info(void)
{
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_INFO,
					    .name = "golden_build_info",
					    .help = "What was built." },
		    "version", "revision");

	set(f, "1.0", "", 1);
}

static void make_counter(void)
{
	struct family *f = add(
		(struct metadata_desc){
			.type = METRIC_COUNTER,
			.name = "golden_requests_total",
			.help = "Back\\slash, \"quotes\",\nnew line, "
				"\xE2\x82\xAC." },
		"method", "path");

	family_inc(f, row(f, "GET", "/"), 1);
	family_inc(f, row(f, "GET", "/"), 41);
	family_inc(f, row(f, "GET", "C:\\DIR\\"), 0.5);
	family_inc(f, row(f, "a\nb", "say \"hi\""), 99999);
	family_inc(f, row(f, "", "/\xC3\xBC\xE6\x97\xA5\xF0\x9F\x98\x80"), 1e5);
	family_inc(f, row(f, "\\\"\n", "}{,= #"), 1e6);
	family_inc(f, row(f, "\\n", "\t\r"), 123456789012);
}

static void make_gauges(void)
{
	static const struct {
		const char *name;
		double value;
	} values[] = {
		{ "NaN", NAN },
		{ "Inf", INFINITY },
		{ "-Inf", -INFINITY },
		{ "zero", 0 },
		{ "-zero", -0.0 },
		{ "2^53", 9007199254740992 },
		{ "2^53-1", 9007199254740991 },
		{ "smallest", 4.9406564584124654e-324 },
		{ "largest", 1.7976931348623157e308 },
		{ "tenth", 0.1 },
		{ "third", 1.0 / 3 },
		{ "negative", -1234.5678 },
		{ "small", 1e-7 },
		{ "1e21", 1e21 },
	};
	struct family *f = add((struct metadata_desc){ .type = METRIC_GAUGE,
						       .name = "golden_values",
						       .help = "Numbers." },
			       "value", NULL);

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		set(f, values[i].name, NULL, values[i].value);
	f = add((struct metadata_desc){ .type = METRIC_GAUGE,
					.name = "golden_temperature_celsius",
					.help = "A gauge without labels." },
		NULL, NULL);
	set(f, NULL, NULL, 21.5);
}

static void make_histogram(void)
{
	static const double bounds[] = { 0.1, 1, 2.5 };
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_HISTOGRAM,
					    .name = "golden_duration_seconds",
					    .help = "Time taken.",
					    .bounds = bounds,
					    .nbounds = 3 },
		    "handler", NULL);

	family_observe(f, row(f, "/\"", NULL), REGISTRY_LIVE, 0.1, 0);
	family_observe(f, row(f, "/\"", NULL), REGISTRY_LIVE, 0.2, 0);
	family_observe(f, row(f, "/\"", NULL), REGISTRY_LIVE, 2, 0);
	family_observe(f, row(f, "/\"", NULL), REGISTRY_LIVE, 100, 0);
	family_observe(f, row(f, "/a", NULL), REGISTRY_LIVE, 0.05, 0);
	f = add((struct metadata_desc){ .type = METRIC_HISTOGRAM,
					.name = "golden_size_bytes",
					.help = "Without labels and bounds." },
		NULL, NULL);
	family_observe(f, row(f, NULL, NULL), REGISTRY_LIVE, 7, 0);
}

static void make_summary(void)
{
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_SUMMARY,
					    .name = "golden_wait_seconds",
					    .help = "Time waited." },
		    "queue", NULL);

	family_observe(f, row(f, "q", NULL), REGISTRY_LIVE, 1.25, 0);
	family_observe(f, row(f, "q", NULL), REGISTRY_LIVE, 2, 0);
}

static void make_stateset(void)
{
	static const char *const states[] = { "on", "off", "o\"d\\d\n" };
	struct family *f = add((struct metadata_desc){ .type = METRIC_STATESET,
						       .name = "golden_state",
						       .help = "What it is.",
						       .states = states,
						       .nstates = 3 },
			       "device", NULL);

	family_set_state(f, row(f, "lamp", NULL), LIVE, 1, 0);
	f = add((struct metadata_desc){ .type = METRIC_STATESET,
					.name = "golden_mode",
					.help = "Without labels.",
					.states = states,
					.nstates = 3 },
		NULL, NULL);
	family_set_state(f, row(f, NULL, NULL), LIVE, 2, 0);
}

static void make_unknown(void)
{
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_UNKNOWN,
					    .name = "golden_things",
					    .help = "Of no known type." },
		    "kind", NULL);

	set(f, "x", NULL, 3);
}

static char *read_golden(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = calloc(1, 1 << 16);

	if (!file)
		fail_msg("cannot read %s", path);
	assert_in_range(fread(text, 1, (1 << 16) - 1, file), 1, (1 << 16) - 2);
	fclose(file);
	return text;
}

static void every_type_and_hostile_text_is_as_in_the_golden_page(void **state)
{
	char *golden = read_golden("spec/golden/types.prom");

	(void)state;
	make_info();
	make_counter();
	make_gauges();
	make_histogram();
	make_summary();
	make_stateset();
	make_unknown();
	assert_page(golden);
	free(golden);
}

/* ---- single behaviours ---- */

static void a_family_without_help_has_no_help_line(void **state)
{
	(void)state;
	set(add((struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" },
		NULL, NULL),
	    NULL, NULL, 1);
	assert_page("# TYPE a gauge\na 1\n");
}

static void holes_are_skipped(void **state)
{
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" },
		    "n", NULL);

	(void)state;
	for (int i = 0; i < 2; i++) {
		family_set(f, row(f, "1", NULL), 1, 1, 0);
		family_set(f, row(f, "2", NULL), 2, 2, 0);
		family_set(f, row(f, "3", NULL), 1, 3, 0);
		registry_commit(registry, 1, 0);
		assert_page(i ? "# TYPE a gauge\na{n=\"1\"} 1\na{n=\"2\"} 2\n"
				"a{n=\"3\"} 3\n"
			      : "# TYPE a gauge\na{n=\"1\"} 1\n"
				"a{n=\"3\"} 3\n");
		registry_commit(registry, 2, 0);
	}
}

static void long_names_and_labels_are_copied_whole(void **state)
{
	char name[200], value[2000], expected[8192];

	(void)state;
	for (size_t len = 1; len < sizeof name; len++) {
		struct family *f;
		struct page *page;
		struct buf out;

		memset(name, 'n', len);
		name[len] = '\0';
		memset(value, 'v', 10 * len);
		value[10 * len] = '\0';
		f = add((struct metadata_desc){ .type = METRIC_COUNTER,
						.name = name },
			"l", NULL);
		set(f, value, NULL, (double)len);
		snprintf(expected, sizeof expected,
			 "# TYPE %s counter\n%s{l=\"%s\"} %zu\n", name, name,
			 value, len);
		page = registry_publish(registry, 0);
		buf_init(&out, 1 << 20);
		text_head(&out, page->families[len - 1].metadata);
		text_chunk(&out, page->families[len - 1].metadata,
			   page->families[len - 1].chunks[0]);
		assert_string_equal(buf_text(&out), expected);
		buf_release(&out);
		page_unref(page);
	}
}

static void a_full_buffer_holds_whole_lines(void **state)
{
	struct family *f =
		add((struct metadata_desc){ .type = METRIC_GAUGE, .name = "a" },
		    "n", NULL);
	struct page *page;
	struct buf whole, out;

	(void)state;
	set(f, "a long value that may not fit any more", NULL, 1);
	set(f, "b", NULL, 2);
	page = registry_publish(registry, 0);
	buf_init(&whole, 1 << 20);
	text_chunk(&whole, page->families[0].metadata,
		   page->families[0].chunks[0]);
	for (size_t max = 0; max < 200; max++) {
		buf_init(&out, max);
		text_chunk(&out, page->families[0].metadata,
			   page->families[0].chunks[0]);
		assert_memory_equal(buf_text(&out), whole.data, out.len);
		assert_true(out.len == 0 || out.data[out.len - 1] == '\n');
		assert_int_equal(out.full, out.len < whole.len);
		buf_release(&out);
	}
	buf_release(&whole);
	page_unref(page);
}

static void the_estimate_is_about_right(void **state)
{
	static const double bounds[] = { 0.1, 1, 2.5 };
	struct family *f[] = {
		add((struct metadata_desc){ .type = METRIC_GAUGE,
					    .name = "a_gauge" },
		    "n", NULL),
		add((struct metadata_desc){ .type = METRIC_HISTOGRAM,
					    .name = "b_histogram",
					    .bounds = bounds,
					    .nbounds = 3 },
		    "n", NULL),
	};
	struct page *page;

	(void)state;
	for (int i = 0; i < 500; i++) {
		char text[32];

		snprintf(text, sizeof text, "device-%04d", i);
		set(f[0], text, NULL, i);
		family_observe(f[1], row(f[1], text, NULL), REGISTRY_LIVE, i,
			       0);
	}
	page = registry_publish(registry, 0);
	for (uint32_t i = 0; i < 2; i++) {
		const struct page_family *family = &page->families[i];
		size_t estimate;
		struct buf out;

		buf_init(&out, 1 << 20);
		text_chunk(&out, family->metadata, family->chunks[0]);
		estimate = text_chunk_estimate(family->metadata,
					       family->chunks[0]);
		assert_in_range(estimate, out.len * 2 / 3, out.len * 3 / 2);
		buf_release(&out);
	}
	page_unref(page);
}

#define SPEC(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_registry, free_registry)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(every_type_and_hostile_text_is_as_in_the_golden_page),
		SPEC(a_family_without_help_has_no_help_line),
		SPEC(holes_are_skipped),
		SPEC(long_names_and_labels_are_copied_whole),
		SPEC(a_full_buffer_holds_whole_lines),
		SPEC(the_estimate_is_about_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
