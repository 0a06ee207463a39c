/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What receives requests of remote write in specs: takes them apart, by a
 * snappy decoder of its own, and keeps each sample as a line. Checks that
 * labels are sorted, that a request holds what it says, that all samples of a
 * page have one time.
 */
#ifndef SPEC_CORE_RECEIVED_H
#define SPEC_CORE_RECEIVED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/number.h"
#include "core/remote_write.h"
#include "core/wire.h"

enum { LINES_MAX = 20000 };

/* What was received: a line for each sample, `labels value`, for each native
 * histogram, `labels {count 1 ...}`, for each exemplar, `labels # {labels}
 * value @milliseconds`, and for each record of metadata, `# type name help
 * unit`. */
static struct {
	char *lines[LINES_MAX];
	size_t count;
	size_t requests, samples;
	size_t request_samples; /* of the request at hand */
	size_t largest;
	size_t of[REMOTE_CONTENTS]; /* requests */
	enum remote_content latest; /* content of the request at hand */
	int64_t time;		    /* of every sample; -1: none seen yet */
} got;

static bool many_times; /* they may differ, and are in the lines */

static void forget(void)
{
	for (size_t i = 0; i < got.count; i++)
		free(got.lines[i]);
	memset(&got, 0, sizeof got);
	got.time = -1;
}

static void keep(const struct buf *line)
{
	assert_true(got.count < LINES_MAX);
	got.lines[got.count++] = mem_copy(buf_text(line), line->len);
}

/* ---- snappy's block format ---- */

static size_t little(const unsigned char *p, unsigned n)
{
	size_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

/* One element; returns behind it. */
static const unsigned char *element(const unsigned char *p, struct buf *out)
{
	unsigned kind = *p & 3, high = *p >> 2;
	size_t len = high + 1u, offset;

	if (kind == 0) {
		unsigned extra = high < 60 ? 0 : high - 59;

		if (extra)
			len = little(p + 1, extra) + 1;
		buf_add(out, p + 1 + extra, len);
		return p + 1 + extra + len;
	}
	if (kind == 1) {
		len = (high & 7) + 4;
		offset = (size_t)(high >> 3) << 8 | p[1];
		p += 2;
	} else {
		offset = little(p + 1, kind == 2 ? 2 : 4);
		p += kind == 2 ? 3 : 5;
	}
	assert_in_range(offset, 1, out->len);
	while (len--)
		buf_addch(out, out->data[out->len - offset]);
	return p;
}

static void unpack(struct str body, struct buf *out)
{
	struct wire wire;
	uint64_t len;

	wire_init(&wire, body);
	assert_true(wire_varint(&wire, &len));
	while (wire.p < wire.end)
		wire.p = element(wire.p, out);
	assert_ptr_equal(wire.p, wire.end);
	assert_int_equal(out->len, len);
}

/* ---- requests ---- */

static void add_text(struct buf *line, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '\n' || c == '"' || c == '\\')
			buf_addch(line, '\\');
		buf_addch(line, c == '\n' ? 'n' : c);
	}
}

static struct str read_label(struct wire *label, struct str before,
			     struct buf *line)
{
	struct str name = { 0 }, value = { 0 };
	struct wire_tag tag;
	size_t n;

	while (!wire_at_end(label)) {
		assert_true(wire_tag(label, &tag));
		assert_in_range(tag.number, 1, 2);
		assert_true(
			wire_bytes(label, tag.number == 1 ? &name : &value));
	}
	assert_in_range(name.len, 1, 1000);
	assert_true(value.len > 0);
	n = name.len < before.len ? name.len : before.len;
	if (before.data) { /* strictly rising */
		int order = memcmp(before.data, name.data, n);

		assert_true(order < 0 || (order == 0 && before.len < name.len));
		buf_addch(line, ',');
	}
	buf_add(line, name.data, name.len);
	buf_addstr(line, "=\"");
	add_text(line, value);
	buf_addch(line, '"');
	return name;
}

static void put_number(struct buf *line, double value)
{
	char number[NUMBER_MAX + 1];

	number[number_format(number, value)] = '\0';
	buf_addstr(line, number);
}

static void read_sample(struct wire *sample, struct buf *line)
{
	uint64_t bits = 0, time = 0;
	struct wire_tag tag;

	while (!wire_at_end(sample)) {
		assert_true(wire_tag(sample, &tag));
		assert_true(tag.number == 1 ? wire_fixed64(sample, &bits)
					    : wire_varint(sample, &time));
	}
	if (got.time >= 0 && !many_times)
		assert_int_equal(time, got.time);
	got.time = (int64_t)time;
	got.request_samples++;
	if (bits == REMOTE_WRITE_STALE) {
		buf_addstr(line, " stale");
	} else if (isnan(wire_double(bits))) {
		assert_int_equal(bits, REMOTE_WRITE_NAN);
		buf_addstr(line, " NaN");
	} else {
		buf_addch(line, ' ');
		put_number(line, wire_double(bits));
	}
	if (many_times)
		buf_addf(line, " @%lld", (long long)time);
}

/* Offset and length, as `-2+3`. */
static void read_span(struct wire *span, struct buf *line)
{
	uint64_t offset = 0, length = 0;
	struct wire_tag tag;

	while (!wire_at_end(span)) {
		assert_true(wire_tag(span, &tag));
		assert_in_range(tag.number, 1, 2);
		assert_true(
			wire_varint(span, tag.number == 1 ? &offset : &length));
	}
	buf_addf(line, " %lld+%llu", (long long)wire_unzigzag(offset),
		 (unsigned long long)length);
}

/* Counts, as they are without being differences; packed. */
static void read_deltas(struct wire *deltas, struct buf *line)
{
	uint64_t delta;
	int64_t count = 0;

	while (!wire_at_end(deltas)) {
		assert_true(wire_varint(deltas, &delta));
		count += wire_unzigzag(delta);
		assert_true(count >= 0);
		buf_addf(line, " %lld", (long long)count);
	}
}

/* One of its numbers; true when it was no part of a side. */
static bool read_plain(struct wire *histogram, uint32_t field, struct buf *line)
{
	static const char *const names[] = {
		[1] = "count", [4] = "schema", [6] = "zero", [15] = "@"
	};
	uint64_t number;

	switch (field) {
	case 3:
	case 5:
		assert_true(wire_fixed64(histogram, &number));
		buf_addstr(line, field == 3 ? " sum " : " threshold ");
		if (number == REMOTE_WRITE_STALE)
			buf_addstr(line, "stale");
		else if (number == REMOTE_WRITE_NAN)
			buf_addstr(line, "nan");
		else
			put_number(line, wire_double(number));
		return true;
	case 1:
	case 4:
	case 6:
	case 15:
		assert_true(wire_varint(histogram, &number));
		buf_addf(line, " %s %lld", names[field],
			 (long long)(field == 4 ? wire_unzigzag(number)
						: (int64_t)number));
		return true;
	default: return false;
	}
}

static void read_histogram(struct wire *histogram, struct buf *line)
{
	struct wire_tag tag;
	struct wire part;

	got.request_samples++;
	buf_addstr(line, " {");
	while (!wire_at_end(histogram)) {
		assert_true(wire_tag(histogram, &tag));
		if (read_plain(histogram, tag.number, line))
			continue;
		assert_true(wire_nested(histogram, &part));
		buf_addstr(line, tag.number < 10 ? " -" : " +");
		if (tag.number == 8 || tag.number == 11) {
			read_span(&part, line);
		} else {
			assert_true(tag.number == 9 || tag.number == 12);
			buf_addstr(line, ":");
			read_deltas(&part, line);
		}
	}
	buf_addstr(line, " }");
}

static void read_exemplar(struct wire *exemplar, struct buf *line)
{
	struct str name = { 0 };
	struct wire_tag tag;
	struct wire part;
	uint64_t bits = 0, time = 0;

	got.request_samples++;
	buf_addstr(line, " # {");
	while (!wire_at_end(exemplar)) {
		assert_true(wire_tag(exemplar, &tag));
		if (tag.number == 1) {
			assert_true(wire_nested(exemplar, &part));
			name = read_label(&part, name, line);
			continue;
		}
		assert_true(tag.number == 2 ? wire_fixed64(exemplar, &bits)
					    : wire_varint(exemplar, &time));
	}
	buf_addstr(line, "} ");
	put_number(line, wire_double(bits));
	buf_addf(line, " @%llu", (unsigned long long)time);
}

static void read_series(struct wire *series)
{
	static void (*const readers[])(struct wire *, struct buf *) = {
		[REMOTE_SAMPLES] = read_sample,
		[REMOTE_HISTOGRAMS] = read_histogram,
		[REMOTE_EXEMPLARS] = read_exemplar,
	};
	static const uint32_t fields[] = { [REMOTE_SAMPLES] = 2,
					   [REMOTE_HISTOGRAMS] = 4,
					   [REMOTE_EXEMPLARS] = 3 };
	struct str before = { 0 };
	struct wire part;
	struct wire_tag tag;
	struct buf line;
	bool sample = false;

	buf_init(&line, 1 << 20);
	while (!wire_at_end(series)) {
		assert_true(wire_tag(series, &tag));
		assert_true(wire_nested(series, &part));
		assert_false(sample);
		if (tag.number == 1) {
			before = read_label(&part, before, &line);
			continue;
		}
		assert_int_equal(tag.number, fields[got.latest]);
		readers[got.latest](&part, &line);
		sample = true;
	}
	assert_true(sample);
	keep(&line);
	buf_release(&line);
}

static void read_metadata(struct wire *metadata)
{
	struct str text[6] = { 0 };
	uint64_t type = 99;
	struct wire_tag tag;
	struct buf line;

	while (!wire_at_end(metadata)) {
		assert_true(wire_tag(metadata, &tag));
		assert_in_range(tag.number, 1, 5);
		assert_true(tag.number == 1
				    ? wire_varint(metadata, &type)
				    : wire_bytes(metadata, &text[tag.number]));
	}
	buf_init(&line, 1 << 20);
	buf_addf(&line, "# %d", (int)type);
	for (unsigned i = 2; i < 6; i++) {
		if (!text[i].len)
			continue;
		buf_addch(&line, ' ');
		add_text(&line, text[i]);
	}
	keep(&line);
	buf_release(&line);
}

/* A remote_write_request that takes the request apart. */
static void receive(void *arg, struct str body, size_t samples,
		    enum remote_content content)
{
	struct wire wire, part;
	struct wire_tag tag;
	struct buf raw;

	(void)arg;
	got.latest = content;
	got.of[content]++;
	buf_init(&raw, 1 << 26);
	unpack(body, &raw);
	wire_init(&wire, (struct str){ raw.data, raw.len });
	got.request_samples = 0;
	while (!wire_at_end(&wire)) {
		assert_true(wire_tag(&wire, &tag));
		assert_true(wire_nested(&wire, &part));
		assert_true(tag.number == 1 || tag.number == 3);
		if (tag.number == 1)
			read_series(&part);
		else
			read_metadata(&part);
	}
	assert_int_equal(got.request_samples, samples);
	assert_in_range(samples, 0, REMOTE_WRITE_SAMPLES);
	got.requests++;
	got.samples += samples;
	if (raw.len > got.largest)
		got.largest = raw.len;
	buf_release(&raw);
}

#endif
