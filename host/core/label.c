/* SPDX-License-Identifier: Apache-2.0 */
#include "core/label.h"

#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/label_text.h"
#include "core/mem.h"

/* ---- sets ---- */

struct labels *labels_new(const struct label_schema *schema,
			  const struct str *values, struct err *err)
{
	struct labels *labels;
	struct buf text;
	size_t raw = schema->fixed;

	buf_init(&text, LABELS_TEXT_MAX);
	for (unsigned i = 0; i < schema->count; i++) {
		buf_add(&text, schema->pieces[i].data, schema->pieces[i].len);
		text_escape(&text, values[i]);
		raw += values[i].len;
	}
	buf_add(&text, schema->pieces[schema->count].data,
		schema->pieces[schema->count].len);
	if (text.full) {
		buf_release(&text);
		err_set(err, ERR_LIMIT,
			"the labels of a series are longer than %d bytes",
			LABELS_TEXT_MAX);
		return NULL;
	}
	labels = mem_alloc(sizeof *labels + text.len);
	atomic_init(&labels->refs, 1);
	labels->len = (uint16_t)text.len;
	labels->escaped = text.len != raw;
	labels->quoted = schema->quoted;
	if (text.len)
		memcpy(labels->text, text.data, text.len);
	buf_release(&text);
	return labels;
}

struct labels *labels_copy(const struct labels *labels)
{
	struct labels *copy = mem_alloc(sizeof *copy + labels->len);

	atomic_init(&copy->refs, 1);
	copy->len = labels->len;
	copy->escaped = labels->escaped;
	copy->quoted = labels->quoted;
	memcpy(copy->text, labels->text, labels->len);
	return copy;
}

struct labels *labels_ref(struct labels *labels)
{
	atomic_fetch_add_explicit(&labels->refs, 1, memory_order_relaxed);
	return labels;
}

void labels_unref(struct labels *labels)
{
	if (labels && atomic_fetch_sub_explicit(&labels->refs, 1,
						memory_order_acq_rel) == 1)
		free(labels);
}

static inline uint64_t load64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* The N < 8 bytes at P in one word; the same word for other bytes only when N
 * is another. No loop: label values are short. */
static inline uint64_t load_short(const char *p, size_t n)
{
	if (n >= 4)
		return load32(p) | load32(p + n - 4) << 32;
	if (n == 0)
		return 0;
	return (uint64_t)(unsigned char)p[0] |
	       (uint64_t)(unsigned char)p[n / 2] << 8 |
	       (uint64_t)(unsigned char)p[n - 1] << 16;
}

/* memcmp() == 0 without the call. */
static inline bool same_bytes(const char *a, const char *b, size_t n)
{
	if (n < 8)
		return load_short(a, n) == load_short(b, n);
	for (size_t i = 0; i + 8 < n; i += 8)
		if (load64(a + i) != load64(b + i))
			return false;
	return load64(a + n - 8) == load64(b + n - 8);
}

bool labels_same(const struct labels *a, const struct labels *b)
{
	return a->len == b->len && same_bytes(a->text, b->text, a->len);
}

static bool match_escaped(const struct labels *labels,
			  const struct label_schema *schema,
			  const struct str *values)
{
	struct buf text;
	bool same;

	buf_init(&text, LABELS_TEXT_MAX);
	for (unsigned i = 0; i < schema->count; i++) {
		buf_add(&text, schema->pieces[i].data, schema->pieces[i].len);
		text_escape(&text, values[i]);
	}
	buf_add(&text, schema->pieces[schema->count].data,
		schema->pieces[schema->count].len);
	same = !text.full && text.len == labels->len &&
	       memcmp(buf_text(&text), labels->text, text.len) == 0;
	buf_release(&text);
	return same;
}

/*
 * The text of an unescaped set is the pieces and the raw values, none of which
 * contains a quote; every piece but the first begins with one. VALUES may
 * contain anything. Where the first of them that differs is shorter than the
 * value of the set, the piece behind it would begin in that value, which has no
 * quote. Where it is longer, at least one quote is skipped, and what is left of
 * the text has fewer of them than the pieces that must still be found there.
 * The last value need only be as long as what is left, and it is when the
 * lengths add up.
 */
bool labels_match(const struct labels *labels,
		  const struct label_schema *schema, const struct str *values)
{
	const struct str *piece = schema->pieces;
	const char *p = labels->text;
	size_t len = schema->fixed;

	if (labels->escaped)
		return match_escaped(labels, schema, values);
	for (unsigned i = 0; i < schema->count; i++)
		len += values[i].len;
	if (len != labels->len)
		return false;
	for (unsigned i = 0; i < schema->count; i++, piece++) {
		if (i && !same_bytes(p, piece->data, piece->len))
			return false;
		p += piece->len;
		if (!same_bytes(p, values[i].data, values[i].len))
			return false;
		p += values[i].len;
	}
	return true;
}

bool labels_next(const struct labels *labels, size_t *at, struct str *pair)
{
	size_t begin = *at;
	struct label_text label;

	if (!label_text_next(labels_str(labels), at, &label))
		return false;
	pair->data = labels->text + begin;
	pair->len = *at - begin - 1; /* without the comma */
	return true;
}

static struct label_text read_pair(struct str pair)
{
	struct label_text label;
	size_t at = 0;

	label_text_next(pair, &at, &label);
	return label;
}

struct str label_name_text(struct str pair)
{
	struct label_text label = read_pair(pair);

	return (struct str){ pair.data, label.name.len + 2u * label.quoted };
}

struct str label_name(struct str pair, char *out)
{
	struct label_text label = read_pair(pair);

	if (!label.quoted)
		return label.name;
	return (struct str){ out, label_text_raw(out, label.name) };
}

struct str label_value(struct str pair, char *out)
{
	struct label_text label = read_pair(pair);

	if (!label.escaped)
		return label.value;
	return (struct str){ out, label_text_raw(out, label.value) };
}

/* ---- hash ---- */

/* Multiply and fold (as in wyhash and FxHash): fast on short strings; the seed
 * keeps outsiders from preparing collisions. */
static inline uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
	return h ^ (h >> 29);
}

static inline uint64_t hash_bytes(uint64_t h, const char *s, size_t n)
{
	h ^= n * UINT64_C(0xD6E8FEB86659FD93);
	if (n < 8)
		return fold(h, load_short(s, n));
	for (size_t i = 0; i + 8 < n; i += 8)
		h = fold(h, load64(s + i));
	return fold(h, load64(s + n - 8));
}

uint64_t label_hash(uint64_t seed, const struct str *values, unsigned count)
{
	uint64_t h = seed;

	for (unsigned i = 0; i < count; i++)
		h = hash_bytes(h, values[i].data, values[i].len);
	return h;
}

/* The raw value at P, up to its closing quote, unescaped into OUT. */
static const char *read_value(const char *p, struct buf *out)
{
	buf_clear(out);
	for (; *p != '"'; p++) {
		if (*p != '\\') {
			buf_addch(out, *p);
			continue;
		}
		p++;
		buf_addch(out, *p == 'n' ? '\n' : *p);
	}
	return p;
}

uint64_t labels_hash(const struct labels *labels,
		     const struct label_schema *schema, uint64_t seed)
{
	const char *p = labels->text, *from;
	struct buf value;
	uint64_t h = seed;

	buf_init(&value, LABELS_TEXT_MAX);
	for (unsigned i = 0; i < schema->count; i++) {
		p += schema->pieces[i].len;
		from = p;
		if (labels->escaped) {
			p = read_value(p, &value);
			h = hash_bytes(h, buf_text(&value), value.len);
		} else {
			p = memchr(p, '"',
				   (size_t)(labels->text + labels->len - p));
			h = hash_bytes(h, from, (size_t)(p - from));
		}
	}
	buf_release(&value);
	return h;
}
