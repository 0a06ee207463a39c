/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in the top folder: it reads spec/golden/types.prom and types.om, which
 * spec/golden_spec.py compares. */
#include "shown.h"

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

static void add_page(struct buf *out, struct form form, const struct page *page)
{
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		struct shown_family family = {
			.metadata = page->families[f].metadata
		};

		render_head(out, form, &family);
		for (uint32_t i = 0; i < page->families[f].nchunks; i++)
			render_chunk(out, form, &family,
				     page->families[f].chunks[i]);
	}
	render_end(out, form);
}

static void assert_page_in(struct form form, const char *expected)
{
	struct page *page = registry_publish(registry, 0);
	struct buf out;

	buf_init(&out, 1 << 20);
	add_page(&out, form, page);
	assert_string_equal(buf_text(&out), expected);
	assert_int_equal(out.len, strlen(expected));
	buf_release(&out);
	page_unref(page);
}

static void assert_page(const char *expected)
{
	assert_page_in(form_plain, expected);
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

static void every_type_and_hostile_text_is_as_in_the_golden_pages(void **state)
{
	static const struct form openmetrics = { FORMAT_OPENMETRICS,
						 ESCAPING_UNDERSCORES, false };
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
	golden = read_golden("spec/golden/types.om");
	assert_page_in(openmetrics, golden);
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

/* ---- types that came later ---- */

static const struct form utf8 = { FORMAT_TEXT, ESCAPING_NONE, false };

static void a_gauge_histogram_is_three_families(void **state)
{
	static const double bounds[] = { -1, 1e6 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_GAUGEHISTOGRAM,
						  .name = "h",
						  .help = "H.",
						  .bounds = bounds,
						  .nbounds = 2 });

	(void)state;
	for (int i = 0; i < 2; i++) {
		double *row = shown_row(&shown, i ? "a=\"2\"" : "a=\"1\"");

		row[0] = -3.5;
		row[1] = 1;
		row[3] = 2 * i;
	}
	assert_renders(form_plain, shown,
		       "# HELP h H.\n# TYPE h histogram\n"
		       "h_bucket{a=\"1\",le=\"-1\"} 1\n"
		       "h_bucket{a=\"1\",le=\"1e+06\"} 1\n"
		       "h_bucket{a=\"1\",le=\"+Inf\"} 1\n"
		       "h_bucket{a=\"2\",le=\"-1\"} 1\n"
		       "h_bucket{a=\"2\",le=\"1e+06\"} 1\n"
		       "h_bucket{a=\"2\",le=\"+Inf\"} 3\n"
		       "# HELP h_gcount H.\n# TYPE h_gcount gauge\n"
		       "h_gcount{a=\"1\"} 1\nh_gcount{a=\"2\"} 3\n"
		       "# HELP h_gsum H.\n# TYPE h_gsum gauge\n"
		       "h_gsum{a=\"1\"} -3.5\nh_gsum{a=\"2\"} -3.5\n");
}

static void a_native_histogram_is_its_count_and_sum(void **state)
{
	struct native_options options = { .schema = 3 };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "h", .native = &options });
	double *row = shown_row(&shown, "");

	(void)state;
	shown.natives[0] = native_new(&options);
	row[0] = 2;
	row[1] = 1;
	assert_renders(form_plain, shown,
		       "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n"
		       "h_sum 2\nh_count 1\n");
}

static void a_summary_has_quantiles(void **state)
{
	static const double quantiles[] = { 0, 0.99, 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
						  .name = "s",
						  .quantiles = quantiles,
						  .nquantiles = 3 });
	const double numbers[] = { -1, 2, nan_value, -3, 7, 1520430000 };

	(void)state;
	memcpy(shown_row(&shown, "a=\"b\""), numbers, sizeof numbers);
	assert_renders(form_plain, shown,
		       "# TYPE s summary\ns{a=\"b\",quantile=\"0\"} NaN\n"
		       "s{a=\"b\",quantile=\"0.99\"} -3\n"
		       "s{a=\"b\",quantile=\"1\"} 7\n"
		       "s_sum{a=\"b\"} -1\ns_count{a=\"b\"} 2\n");
}

static void times_are_milliseconds(void **state)
{
	static const struct {
		double seconds;
		const char *expected;
	} times[] = {
		{ 1520879607.789, "# TYPE a counter\na 1 1520879607789\n" },
		{ 1520879607, "# TYPE a counter\na 1 1520879607000\n" },
		{ -0.0015, "# TYPE a counter\na 1 -2\n" },
		{ 0, "# TYPE a counter\na 1\n" },
		{ 253402300799, "# TYPE a counter\na 1 253402300799000\n" },
		{ 253402300800, "# TYPE a counter\na 1\n" },
		{ 1e300, "# TYPE a counter\na 1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct shown shown = shown_new(
			(struct metadata_desc){ .type = METRIC_COUNTER,
						.name = "a",
						.timestamps = true });
		double *row = shown_row(&shown, "");

		row[0] = 1;
		row[shown.metadata->created] = 5;
		row[shown.metadata->time] = times[i].seconds;
		assert_renders(form_plain, shown, times[i].expected);
	}
}

static void a_time_stands_behind_every_line_of_a_series(void **state)
{
	static const double bounds[] = { 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_HISTOGRAM,
						  .name = "h",
						  .bounds = bounds,
						  .nbounds = 1,
						  .timestamps = true });

	(void)state;
	shown_row(&shown, "")[shown.metadata->time] = 2;
	assert_renders(form_plain, shown,
		       "# TYPE h histogram\nh_bucket{le=\"1\"} 0 2000\n"
		       "h_bucket{le=\"+Inf\"} 0 2000\nh_sum 0 2000\n"
		       "h_count 0 2000\n");
}

static struct shown hostile(enum metric_type type)
{
	static const char *const states[] = { "on" };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = type,
						  .name = "1.\"\xC3\xA9\\\n",
						  .help = "H.",
						  .states = states,
						  .nstates = 1 });

	shown_row(&shown, "a=\"x,\",\"b\\n\\\"\"=\"\\\"\"");
	return shown;
}

static void names_that_are_not_legacy_are_escaped(void **state)
{
	static const struct form values = { FORMAT_TEXT, ESCAPING_VALUES,
					    false };

	(void)state;
	assert_renders(form_plain, hostile(METRIC_GAUGE),
		       "# HELP ______ H.\n# TYPE ______ gauge\n"
		       "______{a=\"x,\",b__=\"\\\"\"} 0\n");
	assert_renders(values, hostile(METRIC_SUMMARY),
		       "# HELP U___31__2e__22__e9__5c__a_ H.\n"
		       "# TYPE U___31__2e__22__e9__5c__a_ summary\n"
		       "U___31__2e__22__e9__5c__a__sum{a=\"x,\","
		       "U__b_a__22_=\"\\\"\"} 0\n"
		       "U___31__2e__22__e9__5c__a__count{a=\"x,\","
		       "U__b_a__22_=\"\\\"\"} 0\n");
	assert_renders(form_plain, hostile(METRIC_STATESET),
		       "# HELP ______ H.\n# TYPE ______ gauge\n"
		       "______{a=\"x,\",b__=\"\\\"\",______=\"on\"} 0\n");
}

static void names_that_are_not_legacy_stand_in_the_braces(void **state)
{
	(void)state;
	assert_renders(utf8, hostile(METRIC_GAUGE),
		       "# HELP \"1.\\\"\xC3\xA9\\\\\\n\" H.\n"
		       "# TYPE \"1.\\\"\xC3\xA9\\\\\\n\" gauge\n"
		       "{\"1.\\\"\xC3\xA9\\\\\\n\",a=\"x,\","
		       "\"b\\n\\\"\"=\"\\\"\"} 0\n");
	assert_renders(utf8, hostile(METRIC_SUMMARY),
		       "# HELP \"1.\\\"\xC3\xA9\\\\\\n\" H.\n"
		       "# TYPE \"1.\\\"\xC3\xA9\\\\\\n\" summary\n"
		       "{\"1.\\\"\xC3\xA9\\\\\\n_sum\",a=\"x,\","
		       "\"b\\n\\\"\"=\"\\\"\"} 0\n"
		       "{\"1.\\\"\xC3\xA9\\\\\\n_count\",a=\"x,\","
		       "\"b\\n\\\"\"=\"\\\"\"} 0\n");
	assert_renders(utf8, hostile(METRIC_STATESET),
		       "# HELP \"1.\\\"\xC3\xA9\\\\\\n\" H.\n"
		       "# TYPE \"1.\\\"\xC3\xA9\\\\\\n\" gauge\n"
		       "{\"1.\\\"\xC3\xA9\\\\\\n\",a=\"x,\","
		       "\"b\\n\\\"\"=\"\\\"\","
		       "\"1.\\\"\xC3\xA9\\\\\\n\"=\"on\"} 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(every_type_and_hostile_text_is_as_in_the_golden_pages),
		SPEC(a_family_without_help_has_no_help_line),
		SPEC(holes_are_skipped),
		SPEC(long_names_and_labels_are_copied_whole),
		SPEC(a_full_buffer_holds_whole_lines),
		SPEC(the_estimate_is_about_right),
		cmocka_unit_test(a_gauge_histogram_is_three_families),
		cmocka_unit_test(a_native_histogram_is_its_count_and_sum),
		cmocka_unit_test(a_summary_has_quantiles),
		cmocka_unit_test(times_are_milliseconds),
		cmocka_unit_test(a_time_stands_behind_every_line_of_a_series),
		cmocka_unit_test(names_that_are_not_legacy_are_escaped),
		cmocka_unit_test(names_that_are_not_legacy_stand_in_the_braces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
