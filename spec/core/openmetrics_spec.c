/* SPDX-License-Identifier: Apache-2.0 */
#include "shown.h"

static const struct form om = { FORMAT_OPENMETRICS, ESCAPING_UNDERSCORES,
				true };
static const struct form om_utf8 = { FORMAT_OPENMETRICS, ESCAPING_NONE, true };

static void a_counter_has_a_family_without_total(void **state)
{
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_COUNTER,
						  .name = "foo_seconds_total",
						  .unit = "seconds",
						  .help = "A \"b\" \\ c\nd." });

	(void)state;
	shown_set(&shown, "", 17);
	shown_set(&shown, NULL, 0);
	shown_set(&shown, "a=\"x\\\"\\n\"", 0.5);
	shown.values[2 * shown.metadata->width + shown.metadata->created] =
		1520430000.123;
	shown_exemplar(&shown, 1, 0, "trace_id", "KOO5", 0.67, 1520879606.1);
	assert_renders(om, shown,
		       "# TYPE foo_seconds counter\n"
		       "# UNIT foo_seconds seconds\n"
		       "# HELP foo_seconds A \\\"b\\\" \\\\ c\\nd.\n"
		       "foo_seconds_total 17\n"
		       "foo_seconds_total{a=\"x\\\"\\n\"} 0.5"
		       " # {trace_id=\"KOO5\"} 0.67 1520879606.1\n"
		       "foo_seconds_created{a=\"x\\\"\\n\"} 1520430000.123\n");
}

static void created_samples_can_be_left_out(void **state)
{
	struct form form = { FORMAT_OPENMETRICS, ESCAPING_UNDERSCORES, false };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_COUNTER, .name = "a_total" });
	double *row = shown_row(&shown, "");

	(void)state;
	row[0] = 1;
	row[shown.metadata->created] = 5;
	assert_renders(form, shown, "# TYPE a counter\na_total 1\n");
}

static void a_counter_that_is_nan_or_negative_is_left_out(void **state)
{
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_COUNTER, .name = "a_total" });

	(void)state;
	shown_set(&shown, "n=\"1\"", nan_value);
	shown_set(&shown, "n=\"2\"", -1);
	shown_set(&shown, "n=\"3\"", (double)INFINITY);
	shown_set(&shown, "n=\"4\"", -0.0);
	for (int i = 0; i < 4; i++)
		shown.values[i * 2 + 1] = 7;
	assert_renders(om, shown,
		       "# TYPE a counter\n"
		       "a_total{n=\"3\"} +Inf\na_created{n=\"3\"} 7\n"
		       "a_total{n=\"4\"} -0.0\na_created{n=\"4\"} 7\n");
}

static void a_counter_that_is_unknown_keeps_its_name(void **state)
{
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_COUNTER,
						  .name = "foo_seconds_total",
						  .unit = "seconds",
						  .help = "H." });
	double *row = shown_row(&shown, "");

	(void)state;
	shown.unknown = true;
	row[0] = nan_value;
	row[1] = 5;
	assert_renders(om, shown,
		       "# TYPE foo_seconds_total unknown\n"
		       "# HELP foo_seconds_total H.\n"
		       "foo_seconds_total NaN\n");
}

static void an_info_has_a_family_without_info_and_no_unit(void **state)
{
	struct metadata_desc desc = { .type = METRIC_INFO,
				      .name = "build_info",
				      .unit = "info" };
	struct shown shown = shown_new(desc);

	(void)state;
	shown_set(&shown, "version=\"1\"", 1);
	assert_renders(om, shown,
		       "# TYPE build info\nbuild_info{version=\"1\"} 1\n");
	desc.name = "build";
	shown = shown_new(desc);
	shown.unknown = true;
	shown_set(&shown, "version=\"1\"", 1);
	assert_renders(om, shown,
		       "# TYPE build gauge\nbuild{version=\"1\"} 1\n");
}

static void a_unit_stands_only_where_the_name_ends_with_it(void **state)
{
	static const char *const units[] = { "bytes", "ytes", "a_bytes", "B/s",
					     "\n" };

	(void)state;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		struct shown shown =
			shown_new((struct metadata_desc){ .type = METRIC_GAUGE,
							  .name = "a_bytes",
							  .unit = units[i] });

		assert_renders(om, shown,
			       i ? "# TYPE a_bytes gauge\n"
				 : "# TYPE a_bytes gauge\n"
				   "# UNIT a_bytes bytes\n");
	}
}

static void an_empty_family_is_its_head(void **state)
{
	(void)state;
	assert_renders(om,
		       shown_new((struct metadata_desc){ .type = METRIC_UNKNOWN,
							 .name = "a",
							 .help = "" }),
		       "# TYPE a unknown\n");
}

/* ---- distributions ---- */

static struct shown histogram(enum metric_type type, const double *bounds)
{
	return shown_new((struct metadata_desc){
		.type = type, .name = "h", .bounds = bounds, .nbounds = 3 });
}

static void fill(struct shown *shown, double sum)
{
	double *row = shown_row(shown, "a=\"b\"");

	row[0] = sum;
	row[1] = 1;
	row[3] = 2;
	row[4] = 3;
	if (shown->metadata->created)
		row[shown->metadata->created] = 1.5;
}

#define BUCKETS(zero, one, many)                                               \
	"h_bucket{a=\"b\",le=\"" zero "\"} 1\nh_bucket{a=\"b\",le=\"" one      \
	"\"} 1\nh_bucket{a=\"b\",le=\"" many                                   \
	"\"} 3\nh_bucket{a=\"b\",le=\"+Inf\"} 6\n"

static void the_bounds_of_a_histogram_are_canonical(void **state)
{
	static const double bounds[] = { 0, 1, 1e6 };
	struct shown shown = histogram(METRIC_HISTOGRAM, bounds);

	(void)state;
	fill(&shown, 3.5);
	assert_renders(om, shown,
		       "# TYPE h histogram\n" BUCKETS(
			       "0.0", "1.0", "1e+06") "h_sum{a=\"b\"} 3.5\n"
						      "h_count{a=\"b\"} 6\n"
						      "h_created{a=\"b\"} "
						      "1.5\n");
}

static void buckets_have_exemplars(void **state)
{
	static const double bounds[] = { 0.5, 1, 10 };
	struct shown shown = histogram(METRIC_HISTOGRAM, bounds);

	(void)state;
	fill(&shown, 3.5);
	shown_exemplar(&shown, 4, 0, NULL, NULL, 0.25, nan_value);
	shown_exemplar(&shown, 4, 3, "id", "\"", 99, 2);
	assert_renders(om, shown,
		       "# TYPE h histogram\n"
		       "h_bucket{a=\"b\",le=\"0.5\"} 1 # {} 0.25\n"
		       "h_bucket{a=\"b\",le=\"1.0\"} 1\n"
		       "h_bucket{a=\"b\",le=\"10.0\"} 3\n"
		       "h_bucket{a=\"b\",le=\"+Inf\"} 6 # {id=\"\\\"\"} 99 2\n"
		       "h_sum{a=\"b\"} 3.5\nh_count{a=\"b\"} 6\n"
		       "h_created{a=\"b\"} 1.5\n");
}

static void a_histogram_without_a_legal_sum_has_no_count_either(void **state)
{
	static const double negative[] = { -1, 1, 10 };
	static const double positive[] = { 0, 1, 10 };
	const double sums[] = { -3.5, nan_value };
	struct shown shown = histogram(METRIC_HISTOGRAM, negative);

	(void)state;
	fill(&shown, 3.5);
	assert_renders(om, shown,
		       "# TYPE h histogram\n" BUCKETS(
			       "-1.0", "1.0", "10.0") "h_created{a=\"b\"} "
						      "1.5\n");
	for (int i = 0; i < 2; i++) {
		shown = histogram(METRIC_HISTOGRAM, positive);
		fill(&shown, sums[i]);
		assert_renders(om, shown,
			       "# TYPE h histogram\n" BUCKETS(
				       "0.0", "1.0",
				       "10.0") "h_created{a=\"b\"} 1.5\n");
	}
}

static void a_gauge_histogram_has_gcount_and_gsum(void **state)
{
	static const double negative[] = { -1, 1, 10 };
	static const double positive[] = { 0, 1, 10 };
	struct shown shown = histogram(METRIC_GAUGEHISTOGRAM, negative);

	(void)state;
	fill(&shown, -3.5);
	assert_renders(om, shown,
		       "# TYPE h gaugehistogram\n" BUCKETS(
			       "-1.0", "1.0", "10.0") "h_gcount{a=\"b\"} 6\n"
						      "h_gsum{a=\"b\"} -3.5\n");
	shown = histogram(METRIC_GAUGEHISTOGRAM, positive);
	fill(&shown, -3.5);
	assert_renders(
		om, shown,
		"# TYPE h gaugehistogram\n" BUCKETS("0.0", "1.0", "10.0"));
}

static void a_native_histogram_is_its_count_and_sum(void **state)
{
	struct native_options options = { .schema = 3, .max_buckets = 160 };
	struct shown shown = shown_new((struct metadata_desc){
		.type = METRIC_HISTOGRAM, .name = "h", .native = &options });
	double *row = shown_row(&shown, "");

	(void)state;
	shown.natives[0] = native_new(&options);
	native_observe(shown.natives[0], 2);
	row[0] = 2;
	row[1] = 1;
	assert_renders(om, shown,
		       "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n"
		       "h_sum 2\nh_count 1\n");
}

static void a_summary_has_canonical_ranks(void **state)
{
	static const double quantiles[] = { 0, 0.5, 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_SUMMARY,
						  .name = "s",
						  .quantiles = quantiles,
						  .nquantiles = 3 });
	const double rows[][6] = { { 3.5, 17, 0.1, nan_value, 9, 4 },
				   { -1, 2, -3, 0.5, 1, 0 },
				   { nan_value, 0, nan_value, nan_value,
				     nan_value, 0 } };

	(void)state;
	memcpy(shown_row(&shown, ""), rows[0], sizeof rows[0]);
	memcpy(shown_row(&shown, "a=\"b\""), rows[1], sizeof rows[1]);
	memcpy(shown_row(&shown, "a=\"c\""), rows[2], sizeof rows[2]);
	assert_renders(om, shown,
		       "# TYPE s summary\n"
		       "s{quantile=\"0.0\"} 0.1\ns{quantile=\"0.5\"} NaN\n"
		       "s{quantile=\"1.0\"} 9\ns_sum 3.5\ns_count 17\n"
		       "s_created 4\n"
		       "s{a=\"b\",quantile=\"0.5\"} 0.5\n"
		       "s{a=\"b\",quantile=\"1.0\"} 1\ns_count{a=\"b\"} 2\n"
		       "s{a=\"c\",quantile=\"0.0\"} NaN\n"
		       "s{a=\"c\",quantile=\"0.5\"} NaN\n"
		       "s{a=\"c\",quantile=\"1.0\"} NaN\n"
		       "s_count{a=\"c\"} 0\n");
}

static void a_stateset_has_a_label_of_its_name(void **state)
{
	static const char *const states[] = { "on", "o\"\\\n" };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_STATESET,
						  .name = "s.t",
						  .unit = "t",
						  .states = states,
						  .nstates = 2 });

	(void)state;
	shown_row(&shown, "a=\"b\"")[1] = 1;
	assert_renders(om, shown,
		       "# TYPE s_t stateset\n"
		       "s_t{a=\"b\",s_t=\"on\"} 0\n"
		       "s_t{a=\"b\",s_t=\"o\\\"\\\\\\n\"} 1\n");
}

/* ---- times and names ---- */

static void times_are_seconds_and_stand_behind_each_sample(void **state)
{
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_COUNTER,
						  .name = "a_total",
						  .timestamps = true });
	const struct metadata *m = shown.metadata;
	double *row = shown_row(&shown, "");

	(void)state;
	row[0] = 1;
	row[m->time] = 1520879607.789;
	row[m->created] = 3;
	shown_exemplar(&shown, 1, 0, "x", "y", 1, 2);
	shown_set(&shown, "n=\"2\"", 2);
	row = shown_row(&shown, "n=\"3\"");
	row[0] = 3;
	row[m->time] = -0.5;
	assert_renders(om, shown,
		       "# TYPE a counter\n"
		       "a_total 1 1520879607.789 # {x=\"y\"} 1 2\n"
		       "a_created 3 1520879607.789\n"
		       "a_total{n=\"2\"} 2\na_total{n=\"3\"} 3 -0.5\n");
}

static struct shown hostile(void)
{
	static const double bounds[] = { 1 };
	struct shown shown =
		shown_new((struct metadata_desc){ .type = METRIC_HISTOGRAM,
						  .name = "h.\"t\"",
						  .help = "H.",
						  .bounds = bounds,
						  .nbounds = 1 });
	double *row = shown_row(&shown, "\"a.b\"=\"x\",c=\"y\"");

	row[0] = 1;
	row[1] = 1;
	row[shown.metadata->created] = 2;
	shown_exemplar(&shown, 2, 0, "tr\xC3\xA9", "z", 1, 3);
	return shown;
}

static void names_that_are_not_legacy_are_escaped(void **state)
{
	struct form dots = { FORMAT_OPENMETRICS, ESCAPING_DOTS, false };

	(void)state;
	assert_renders(om, hostile(),
		       "# TYPE h__t_ histogram\n# HELP h__t_ H.\n"
		       "h__t__bucket{a_b=\"x\",c=\"y\",le=\"1.0\"} 1"
		       " # {tr_=\"z\"} 1 3\n"
		       "h__t__bucket{a_b=\"x\",c=\"y\",le=\"+Inf\"} 1\n"
		       "h__t__sum{a_b=\"x\",c=\"y\"} 1\n"
		       "h__t__count{a_b=\"x\",c=\"y\"} 1\n"
		       "h__t__created{a_b=\"x\",c=\"y\"} 2\n");
	assert_renders(dots, hostile(),
		       "# TYPE h_dot___t__ histogram\n# HELP h_dot___t__ H.\n"
		       "h_dot___t___bucket{a_dot_b=\"x\",c=\"y\",le=\"1.0\"} 1"
		       " # {tr__=\"z\"} 1 3\n"
		       "h_dot___t___bucket{a_dot_b=\"x\",c=\"y\",le=\"+Inf\"} "
		       "1\n"
		       "h_dot___t___sum{a_dot_b=\"x\",c=\"y\"} 1\n"
		       "h_dot___t___count{a_dot_b=\"x\",c=\"y\"} 1\n");
}

/* The name has 109 characters, and 115 escaped; the values have 13, 0, 14. */
static void an_exemplar_that_escaping_makes_too_long_is_left_out(void **state)
{
	static const char *const values[] = { "123456789\\\"\n\xE2\x82\xAC", "",
					      "1234567890\\\"\n\xE2\x82\xAC" };
	struct form form = { FORMAT_OPENMETRICS, ESCAPING_VALUES, false };
	char name[128];
	struct shown shown;
	struct chunk *chunk;
	struct buf out;

	(void)state;
	memset(name, 'a', sizeof name);
	strcpy(name + 108, "\xC3\xA9");
	for (int i = 0; i < 3; i++) {
		shown = shown_new((struct metadata_desc){
			.type = METRIC_COUNTER, .name = "a_total" });
		shown_set(&shown, "", 1);
		shown_exemplar(&shown, 1, 0, name, values[i], 1, 2);
		chunk = shown_chunk(&shown);
		buf_init(&out, 1 << 16);
		shown_render(&out, form, &shown, chunk);
		assert_int_equal(strstr(buf_text(&out), " # {U__aaa") != NULL,
				 i < 2);
		buf_release(&out);
		shown_free(&shown, chunk);
	}
}

static void names_that_are_not_legacy_stand_in_the_braces(void **state)
{
	struct shown counter = shown_new((struct metadata_desc){
		.type = METRIC_COUNTER, .name = "c.d_total", .help = "C." });
	double *row = shown_row(&counter, "");

	(void)state;
	assert_renders(
		om_utf8, hostile(),
		"# TYPE \"h.\\\"t\\\"\" histogram\n"
		"# HELP \"h.\\\"t\\\"\" H.\n"
		"{\"h.\\\"t\\\"_bucket\",\"a.b\"=\"x\",c=\"y\",le=\"1.0\"} 1"
		" # {\"tr\xC3\xA9\"=\"z\"} 1 3\n"
		"{\"h.\\\"t\\\"_bucket\",\"a.b\"=\"x\",c=\"y\",le=\"+Inf\"} 1\n"
		"{\"h.\\\"t\\\"_sum\",\"a.b\"=\"x\",c=\"y\"} 1\n"
		"{\"h.\\\"t\\\"_count\",\"a.b\"=\"x\",c=\"y\"} 1\n"
		"{\"h.\\\"t\\\"_created\",\"a.b\"=\"x\",c=\"y\"} 2\n");
	row[0] = 1;
	row[1] = 2;
	assert_renders(om_utf8, counter,
		       "# TYPE \"c.d\" counter\n# HELP \"c.d\" C.\n"
		       "{\"c.d_total\"} 1\n{\"c.d_created\"} 2\n");
}

/* ---- names that meet ---- */

/* "counter x_total", ...: sorted. Are the first N characters of WHICH, one for
 * each, right? u: unknown. */
static void assert_meet(const char *const *families, const char *which)
{
	struct metadata *all[8];
	char type[32], name[64];
	size_t n = strlen(which);

	for (size_t i = 0; i < n; i++) {
		struct metadata_desc desc = { .name = name };
		struct err err = { 0 };

		assert_int_equal(sscanf(families[i], "%31s %63s", type, name),
				 2);
		assert_true(metric_type_parse(type, &desc.type));
		all[i] = metadata_new(&desc, &err);
		if (!all[i])
			fail_msg("%s", err.text);
		assert_true(!i || strcmp(all[i - 1]->name, name) < 0);
	}
	for (size_t i = 0; i < n; i++) {
		const struct metadata *const *list =
			(const struct metadata *const *)all;

		if (render_is_unknown(om, all[i], list, n) != (which[i] == 'u'))
			fail_msg("%s: not as expected", families[i]);
		assert_false(render_is_unknown(form_plain, all[i], list, n));
	}
	for (size_t i = 0; i < n; i++)
		metadata_unref(all[i]);
}

#define MEET(which, ...)                                                       \
	assert_meet((const char *const[]){ __VA_ARGS__ }, which)

static void what_would_meet_another_family_is_unknown(void **state)
{
	(void)state;
	MEET("u", "counter x");
	MEET("u", "counter _total");
	MEET("u", "info x");
	MEET("..", "counter x_total", "counter y_total");
	MEET(".u", "gauge x", "counter x_total");
	MEET(".u", "gauge x", "info x_info");
	MEET("uu", "info x_info", "counter x_total");
	MEET(".u", "gauge x_created", "counter x_total");
	MEET("uu", "counter x_created_total", "counter x_total");
	MEET("..", "gauge x_info", "counter x_total");
	MEET(".u", "histogram x", "counter x_count_total");
	MEET(".u", "summary x", "info x_sum_info");
	MEET("..", "gauge x", "counter x_count_total");
	MEET("..", "summary x", "counter x_bucket_total");
	MEET(".u", "gaugehistogram x", "counter x_gsum_total");
	MEET("uu", "counter x_total", "counter x_total_total");
	MEET(".u.", "gauge a", "counter a_total", "histogram b");
}

static void an_exposition_ends_with_eof(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	render_end(&out, om);
	assert_string_equal(buf_text(&out), "# EOF\n");
	buf_clear(&out);
	render_end(&out, form_plain);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_has_a_family_without_total),
		cmocka_unit_test(created_samples_can_be_left_out),
		cmocka_unit_test(a_counter_that_is_nan_or_negative_is_left_out),
		cmocka_unit_test(a_counter_that_is_unknown_keeps_its_name),
		cmocka_unit_test(an_info_has_a_family_without_info_and_no_unit),
		cmocka_unit_test(
			a_unit_stands_only_where_the_name_ends_with_it),
		cmocka_unit_test(an_empty_family_is_its_head),
		cmocka_unit_test(the_bounds_of_a_histogram_are_canonical),
		cmocka_unit_test(buckets_have_exemplars),
		cmocka_unit_test(
			a_histogram_without_a_legal_sum_has_no_count_either),
		cmocka_unit_test(a_gauge_histogram_has_gcount_and_gsum),
		cmocka_unit_test(a_native_histogram_is_its_count_and_sum),
		cmocka_unit_test(a_summary_has_canonical_ranks),
		cmocka_unit_test(a_stateset_has_a_label_of_its_name),
		cmocka_unit_test(
			times_are_seconds_and_stand_behind_each_sample),
		cmocka_unit_test(names_that_are_not_legacy_are_escaped),
		cmocka_unit_test(
			an_exemplar_that_escaping_makes_too_long_is_left_out),
		cmocka_unit_test(names_that_are_not_legacy_stand_in_the_braces),
		cmocka_unit_test(what_would_meet_another_family_is_unknown),
		cmocka_unit_test(an_exposition_ends_with_eof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
