/* SPDX-License-Identifier: Apache-2.0 */
/* The expected lines are those of the specification's examples, where it has
 * one. */
#include "shown.h"

static const struct form om2 = { FORMAT_OPENMETRICS2, ESCAPING_UNDERSCORES,
				 false };
static const struct form om2_utf8 = { FORMAT_OPENMETRICS2, ESCAPING_NONE,
				      false };

static void a_counter_has_its_start_and_exemplars_inline(void **state)
{
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_COUNTER,
						  .name = "foo_total",
						  .unit = "seconds",
						  .help = "A \"b\" \\ c\nd.",
						  .timestamps = true });
	const struct metadata *m = shown.metadata;
	double *row = shown_row(&shown, "");

	(void)state;
	row[0] = 17;
	row[m->created] = 1520430000.123;
	row[m->time] = 1520879607.789;
	shown_exemplar(&shown, 1, 0, "trace_id", "KOO5S4vxi0o", 0.67,
		       1520879606.1);
	shown_set(&shown, "", nan_value);
	shown_set(&shown, "", -1);
	shown_set(&shown, "", 18);
	shown_exemplar(&shown, 1, 0, "trace_id", "x", 0.67, nan_value);
	assert_renders(om2, shown,
		       "# TYPE foo_total counter\n# UNIT foo_total seconds\n"
		       "# HELP foo_total A \\\"b\\\" \\\\ c\\nd.\n"
		       "foo_total 17 1520879607.789 st@1520430000.123"
		       " # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879606.1\n"
		       "foo_total 18\n");
}

static void types_keep_their_names(void **state)
{
	static const struct {
		enum metric_type type;
		const char *name, *expected;
	} types[] = {
		{ METRIC_COUNTER, "foo", "# TYPE foo counter\nfoo 1\n" },
		{ METRIC_GAUGE, "foo", "# TYPE foo gauge\nfoo 1\n" },
		{ METRIC_UNKNOWN, "foo", "# TYPE foo unknown\nfoo 1\n" },
		{ METRIC_INFO, "foo_info",
		  "# TYPE foo_info info\nfoo_info 1\n" },
		{ METRIC_INFO, "foo", "# TYPE foo gauge\nfoo 1\n" },
		{ METRIC_INFO, "_info", "# TYPE _info gauge\n_info 1\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct shown shown = shown_new((struct metadata_desc){
			.type = types[i].type, .name = types[i].name });

		shown_set(&shown, "", 1);
		assert_renders(om2, shown, types[i].expected);
	}
}

static void a_stateset_has_a_line_for_each_state(void **state)
{
	static const char *const states[] = { "a", "bb" };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_STATESET,
						  .name = "foo",
						  .unit = "x",
						  .states = states,
						  .nstates = 2 });

	(void)state;
	shown_row(&shown, "entity=\"controller\"")[1] = 1;
	assert_renders(om2, shown,
		       "# TYPE foo stateset\n"
		       "foo{entity=\"controller\",foo=\"a\"} 0\n"
		       "foo{entity=\"controller\",foo=\"bb\"} 1\n");
}

static void a_summary_is_one_value(void **state)
{
	static const double quantiles[] = { 0.5, 0.95, 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
						  .name = "foo",
						  .quantiles = quantiles,
						  .nquantiles = 3 });
	const double rows[][6] = {
		{ 324789.3, 17, nan_value, 123.7, 150, 1520430000.123 },
		{ 1, 2, -3, 0.5, -1, 0 },
		{ -1, 2, 1, 1, 1, 0 },
		{ nan_value, 2, 1, 1, 1, 0 },
	};
	static const char *const labels[] = { "a=\"1\"", "a=\"2\"", "a=\"3\"",
					      "a=\"4\"" };

	(void)state;
	for (int i = 0; i < 4; i++)
		memcpy(shown_row(&shown, labels[i]), rows[i], sizeof rows[i]);
	assert_renders(om2, shown,
		       "# TYPE foo summary\n"
		       "foo{a=\"1\"} {count:17,sum:324789.3,"
		       "quantile:[0.5:NaN,0.95:123.7,1:150]}"
		       " st@1520430000.123\n"
		       "foo{a=\"2\"} {count:2,sum:1,quantile:[0.95:0.5]}\n");
	shown = shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
						  .name = "foo" });
	shown_row(&shown, "")[1] = 17;
	assert_renders(
		om2, shown,
		"# TYPE foo summary\nfoo {count:17,sum:0,quantile:[]}\n");
}

static void a_histogram_is_one_value_with_all_exemplars(void **state)
{
	static const double bounds[] = { 0.01, 0.1, 1, 10 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_HISTOGRAM,
						  .name = "foo",
						  .bounds = bounds,
						  .nbounds = 4 });
	const double numbers[] = { 324789.3, 0, 8, 3, 6, 0, 1520430000.123 };

	(void)state;
	memcpy(shown_row(&shown, ""), numbers, sizeof numbers);
	shown_exemplar(&shown, 5, 1, NULL, NULL, 0.054, 1520879607.7);
	shown_exemplar(&shown, 5, 2, "trace_id", "KOO5S4vxi0o", 1.67,
		       1520879602.89);
	shown_exemplar(&shown, 5, 3, "trace_id", "oHg5SJYRHA0", 9.8,
		       1520879607.789);
	assert_renders(om2, shown,
		       "# TYPE foo histogram\n"
		       "foo {count:17,sum:324789.3,"
		       "bucket:[0.01:0,0.1:8,1:11,10:17,+Inf:17]}"
		       " st@1520430000.123 # {} 0.054 1520879607.7"
		       " # {trace_id=\"KOO5S4vxi0o\"} 1.67 1520879602.89"
		       " # {trace_id=\"oHg5SJYRHA0\"} 9.8 1520879607.789\n");
}

static void a_gauge_histogram_has_gcount_and_gsum(void **state)
{
	static const double bounds[] = { -1, 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_GAUGEHISTOGRAM,
						  .name = "foo",
						  .bounds = bounds,
						  .nbounds = 2,
						  .timestamps = true });
	double *row = shown_row(&shown, "a=\"b\"");

	(void)state;
	row[0] = -3289.3;
	row[1] = 20;
	row[3] = 22;
	row[shown.metadata->time] = 5;
	assert_renders(om2, shown,
		       "# TYPE foo gaugehistogram\n"
		       "foo{a=\"b\"} {gcount:42,gsum:-3289.3,"
		       "bucket:[-1:20,1:20,+Inf:42]} 5\n");
}

static void fill_native(struct shown *shown,
			const struct native_options *options,
			const double *from, size_t n)
{
	uint32_t i = shown->n - 1;
	double *row = shown->values + i * shown->metadata->width;

	shown->natives[i] = native_new(options);
	for (size_t k = 0; k < n; k++) {
		native_observe(shown->natives[i], from[k]);
		row[0] += from[k];
		row[1]++;
	}
}

static void a_native_histogram_stands_inline(void **state)
{
	const struct native_options options = { .schema = 0,
						.zero_threshold = 0.25 };
	static const double values[] = { 0.125, 1, 1.5, 2, 1.5, 64, -3, -40 };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "foo", .native = &options });

	(void)state;
	shown_row(&shown, "a=\"1\"");
	fill_native(&shown, &options, values, 8);
	shown_row(&shown, "a=\"2\"");
	fill_native(&shown, &options, values, 0);
	shown_row(&shown, "a=\"3\"");
	fill_native(&shown, &options, values, 2);
	assert_renders(om2, shown,
		       "# TYPE foo histogram\n"
		       "foo{a=\"1\"} {count:8,sum:27.125,schema:0,"
		       "zero_threshold:0.25,zero_count:1,"
		       "negative_spans:[2:1,3:1],negative_buckets:[1,1],"
		       "positive_spans:[0:2,4:1],positive_buckets:[1,3,1]}\n"
		       "foo{a=\"2\"} {count:0,sum:0,schema:0,"
		       "zero_threshold:0.25,zero_count:0}\n"
		       "foo{a=\"3\"} {count:2,sum:1.125,schema:0,"
		       "zero_threshold:0.25,zero_count:1,"
		       "positive_spans:[0:1],positive_buckets:[1]}\n");
}

static void native_buckets_stand_before_classic_ones(void **state)
{
	static const double bounds[] = { 0.5 };
	static const double values[] = { 0.25 };
	const struct native_options options = { .schema = 0 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_HISTOGRAM,
						  .name = "foo",
						  .bounds = bounds,
						  .nbounds = 1,
						  .native = &options });

	(void)state;
	shown_row(&shown, "");
	fill_native(&shown, &options, values, 1);
	shown_row(&shown, ""); /* a row that has none */
	assert_renders(om2, shown,
		       "# TYPE foo histogram\n"
		       "foo {count:1,sum:0.25,schema:0,zero_threshold:0,"
		       "zero_count:0,positive_spans:[-2:1],"
		       "positive_buckets:[1],bucket:[0.5:1,+Inf:1]}\n"
		       "foo {count:0,sum:0,bucket:[0.5:0,+Inf:0]}\n");
}

static struct shown hostile(enum metric_type type)
{
	struct shown shown = shown_new(
		(struct metadata_desc){ .type = type,
					.name = "\"bar\".seconds.count",
					.unit = "seconds",
					.help = "H." });

	shown_row(&shown, "\"b\\\\\"=\"escaping\\\" example \\n \",c=\"d\"");
	return shown;
}

static void names_that_are_not_legacy_stand_in_the_braces(void **state)
{
	(void)state;
	assert_renders(om2_utf8, hostile(METRIC_GAUGE),
		       "# TYPE \"\\\"bar\\\".seconds.count\" gauge\n"
		       "# UNIT \"\\\"bar\\\".seconds.count\" seconds\n"
		       "# HELP \"\\\"bar\\\".seconds.count\" H.\n"
		       "{\"\\\"bar\\\".seconds.count\","
		       "\"b\\\\\"=\"escaping\\\" example \\n \",c=\"d\"} 0\n");
	assert_renders(om2_utf8, hostile(METRIC_SUMMARY),
		       "# TYPE \"\\\"bar\\\".seconds.count\" summary\n"
		       "# UNIT \"\\\"bar\\\".seconds.count\" seconds\n"
		       "# HELP \"\\\"bar\\\".seconds.count\" H.\n"
		       "{\"\\\"bar\\\".seconds.count\","
		       "\"b\\\\\"=\"escaping\\\" example \\n \",c=\"d\"} "
		       "{count:0,sum:0,quantile:[]}\n");
	assert_renders(om2, hostile(METRIC_GAUGE),
		       "# TYPE _bar__seconds_count gauge\n"
		       "# UNIT _bar__seconds_count seconds\n"
		       "# HELP _bar__seconds_count H.\n"
		       "_bar__seconds_count{b_=\"escaping\\\" example \\n \","
		       "c=\"d\"} 0\n");
}

static void an_exposition_ends_with_eof(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	render_end(&out, om2);
	assert_string_equal(buf_text(&out), "# EOF\n");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_has_its_start_and_exemplars_inline),
		cmocka_unit_test(types_keep_their_names),
		cmocka_unit_test(a_stateset_has_a_line_for_each_state),
		cmocka_unit_test(a_summary_is_one_value),
		cmocka_unit_test(a_histogram_is_one_value_with_all_exemplars),
		cmocka_unit_test(a_gauge_histogram_has_gcount_and_gsum),
		cmocka_unit_test(a_native_histogram_stands_inline),
		cmocka_unit_test(native_buckets_stand_before_classic_ones),
		cmocka_unit_test(names_that_are_not_legacy_stand_in_the_braces),
		cmocka_unit_test(an_exposition_ends_with_eof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
