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

#include "core/buf.h"
#include "core/deflate.h"

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t random_below(size_t n)
{
	return (size_t)(random_bits() >> 11) % n;
}

/* SIZE bytes at least of the exposition text of 100 devices. */
static void add_exposition(struct buf *text, size_t size)
{
	size_t start = text->len;

	for (int i = 0; text->len - start < size; i++) {
		unsigned device = (unsigned)i % 100;

		buf_addf(text,
			 "device_metric_%d{core_id=\"%08x%08x%08x\","
			 "site=\"site-%u\",unit=\"celsius\"} %zu.%zu\n",
			 i / 100, device * 2654435761u, device * 40503u,
			 device * 2246822519u, device % 7, random_below(100),
			 random_below(10000));
	}
}

static void add_noise(struct buf *text, size_t size)
{
	while (size--)
		buf_addch(text, (char)random_bits());
}

struct body {
	struct buf bytes;
	const struct deflate_piece *pieces[1000];
	size_t n;
};

static void body_init(struct body *body)
{
	body->n = 0;
	buf_init(&body->bytes, 1 << 28);
	buf_add(&body->bytes, deflate_gzip_header, DEFLATE_HEADER_SIZE);
}

static void body_add(struct body *body, const struct deflate_piece *piece)
{
	assert_true(body->n < 1000);
	body->pieces[body->n++] = piece;
	buf_add(&body->bytes, piece->data, piece->size);
}

/* inflate checks the sum and the length; nothing may be left over. */
static void body_expect(struct body *body, const char *text, size_t len)
{
	unsigned char trailer[DEFLATE_TRAILER_SIZE];
	unsigned char *plain = malloc(len + 1);
	z_stream s = { 0 };

	deflate_gzip_trailer(body->pieces, body->n, trailer);
	buf_add(&body->bytes, trailer, sizeof trailer);
	assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
	s.next_in = (unsigned char *)body->bytes.data;
	s.avail_in = (unsigned)body->bytes.len;
	s.next_out = plain;
	s.avail_out = (unsigned)len + 1;
	if (inflate(&s, Z_FINISH) != Z_STREAM_END)
		fail_msg("inflate: %s", s.msg ? s.msg : "incomplete");
	assert_int_equal(s.avail_in, 0);
	assert_int_equal(s.total_out, len);
	if (len)
		assert_memory_equal(plain, text, len);
	inflateEnd(&s);
	free(plain);
	buf_release(&body->bytes);
}

static void expect_alone(const struct deflate_piece *piece, const char *text,
			 size_t len)
{
	struct body body;

	body_init(&body);
	body_add(&body, piece);
	body_expect(&body, text, len);
}

static void uses_isal_where_it_was_built_with_it(void **state)
{
	struct deflate *d = deflate_new();

	(void)state;
#ifdef LUNEX_ISAL
	assert_string_equal(deflate_engine(d), "ISA-L");
#else
	assert_string_equal(deflate_engine(d), "zlib");
#endif
	deflate_free(d);
	d = deflate_new_zlib();
	assert_string_equal(deflate_engine(d), "zlib");
	deflate_free(d);
	deflate_free(NULL);
}

static void a_body_of_no_pieces_is_an_empty_text(void **state)
{
	struct body body;

	(void)state;
	body_init(&body);
	body_expect(&body, "", 0);
}

static void an_empty_piece_takes_no_bytes(void **state)
{
	struct deflate_piece empty, text;
	struct body body;

	deflate_piece_make(*state, NULL, 0, &empty);
	deflate_piece_make(*state, "a 1\n", 4, &text);
	assert_int_equal(empty.size, 0);
	body_init(&body);
	body_add(&body, &empty);
	body_add(&body, &text);
	body_add(&body, &empty);
	body_add(&body, &text);
	body_expect(&body, "a 1\na 1\n", 8);
	deflate_piece_release(&text);
	assert_int_equal(text.size, 0);
	assert_null(text.data);
	expect_alone(&text, "", 0);
	deflate_piece_release(&text);
	deflate_piece_release(&empty);
}

static void a_piece_ends_with_a_flush(void **state)
{
	for (size_t len = 1; len < 300; len++) {
		struct deflate_piece piece;
		struct buf text;

		buf_init(&text, 1 << 20);
		add_exposition(&text, len);
		deflate_piece_make(*state, text.data, len, &piece);
		assert_true(piece.size > 4);
		assert_memory_equal(piece.data + piece.size - 4,
				    "\x00\x00\xFF\xFF", 4);
		assert_int_equal(piece.length, len);
		assert_int_equal(piece.crc, crc32(0, (unsigned char *)text.data,
						  (unsigned)len));
		expect_alone(&piece, text.data, len);
		deflate_piece_release(&piece);
		buf_release(&text);
	}
}

static void compresses_exposition_text_to_a_sixth(void **state)
{
	struct deflate_piece piece;
	struct buf text;

	buf_init(&text, 1 << 20);
	add_exposition(&text, 64 * 1024);
	deflate_piece_make(*state, text.data, text.len, &piece);
	assert_true(piece.size * 6 < text.len);
	deflate_piece_release(&piece);
	buf_release(&text);
}

static void pieces_stand_in_any_order_and_any_number(void **state)
{
	enum { PIECES = 40 };
	struct deflate_piece pieces[PIECES];
	struct buf texts[PIECES];

	for (size_t i = 0; i < PIECES; i++) {
		buf_init(&texts[i], 1 << 20);
		if (i % 5 == 4)
			add_noise(&texts[i], random_below(50000));
		else
			add_exposition(&texts[i], 1 + random_below(70000));
		deflate_piece_make(*state, texts[i].data, texts[i].len,
				   &pieces[i]);
	}
	for (int round = 0; round < 20; round++) {
		size_t n = random_below(100);
		struct body body;
		struct buf all;

		buf_init(&all, 1 << 28);
		body_init(&body);
		while (n--) {
			size_t i = random_below(PIECES);

			body_add(&body, &pieces[i]);
			buf_add(&all, buf_text(&texts[i]), texts[i].len);
		}
		body_expect(&body, all.data, all.len);
		buf_release(&all);
	}
	for (size_t i = 0; i < PIECES; i++) {
		deflate_piece_release(&pieces[i]);
		buf_release(&texts[i]);
	}
}

static void a_piece_is_made_of_any_spans(void **state)
{
	static const size_t longest[] = { 2, 10, 1000, 40000, 300000 };
	struct buf text;

	buf_init(&text, 1 << 20);
	add_exposition(&text, 150000);
	add_noise(&text, 50000);
	for (int round = 0; round < 50; round++) {
		size_t max = longest[round % 5];
		struct deflate_piece piece;

		deflate_begin(*state);
		for (size_t at = 0, n; at < text.len; at += n) {
			n = random_below(max + 1);
			n = n < text.len - at ? n : text.len - at;
			deflate_add(*state, text.data + at, n);
		}
		deflate_end(*state, &piece);
		expect_alone(&piece, text.data, text.len);
		deflate_piece_release(&piece);
	}
	buf_release(&text);
}

static void a_begun_piece_can_be_given_up(void **state)
{
	struct deflate_piece piece;
	struct buf text;

	buf_init(&text, 1 << 20);
	add_exposition(&text, 100000);
	deflate_begin(*state);
	deflate_before(*state, text.data, text.len);
	deflate_add(*state, text.data, text.len);
	deflate_piece_make(*state, text.data, text.len, &piece);
	expect_alone(&piece, text.data, text.len);
	deflate_piece_release(&piece);
	buf_release(&text);
}

/* Cuts TEXT into spans and tells d of all of them. */
static void tell_before(struct deflate *d, const char *text, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = 1 + random_below(30000);
		n = n < len - at ? n : len - at;
		deflate_before(d, text + at, n);
	}
}

static void make_chain(struct deflate *d, const struct buf *text, size_t step,
		       struct deflate_piece *pieces)
{
	for (size_t at = 0; at < text->len; at += step) {
		size_t n = step < text->len - at ? step : text->len - at;

		deflate_begin(d);
		tell_before(d, text->data, at);
		deflate_add(d, text->data + at, n);
		deflate_end(d, pieces++);
	}
}

static void pieces_that_follow_each_other_compress_like_a_page(void **state)
{
	struct deflate_piece pieces[64], page;
	size_t step = 9000, n, size = 0;
	struct body body;
	struct buf text;

	buf_init(&text, 1 << 20);
	add_exposition(&text, 500000);
	n = (text.len + step - 1) / step;
	make_chain(*state, &text, step, pieces);
	deflate_piece_make(*state, text.data, text.len, &page);
	body_init(&body);
	for (size_t i = 0; i < n; i++) {
		body_add(&body, &pieces[i]);
		size += pieces[i].size;
	}
	body_expect(&body, text.data, text.len);
	assert_true(size < page.size + page.size / 10);
	for (size_t i = 0; i < n; i++)
		deflate_piece_release(&pieces[i]);
	deflate_piece_release(&page);
	buf_release(&text);
}

static void a_following_piece_needs_only_the_last_bytes_before(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct deflate_piece before, after;
		size_t old_len, len;
		struct body body;
		struct buf text;

		buf_init(&text, 1 << 20);
		add_exposition(&text, 1 + random_below(40000));
		old_len = text.len;
		add_exposition(&text, 1 + random_below(40000));
		deflate_begin(*state);
		tell_before(*state, text.data, old_len);
		deflate_add(*state, text.data + old_len, text.len - old_len);
		deflate_end(*state, &after);

		len = old_len < DEFLATE_BEFORE ? 0 : old_len - DEFLATE_BEFORE;
		memset(text.data, '#', len);
		deflate_piece_make(*state, text.data, old_len, &before);
		body_init(&body);
		body_add(&body, &before);
		body_add(&body, &after);
		body_expect(&body, text.data, text.len);
		deflate_piece_release(&before);
		deflate_piece_release(&after);
		buf_release(&text);
	}
}

static void an_empty_piece_may_follow(void **state)
{
	struct deflate_piece piece;

	deflate_begin(*state);
	deflate_before(*state, "a 1\n", 4);
	deflate_before(*state, NULL, 0);
	deflate_add(*state, NULL, 0);
	deflate_end(*state, &piece);
	assert_int_equal(piece.size, 0);
	deflate_piece_release(&piece);
}

/* Each length leaves another rest in the working memory, down to none. */
static void output_memory_grows_at_every_offset(void **state)
{
	struct deflate_piece piece;
	struct buf text;

	buf_init(&text, 1 << 20);
	add_noise(&text, 33500);
	for (size_t len = 31500; len < 33500; len++) {
		bool zlib = strcmp(deflate_engine(*state), "zlib") == 0;
		struct deflate *d = zlib ? deflate_new_zlib() : deflate_new();

		deflate_piece_make(d, text.data, len, &piece);
		assert_true(piece.size < len + len / 16 + 64);
		expect_alone(&piece, text.data, len);
		deflate_piece_release(&piece);
		deflate_free(d);
	}
	buf_release(&text);
}

static void a_large_piece_survives(void **state)
{
	struct deflate_piece piece;
	struct buf text;

	buf_init(&text, 1 << 25);
	add_exposition(&text, 6000000);
	add_noise(&text, 3000000);
	deflate_piece_make(*state, text.data, text.len, &piece);
	expect_alone(&piece, text.data, text.len);
	deflate_piece_release(&piece);
	buf_release(&text);
}

static int use_default(void **state)
{
	*state = deflate_new();
	return 0;
}

static int use_zlib(void **state)
{
	*state = deflate_new_zlib();
	return 0;
}

static int release(void **state)
{
	deflate_free(*state);
	return 0;
}

/* One state for the whole group: it has to survive its reuse. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_isal_where_it_was_built_with_it),
		cmocka_unit_test(a_body_of_no_pieces_is_an_empty_text),
		cmocka_unit_test(an_empty_piece_takes_no_bytes),
		cmocka_unit_test(a_piece_ends_with_a_flush),
		cmocka_unit_test(compresses_exposition_text_to_a_sixth),
		cmocka_unit_test(pieces_stand_in_any_order_and_any_number),
		cmocka_unit_test(a_piece_is_made_of_any_spans),
		cmocka_unit_test(a_begun_piece_can_be_given_up),
		cmocka_unit_test(
			pieces_that_follow_each_other_compress_like_a_page),
		cmocka_unit_test(
			a_following_piece_needs_only_the_last_bytes_before),
		cmocka_unit_test(an_empty_piece_may_follow),
		cmocka_unit_test(output_memory_grows_at_every_offset),
		cmocka_unit_test(a_large_piece_survives),
	};
	int failed = cmocka_run_group_tests_name("default engine", tests,
						 use_default, release);

	return failed +
	       cmocka_run_group_tests_name("zlib", tests, use_zlib, release);
}
