/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies are read back by libzstd's streaming decoder, which is how readers of
 * HTTP read them, and by the program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "core/buf.h"
#include "core/opened.h"
#include "core/zstd.h"

#define DECODER(X)                                                             \
	X(ZSTD_createDStream)                                                  \
	X(ZSTD_freeDStream)                                                    \
	X(ZSTD_decompressStream)                                               \
	X(ZSTD_isError)                                                        \
	X(ZSTD_getFrameContentSize)                                            \
	X(ZSTD_findFrameCompressedSize)

static struct {
#define MEMBER(name) __typeof__(name) *name;
	DECODER(MEMBER)
#undef MEMBER
} lib;

static const struct opened_symbol symbols[] = {
#define SYMBOL(name) { #name, offsetof(__typeof__(lib), name) },
	DECODER(SYMBOL)
#undef SYMBOL
};

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545F4914F6CDD1D);
}

static void add_exposition(struct buf *text, size_t size)
{
	size_t start = text->len;

	for (unsigned i = 0; text->len - start < size; i++)
		buf_addf(text,
			 "device_metric_%u{core_id=\"%08x\",site=\"%u\"} %u\n",
			 i / 100, i * 2654435761u, i % 7,
			 (unsigned)(random_bits() >> 40));
}

static void add_noise(struct buf *text, size_t size)
{
	while (size--)
		buf_addch(text, (char)random_bits());
}

/* BODY in pieces of STEP bytes, as they come from a socket. */
static void expect_stream(const struct buf *body, const struct buf *text,
			  size_t step)
{
	ZSTD_DStream *stream = lib.ZSTD_createDStream();
	ZSTD_inBuffer in = { body->data, 0, 0 };
	char *plain = malloc(text->len + 1);
	ZSTD_outBuffer out = { plain, text->len + 1, 0 };
	size_t left = 1;

	while (in.pos < body->len) {
		in.size = in.pos + step < body->len ? in.pos + step : body->len;
		left = lib.ZSTD_decompressStream(stream, &out, &in);
		assert_false(lib.ZSTD_isError(left));
	}
	assert_int_equal(left, 0); /* the last frame is complete */
	assert_int_equal(out.pos, text->len);
	if (text->len)
		assert_memory_equal(plain, text->data, text->len);
	lib.ZSTD_freeDStream(stream);
	free(plain);
}

/* What the program makes of BODY. */
static void expect_program(const struct buf *body, const struct buf *text)
{
	char path[] = "/tmp/lunex_zstd_spec_XXXXXX", command[100];
	int fd = mkstemp(path);
	char *plain = malloc(text->len + 1);
	FILE *pipe;

	assert_int_equal(write(fd, body->data, body->len), body->len);
	close(fd);
	snprintf(command, sizeof command, "zstd -dc <%s", path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fread(plain, 1, text->len + 1, pipe), text->len);
	assert_int_equal(pclose(pipe), 0);
	if (text->len)
		assert_memory_equal(plain, text->data, text->len);
	unlink(path);
	free(plain);
}

static void expect(const struct buf *body, const struct buf *text)
{
	expect_stream(body, text, 1 << 17);
	expect_program(body, text);
}

static void add_piece(struct buf *body, struct zstd *zstd, const char *text,
		      size_t len)
{
	struct zstd_piece piece;

	zstd_piece_make(zstd, text, len, &piece);
	buf_add(body, piece.data, piece.size);
	zstd_piece_release(&piece);
	assert_null(piece.data);
	assert_int_equal(piece.size, 0);
}

static void an_empty_text_takes_no_bytes(void **state)
{
	struct zstd_piece piece;

	zstd_piece_make(*state, NULL, 0, &piece);
	assert_null(piece.data);
	assert_int_equal(piece.size, 0);
	zstd_piece_release(&piece);
}

static void a_body_without_text_is_a_frame_of_none(void **state)
{
	struct buf body, text;

	(void)state;
	buf_init(&body, 100);
	buf_init(&text, 100);
	buf_add(&body, zstd_empty, sizeof zstd_empty);
	expect(&body, &text);
	assert_int_equal(lib.ZSTD_findFrameCompressedSize(body.data, body.len),
			 body.len);
	buf_release(&body);
}

static void a_frame_says_how_long_its_text_is_and_nothing_more(void **state)
{
	struct zstd_piece piece;
	const unsigned char *frame;

	zstd_piece_make(*state, "up 1\n", 5, &piece);
	frame = piece.data;
	assert_int_equal(lib.ZSTD_getFrameContentSize(frame, piece.size), 5);
	/* RFC 8878, 3.1.1.1.1: neither a checksum nor a dictionary. */
	assert_int_equal(frame[4] & 0x07, 0);
	/* Magic, descriptor, size, block header, text. */
	assert_int_equal(piece.size, 4 + 1 + 1 + 3 + 5);
	zstd_piece_release(&piece);
}

static void one_piece_reads_back(void **state)
{
	static const size_t sizes[] = { 1,	2,	 255,	 256,
					1000,	65535,	 65536,	 131072,
					131073, 1000000, 9000000 };

	for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
		struct buf body, text;

		buf_init(&body, 1 << 28);
		buf_init(&text, 1 << 28);
		(i % 2 ? add_noise : add_exposition)(&text, sizes[i / 2]);
		add_piece(&body, *state, text.data, text.len);
		expect(&body, &text);
		buf_release(&body);
		buf_release(&text);
	}
}

static void exposition_text_becomes_much_smaller(void **state)
{
	struct buf body, text;

	buf_init(&body, 1 << 20);
	buf_init(&text, 1 << 20);
	add_exposition(&text, 64 << 10);
	add_piece(&body, *state, text.data, text.len);
	assert_in_range(body.len, 1, text.len / 4);
	buf_release(&body);
	buf_release(&text);
}

/* Any cut into pieces, empty ones too, reads back as one text. */
static void pieces_behind_each_other_are_one_text(void **state)
{
	for (int round = 0; round < 20; round++) {
		struct buf body, text;
		size_t from = 0;

		buf_init(&body, 1 << 24);
		buf_init(&text, 1 << 24);
		add_exposition(&text, 100000);
		while (from < text.len) {
			size_t len = random_bits() % 30000;

			if (len > text.len - from)
				len = text.len - from;
			add_piece(&body, *state, text.data + from, len);
			from += len;
		}
		expect_stream(&body, &text, 1 + random_bits() % 5000);
		if (round == 0)
			expect_program(&body, &text);
		buf_release(&body);
		buf_release(&text);
	}
}

static void a_piece_may_stand_in_any_body(void **state)
{
	struct zstd_piece a, b;
	struct buf body, text;

	zstd_piece_make(*state, "a 1\n", 4, &a);
	zstd_piece_make(*state, "b 2\n", 4, &b);
	buf_init(&body, 1000);
	buf_init(&text, 1000);
	for (int i = 0; i < 4; i++) {
		const struct zstd_piece *piece = i & 1 ? &a : &b;

		buf_add(&body, piece->data, piece->size);
		buf_addstr(&text, i & 1 ? "a 1\n" : "b 2\n");
	}
	expect(&body, &text);
	expect_stream(&body, &text, 1);
	zstd_piece_release(&a);
	zstd_piece_release(&b);
	buf_release(&body);
	buf_release(&text);
}

static int open_libraries(void **state)
{
	struct err err;

	*state = zstd_new(&err);
	return *state && opened_fill(&lib, "libzstd.so.1", "this spec", symbols,
				     sizeof symbols / sizeof *symbols, &err)
		       ? 0
		       : -1;
}

static int close_libraries(void **state)
{
	zstd_free(*state);
	zstd_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_text_takes_no_bytes),
		cmocka_unit_test(a_body_without_text_is_a_frame_of_none),
		cmocka_unit_test(
			a_frame_says_how_long_its_text_is_and_nothing_more),
		cmocka_unit_test(one_piece_reads_back),
		cmocka_unit_test(exposition_text_becomes_much_smaller),
		cmocka_unit_test(pieces_behind_each_other_are_one_text),
		cmocka_unit_test(a_piece_may_stand_in_any_body),
	};

	return cmocka_run_group_tests(tests, open_libraries, close_libraries);
}
