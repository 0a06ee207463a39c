/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms and exemplars in requests of remote write. What they should
 * be was worked out by hand from prompb/types.proto and the text of
 * https://prometheus.io/docs/specs/native_histograms/. */
#include "received.h"

#include "core/carry.h"
#include "core/registry.h"

enum { LIVE = REGISTRY_LIVE, NOW = 1700000000 };

static struct registry *registry;
static struct remote_write *writer;

static const struct native_options native = { .schema = 0,
					      .max_buckets = 160,
					      .zero_threshold = 0.5 };
static const double bounds[] = { 1, 10 };

static void begin(bool histograms, bool exemplars)
{
	const struct remote_write_options options = { .native_histograms =
							      histograms,
						      .exemplars = exemplars };
	struct err err = { 0 };

	remote_write_free(writer);
	writer = remote_write_new(&options, &err);
	assert_non_null(writer);
}

static int make(void **state)
{
	(void)state;
	forget();
	registry = registry_new(&(struct registry_options){ 0 });
	begin(true, true);
	return 0;
}

static int release(void **state)
{
	(void)state;
	forget();
	remote_write_free(writer);
	writer = NULL;
	registry_free(registry);
	return 0;
}

static struct family *declare(struct registry *r, enum metric_type type,
			      const char *name, unsigned nbounds,
			      bool is_native)
{
	static const char *const label = "n";
	const struct family_options options = {
		.metadata = { .type = type,
			      .name = name,
			      .bounds = bounds,
			      .nbounds = nbounds,
			      .native = is_native ? &native : NULL },
		.labels = &label,
		.nlabels = 1,
	};
	struct err err = { 0 };
	struct family *family = registry_add(r, &options, &err);

	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static struct family *histogram(const char *name, unsigned nbounds)
{
	return declare(registry, METRIC_HISTOGRAM, name, nbounds, true);
}

static uint32_t row(struct family *family, const char *label)
{
	const struct str value = { label, strlen(label) };
	struct err err = { 0 };
	uint32_t number;

	if (!family_row(family, &value, &number, &err))
		fail_msg("%s", err.text);
	return number;
}

static void observe(struct family *family, const char *label, double value)
{
	family_observe(family, row(family, label), LIVE, value, 0);
}

static void explain(struct family *family, const char *label, double value,
		    const char *trace, double time)
{
	const struct exemplar_label pair = { "trace_id",
					     { trace, strlen(trace) } };
	struct err err = { 0 };

	family_exemplify(family, row(family, label), value,
			 exemplar_new(&pair, 1, value, time, &err));
}

static void write_page(struct page *page, int64_t time)
{
	struct err err = { 0 };

	forget();
	if (!remote_write_page(writer, page, time, receive, NULL, &err))
		fail_msg("%s", err.text);
}

static void publish(int64_t time)
{
	struct page *page = registry_publish(registry, 0);

	write_page(page, time);
	page_unref(page);
}

/* How many lines are, or begin with, LINE. */
static size_t count(const char *line)
{
	size_t n = 0;

	for (size_t i = 0; i < got.count; i++)
		n += strncmp(got.lines[i], line, strlen(line)) == 0;
	return n;
}

static void assert_line(const char *line)
{
	if (count(line) == 1)
		return;
	for (size_t i = 0; i < got.count; i++)
		print_message("%s\n", got.lines[i]);
	fail_msg("not just once: %s", line);
}

/* ---- native histograms ---- */

/* Buckets of schema 0 end at powers of two: 2 is in bucket 1, 3 in 2, 100 in
 * 7; three empty ones are a gap, two are not. */
static void a_native_histogram_has_spans_and_deltas(void **state)
{
	static const double values[] = { 2, 2, 2, 3, 9, 200, -3, 0.25, 0 };
	struct family *f = histogram("h", 0);

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		observe(f, "x", values[i]);
	publish(NOW);
	assert_line("__name__=\"h\",n=\"x\" {"
		    " count 9 sum 215.25 schema 0 threshold 0.5 zero 2"
		    " - 2+1 -: 1"
		    " + 1+4 + 3+1 +: 3 1 0 1 1"
		    " @ 1700000000 }");
	assert_line("# 3 h");
	assert_int_equal(got.count, 2);
	assert_int_equal(got.of[REMOTE_HISTOGRAMS], 1);
	assert_int_equal(got.samples, 1);
}

static void one_without_buckets_is_an_empty_one(void **state)
{
	static const double numbers[] = { 0, 0 };
	struct family *f = histogram("h", 0);

	(void)state;
	family_set_numbers(f, row(f, "x"), LIVE, numbers, 0);
	publish(NOW);
	assert_line("__name__=\"h\",n=\"x\" { count 0 sum 0 schema 0 "
		    "threshold 0.5 zero 0 @ 1700000000 }");
}

static void a_sum_may_be_no_number(void **state)
{
	struct family *f = histogram("h", 0);

	(void)state;
	observe(f, "x", (double)INFINITY);
	observe(f, "x", -(double)INFINITY);
	publish(NOW);
	assert_int_equal(count("__name__=\"h\",n=\"x\" { count 2 sum nan "), 1);
}

static void classic_and_native_are_both_written(void **state)
{
	struct family *f = histogram("h", 2);

	(void)state;
	observe(f, "x", 3);
	publish(NOW);
	assert_line("__name__=\"h_bucket\",le=\"1\",n=\"x\" 0");
	assert_line("__name__=\"h_bucket\",le=\"10\",n=\"x\" 1");
	assert_line("__name__=\"h_bucket\",le=\"+Inf\",n=\"x\" 1");
	assert_line("__name__=\"h_sum\",n=\"x\" 3");
	assert_line("__name__=\"h_count\",n=\"x\" 1");
	assert_line("__name__=\"h\",n=\"x\" { count 1 sum 3 schema 0 "
		    "threshold 0.5 zero 0 + 2+1 +: 1 @ 1700000000 }");
	assert_int_equal(got.samples, 6);
	assert_int_equal(got.of[REMOTE_SAMPLES], 1);
	assert_int_equal(got.of[REMOTE_HISTOGRAMS], 1);
}

static void without_the_option_it_is_as_in_the_text(void **state)
{
	(void)state;
	begin(false, false);
	observe(histogram("h", 0), "x", 3);
	publish(NOW);
	assert_line("__name__=\"h_bucket\",le=\"+Inf\",n=\"x\" 1");
	assert_line("__name__=\"h_sum\",n=\"x\" 3");
	assert_line("__name__=\"h_count\",n=\"x\" 1");
	assert_int_equal(got.of[REMOTE_HISTOGRAMS], 0);
	assert_int_equal(got.samples, 3);
}

static void one_that_is_gone_is_ended_by_its_sum(void **state)
{
	struct family *f = histogram("h", 2);
	const struct str x = STR("x");

	(void)state;
	observe(f, "x", 3);
	publish(NOW);
	family_remove(f, &x);
	publish(NOW + 1);
	assert_line("__name__=\"h\",n=\"x\" { count 0 sum stale schema 0 "
		    "threshold 0 zero 0 @ 1700000001 }");
	assert_line("__name__=\"h_sum\",n=\"x\" stale");
	assert_int_equal(got.samples, 6);
	publish(NOW + 2);
	assert_int_equal(got.samples, 0);
}

/* From classic and native to native alone, as after a reload. */
static void buckets_that_a_family_has_no_more_are_ended(void **state)
{
	struct registry *r = registry_new(&(struct registry_options){ 0 });
	struct family *f = declare(r, METRIC_HISTOGRAM, "h", 0, true);
	struct page *page;

	(void)state;
	observe(histogram("h", 2), "x", 3);
	publish(NOW);
	observe(f, "x", 3);
	page = registry_publish(r, 0);
	write_page(page, NOW + 1);
	assert_int_equal(got.of[REMOTE_HISTOGRAMS], 1);
	assert_line("__name__=\"h\",n=\"x\" { count 1");
	assert_line("__name__=\"h_bucket\",le=\"10\",n=\"x\" stale");
	assert_int_equal(got.samples, 1 + 5);
	page_unref(page);
	registry_free(r);
}

static void large_histograms_end_a_request_by_size(void **state)
{
	struct family *f = histogram("h", 0);
	char label[32];

	(void)state;
	for (int i = 0; i < 1500; i++) {
		memset(label, 'a', sizeof label);
		snprintf(label, sizeof label, "%d", i);
		for (int k = 0; k < 150; k++)
			observe(f, label, ldexp(1, 4 * (k + 1)));
	}
	publish(NOW);
	assert_int_equal(got.samples, 1500);
	assert_in_range(got.of[REMOTE_HISTOGRAMS], 2, 5);
	assert_in_range(got.largest, REMOTE_WRITE_BYTES,
			REMOTE_WRITE_BYTES + (1 << 12));
}

static void many_histograms_end_a_request_by_number(void **state)
{
	struct family *f = histogram("h", 2);
	char label[32];

	(void)state;
	for (int i = 0; i < REMOTE_WRITE_SAMPLES + 1; i++) {
		snprintf(label, sizeof label, "%d", i);
		observe(f, label, 3);
	}
	publish(NOW);
	assert_int_equal(got.samples, 6 * (REMOTE_WRITE_SAMPLES + 1));
	assert_int_equal(got.of[REMOTE_HISTOGRAMS], 2);
}

/* ---- exemplars ---- */

static void exemplars_are_those_of_their_series(void **state)
{
	struct family *c =
		declare(registry, METRIC_COUNTER, "c_total", 0, false);
	struct family *h = declare(registry, METRIC_HISTOGRAM, "h", 2, false);

	(void)state;
	family_inc(c, row(c, "x"), 2);
	explain(c, "x", 2, "a\"b\n", 1700000.5);
	observe(h, "x", 3);
	explain(h, "x", 3, "h", 1700001);
	observe(h, "x", 30);
	explain(h, "x", 30, "i", (double)NAN);
	publish(NOW);
	assert_line("__name__=\"c_total\",n=\"x\" # "
		    "{trace_id=\"a\\\"b\\n\"} 2 @1700000500");
	assert_line("__name__=\"h_bucket\",le=\"10\",n=\"x\" # "
		    "{trace_id=\"h\"} 3 @1700001000");
	assert_line("__name__=\"h_bucket\",le=\"+Inf\",n=\"x\" # "
		    "{trace_id=\"i\"} 30 @1700000000");
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 1);
	assert_int_equal(got.samples, 1 + 5 + 3);
}

/* They are one series', and in order of time. */
static void a_native_histogram_has_all_of_them(void **state)
{
	struct family *h = histogram("h", 2);

	(void)state;
	observe(h, "x", 30);
	explain(h, "x", 30, "late", 1700002);
	observe(h, "x", 3);
	explain(h, "x", 3, "early", 1700001);
	observe(h, "x", 0.1);
	explain(h, "x", 0.1, "never", (double)NAN);
	publish(NOW);
	assert_int_equal(count("__name__=\"h_bucket\",le=\"10\",n=\"x\" # "
			       "{trace_id=\"early\"}"),
			 1);
	assert_int_equal(count("__name__=\"h\",n=\"x\" # "), 2);
	assert_string_equal(got.lines[got.count - 1],
			    "__name__=\"h\",n=\"x\" # {trace_id=\"late\"} 30 "
			    "@1700002000");
	assert_string_equal(got.lines[got.count - 2],
			    "__name__=\"h\",n=\"x\" # {trace_id=\"early\"} 3 "
			    "@1700001000");
}

static void each_is_written_once(void **state)
{
	struct family *c =
		declare(registry, METRIC_COUNTER, "c_total", 0, false);

	(void)state;
	for (int i = 0; i < 4; i++) {
		family_inc(c, row(c, "x"), 1);
		family_inc(c, row(c, "y"), 1);
		if (i % 2 == 0)
			explain(c, "x", 1, i ? "second" : "first", 1700001 + i);
		publish(NOW + i);
		assert_int_equal(count("__name__=\"c_total\",n=\"x\" # "),
				 i % 2 == 0);
	}
	/* The same labels and time, but another one. */
	explain(c, "x", 1, "second", 1700003);
	publish(NOW + 5);
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 1);
}

static void a_page_that_is_missing_does_not_repeat_them(void **state)
{
	struct family *c =
		declare(registry, METRIC_COUNTER, "c_total", 0, false);

	(void)state;
	family_inc(c, row(c, "x"), 1);
	explain(c, "x", 1, "a", 1700001);
	publish(NOW);
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 1);
	write_page(NULL, NOW + 1);
	assert_line("__name__=\"c_total\",n=\"x\" stale");
	publish(NOW + 2);
	assert_line("__name__=\"c_total\",n=\"x\" 1");
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 0);
}

static void what_a_reload_took_over_is_not_repeated(void **state)
{
	struct registry *r = registry_new(&(struct registry_options){ 0 });
	struct family *c =
		declare(registry, METRIC_COUNTER, "c_total", 0, false);
	struct family *d = declare(r, METRIC_COUNTER, "c_total", 0, false);
	struct page *page;

	(void)state;
	family_inc(c, row(c, "x"), 1);
	explain(c, "x", 1, "a", 1700001);
	page = registry_publish(registry, 0);
	write_page(page, NOW);
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 1);
	family_inc(d, row(d, "w"), 1);
	explain(d, "w", 1, "new", 1700002);
	assert_int_equal(registry_carry(r, NULL, page, 0, NULL), 1);
	page_unref(page);
	page = registry_publish(r, 0);
	write_page(page, NOW + 1);
	assert_int_equal(got.samples, 2 + 1);
	assert_line("__name__=\"c_total\",n=\"w\" # {trace_id=\"new\"}");
	page_unref(page);
	registry_free(r);
}

static void without_the_option_there_are_none(void **state)
{
	struct family *c =
		declare(registry, METRIC_COUNTER, "c_total", 0, false);

	(void)state;
	begin(true, false);
	family_inc(c, row(c, "x"), 1);
	explain(c, "x", 1, "a", 1700001);
	publish(NOW);
	assert_int_equal(got.of[REMOTE_EXEMPLARS], 0);
	assert_int_equal(got.samples, 1);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, make, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(a_native_histogram_has_spans_and_deltas),
		SPEC(one_without_buckets_is_an_empty_one),
		SPEC(a_sum_may_be_no_number),
		SPEC(classic_and_native_are_both_written),
		SPEC(without_the_option_it_is_as_in_the_text),
		SPEC(one_that_is_gone_is_ended_by_its_sum),
		SPEC(buckets_that_a_family_has_no_more_are_ended),
		SPEC(large_histograms_end_a_request_by_size),
		SPEC(many_histograms_end_a_request_by_number),
		SPEC(exemplars_are_those_of_their_series),
		SPEC(a_native_histogram_has_all_of_them),
		SPEC(each_is_written_once),
		SPEC(a_page_that_is_missing_does_not_repeat_them),
		SPEC(what_a_reload_took_over_is_not_repeated),
		SPEC(without_the_option_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
