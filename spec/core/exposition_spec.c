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

#include "core/exposition.h"
#include "core/registry.h"
#include "core/text.h"
enum { LIVE = REGISTRY_LIVE, FAMILIES = 72, SERIES = 300 };

static struct deflate *squeezer;

static int make_deflate(void **state)
{
	(void)state;
	squeezer = deflate_new();
	return 0;
}

static int free_deflate(void **state)
{
	(void)state;
	deflate_free(squeezer);
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

static struct exposition *expose(struct registry *registry,
				 struct exposition *previous)
{
	struct page *page = registry_publish(registry, 0);
	struct exposition *exposition = exposition_new(&page, 1, previous);

	page_unref(page);
	return exposition;
}

/* ---- what an exposition says ---- */

static char *text_of(struct exposition *exposition)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (size_t i = 0; i < exposition_blocks(exposition); i++) {
		struct bytes *text = exposition_text(exposition, i);

		buf_add(&out, text->data, text->len);
		bytes_unref(text);
	}
	return buf_take(&out, NULL);
}

static void assert_text(struct exposition *exposition, const char *expected)
{
	char *text = text_of(exposition);

	assert_string_equal(text, expected);
	free(text);
}

/* The text of one page, written straight on. */
static char *render(const struct page *page)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		const struct page_family *family = &page->families[f];

		text_head(&out, family->metadata);
		for (uint32_t i = 0; i < family->nchunks; i++)
			text_chunk(&out, family->metadata, family->chunks[i]);
	}
	return buf_take(&out, NULL);
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

static const struct deflate_piece *piece(struct exposition *exposition,
					 size_t i)
{
	exposition_compress(exposition, squeezer);
	return exposition_piece(exposition, i);
}

/* What is made of block I; its address tells blocks apart. */
typedef const void *made_of(struct exposition *exposition, size_t i);

static const void *text_made(struct exposition *exposition, size_t i)
{
	struct bytes *text = exposition_text(exposition, i);

	assert_true(exposition_keeps_text(exposition));
	bytes_unref(text);
	return text;
}

static const void *piece_made(struct exposition *exposition, size_t i)
{
	return piece(exposition, i);
}

/* Number of blocks of NEW for which more was made than for OLD. */
static size_t count_new(struct exposition *old, struct exposition *new,
			made_of *made)
{
	size_t n = 0;

	for (size_t i = 0; i < exposition_blocks(new); i++) {
		bool found = false;

		for (size_t k = 0; k < exposition_blocks(old); k++)
			found |= made(old, k) == made(new, i);
		n += !found;
	}
	return n;
}

static size_t new_blocks(struct exposition *old, struct exposition *new)
{
	return count_new(old, new, text_made);
}

static size_t new_pieces(struct exposition *old, struct exposition *new)
{
	return count_new(old, new, piece_made);
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
	size_t n = exposition_blocks(exposition);
	const struct deflate_piece **pieces = calloc(n + 1, sizeof *pieces);
	unsigned char trailer[DEFLATE_TRAILER_SIZE];
	char *text = text_of(exposition), *back;
	struct buf body;

	buf_init(&body, (size_t)1 << 30);
	buf_add(&body, deflate_gzip_header, DEFLATE_HEADER_SIZE);
	for (size_t i = 0; i < n; i++) {
		pieces[i] = piece(exposition, i);
		buf_add(&body, pieces[i]->data, pieces[i]->size);
	}
	deflate_gzip_trailer(pieces, n, trailer);
	buf_add(&body, trailer, sizeof trailer);
	back = gunzip((unsigned char *)body.data, body.len, strlen(text) + 1);
	assert_string_equal(back, text);
	free(back);
	free(text);
	free(pieces);
	buf_release(&body);
}

/* ---- merging ---- */

static void no_pages_give_no_text(void **state)
{
	struct exposition *exposition = exposition_new(NULL, 0, NULL);

	(void)state;
	assert_int_equal(exposition_blocks(exposition), 0);
	assert_int_equal(exposition_series(exposition), 0);
	assert_true(exposition_shows(exposition, NULL, 0));
	assert_gzip(exposition);
	exposition_unref(exposition);
	exposition_unref(NULL);
}

static struct exposition *merged(struct registry *const *registries, size_t n)
{
	struct page *pages[8] = { 0 };
	struct exposition *exposition;

	for (size_t i = 0; i < n; i++)
		pages[i] = registry_publish(registries[i], 0);
	exposition = exposition_new(pages, n, NULL);
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
	assert_int_equal(exposition_conflicts(exposition), 0);
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
	assert_int_equal(exposition_conflicts(exposition), 2);
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
		two = exposition_new(pages + round / 2, round < 2 ? 2 : 1, one);
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
	exposition = exposition_new(&one, 1, NULL);
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
		two = expose(registry, one);
		exposition_unref(one);
		one = two;
	}
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
	exposition_compress(exposition, squeezer);
	for (size_t i = 0; i < sent.n; i++) {
		sent.data[i] = exposition_piece(exposition, i)->data;
		sent.size[i] = exposition_piece(exposition, i)->size;
	}
	sent.sum = sum_of(&sent);
	return sent;
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
		sent = begin_sending(one);
	}
	exposition_unref(one);
	registry_free(registry);
}

static void pieces_are_made_only_once(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	const struct deflate_piece *first;

	(void)state;
	fill(registry, 0, 10);
	exposition = expose(registry, NULL);
	first = piece(exposition, 0);
	exposition_compress(exposition, squeezer);
	assert_ptr_equal(exposition_piece(exposition, 0), first);
	exposition_unref(exposition);
	registry_free(registry);
}

static void text_is_kept_only_while_there_is_little(void **state)
{
	struct registry *registry = new_registry();
	struct exposition *exposition;
	struct bytes *one, *two;

	(void)state;
	fill(registry, 0, 10);
	exposition = expose(registry, NULL);
	one = exposition_text(exposition, 0);
	two = exposition_text(exposition, 0);
	assert_ptr_equal(one, two);
	bytes_unref(one);
	bytes_unref(two);
	exposition_unref(exposition);
	fill(registry, 10, 110);
	exposition = expose(registry, NULL);
	one = exposition_text(exposition, 0);
	two = exposition_text(exposition, 0);
	assert_ptr_not_equal(one, two);
	assert_int_equal(one->len, two->len);
	assert_memory_equal(one->data, two->data, one->len);
	bytes_unref(one);
	bytes_unref(two);
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

static uint32_t any(uint32_t below)
{
	static uint64_t random = 88172645463325252u;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	return (uint32_t)((random >> 32) * below >> 32);
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
		two = exposition_new(pages, 2, one);
		exposition_unref(one);
		one = two;
		whole = pages[0];
		expected = render(whole);
		two = exposition_new(&whole, 1, NULL);
		assert_text(two, expected);
		assert_gzip(one);
		free(expected);
		exposition_unref(two);
		two = exposition_new(pages, 2, NULL);
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
		cmocka_unit_test(a_series_of_two_pages_is_shown_once),
		cmocka_unit_test(labels_make_a_series_in_any_order),
		cmocka_unit_test(an_empty_value_is_no_label),
		cmocka_unit_test(constant_labels_tell_pages_apart),
		cmocka_unit_test(
			what_is_left_out_comes_back_when_the_other_is_gone),
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
		cmocka_unit_test(pieces_are_made_only_once),
		cmocka_unit_test(text_is_kept_only_while_there_is_little),
		cmocka_unit_test(text_outlives_its_exposition),
		cmocka_unit_test(a_chunk_larger_than_a_block_is_a_block),
		cmocka_unit_test(any_changes_leave_text_and_pieces_right),
	};

	return cmocka_run_group_tests(tests, make_deflate, free_deflate);
}
