/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "core/exposition.h"
#include "core/registry.h"
#include "core/render.h"
enum { LIVE = REGISTRY_LIVE, FAMILIES = 72, SERIES = 300 };

static struct coders *coders;

static int make_coders(void **state)
{
	struct err err;

	(void)state;
	coders = coders_new();
	if (!coders_open(coders, ENCODING_GZIP, &err) ||
	    !coders_open(coders, ENCODING_ZSTD, &err))
		fail_msg("%s", err.text);
	return 0;
}

static int free_coders(void **state)
{
	(void)state;
	coders_free(coders);
	return 0;
}

/* ---- pages ---- */

static struct registry *new_registry(void)
{
	return registry_new(&(struct registry_options){ 0 });
}

static struct family *add_type(struct registry *registry, const char *name,
			       enum metric_type type, const char *help)
{
	static const char *const labels[] = { "n" };
	struct family_options options = {
		.metadata = { .name = name, .type = type, .help = help },
		.labels = labels,
		.nlabels = 1,
	};
	struct err err = { 0 };
	struct family *family = registry_add(registry, &options, &err);

	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static struct family *add(struct registry *registry, const char *name)
{
	return add_type(registry, name, METRIC_GAUGE, "Help.");
}

static void set(struct family *family, const char *value, double number)
{
	struct str text = { value, strlen(value) };
	struct err err = { 0 };
	uint32_t row;

	if (!family_row(family, &text, &row, &err))
		fail_msg("%s", err.text);
	family_set(family, row, LIVE, number, 0);
}

static void set_number(struct family *family, int n, double number)
{
	char value[32];

	snprintf(value, sizeof value, "device-%06d", n);
	set(family, value, number);
}

/* "family_000" and so on, each with SERIES series. */
static void fill(struct registry *registry, int from, int to)
{
	for (int f = from; f < to; f++) {
		char name[32];
		struct family *family;

		snprintf(name, sizeof name, "family_%03d", f);
		family = add(registry, name);
		for (int i = 0; i < SERIES; i++)
			set_number(family, i, f * i);
	}
}

static struct exposition *expose_in(struct form form, struct registry *registry,
				    struct exposition *previous)
{
	struct page *page = registry_publish(registry, 0);
	struct exposition *exposition =
		exposition_new(&page, 1, form, previous);

	page_unref(page);
	return exposition;
}

static struct exposition *expose(struct registry *registry,
				 struct exposition *previous)
{
	return expose_in(form_plain, registry, previous);
}

/* ---- what an exposition says ---- */

static struct buf body_of(struct exposition *exposition)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *text = exposition_text(exposition, i);

		buf_add(&out, text->data, text->len);
		bytes_unref(text);
	}
	return out;
}

static char *text_of(struct exposition *exposition)
{
	struct buf out = body_of(exposition);

	return buf_take(&out, NULL);
}

static void assert_text(struct exposition *exposition, const char *expected)
{
	char *text = text_of(exposition);

	assert_string_equal(text, expected);
	free(text);
}

static void render_family(struct buf *out, struct form form,
			  const struct page_family *family,
			  const struct metadata *const *all, size_t n)
{
	struct shown_family shown = { .metadata = family->metadata };

	shown.unknown = render_is_unknown(form, family->metadata, all, n);
	for (uint32_t i = 0; i < family->nchunks; i++)
		shown.size +=
			render_size(form, family->metadata, family->chunks[i]);
	for (; shown.part < render_parts(form, family->metadata);
	     shown.part++) {
		render_head(out, form, &shown);
		for (uint32_t i = 0; i < family->nchunks; i++)
			render_chunk(out, form, &shown, family->chunks[i]);
	}
}

/* One page, written straight on. */
static struct buf render_in(struct form form, const struct page *page)
{
	const struct metadata **all =
		calloc(page->nfamilies + 1, sizeof(struct metadata *));
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		all[f] = page->families[f].metadata;
	for (uint32_t f = 0; f < page->nfamilies; f++)
		render_family(&out, form, &page->families[f], all,
			      page->nfamilies);
	render_end(&out, form);
	free(all);
	return out;
}

static char *render(const struct page *page)
{
	struct buf out = render_in(form_plain, page);

	return buf_take(&out, NULL);
}

static void assert_shows_in(struct form form, struct exposition *exposition,
			    struct registry *registry)
{
	struct page *page = registry_publish(registry, 0);
	struct buf expected = render_in(form, page);
	struct buf body = body_of(exposition);

	assert_int_equal(body.len, expected.len);
	assert_memory_equal(buf_text(&body), buf_text(&expected), body.len);
	buf_release(&body);
	buf_release(&expected);
	page_unref(page);
}

static void assert_shows(struct exposition *exposition,
			 struct registry *registry)
{
	struct page *page = registry_publish(registry, 0);
	char *expected = render(page);

	assert_text(exposition, expected);
	assert_int_equal(exposition_series(exposition), page->series);
	free(expected);
	page_unref(page);
}

/* What is sent for block I; its address tells what was made anew. */
static const struct bytes *part(struct exposition *exposition,
				enum encoding encoding, size_t i)
{
	exposition_make(exposition, encoding, coders);
	return exposition_part(exposition, encoding, i);
}

/* Number of blocks of NEW for which more was made than for OLD. */
static size_t count_new(struct exposition *old, struct exposition *new,
			enum encoding encoding)
{
	size_t n = 0;

	for (size_t i = 0; i < exposition_blocks(new); i++) {
		bool found = false;

		for (size_t k = 0; k < exposition_blocks(old); k++)
			found |= part(old, encoding, k) ==
				 part(new, encoding, i);
		n += !found;
	}
	return n;
}

static size_t new_blocks(struct exposition *old, struct exposition *new)
{
	size_t n = count_new(old, new, ENCODING_IDENTITY);

	assert_int_equal(count_new(old, new, ENCODING_ZSTD), n);
	return n;
}

static size_t new_pieces(struct exposition *old, struct exposition *new)
{
	return count_new(old, new, ENCODING_GZIP);
}

static char *gunzip(const unsigned char *data, size_t len, size_t most)
{
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)data,
		       .avail_in = (uInt)len };
	char *out = calloc(1, most + 1);

	assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	z.next_out = (unsigned char *)out;
	z.avail_out = (uInt)most;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
	return out;
}

/* The gzip body made of the pieces inflates to the text. */
static void assert_gzip(struct exposition *exposition)
{
	unsigned char trailer[DEFLATE_TRAILER_SIZE];
	struct buf text = body_of(exposition), body;
	char *back;

	buf_init(&body, (size_t)1 << 30);
	buf_add(&body, deflate_gzip_header, DEFLATE_HEADER_SIZE);
	exposition_make(exposition, ENCODING_GZIP, coders);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		const struct bytes *bytes = part(exposition, ENCODING_GZIP, i);

		buf_add(&body, bytes->data, bytes->len);
	}
	exposition_gzip_trailer(exposition, trailer);
	buf_add(&body, trailer, sizeof trailer);
	back = gunzip((unsigned char *)body.data, body.len, text.len + 1);
	assert_memory_equal(back, buf_text(&text), text.len);
	free(back);
	buf_release(&text);
	buf_release(&body);
}

/* The frames one behind the other are the text. */
static void assert_zstd(struct exposition *exposition)
{
	struct buf text = body_of(exposition);
	char *back = calloc(1, text.len + 1);
	size_t len = 0;

	exposition_make(exposition, ENCODING_ZSTD, coders);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		const struct bytes *bytes = part(exposition, ENCODING_ZSTD, i);
		size_t n = ZSTD_decompress(back + len, text.len - len,
					   bytes->data, bytes->len);

		assert_false(ZSTD_isError(n));
		len += n;
	}
	assert_int_equal(len, text.len);
	assert_memory_equal(back, buf_text(&text), len);
	free(back);
	buf_release(&text);
}

/* ---- merging ---- */

static void no_pages_give_no_text(void **state)
{
	struct exposition *exposition =
		exposition_new(NULL, 0, form_plain, NULL);

	(void)state;
	assert_int_equal(exposition_blocks(exposition), 0);
	assert_int_equal(exposition_series(exposition), 0);
	assert_true(exposition_shows(exposition, NULL, 0));
	assert_gzip(exposition);
	assert_zstd(exposition);
	exposition_unref(exposition);
	exposition_unref(NULL);
}

static struct exposition *merged(struct registry *const *registries, size_t n)
{
	struct page *pages[8] = { 0 };
	struct exposition *exposition;

	for (size_t i = 0; i < n; i++)
		pages[i] = registry_publish(registries[i], 0);
	exposition = exposition_new(pages, n, form_plain, NULL);
	assert_true(exposition_shows(exposition, pages, n));
	assert_false(exposition_shows(exposition, pages, n - 1));
	for (size_t i = 0; i < n; i++) {
		page_unref(pages[i]);
		registry_free(registries[i]);
	}
	return exposition;
}

static void families_of_all_pages_stand_in_name_order(void **state)
{
	struct registry *r[] = { new_registry(), new_registry(),
				 new_registry() };
	struct exposition *exposition;

	(void)state;
	set(add(r[0], "b"), "0", 1);
	set(add(r[0], "d"), "0", 2);
	set(add(r[1], "c"), "1", 3);
	set(add(r[1], "a"), "1", 4);
	add(r[2], "nothing");
	exposition = merged(r, 3);
	assert_text(exposition, "# HELP a Help.\n# TYPE a gauge\na{n=\"1\"} 4\n"
				"# HELP b Help.\n# TYPE b gauge\nb{n=\"0\"} 1\n"
				"# HELP c Help.\n# TYPE c gauge\nc{n=\"1\"} 3\n"
				"# HELP d Help.\n# TYPE d gauge\n"
				"d{n=\"0\"} 2\n");
	assert_int_equal(exposition_series(exposition), 4);
	assert_int_equal(exposition_conflicts(exposition)->count, 0);
	exposition_unref(exposition);
}

static void a_family_of_several_pages_has_one_head(void **state)
{
	struct registry *r[] = { new_registry(), new_registry(),
				 new_registry() };
	struct exposition *exposition;

	(void)state;
	set(add(r[0], "a"), "x", 1);
	set(add(r[0], "z"), "x", 9);
	set(add(r[1], "b"), "y", 8);
	set(add(r[1], "a"), "y", 2);
	set(add(r[2], "a"), "z", 3);
	exposition = merged(r, 3);
	assert_text(exposition, "# HELP a Help.\n# TYPE a gauge\na{n=\"x\"} 1\n"
				"a{n=\"y\"} 2\na{n=\"z\"} 3\n"
				"# HELP b Help.\n# TYPE b gauge\nb{n=\"y\"} 8\n"
				"# HELP z Help.\n# TYPE z gauge\n"
				"z{n=\"x\"} 9\n");
	exposition_unref(exposition);
}

static void the_first_page_has_a_family_that_pages_disagree_about(void **state)
{
	struct registry *r[] = { new_registry(), new_registry(), new_registry(),
				 new_registry() };
	const struct left_out *conflicts;
	struct exposition *exposition;

	(void)state;
	set(add(r[0], "a"), "0", 1);
	set(add_type(r[1], "a", METRIC_COUNTER, "Help."), "1", 2);
	set(add(r[1], "b"), "1", 3);
	set(add_type(r[2], "a", METRIC_GAUGE, "Another help."), "2", 4);
	set(add(r[3], "a"), "3", 5);
	exposition = merged(r, 4);
	assert_text(exposition, "# HELP a Help.\n# TYPE a gauge\na{n=\"0\"} 1\n"
				"a{n=\"3\"} 5\n# HELP b Help.\n# TYPE b gauge\n"
				"b{n=\"1\"} 3\n");
	conflicts = exposition_conflicts(exposition);
	assert_int_equal(conflicts->count, 2);
	assert_string_equal(conflicts->why.text,
			    "a: declared as gauge and as counter");
	assert_int_equal(conflicts->first, 0);
	assert_int_equal(conflicts->again, 1);
	exposition_unref(exposition);
}

static void observe(struct family *family, const char *n, double value)
{
	struct str values[] = { { n, strlen(n) } };
	uint32_t row;

	assert_true(family_row(family, values, &row, NULL));
	family_observe(family, row, REGISTRY_LIVE, value, 0);
}

static void the_first_page_has_a_name_that_samples_share(void **state)
{
	struct registry *r[] = { new_registry(), new_registry() };
	const struct left_out *conflicts;
	struct exposition *exposition;

	(void)state;
	set(add(r[0], "a_sum"), "x", 1);
	set(add(r[0], "b"), "x", 2);
	observe(add_type(r[0], "c", METRIC_SUMMARY, "Help."), "x", 5);
	observe(add_type(r[1], "a", METRIC_SUMMARY, "Help."), "y", 6);
	set(add(r[1], "b_sum"), "y", 3);
	set(add(r[1], "c_count"), "y", 4);
	exposition = merged(r, 2);
	assert_text(exposition, "# HELP a_sum Help.\n# TYPE a_sum gauge\n"
				"a_sum{n=\"x\"} 1\n"
				"# HELP b Help.\n# TYPE b gauge\n"
				"b{n=\"x\"} 2\n"
				"# HELP b_sum Help.\n# TYPE b_sum gauge\n"
				"b_sum{n=\"y\"} 3\n"
				"# HELP c Help.\n# TYPE c summary\n"
				"c_sum{n=\"x\"} 5\nc_count{n=\"x\"} 1\n");
	conflicts = exposition_conflicts(exposition);
	assert_int_equal(conflicts->count, 2);
	assert_string_equal(conflicts->why.text,
			    "a_sum: belongs to the summary 'a'");
	assert_int_equal(conflicts->first, 0);
	assert_int_equal(conflicts->again, 1);
	exposition_unref(exposition);
}

/* ---- series of several pages ---- */

/* A registry whose series have the constant label NAME, and its family "a" with
 * the labels FIRST and SECOND. */
static struct registry *instance(const char *name, const char *value,
				 const char *first, const char *second)
{
	const struct label_pair constant = { name, value };
	const char *const labels[] = { first, second };
	const struct registry_options options = { .labels = &constant,
						  .nlabels = name != NULL };
	struct registry *registry = registry_new(&options);
	struct family_options family = {
		.metadata = { .name = "a", .type = METRIC_GAUGE, .help = "A." },
		.labels = labels,
		.nlabels = second ? 2 : 1,
	};
	struct err err = { 0 };

	if (!registry_add(registry, &family, &err))
		fail_msg("%s", err.text);
	return registry;
}

static void set_both(struct registry *registry, const char *first,
		     const char *second, double number)
{
	struct family *family = registry_find(registry, "a");
	struct str values[] = { { first, strlen(first) },
				{ second, strlen(second) } };
	struct err err = { 0 };
	uint32_t row;

	if (!family_row(family, values, &row, &err))
		fail_msg("%s", err.text);
	family_set(family, row, LIVE, number, 0);
}

static void a_series_of_two_pages_is_shown_once(void **state)
{
	struct registry *r[] = { instance(NULL, NULL, "n", NULL),
				 instance(NULL, NULL, "n", NULL),
				 instance(NULL, NULL, "n", NULL) };
	struct exposition *exposition;

	(void)state;
	set(registry_find(r[0], "a"), "x", 1);
	set(registry_find(r[1], "a"), "w", 2);
	set(registry_find(r[1], "a"), "x", 3);
	set(registry_find(r[2], "a"), "w", 4);
	set(registry_find(r[2], "a"), "x", 5);
	set(registry_find(r[2], "a"), "y", 6);
	exposition = merged(r, 3);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\na{n=\"x\"} 1\n"
				"a{n=\"w\"} 2\na{n=\"y\"} 6\n");
	assert_int_equal(exposition_duplicates(exposition)->count, 3);
	assert_string_equal(exposition_duplicates(exposition)->series,
			    "a{n=\"x\"}");
	assert_int_equal(exposition_duplicates(exposition)->first, 0);
	assert_int_equal(exposition_duplicates(exposition)->again, 1);
	assert_gzip(exposition);
	exposition_unref(exposition);
}

static void labels_make_a_series_in_any_order(void **state)
{
	struct registry *r[] = { instance(NULL, NULL, "n", "m"),
				 instance(NULL, NULL, "m", "n"),
				 instance("m", "1", "n", NULL) };
	struct exposition *exposition;

	(void)state;
	set_both(r[0], "a\"b,m=\"\\", "1", 1);
	set_both(r[0], "x", "", 2);
	set_both(r[1], "1", "a\"b,m=\"\\", 3);
	set_both(r[1], "", "x", 4);
	set_both(r[1], "x", "", 5);
	set(registry_find(r[2], "a"), "a\"b,m=\"\\", 6);
	set(registry_find(r[2], "a"), "x", 7);
	exposition = merged(r, 3);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\n"
				"a{n=\"a\\\"b,m=\\\"\\\\\",m=\"1\"} 1\n"
				"a{n=\"x\",m=\"\"} 2\n"
				"a{m=\"x\",n=\"\"} 5\n"
				"a{n=\"x\",m=\"1\"} 7\n");
	assert_int_equal(exposition_duplicates(exposition)->count, 3);
	exposition_unref(exposition);
}

static void an_empty_value_is_no_label(void **state)
{
	struct registry *r[] = { instance(NULL, NULL, "n", NULL),
				 instance(NULL, NULL, "n", "m") };
	struct exposition *exposition;

	(void)state;
	set(registry_find(r[0], "a"), "x", 1);
	set_both(r[1], "x", "", 2);
	set_both(r[1], "x", "y", 3);
	exposition = merged(r, 2);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\na{n=\"x\"} 1\n"
				"a{n=\"x\",m=\"y\"} 3\n");
	exposition_unref(exposition);
}

static void constant_labels_tell_pages_apart(void **state)
{
	struct registry *r[] = { instance("site", "a", "n", NULL),
				 instance("site", "b", "n", NULL),
				 instance("rack", "a", "n", NULL),
				 instance("site", "a", "n", NULL) };
	struct exposition *exposition;

	(void)state;
	for (int i = 0; i < 4; i++)
		set(registry_find(r[i], "a"), "x", i);
	exposition = merged(r, 4);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\n"
				"a{n=\"x\",site=\"a\"} 0\n"
				"a{n=\"x\",site=\"b\"} 1\n"
				"a{n=\"x\",rack=\"a\"} 2\n");
	assert_int_equal(exposition_duplicates(exposition)->count, 1);
	exposition_unref(exposition);
}

static void names_that_are_quoted_are_told_apart_too(void **state)
{
	struct registry *r[] = { instance("x=", "1", "a=\"", NULL),
				 instance("x=", "2", "a=\"", NULL),
				 instance("x=", "1", "a=\"", NULL),
				 instance("x=", "1", "a=", NULL) };
	struct exposition *exposition;

	(void)state;
	for (int i = 0; i < 4; i++)
		set(registry_find(r[i], "a"), "=\"", i);
	exposition = merged(r, 4);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\n"
				"a{a__=\"=\\\"\",x_=\"1\"} 0\n"
				"a{a__=\"=\\\"\",x_=\"2\"} 1\n"
				"a{a_=\"=\\\"\",x_=\"1\"} 3\n");
	assert_int_equal(exposition_duplicates(exposition)->count, 1);
	assert_string_equal(exposition_duplicates(exposition)->series,
			    "a{\"a=\\\"\"=\"=\\\"\",\"x=\"=\"1\"}");
	exposition_unref(exposition);
}

/* Readers that know no other names get them once, the others both. */
static void names_that_meet_when_escaped_make_one_series(void **state)
{
	const struct form all = { FORMAT_TEXT, ESCAPING_NONE, false };
	const struct form dots = { FORMAT_TEXT, ESCAPING_DOTS, false };
	struct registry *r[] = { instance(NULL, NULL, "n_m", "x"),
				 instance("o/", "", "n.m", "x"),
				 instance("n-m", "k", "x", NULL) };
	struct exposition *exposition;
	struct page *pages[3];

	(void)state;
	set_both(r[0], "k", "v", 1);
	set_both(r[1], "k", "v", 2);
	set_both(r[1], "l", "v", 3);
	set(registry_find(r[2], "a"), "v", 4);
	set(registry_find(r[2], "a"), "w", 5);
	for (int i = 0; i < 3; i++)
		pages[i] = registry_publish(r[i], 0);
	exposition = exposition_new(pages, 3, form_plain, NULL);
	assert_text(exposition, "# HELP a A.\n# TYPE a gauge\n"
				"a{n_m=\"k\",x=\"v\"} 1\n"
				"a{n_m=\"l\",x=\"v\",o_=\"\"} 3\n"
				"a{x=\"w\",n_m=\"k\"} 5\n");
	assert_int_equal(exposition_duplicates(exposition)->count, 2);
	assert_true(exposition_duplicates(exposition)->escaped);
	assert_string_equal(exposition_duplicates(exposition)->series,
			    "a{n_m=\"k\",x=\"v\",o_=\"\"}");
	exposition_unref(exposition);
	exposition = exposition_new(pages, 3, all, NULL);
	assert_int_equal(exposition_duplicates(exposition)->count, 0);
	exposition_unref(exposition);
	exposition = exposition_new(pages, 3, dots, NULL);
	assert_int_equal(exposition_duplicates(exposition)->count, 0);
	exposition_unref(exposition);
	for (int i = 0; i < 3; i++) {
		page_unref(pages[i]);
		registry_free(r[i]);
	}
}

/* With many series in several chunks, and from one exposition to the next. */
static void what_is_left_out_comes_back_when_the_other_is_gone(void **state)
{
	struct registry *r[] = { new_registry(), new_registry() };
	struct family *first = add(r[0], "a"), *second = add(r[1], "a");
	struct page *pages[2];
	struct exposition *one = NULL, *two;
	char *text;

	(void)state;
	for (int i = 0; i < 3 * SERIES; i++) {
		set_number(second, i, i);
		if (i % 2)
			set_number(first, i, i);
	}
	for (int round = 0; round < 3; round++) {
		pages[0] = registry_publish(r[0], 0);
		pages[1] = registry_publish(r[1], 0);
		two = exposition_new(pages + round / 2, round < 2 ? 2 : 1,
				     form_plain, one);
		assert_int_equal(exposition_duplicates(two)->count,
				 round < 2 ? 3 * SERIES / 2 : 0);
		assert_gzip(two);
		exposition_unref(one);
		page_unref(pages[0]);
		page_unref(pages[1]);
		one = two;
		set_number(second, 0, round + 0.5);
	}
	text = text_of(one);
	assert_non_null(strstr(text, "a{n=\"device-000001\"} 1\n"));
	free(text);
	exposition_unref(one);
	registry_free(r[0]);
	registry_free(r[1]);
}

/* Pages of R merged, after FORMER, which goes. */
static struct exposition *merged_after(struct registry *const *r,
				       struct exposition *former)
{
	struct page *pages[] = { registry_publish(r[0], 0),
				 registry_publish(r[1], 0) };
	struct exposition *exposition =
		exposition_new(pages, 2, form_plain, former);

	exposition_unref(former);
	page_unref(pages[0]);
	page_unref(pages[1]);
	return exposition;
}

/* Label sets that were looked at are not looked at again; others are. */
static void a_series_that_comes_later_is_found(void **state)
{
	struct registry *r[] = { new_registry(), new_registry() };
	struct family *first = add(r[0], "a"), *second = add(r[1], "a");
	struct exposition *exposition;
	struct str gone = STR("device-000601");

	(void)state;
	for (int i = 0; i < SERIES; i++) {
		set_number(first, i, i);
		set_number(second, i + 2 * SERIES, i);
	}
	exposition = merged_after(r, NULL);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(exposition_duplicates(exposition)->count, 0);
		set_number(second, 2 * SERIES + round, -1);
		set_number(first, SERIES + round, -1);
		exposition = merged_after(r, exposition);
	}
	/* In the row of one that is gone, so that nothing but it changes. */
	assert_true(family_remove(second, &gone));
	set_number(second, 5, 1);
	exposition = merged_after(r, exposition);
	assert_int_equal(exposition_duplicates(exposition)->count, 1);
	exposition = merged_after(r, exposition);
	assert_int_equal(exposition_duplicates(exposition)->count, 1);
	exposition_unref(exposition);
	registry_free(r[0]);
	registry_free(r[1]);
}

static void it_is_told_which_pages_it_shows(void **state)
{
	struct registry *registry = new_registry();
	struct family *family = add(registry, "a");
	struct exposition *exposition;
	struct page *one, *two;

	(void)state;
	set(family, "x", 1);
	one = registry_publish(registry, 0);
	set(family, "x", 2);
	two = registry_publish(registry, 0);
	exposition = exposition_new(&one, 1, form_plain, NULL);
	assert_true(exposition_shows(exposition, &one, 1));
	assert_false(exposition_shows(exposition, &two, 1));
	exposition_unref(exposition);
	page_unref(one);
	page_unref(two);
	registry_free(registry);
}

/* ---- blocks ---- */

static void the_blocks_together_are_the_text_item_by_item(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;

	(void)state;
	fill(registry, 0, FAMILIES);
	exposition = expose(registry, NULL);
	assert_shows(exposition, registry);
	assert_gzip(exposition);
	assert_zstd(exposition);
	exposition_unref(exposition);
	registry_free(registry);
}

static void blocks_are_neither_large_nor_small(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	size_t n;

	(void)state;
	fill(registry, 0, FAMILIES);
	exposition = expose(registry, NULL);
	n = exposition_blocks(exposition);
	assert_in_range(n, 6, 40);
	for (size_t i = 0; i + 1 < n; i++) {
		struct bytes *text = exposition_text(exposition, i);

		assert_in_range(text->len, EXPOSITION_BLOCK / 2,
				EXPOSITION_BLOCK * 5 / 4);
		bytes_unref(text);
	}
	exposition_unref(exposition);
	registry_free(registry);
}

static void an_unchanged_page_keeps_all_blocks(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;
	struct family *family;

	(void)state;
	fill(registry, 0, FAMILIES);
	family = registry_find(registry, "family_030");
	one = expose(registry, NULL);
	set_number(family, 5, 30 * 5);
	two = expose(registry, one);
	assert_int_equal(exposition_blocks(one), exposition_blocks(two));
	assert_int_equal(new_blocks(one, two), 0);
	assert_int_equal(new_pieces(one, two), 0);
	exposition_unref(one);
	assert_shows(two, registry);
	exposition_unref(two);
	registry_free(registry);
}

static void one_changed_value_makes_one_block_anew(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;

	(void)state;
	fill(registry, 0, FAMILIES);
	one = expose(registry, NULL);
	for (int f = 0; f < FAMILIES; f++) {
		char name[32];

		snprintf(name, sizeof name, "family_%03d", f);
		set_number(registry_find(registry, name), 7, -1);
		two = expose(registry, one);
		assert_int_equal(new_blocks(one, two), 1);
		assert_in_range(new_pieces(one, two), 1, 2);
		exposition_unref(one);
		assert_shows(two, registry);
		assert_gzip(two);
		one = two;
	}
	exposition_unref(one);
	registry_free(registry);
}

static void borders_fall_into_step_behind_a_family_in_front(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;
	struct family *first;

	(void)state;
	fill(registry, 0, FAMILIES);
	one = expose(registry, NULL);
	first = add(registry, "a_first_family");
	for (int i = 0; i < SERIES; i++) {
		set_number(first, i, i);
		if (i % 50)
			continue;
		two = expose(registry, one);
		assert_in_range(new_blocks(one, two), 1, 3);
		assert_in_range(new_pieces(one, two), 1, 4);
		assert_shows(two, registry);
		exposition_unref(one);
		one = two;
	}
	assert_gzip(one);
	exposition_unref(one);
	registry_free(registry);
}

static void a_page_that_grows_does_not_become_many_small_blocks(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one = expose(registry, NULL), *two;
	size_t length;
	char *text;

	(void)state;
	for (int f = 0; f < 3000; f++) {
		char name[32];

		snprintf(name, sizeof name, "family_%04d", f * 7 % 3000);
		set(add(registry, name), "x", f);
		if (f % 4)
			continue;
		two = expose(registry, one);
		exposition_unref(one);
		one = two;
	}
	two = expose(registry, one);
	exposition_unref(one);
	one = two;
	text = text_of(one);
	length = strlen(text);
	assert_true(length > EXPOSITION_BLOCK);
	assert_true(exposition_blocks(one) <=
		    length / (EXPOSITION_BLOCK / 4) + 1);
	assert_shows(one, registry);
	free(text);
	exposition_unref(one);
	registry_free(registry);
}

/* What a slow client is still being sent. */
struct sent {
	size_t n;
	struct bytes *bytes[64];
	const unsigned char *data[64];
	size_t size[64];
	uLong sum;
};

static uLong sum_of(const struct sent *sent)
{
	uLong sum = crc32(0, NULL, 0);

	for (size_t i = 0; i < sent->n; i++)
		sum = crc32(sum, sent->data[i], (uInt)sent->size[i]);
	return sum;
}

static struct sent begin_sending(struct exposition *exposition)
{
	struct sent sent = { .n = exposition_blocks(exposition) };

	assert_in_range(sent.n, 6, 64);
	exposition_make(exposition, ENCODING_GZIP, coders);
	for (size_t i = 0; i < sent.n; i++) {
		sent.bytes[i] = bytes_ref(
			exposition_part(exposition, ENCODING_GZIP, i));
		sent.data[i] = (unsigned char *)sent.bytes[i]->data;
		sent.size[i] = sent.bytes[i]->len;
	}
	sent.sum = sum_of(&sent);
	return sent;
}

static void end_sending(const struct sent *sent)
{
	assert_true(sum_of(sent) == sent->sum);
	for (size_t i = 0; i < sent->n; i++)
		bytes_unref(sent->bytes[i]);
}

static void an_older_exposition_keeps_its_pieces(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;
	struct sent sent;

	(void)state;
	fill(registry, 0, FAMILIES);
	one = expose(registry, NULL);
	sent = begin_sending(one);
	for (int f = FAMILIES - 1; f >= 0; f--) {
		char name[32];

		snprintf(name, sizeof name, "family_%03d", f);
		set_number(registry_find(registry, name), 7, -1);
		two = expose(registry, one);
		assert_gzip(two);
		assert_true(sum_of(&sent) == sent.sum);
		assert_gzip(one);
		exposition_unref(f % 2 ? one : two);
		one = f % 2 ? two : one;
		end_sending(&sent);
		sent = begin_sending(one);
	}
	end_sending(&sent);
	exposition_unref(one);
	registry_free(registry);
}

static void what_is_made_is_made_once(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;
	uint64_t rendered, compressed;

	(void)state;
	fill(registry, 0, FAMILIES);
	one = expose(registry, NULL);
	for (int i = 0; i <= ENCODING_ZSTD; i++)
		exposition_make(one, (enum encoding)i, coders);
	rendered = coders->rendered;
	compressed = coders->compressed;
	two = expose(registry, one);
	for (int i = 0; i <= ENCODING_ZSTD; i++) {
		exposition_make(one, (enum encoding)i, coders);
		exposition_make(two, (enum encoding)i, coders);
	}
	assert_true(coders->rendered == rendered);
	assert_true(coders->compressed == compressed);
	exposition_unref(one);
	exposition_unref(two);
	registry_free(registry);
}

/* The text is kept for identity; the others render what they need. */
static void each_block_is_rendered_once_for_each_encoding(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	uint64_t before;
	size_t n;

	(void)state;
	fill(registry, 0, FAMILIES);
	for (int i = 0; i <= ENCODING_ZSTD; i++) {
		exposition = expose(registry, NULL);
		n = exposition_blocks(exposition);
		before = coders->rendered;
		exposition_make(exposition, (enum encoding)i, coders);
		assert_true(coders->rendered == before + n);
		exposition_unref(exposition);
	}
	registry_free(registry);
}

static void what_is_forgotten_is_made_again(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;

	(void)state;
	fill(registry, 0, FAMILIES);
	exposition = expose(registry, NULL);
	for (int i = 0; i <= ENCODING_ZSTD; i++) {
		enum encoding encoding = (enum encoding)i;
		uint64_t before;
		struct bytes *sent;

		exposition_make(exposition, encoding, coders);
		sent = bytes_ref(exposition_part(exposition, encoding, 0));
		exposition_forget(exposition, encoding);
		assert_int_equal(sent->refs, 1);
		assert_false(exposition_is_made(exposition, encoding));
		before = coders->rendered;
		exposition_make(exposition, encoding, coders);
		assert_true(exposition_is_made(exposition, encoding));
		assert_true(coders->rendered > before);
		assert_ptr_not_equal(exposition_part(exposition, encoding, 0),
				     sent);
		exposition_forget(exposition, encoding);
		bytes_unref(sent);
	}
	assert_gzip(exposition);
	exposition_unref(exposition);
	registry_free(registry);
}

static void text_outlives_its_exposition(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	struct bytes *text;

	(void)state;
	set(add(registry, "a"), "x", 1);
	exposition = expose(registry, NULL);
	registry_free(registry);
	text = exposition_text(exposition, 0);
	assert_ptr_equal(exposition_ref(exposition), exposition);
	exposition_unref(exposition);
	exposition_unref(exposition);
	assert_int_equal(text->len, strlen("# HELP a Help.\n# TYPE a gauge\n"
					   "a{n=\"x\"} 1\n"));
	assert_memory_equal(text->data, "# HELP a", 8);
	bytes_unref(text);
	bytes_unref(NULL);
}

static void a_chunk_larger_than_a_block_is_a_block(void **state)
{
	static char value[1000];
	struct registry *registry = new_registry();
	struct family *family = add(registry, "a");
	struct exposition *one, *two;

	(void)state;
	memset(value, 'v', sizeof value - 1);
	for (int i = 0; i < 700; i++) {
		value[i] = 'w';
		set(family, value, i);
		value[i] = 'v';
		value[i % 100] = (char)('a' + i % 26);
	}
	one = expose(registry, NULL);
	assert_shows(one, registry);
	assert_gzip(one);
	set(add(registry, "b"), "x", 1);
	two = expose(registry, one);
	assert_in_range(new_blocks(one, two), 0, 1);
	assert_shows(two, registry);
	exposition_unref(one);
	exposition_unref(two);
	registry_free(registry);
}

/* ---- forms ---- */

static uint32_t any(uint32_t below)
{
	static uint64_t random = 88172645463325252u;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return (uint32_t)((random >> 32) * below >> 32);
}

static struct family *try_add(struct registry *registry, const char *name,
			      enum metric_type type)
{
	static const char *const labels[] = { "n" };
	static const double bounds[] = { 0.1, 1, 10 };
	const struct family_options options = {
		.metadata = { .name = name,
			      .type = type,
			      .help = "Help.",
			      .bounds = bounds,
			      .nbounds =
				      type == METRIC_HISTOGRAM ||
						      type == METRIC_GAUGEHISTOGRAM
					      ? 3
					      : 0 },
		.labels = labels,
		.nlabels = 1,
	};
	struct err err;

	return registry_add(registry, &options, &err);
}

/* Anything that changes a series of FAMILY. */
static void change(struct family *family, int n)
{
	char text[32];
	struct str value = { text, 0 };
	struct err err = { 0 };
	uint32_t row;

	value.len = (size_t)snprintf(text, sizeof text, "device-%06d", n);
	if (!family_row(family, &value, &row, &err))
		fail_msg("%s", err.text);
	switch (family_metadata(family)->type) {
	case METRIC_HISTOGRAM:
	case METRIC_GAUGEHISTOGRAM:
	case METRIC_SUMMARY:
		family_observe(family, row, LIVE, any(20), 0);
		break;
	case METRIC_COUNTER: family_inc(family, row, 1); break;
	default: family_set(family, row, LIVE, any(3), 0);
	}
}

static const struct form forms[] = {
	{ FORMAT_TEXT, ESCAPING_UNDERSCORES, false },
	{ FORMAT_TEXT, ESCAPING_NONE, false },
	{ FORMAT_OPENMETRICS, ESCAPING_UNDERSCORES, false },
	{ FORMAT_OPENMETRICS, ESCAPING_NONE, true },
	{ FORMAT_OPENMETRICS2, ESCAPING_NONE, false },
	{ FORMAT_PROTOBUF, ESCAPING_UNDERSCORES, false },
};

enum { FORMS = sizeof forms / sizeof *forms };

static void an_exposition_without_series_has_its_end(void **state)
{
	struct registry *registry = new_registry();

	(void)state;
	for (size_t i = 0; i < FORMS; i++) {
		struct exposition *exposition =
			expose_in(forms[i], registry, NULL);

		assert_shows_in(forms[i], exposition, registry);
		assert_gzip(exposition);
		assert_zstd(exposition);
		exposition_unref(exposition);
	}
	registry_free(registry);
}

/* Families of all types, whose names meet in OpenMetrics, change again and
 * again. */
static void any_changes_leave_every_form_right(void **state)
{
	static const enum metric_type types[] = {
		METRIC_COUNTER,	       METRIC_GAUGE,   METRIC_HISTOGRAM,
		METRIC_GAUGEHISTOGRAM, METRIC_SUMMARY, METRIC_INFO,
		METRIC_UNKNOWN,
	};
	static const char *const ends[] = { "", "_total", "_created", "_info" };
	struct exposition *shown[FORMS] = { NULL };
	struct registry *registry = new_registry();

	(void)state;
	for (int round = 0; round < 15; round++) {
		for (uint32_t n = 1 + any(6); n; n--) {
			struct family *family;
			char name[40];

			snprintf(name, sizeof name, "a_%02u%s", any(12),
				 ends[any(4)]);
			family = registry_find(registry, name);
			if (!family)
				family = try_add(registry, name, types[any(7)]);
			for (uint32_t i = any(900); family && i; i--)
				change(family, (int)any(1000));
		}
		for (size_t i = 0; i < FORMS; i++) {
			struct exposition *next =
				expose_in(forms[i], registry, shown[i]);

			assert_shows_in(forms[i], next, registry);
			exposition_unref(shown[i]);
			shown[i] = next;
		}
	}
	for (size_t i = 0; i < FORMS; i++)
		exposition_unref(shown[i]);
	registry_free(registry);
}

/* EXPECTED: what its TYPE lines say, as a list. */
static void assert_heads(struct exposition *exposition, const char *expected)
{
	char *text = text_of(exposition), *rest = text, *line;
	struct buf heads;

	buf_init(&heads, 1024);
	while ((line = strsep(&rest, "\n"))) {
		if (strncmp(line, "# TYPE ", 7) != 0)
			continue;
		buf_addstr(&heads, heads.len ? ", " : "");
		buf_addstr(&heads, line + 7);
	}
	assert_string_equal(buf_text(&heads), expected);
	buf_release(&heads);
	free(text);
}

/* In one registry they may not. */
static void names_that_are_escaped_may_meet(void **state)
{
	const struct form all = { FORMAT_TEXT, ESCAPING_NONE, false };
	struct registry *r[] = { new_registry(), new_registry() };
	struct exposition *exposition;
	struct page *pages[2];

	(void)state;
	set(add(r[0], "a.b"), "dot", 1);
	set(add(r[1], "a_b"), "line", 2);
	set(add(r[0], "a-z"), "dash", 3);
	for (int i = 0; i < 2; i++)
		pages[i] = registry_publish(r[i], 0);
	exposition = exposition_new(pages, 2, form_plain, NULL);
	assert_text(exposition, "# HELP a_b Help.\n# TYPE a_b gauge\n"
				"a_b{n=\"line\"} 2\n"
				"# HELP a_z Help.\n# TYPE a_z gauge\n"
				"a_z{n=\"dash\"} 3\n");
	assert_int_equal(exposition_homonyms(exposition)->count, 1);
	assert_int_equal(exposition_conflicts(exposition)->count, 0);
	exposition_unref(exposition);
	exposition = exposition_new(pages, 2, all, NULL);
	assert_int_equal(exposition_homonyms(exposition)->count, 0);
	assert_text(exposition, "# HELP \"a-z\" Help.\n# TYPE \"a-z\" gauge\n"
				"{\"a-z\",n=\"dash\"} 3\n"
				"# HELP \"a.b\" Help.\n# TYPE \"a.b\" gauge\n"
				"{\"a.b\",n=\"dot\"} 1\n"
				"# HELP a_b Help.\n# TYPE a_b gauge\n"
				"a_b{n=\"line\"} 2\n");
	exposition_unref(exposition);
	for (int i = 0; i < 2; i++) {
		page_unref(pages[i]);
		registry_free(r[i]);
	}
}

/* A family that is called like a sample of another, once both are escaped. */
static void samples_that_meet_when_escaped_are_of_the_first_page(void **state)
{
	const struct form all = { FORMAT_TEXT, ESCAPING_NONE, false };
	struct registry *r[] = { new_registry(), new_registry() };
	struct exposition *exposition;
	struct page *pages[2];

	(void)state;
	observe(add_type(r[0], "a.b", METRIC_SUMMARY, "Help."), "x", 5);
	set(add(r[0], "c.d_sum"), "x", 1);
	set(add(r[1], "a_b_sum"), "y", 2);
	observe(add_type(r[1], "c/d", METRIC_SUMMARY, "Help."), "y", 6);
	for (int i = 0; i < 2; i++)
		pages[i] = registry_publish(r[i], 0);
	exposition = exposition_new(pages, 2, form_plain, NULL);
	assert_text(exposition, "# HELP a_b Help.\n# TYPE a_b summary\n"
				"a_b_sum{n=\"x\"} 5\na_b_count{n=\"x\"} 1\n"
				"# HELP c_d_sum Help.\n# TYPE c_d_sum gauge\n"
				"c_d_sum{n=\"x\"} 1\n");
	assert_int_equal(exposition_homonyms(exposition)->count, 2);
	assert_string_equal(exposition_homonyms(exposition)->why.text,
			    "a_b_sum: the summary 'a.b' has a sample "
			    "'a_b_sum', as which 'a_b_sum' is shown");
	assert_int_equal(exposition_homonyms(exposition)->first, 0);
	assert_int_equal(exposition_homonyms(exposition)->again, 1);
	exposition_unref(exposition);
	exposition = exposition_new(pages, 2, all, NULL);
	assert_int_equal(exposition_homonyms(exposition)->count, 0);
	exposition_unref(exposition);
	for (int i = 0; i < 2; i++) {
		page_unref(pages[i]);
		registry_free(r[i]);
	}
}

static void what_meets_by_escaping_alone_is_unknown(void **state)
{
	const struct form dots = { FORMAT_OPENMETRICS, ESCAPING_DOTS, false };
	const struct form all = { FORMAT_OPENMETRICS, ESCAPING_NONE, false };
	struct form form = { FORMAT_OPENMETRICS, ESCAPING_UNDERSCORES, false };
	struct registry *registry = new_registry();
	struct exposition *exposition;

	(void)state;
	change(try_add(registry, "a.b", METRIC_GAUGE), 1);
	change(try_add(registry, "a_b_total", METRIC_COUNTER), 1);
	change(try_add(registry, "c.d_total", METRIC_COUNTER), 1);
	change(try_add(registry, "c_d_created", METRIC_GAUGE), 1);
	exposition = expose_in(form, registry, NULL);
	assert_heads(exposition, "a_b gauge, a_b_total unknown, "
				 "c_d_created gauge, c_d_total unknown");
	exposition_unref(exposition);
	exposition = expose_in(dots, registry, NULL);
	assert_heads(exposition, "a_b counter, a_dot_b gauge, "
				 "c_d_created gauge, c_dot_d_ counter");
	exposition_unref(exposition);
	exposition = expose_in(all, registry, NULL);
	assert_heads(exposition, "\"a.b\" gauge, a_b counter, "
				 "\"c.d\" counter, c_d_created gauge");
	exposition_unref(exposition);
	registry_free(registry);
}

static void what_was_measured_is_not_measured_again(void **state)
{
	const struct form form = { FORMAT_PROTOBUF, ESCAPING_NONE, false };
	struct registry *registry = new_registry();
	struct exposition *one, *two;

	(void)state;
	fill(registry, 0, FAMILIES);
	one = expose_in(form, registry, NULL);
	assert_in_range(exposition_measured(one), FAMILIES, FAMILIES * 10);
	set_number(registry_find(registry, "family_033"), 5, -1);
	two = expose_in(form, registry, one);
	assert_int_equal(exposition_measured(two), 1);
	assert_in_range(new_blocks(one, two), 1, 2);
	assert_shows_in(form, two, registry);
	exposition_unref(one);
	/* The head says another size, and stands in another block. */
	set_number(registry_find(registry, "family_033"), SERIES, 1);
	one = expose_in(form, registry, two);
	assert_in_range(exposition_measured(one), 1, 2);
	assert_in_range(new_blocks(two, one), 1, 3);
	assert_shows_in(form, one, registry);
	exposition_unref(one);
	exposition_unref(two);
	registry_free(registry);
}

static void one_of_another_form_is_of_no_use(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *one, *two;

	(void)state;
	fill(registry, 0, 4);
	one = expose(registry, NULL);
	exposition_make(one, ENCODING_IDENTITY, coders);
	two = expose_in(forms[2], registry, one);
	assert_int_equal(new_blocks(one, two), exposition_blocks(two));
	assert_shows_in(forms[2], two, registry);
	exposition_unref(one);
	exposition_unref(two);
	registry_free(registry);
}

/* ---- steps ---- */

/* Two expositions in the making take turns, and one of them begins while the
 * other is being merged. */
static void expositions_can_be_made_side_by_side(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *made[3];
	struct page *pages[3];
	bool more = true;

	(void)state;
	fill(registry, 0, FAMILIES);
	for (int i = 0; i < 3; i++) {
		set_number(registry_find(registry, "family_040"), i, -1 - i);
		pages[i] = registry_publish(registry, 0);
		made[i] = exposition_begin(&pages[i], 1, form_plain,
					   i ? made[i - 1] : NULL);
		assert_true(exposition_shows(made[i], &pages[i], 1));
	}
	while (more) {
		more = false;
		for (int i = 0; i < 3; i++)
			more |= exposition_step(made[i], ENCODING_GZIP, coders);
	}
	for (int i = 0; i < 3; i++) {
		char *expected = render(pages[i]);

		assert_true(exposition_merged(made[i]));
		assert_text(made[i], expected);
		assert_gzip(made[i]);
		free(expected);
		page_unref(pages[i]);
		exposition_unref(made[i]);
	}
	registry_free(registry);
}

static void it_can_be_given_up_after_any_step(void **state)
{
	struct registry *r[] = { instance(NULL, NULL, "n", NULL),
				 instance(NULL, NULL, "n", NULL) };
	struct exposition *former = NULL;
	struct page *pages[2];
	bool more = true;

	(void)state;
	for (int i = 0; i < 20 * SERIES; i++) {
		set_number(registry_find(r[0], "a"), i, i);
		set_number(registry_find(r[1], "a"), i + SERIES, i);
	}
	for (int i = 0; i < 2; i++)
		pages[i] = registry_publish(r[i], 0);
	for (int steps = 0; more; steps++) {
		struct exposition *exposition =
			exposition_begin(pages, 2, form_plain, former);

		more = true;
		for (int i = 0; i < steps && more; i++)
			more = exposition_step(exposition, ENCODING_GZIP,
					       coders);
		exposition_unref(former);
		former = exposition;
	}
	assert_int_equal(exposition_duplicates(former)->count, 19 * SERIES);
	assert_gzip(former);
	exposition_unref(former);
	for (int i = 0; i < 2; i++) {
		page_unref(pages[i]);
		registry_free(r[i]);
	}
}

/* No step does much more than a block. */
static void steps_are_small(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	struct page *page;
	uint64_t rendered;
	bool more = true;
	size_t steps = 0;

	(void)state;
	fill(registry, 0, FAMILIES);
	page = registry_publish(registry, 0);
	exposition = exposition_begin(&page, 1, form_plain, NULL);
	for (; more; steps++) {
		rendered = coders->rendered;
		more = exposition_step(exposition, ENCODING_ZSTD, coders);
		assert_in_range(coders->rendered - rendered, 0, 1);
	}
	assert_true(steps > exposition_blocks(exposition));
	assert_zstd(exposition);
	exposition_unref(exposition);
	page_unref(page);
	registry_free(registry);
}

static void any_changes_leave_text_and_pieces_right(void **state)
{
	struct registry *r[] = { new_registry(), new_registry() };
	struct exposition *one = NULL, *two;
	struct page *pages[2];

	(void)state;
	for (int round = 0; round < 150; round++) {
		struct page *whole;
		char *expected;
		char name[32];

		for (uint32_t n = any(6); n; n--) {
			struct registry *registry = r[any(20) == 0];
			struct family *family;

			snprintf(name, sizeof name, "%c_%02u",
				 registry == r[0] ? 'a' : 'b', any(40));
			family = registry_find(registry, name);
			if (!family)
				family = add(registry, name);
			for (uint32_t i = any(900); i; i--)
				set_number(family, (int)any(1000), any(3));
		}
		pages[0] = registry_publish(r[0], 0);
		pages[1] = registry_publish(r[1], 0);
		two = exposition_new(pages, 2, form_plain, one);
		exposition_unref(one);
		one = two;
		whole = pages[0];
		expected = render(whole);
		two = exposition_new(&whole, 1, form_plain, NULL);
		assert_text(two, expected);
		assert_gzip(one);
		assert_zstd(one);
		free(expected);
		exposition_unref(two);
		two = exposition_new(pages, 2, form_plain, NULL);
		expected = text_of(two);
		assert_text(one, expected);
		free(expected);
		exposition_unref(two);
		page_unref(pages[0]);
		page_unref(pages[1]);
	}
	exposition_unref(one);
	registry_free(r[0]);
	registry_free(r[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_pages_give_no_text),
		cmocka_unit_test(families_of_all_pages_stand_in_name_order),
		cmocka_unit_test(a_family_of_several_pages_has_one_head),
		cmocka_unit_test(
			the_first_page_has_a_family_that_pages_disagree_about),
		cmocka_unit_test(the_first_page_has_a_name_that_samples_share),
		cmocka_unit_test(a_series_of_two_pages_is_shown_once),
		cmocka_unit_test(labels_make_a_series_in_any_order),
		cmocka_unit_test(an_empty_value_is_no_label),
		cmocka_unit_test(constant_labels_tell_pages_apart),
		cmocka_unit_test(names_that_are_quoted_are_told_apart_too),
		cmocka_unit_test(names_that_meet_when_escaped_make_one_series),
		cmocka_unit_test(
			what_is_left_out_comes_back_when_the_other_is_gone),
		cmocka_unit_test(a_series_that_comes_later_is_found),
		cmocka_unit_test(it_is_told_which_pages_it_shows),
		cmocka_unit_test(the_blocks_together_are_the_text_item_by_item),
		cmocka_unit_test(blocks_are_neither_large_nor_small),
		cmocka_unit_test(an_unchanged_page_keeps_all_blocks),
		cmocka_unit_test(one_changed_value_makes_one_block_anew),
		cmocka_unit_test(
			borders_fall_into_step_behind_a_family_in_front),
		cmocka_unit_test(
			a_page_that_grows_does_not_become_many_small_blocks),
		cmocka_unit_test(an_older_exposition_keeps_its_pieces),
		cmocka_unit_test(what_is_made_is_made_once),
		cmocka_unit_test(each_block_is_rendered_once_for_each_encoding),
		cmocka_unit_test(what_is_forgotten_is_made_again),
		cmocka_unit_test(text_outlives_its_exposition),
		cmocka_unit_test(a_chunk_larger_than_a_block_is_a_block),
		cmocka_unit_test(an_exposition_without_series_has_its_end),
		cmocka_unit_test(any_changes_leave_every_form_right),
		cmocka_unit_test(names_that_are_escaped_may_meet),
		cmocka_unit_test(
			samples_that_meet_when_escaped_are_of_the_first_page),
		cmocka_unit_test(what_meets_by_escaping_alone_is_unknown),
		cmocka_unit_test(what_was_measured_is_not_measured_again),
		cmocka_unit_test(one_of_another_form_is_of_no_use),
		cmocka_unit_test(expositions_can_be_made_side_by_side),
		cmocka_unit_test(it_can_be_given_up_after_any_step),
		cmocka_unit_test(steps_are_small),
		cmocka_unit_test(any_changes_leave_text_and_pieces_right),
	};

	return cmocka_run_group_tests(tests, make_coders, free_coders);
}
