/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are taken apart (received.h) and compared with the text of the same
 * page. */
#include "received.h"

#include "core/registry.h"
#include "core/text.h"

enum { LIVE = REGISTRY_LIVE, NOW = 1700000000 };

static struct registry *registry;
static struct remote_write *writer;

/* ---- the same from text ---- */

struct pair {
	char name[64], *value; /* value: escaped */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name,
		      ((const struct pair *)b)->name);
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void set_pair(struct pair *pairs, size_t *n, const char *name,
		     size_t name_len, const char *value, size_t len)
{
	if (len == 0)
		return;
	for (size_t i = 0; i < *n; i++)
		if (strlen(pairs[i].name) == name_len &&
		    memcmp(pairs[i].name, name, name_len) == 0)
			return;
	assert_true(name_len < sizeof pairs->name);
	pairs[*n] = (struct pair){ .value = mem_copy(value, len) };
	memcpy(pairs[(*n)++].name, name, name_len);
}

/* name{a="b",...} 1: what a receiver should have of it. */
static char *expected_line(const char *p, const struct label_pair *added,
			   size_t nadded)
{
	struct pair pairs[64];
	size_t n = 0, name_len = strcspn(p, "{ ");
	struct buf line;

	set_pair(pairs, &n, "__name__", 8, p, name_len);
	p += name_len;
	while (*p == '{' || *p == ',') {
		const char *name = p + 1, *value = strchr(p, '=') + 2;

		for (p = value; *p != '"'; p++)
			p += *p == '\\';
		set_pair(pairs, &n, name, (size_t)(value - 2 - name), value,
			 (size_t)(p - value));
		p++;
	}
	for (size_t i = 0; i < nadded; i++)
		set_pair(pairs, &n, added[i].name, strlen(added[i].name),
			 added[i].value, strlen(added[i].value));
	qsort(pairs, n, sizeof *pairs, by_name);
	buf_init(&line, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_addf(&line, "%s%s=\"%s\"", i ? "," : "", pairs[i].name,
			 pairs[i].value);
		free(pairs[i].value);
	}
	buf_addstr(&line, *p == '}' ? p + 1 : p);
	return buf_take(&line, &n);
}

/* Are the samples received those of PAGE's text? */
static void assert_as_text(const struct page *page,
			   const struct label_pair *added, size_t nadded)
{
	static char *expected[LINES_MAX];
	size_t n = 0;
	struct buf text;

	buf_init(&text, 1 << 26);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		for (uint32_t c = 0; c < page->families[f].nchunks; c++)
			text_chunk(&text, page->families[f].metadata,
				   page->families[f].chunks[c]);
	for (char *line = strtok(text.data, "\n"); line;
	     line = strtok(NULL, "\n"))
		expected[n++] = expected_line(line, added, nadded);
	qsort(expected, n, sizeof *expected, by_line);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	for (size_t i = 0, k = 0; i < n || k < got.count; i++) {
		while (k < got.count && got.lines[k][0] == '#')
			k++;
		assert_string_equal(k < got.count ? got.lines[k++] : "nothing",
				    i < n ? expected[i] : "nothing");
	}
	for (size_t i = 0; i < n; i++)
		free(expected[i]);
	buf_release(&text);
}

/* ---- a registry and a writer ---- */

static const struct label_pair added[] = { { "job", "meters" },
					   { "instance", "a:1" } };

static struct remote_write *new_writer(const struct label_pair *labels,
				       unsigned n)
{
	struct err err = { 0 };
	struct remote_write_options options = { .labels = labels,
						.nlabels = n };
	struct remote_write *w = remote_write_new(&options, &err);

	if (!w)
		fail_msg("%s", err.text);
	return w;
}

static int make(void **state)
{
	(void)state;
	forget();
	registry = registry_new(&(struct registry_options){ 0 });
	writer = new_writer(added, 2);
	return 0;
}

static int release(void **state)
{
	(void)state;
	forget();
	remote_write_free(writer);
	registry_free(registry);
	return 0;
}

static struct family *declare(struct registry *r, struct metadata_desc desc,
			      const char *const *labels, unsigned n)
{
	struct family_options options = { .metadata = desc,
					  .labels = labels,
					  .nlabels = n };
	struct err err = { 0 };
	struct family *family = registry_add(r, &options, &err);

	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static struct family *gauge(const char *name, const char *label)
{
	return declare(registry,
		       (struct metadata_desc){ .type = METRIC_GAUGE,
					       .name = name,
					       .help = "Help." },
		       &label, label ? 1 : 0);
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

static void set(struct family *family, const char *one, double value)
{
	family_set(family, row(family, one, NULL), LIVE, value, 0);
}

/* In a part of its own: what it did not set this time is gone. */
static void set_only(struct family *family, unsigned part, int from, int to)
{
	char text[32];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof text, "device-%05d", i);
		family_set(family, row(family, text, NULL), part, i, 0);
	}
	registry_commit(registry, part, 0);
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

/* How many lines end in END. */
static size_t count_lines(const char *end)
{
	size_t n = 0, len = strlen(end);

	for (size_t i = 0; i < got.count; i++) {
		size_t have = strlen(got.lines[i]);

		n += have >= len && strcmp(got.lines[i] + have - len, end) == 0;
	}
	return n;
}

static void assert_got(size_t i, const char *line)
{
	assert_in_range(i + 1, 1, got.count);
	assert_string_equal(got.lines[i], line);
}

/* ---- names, labels, values ---- */

static void fill_every_type(struct registry *r)
{
	static const double bounds[] = { 0.1, 1, 2.5 };
	static const char *const states[] = { "on", "off", "o\"d\\d\n" };
	static const char *const two[] = { "b", "Z" };
	struct family *f;

	f = declare(r,
		    (struct metadata_desc){ .type = METRIC_COUNTER,
					    .name = "a_total" },
		    two, 2);
	family_inc(f, row(f, "C:\\DIR\\", "say \"hi\"\n"), 42);
	family_inc(f, row(f, "", "\xC3\xBC\xE6\x97\xA5"), 0.5);
	family_inc(f, row(f, "\\n", ""), 1e21);
	family_inc(f, row(f, "\\\"\n", "}{,= #"), 3);
	f = declare(r,
		    (struct metadata_desc){ .type = METRIC_HISTOGRAM,
					    .name = "b_seconds",
					    .bounds = bounds,
					    .nbounds = 3 },
		    two, 2);
	family_observe(f, row(f, "x\"", "1"), REGISTRY_LIVE, 0.1, 0);
	family_observe(f, row(f, "x\"", "1"), REGISTRY_LIVE, 2, 0);
	family_observe(f, row(f, "x\"", "1"), REGISTRY_LIVE, 100, 0);
	family_observe(f, row(f, "", ""), REGISTRY_LIVE, 0.05, 0);
	f = declare(r,
		    (struct metadata_desc){ .type = METRIC_SUMMARY,
					    .name = "c_seconds" },
		    two, 2);
	family_observe(f, row(f, "q", "r"), REGISTRY_LIVE, 1.25, 0);
	f = declare(r,
		    (struct metadata_desc){ .type = METRIC_STATESET,
					    .name = "d_state",
					    .states = states,
					    .nstates = 3 },
		    two, 2);
	family_set_state(f, row(f, "lamp", "\\"), LIVE, 1, 0);
	f = declare(
		r,
		(struct metadata_desc){ .type = METRIC_INFO, .name = "e_info" },
		two, 2);
	family_set(f, row(f, "1.0", ""), LIVE, 1, 0);
	f = declare(
		r,
		(struct metadata_desc){ .type = METRIC_UNKNOWN, .name = "f" },
		NULL, 0);
	family_set(f, row(f, NULL, NULL), LIVE, NAN, 0);
	f = declare(r,
		    (struct metadata_desc){ .type = METRIC_GAUGE, .name = "g" },
		    two, 1);
	family_set(f, row(f, "inf", NULL), LIVE, -INFINITY, 0);
	family_set(f, row(f, "tiny", NULL), LIVE, 4.9406564584124654e-324, 0);
	family_set(f, row(f, "-0", NULL), LIVE, -0.0, 0);
}

static void every_type_is_what_the_text_shows(void **state)
{
	static const struct label_pair constant[] = { { "site", "a\"\\\nb" },
						      { "empty", "" } };
	struct registry *r = registry_new(
		&(struct registry_options){ .labels = constant, .nlabels = 2 });
	struct page *page;

	(void)state;
	fill_every_type(registry);
	fill_every_type(r);
	page = registry_publish(registry, 0);
	write_page(page, NOW);
	assert_as_text(page, added, 2);
	assert_int_equal(got.time, NOW);
	page_unref(page);
	page = registry_publish(r, 0);
	forget();
	remote_write_free(writer);
	writer = new_writer(NULL, 0);
	write_page(page, NOW);
	assert_as_text(page, NULL, 0);
	page_unref(page);
	registry_free(r);
}

static void gauge_histograms_and_quantiles_are_series(void **state)
{
	static const double numbers[] = { 4.5, 2, 3 };
	static const double ranked[] = { 7, 2, 0.25, NAN };
	static const double bounds[] = { 1 }, quantiles[] = { 0.5, 1 };
	struct family *h, *s;

	(void)state;
	h = declare(registry,
		    (struct metadata_desc){ .type = METRIC_GAUGEHISTOGRAM,
					    .name = "h",
					    .bounds = bounds,
					    .nbounds = 1 },
		    NULL, 0);
	family_set_numbers(h, row(h, NULL, NULL), LIVE, numbers, 0);
	s = declare(registry,
		    (struct metadata_desc){ .type = METRIC_SUMMARY,
					    .name = "s",
					    .quantiles = quantiles,
					    .nquantiles = 2 },
		    NULL, 0);
	family_set_numbers(s, row(s, NULL, NULL), LIVE, ranked, 0);
	remote_write_free(writer);
	writer = new_writer(NULL, 0);
	publish(NOW);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	assert_int_equal(got.count, 2 + 8);
	assert_got(2, "__name__=\"h_bucket\",le=\"+Inf\" 5");
	assert_got(3, "__name__=\"h_bucket\",le=\"1\" 2");
	assert_got(4, "__name__=\"h_gcount\" 5");
	assert_got(5, "__name__=\"h_gsum\" 4.5");
	assert_got(6, "__name__=\"s\",quantile=\"0.5\" 0.25");
	assert_got(7, "__name__=\"s\",quantile=\"1\" NaN");
	assert_got(8, "__name__=\"s_count\" 2");
	assert_got(9, "__name__=\"s_sum\" 7");
}

static void a_sample_may_have_a_time_of_its_own(void **state)
{
	static const char *const n[] = { "n" };
	struct family *g, *z;

	(void)state;
	g = declare(registry,
		    (struct metadata_desc){ .type = METRIC_GAUGE,
					    .name = "g",
					    .timestamps = true },
		    n, 1);
	family_set(g, row(g, "a", NULL), LIVE, 1, 0);
	family_set_times(g, row(g, "a", NULL), 0, 1.0015);
	family_set(g, row(g, "b", NULL), LIVE, 2, 0);
	family_set(g, row(g, "c", NULL), LIVE, 3, 0);
	family_set_times(g, row(g, "c", NULL), 0, 1e300);
	z = gauge("z", "n");
	set(z, "a", 4);
	remote_write_free(writer);
	writer = new_writer(NULL, 0);
	many_times = true;
	publish(10000);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	assert_got(2, "__name__=\"g\",n=\"a\" 1 @1002");
	assert_got(3, "__name__=\"g\",n=\"b\" 2 @10000");
	assert_got(4, "__name__=\"g\",n=\"c\" 3 @10000");
	assert_got(5, "__name__=\"z\",n=\"a\" 4 @10000");
	many_times = false;
}

static void labels_of_the_series_go_before_those_of_the_writer(void **state)
{
	static const struct label_pair mine[] = {
		{ "le", "writer" },   { "instance", "" }, { "n", "writer" },
		{ "zone", "writer" }, { "A", "writer" },  { "zo", "w" },
	};
	static const double bounds[] = { 1 };
	const char *const label = "n";
	struct family *f;

	(void)state;
	remote_write_free(writer);
	writer = new_writer(mine, 6);
	set(gauge("a", "n"), "own", 1);
	set(gauge("b", "n"), "", 2);
	f = declare(registry,
		    (struct metadata_desc){ .type = METRIC_HISTOGRAM,
					    .name = "c",
					    .bounds = bounds,
					    .nbounds = 1 },
		    &label, 1);
	family_observe(f, row(f, "own", NULL), REGISTRY_LIVE, 0.5, 0);
	publish(NOW);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	assert_int_equal(got.count, 3 + 6);
	assert_got(3, "A=\"writer\",__name__=\"a\",le=\"writer\",n=\"own\","
		      "zo=\"w\",zone=\"writer\" 1");
	assert_got(4, "A=\"writer\",__name__=\"b\",le=\"writer\",n=\"writer\","
		      "zo=\"w\",zone=\"writer\" 2");
	assert_got(5, "A=\"writer\",__name__=\"c_bucket\",le=\"+Inf\","
		      "n=\"own\",zo=\"w\",zone=\"writer\" 1");
	assert_got(6, "A=\"writer\",__name__=\"c_bucket\",le=\"1\",n=\"own\","
		      "zo=\"w\",zone=\"writer\" 1");
	assert_got(7, "A=\"writer\",__name__=\"c_count\",le=\"writer\","
		      "n=\"own\",zo=\"w\",zone=\"writer\" 1");
	assert_got(8, "A=\"writer\",__name__=\"c_sum\",le=\"writer\","
		      "n=\"own\",zo=\"w\",zone=\"writer\" 0.5");
}

static void names_that_are_not_legacy_go_with_underscores(void **state)
{
	static const struct label_pair mine[] = { { "a_b", "writer" },
						  { "l_x", "writer" } };
	static const char *const labels[] = { "l.x", "\"=\"" };
	static const char *const states[] = { "on" };
	struct family *f;

	(void)state;
	remote_write_free(writer);
	writer = new_writer(mine, 2);
	f = declare(registry,
		    (struct metadata_desc){
			    .type = METRIC_GAUGE, .name = "a.b", .help = "A." },
		    labels, 2);
	family_set(f, row(f, "1\"", "2"), REGISTRY_LIVE, 5, 0);
	family_set(f, row(f, "3", ""), REGISTRY_LIVE, 6, 0);
	f = declare(registry,
		    (struct metadata_desc){ .type = METRIC_STATESET,
					    .name = "s.x",
					    .states = states,
					    .nstates = 1 },
		    labels, 1);
	family_set_state(f, row(f, "4", NULL), LIVE, 0, 0);
	publish(NOW);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	assert_int_equal(got.count, 2 + 3);
	assert_got(0, "# 2 a_b A.");
	assert_got(1, "# 7 s_x");
	assert_got(2, "___=\"2\",__name__=\"a_b\",a_b=\"writer\","
		      "l_x=\"1\\\"\" 5");
	assert_got(3, "__name__=\"a_b\",a_b=\"writer\",l_x=\"3\" 6");
	assert_got(4, "__name__=\"s_x\",a_b=\"writer\",l_x=\"4\","
		      "s_x=\"on\" 1");
}

static void any_nan_is_the_one_that_prometheus_writes(void **state)
{
	(void)state;
	set(gauge("a", "n"), "stale", wire_double(REMOTE_WRITE_STALE));
	set(gauge("b", "n"), "payload",
	    wire_double(UINT64_C(0xfff8000000012345)));
	publish(NOW);
	assert_int_equal(count_lines(" NaN"), 2);
	assert_int_equal(count_lines(" stale"), 0);
}

static void a_label_that_is_not_valid_is_told(void **state)
{
	static const struct {
		struct label_pair pair;
		const char *message;
	} cases[] = {
		{ { "__name__", "x" },
		  "label name '__name__' is reserved (it begins with '__')" },
		{ { "0a", "x" },
		  "label name '0a' is not valid ([a-zA-Z_][a-zA-Z0-9_]*)" },
		{ { "a", "\xFF" }, "the value of label 'a' is not UTF-8" },
	};
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct remote_write_options options = {
			.labels = &cases[i].pair, .nlabels = 1
		};

		assert_null(remote_write_new(&options, &err));
		assert_string_equal(err.text, cases[i].message);
	}
}

static void long_labels_arrive_whole(void **state)
{
	struct family *f = gauge("a", "n");
	char *value = mem_alloc(60001);
	struct page *page;

	(void)state;
	for (int len = 1; len < 60000; len = len * 3 + 1) {
		memset(value, 'v', (size_t)len);
		value[0] = '\n';
		set(f, value, len);
	}
	page = registry_publish(registry, 0);
	write_page(page, NOW);
	assert_as_text(page, added, 2);
	page_unref(page);
	free(value);
}

/* ---- requests ---- */

static void a_page_goes_in_requests_of_bounded_size(void **state)
{
	struct family *f = gauge("a", "n");
	char *value = mem_alloc(60001);
	struct page *page;

	(void)state;
	set_only(f, 1, 0, 5000);
	page = registry_publish(registry, 0);
	write_page(page, NOW);
	assert_int_equal(got.requests, 3);
	assert_int_equal(got.samples, 5000);
	assert_as_text(page, added, 2);
	page_unref(page);
	memset(value, 'v', 60000);
	for (int i = 0; i < 100; i++) {
		value[0] = (char)('0' + i / 10);
		value[1] = (char)('0' + i % 10);
		set(f, value, i);
	}
	publish(NOW + 1000);
	assert_int_equal(got.samples, 5100);
	assert_in_range(got.largest, REMOTE_WRITE_BYTES,
			REMOTE_WRITE_BYTES + 61000);
	free(value);
}

static void a_help_text_is_no_longer_than_a_request(void **state)
{
	size_t len = (size_t)20 << 20;
	char *help = malloc(len + 1);
	struct family *family;

	(void)state;
	assert_non_null(help);
	memset(help, 'x', len);
	help[len] = '\0';
	family = declare(registry,
			 (struct metadata_desc){ .type = METRIC_GAUGE,
						 .name = "a",
						 .help = help },
			 NULL, 0);
	free(help);
	family_set(family, row(family, NULL, NULL), LIVE, 7, 0);
	publish(1000);
	assert_int_equal(got.samples, 1);
	assert_in_range(got.largest, 1, REMOTE_WRITE_BYTES);
}

static void metadata_go_along_when_new_and_every_minute(void **state)
{
	static const struct metadata_desc hist = { .type = METRIC_HISTOGRAM,
						   .name = "b_seconds",
						   .unit = "seconds",
						   .help = "Time\n\"taken\"." };
	struct family *f;

	(void)state;
	set(gauge("a", NULL), NULL, 1);
	publish(NOW);
	assert_int_equal(got.count, 2);
	assert_got(0, "# 2 a Help.");
	f = declare(registry, hist, NULL, 0);
	family_observe(f, row(f, NULL, NULL), REGISTRY_LIVE, 1, 0);
	publish(NOW + 15000);
	assert_int_equal(got.count, 1 + 3 + 1);
	assert_got(1, "# 3 b_seconds Time\\n\\\"taken\\\". seconds");
	publish(NOW + 59999);
	assert_int_equal(got.count, 1 + 3);
	publish(NOW + 60000);
	assert_int_equal(got.count, 2 + 1 + 3);
	publish(NOW + 61000);
	assert_int_equal(got.count, 1 + 3);
}

static void a_second_page_of_the_same_time_is_a_millisecond_later(void **state)
{
	(void)state;
	set(gauge("a", NULL), NULL, 1);
	publish(NOW);
	assert_int_equal(got.time, NOW);
	write_page(NULL, NOW);
	assert_int_equal(got.time, NOW + 1);
	assert_int_equal(got.samples, 1);
}

/* ---- the end of a series ---- */

static void a_series_that_is_gone_is_ended_once(void **state)
{
	struct family *f = gauge("a", "n");

	(void)state;
	set_only(f, 1, 0, 300);
	publish(NOW);
	assert_int_equal(got.samples, 300);
	set_only(f, 1, 3, 300);
	publish(NOW + 1);
	assert_int_equal(got.samples, 300);
	assert_int_equal(count_lines(" stale"), 3);
	assert_int_equal(count_lines("n=\"device-00002\" stale"), 1);
	publish(NOW + 2);
	assert_int_equal(got.samples, 297);
	assert_int_equal(count_lines(" stale"), 0);
}

/* A series that comes back has a label set of its own, at another address. */
static void a_series_that_came_back_between_pages_is_not_ended(void **state)
{
	struct family *f = gauge("a", "n");

	(void)state;
	set_only(f, 1, 0, 500);
	publish(NOW);
	set_only(f, 1, 0, 0);
	page_unref(registry_publish(registry, 0));
	set_only(f, 1, 100, 600);
	publish(NOW + 1);
	assert_int_equal(count_lines(" stale"), 100);
	assert_int_equal(count_lines("n=\"device-00099\" stale"), 1);
	assert_int_equal(got.samples, 600);
}

static void every_kind_of_a_series_is_ended(void **state)
{
	struct page *page;

	(void)state;
	fill_every_type(registry);
	page = registry_publish(registry, 0);
	write_page(page, NOW);
	page_unref(page);
	qsort(got.lines, got.count, sizeof *got.lines, by_line);
	for (size_t i = 0; i < got.count; i++)
		assert_false(strstr(got.lines[i], "stale"));
	{
		size_t samples = got.samples;
		struct page *none = page_new(0);

		write_page(none, NOW + 1);
		assert_int_equal(got.samples, samples);
		assert_int_equal(count_lines(" stale"), samples);
		assert_int_equal(count_lines("__name__=\"b_seconds_bucket\","
					     "instance=\"a:1\",job=\"meters\","
					     "le=\"+Inf\" stale"),
				 1);
		write_page(NULL, NOW + 2);
		assert_int_equal(got.samples, 0);
		page_unref(none);
	}
}

/* A family with other buckets, as another registry may have it. */
static void kinds_that_a_family_has_no_more_are_ended(void **state)
{
	static const double bounds[] = { 1, 2, 3 };
	const char *const label = "n";
	struct metadata_desc desc = { .type = METRIC_HISTOGRAM,
				      .name = "a",
				      .bounds = bounds,
				      .nbounds = 2 };
	struct registry *r = registry_new(&(struct registry_options){ 0 });
	struct family *f = declare(registry, desc, &label, 1);
	struct page *page;

	(void)state;
	family_observe(f, row(f, "x", NULL), REGISTRY_LIVE, 1, 0);
	family_observe(f, row(f, "y", NULL), REGISTRY_LIVE, 1, 0);
	publish(NOW);
	assert_int_equal(got.samples, 2 * 5);
	desc.bounds = bounds + 1;
	f = declare(r, desc, &label, 1);
	family_observe(f, row(f, "y", NULL), REGISTRY_LIVE, 1, 0);
	page = registry_publish(r, 0);
	write_page(page, NOW + 1);
	assert_int_equal(got.samples, 5 + 5 + 1);
	assert_int_equal(count_lines("n=\"x\" stale"), 5);
	assert_int_equal(count_lines("le=\"1\",n=\"y\" stale"), 1);
	assert_int_equal(count_lines("# 3 a"), 1);
	page_unref(page);
	registry_free(r);
}

/* Series of several families come and go by chance; a receiver that believes
 * the ends has at each time just those that the text shows. */
struct alive {
	char *labels[LINES_MAX];
	size_t count;
};

static void believe(struct alive *alive, char *line)
{
	char *value = strrchr(line, ' ');
	size_t i = 0;

	if (line[0] == '#')
		return;
	*value = '\0';
	while (i < alive->count && strcmp(alive->labels[i], line) != 0)
		i++;
	if (strcmp(value + 1, "stale") == 0) {
		assert_true(i < alive->count); /* it was alive */
		free(alive->labels[i]);
		alive->labels[i] = alive->labels[--alive->count];
	} else if (i == alive->count) {
		alive->labels[alive->count++] = mem_string(line);
	}
	*value = ' ';
}

static void a_receiver_knows_at_any_time_what_is_shown(void **state)
{
	struct family *families[3] = { gauge("a", "n"), gauge("b", "n"),
				       gauge("c", "n") };
	struct alive alive = { 0 };
	uint32_t seed = 1;

	(void)state;
	for (int step = 0; step < 300; step++) {
		struct page *page;

		for (unsigned f = 0; f < 3; f++) {
			int from, to;

			seed = seed * 1664525 + 1013904223;
			from = (int)(seed >> 24);
			to = from + (int)(seed >> 16 & 0xFF);
			if (seed & 0x8000)
				set_only(families[f], 1 + f, from, to);
		}
		page = registry_publish(registry, 0);
		write_page(page, NOW + step);
		for (size_t i = 0; i < got.count; i++)
			believe(&alive, got.lines[i]);
		assert_int_equal(alive.count, page->series);
		page_unref(page);
	}
	write_page(NULL, NOW + 1000);
	for (size_t i = 0; i < got.count; i++)
		believe(&alive, got.lines[i]);
	assert_int_equal(alive.count, 0);
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, make, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPEC(every_type_is_what_the_text_shows),
		SPEC(gauge_histograms_and_quantiles_are_series),
		SPEC(a_sample_may_have_a_time_of_its_own),
		SPEC(labels_of_the_series_go_before_those_of_the_writer),
		SPEC(names_that_are_not_legacy_go_with_underscores),
		SPEC(any_nan_is_the_one_that_prometheus_writes),
		SPEC(a_label_that_is_not_valid_is_told),
		SPEC(long_labels_arrive_whole),
		SPEC(a_page_goes_in_requests_of_bounded_size),
		SPEC(a_help_text_is_no_longer_than_a_request),
		SPEC(metadata_go_along_when_new_and_every_minute),
		SPEC(a_second_page_of_the_same_time_is_a_millisecond_later),
		SPEC(a_series_that_is_gone_is_ended_once),
		SPEC(a_series_that_came_back_between_pages_is_not_ended),
		SPEC(every_kind_of_a_series_is_ended),
		SPEC(kinds_that_a_family_has_no_more_are_ended),
		SPEC(a_receiver_knows_at_any_time_what_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
