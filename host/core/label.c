/* SPDX-License-Identifier: Apache-2.0 */
#include "core/label.h"

#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"

/* ---- names ---- */

bool label_name_valid(const char *name)
{
	return metric_name_valid(name) && strncmp(name, "__", 2) != 0;
}

bool metric_name_valid(const char *name)
{
	return *name && utf8_valid(name, strlen(name));
}

/* ---- schema ---- */

static bool add_escaped(struct buf *out, const char *s, size_t len)
{
	size_t from = 0;

	for (size_t i = 0; i < len; i++) {
		const char *with = s[i] == '\\'	  ? "\\\\"
				   : s[i] == '"'  ? "\\\""
				   : s[i] == '\n' ? "\\n"
						  : NULL;

		if (!with)
			continue;
		buf_add(out, s + from, i - from);
		buf_addstr(out, with);
		from = i + 1;
	}
	return buf_add(out, s + from, len - from);
}

static bool refuse_name(struct err *err, const char *name)
{
	struct buf text;

	if (strncmp(name, "__", 2) == 0)
		return err_set(err, ERR_USAGE,
			       "label name '%s' is reserved (it begins with "
			       "'__')",
			       name);
	if (!*name)
		return err_set(err, ERR_USAGE, "the name of a label is empty");
	buf_init(&text, SIZE_MAX / 2);
	utf8_repair(&text, name, strlen(name));
	err_set(err, ERR_USAGE, "label name '%s' is not UTF-8",
		buf_text(&text));
	buf_release(&text);
	return false;
}

/* CONSTANT: it has its value for all series, beside the COUNT names BEFORE. */
static bool check_name(const char *name, bool constant,
		       const char *const *before, unsigned count,
		       struct err *err)
{
	if (!label_name_valid(name))
		return refuse_name(err, name);
	for (unsigned i = 0; i < count; i++)
		if (strcmp(before[i], name) == 0)
			return err_set(err, ERR_USAGE,
				       "label name '%s' is given twice%s", name,
				       constant ? ", once as constant label"
						: "");
	return true;
}

static bool check_escaped(const char *const *names, unsigned n, struct err *err)
{
	struct names_met met;
	bool meet = names_meet(names, n, &met);

	if (meet && met.b)
		err_set(err, ERR_USAGE,
			"label names '%s' and '%s' are both '%s' to readers "
			"that know no UTF-8 names",
			met.a, met.b, met.escaped);
	else if (meet)
		err_set(err, ERR_USAGE,
			"label name '%s' is '%s' to readers that know no "
			"UTF-8 names",
			met.a, met.escaped);
	if (meet)
		free(met.escaped);
	return !meet;
}

static bool check_constant(const struct label_pair *pair, struct err *err)
{
	if (utf8_valid(pair->value, strlen(pair->value)))
		return true;
	return err_set(err, ERR_USAGE, "the value of label '%s' is not UTF-8",
		       pair->name);
}

static struct str take_piece(struct buf *text)
{
	struct str piece;

	piece.data = buf_take(text, &piece.len);
	return piece;
}

/* Is it quoted? */
static bool add_name(struct buf *out, const char *name)
{
	struct str bytes = { name, strlen(name) };
	bool quoted = !name_is_legacy_label(bytes);

	if (quoted)
		name_quote(out, bytes);
	else
		buf_add(out, name, bytes.len);
	return quoted;
}

static void build_pieces(struct label_schema *schema,
			 const struct label_pair *constant, unsigned nconst)
{
	struct buf text;
	unsigned i;

	buf_init(&text, SIZE_MAX / 2);
	for (i = 0; i < schema->count; i++) {
		buf_addstr(&text, i ? "\"," : "");
		schema->quoted |= add_name(&text, schema->names[i]);
		buf_addstr(&text, "=\"");
		schema->pieces[i] = take_piece(&text);
	}
	if (schema->count)
		buf_addch(&text, '"');
	for (unsigned c = 0; c < nconst; c++) {
		buf_addstr(&text, text.len || c ? "," : "");
		schema->quoted |= add_name(&text, constant[c].name);
		buf_addstr(&text, "=\"");
		add_escaped(&text, constant[c].value,
			    strlen(constant[c].value));
		buf_addch(&text, '"');
	}
	schema->pieces[i] = take_piece(&text);
	for (i = 0; i <= schema->count; i++)
		schema->fixed += schema->pieces[i].len;
}

struct label_schema *label_schema_new(const char *const *names, unsigned count,
				      const struct label_pair *constant,
				      unsigned nconst, struct err *err)
{
	const char *all[LABELS_MAX];
	struct label_schema *schema;
	unsigned n = 0;

	if (count + nconst > LABELS_MAX) {
		err_set(err, ERR_LIMIT, "more than %d labels", LABELS_MAX);
		return NULL;
	}
	for (unsigned i = 0; i < count + nconst; i++) {
		const char *name =
			i < count ? names[i] : constant[i - count].name;

		if (!check_name(name, i >= count, all, n, err))
			return NULL;
		if (i >= count && !check_constant(&constant[i - count], err))
			return NULL;
		all[n++] = name;
	}
	if (!check_escaped(all, n, err))
		return NULL;
	schema = mem_alloc(sizeof *schema);
	schema->refs = 1;
	schema->count = count;
	schema->names = mem_array(count, sizeof *schema->names);
	schema->pieces = mem_array(count + 1, sizeof *schema->pieces);
	for (unsigned i = 0; i < count; i++)
		schema->names[i] = mem_string(names[i]);
	build_pieces(schema, constant, nconst);
	if (schema->fixed > LABELS_TEXT_MAX) {
		label_schema_unref(schema);
		err_set(err, ERR_LIMIT,
			"the names of the labels are longer than %d bytes",
			LABELS_TEXT_MAX);
		return NULL;
	}
	return schema;
}

struct label_schema *label_schema_ref(struct label_schema *schema)
{
	schema->refs++;
	return schema;
}

bool label_schema_has(const struct label_schema *schema,
		      const char *const *names, unsigned count)
{
	if (schema->count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (strcmp(schema->names[i], names[i]) != 0)
			return false;
	return true;
}

/* A piece is: what ends the value before, the name, what begins the value. */
struct str label_schema_name(const struct label_schema *schema, unsigned i)
{
	struct str piece = schema->pieces[i];
	size_t before = i ? 2 : 0;

	return (struct str){ piece.data + before, piece.len - before - 2 };
}

void label_schema_unref(struct label_schema *schema)
{
	if (!schema || --schema->refs)
		return;
	for (unsigned i = 0; i < schema->count; i++)
		free(schema->names[i]);
	for (unsigned i = 0; i <= schema->count; i++)
		free((char *)(uintptr_t)schema->pieces[i].data);
	free(schema->names);
	free(schema->pieces);
	free(schema);
}

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
		add_escaped(&text, values[i].data, values[i].len);
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
		add_escaped(&text, values[i].data, values[i].len);
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

/* The closing quote of the string whose first byte is at P. */
static const char *string_end(const char *p)
{
	while (*p != '"')
		p += *p == '\\' ? 2 : 1;
	return p;
}

/* The "=" of the label whose first byte is at P. */
static const char *name_end(const char *p, size_t len)
{
	return *p == '"' ? string_end(p + 1) + 1
			 : (const char *)memchr(p, '=', len);
}

bool labels_next(const struct labels *labels, size_t *at, struct str *pair)
{
	const char *text = labels->text + *at,
		   *end = labels->text + labels->len;
	const char *p;

	if (text >= end)
		return false;
	p = name_end(text, (size_t)(end - text));
	pair->data = text;
	pair->len = (size_t)(string_end(p + 2) + 1 - text);
	*at += pair->len + 1; /* and the comma */
	return true;
}

struct str label_name_text(struct str pair)
{
	pair.len = (size_t)(name_end(pair.data, pair.len) - pair.data);
	return pair;
}

/* The bytes that the string P, up to END, its closing quote, stands for. */
static struct str raw_bytes(const char *p, const char *end, char *out)
{
	size_t n = 0;

	if (p == end || !memchr(p, '\\', (size_t)(end - p)))
		return (struct str){ p, (size_t)(end - p) };
	for (; p < end; p++) {
		char c = *p;

		if (c == '\\')
			c = *++p == 'n' ? '\n' : *p;
		out[n++] = c;
	}
	return (struct str){ out, n };
}

struct str label_name(struct str pair, char *out)
{
	struct str name = label_name_text(pair);

	if (*name.data != '"')
		return name;
	return raw_bytes(name.data + 1, name.data + name.len - 1, out);
}

struct str label_value(struct str pair, char *out)
{
	return raw_bytes(name_end(pair.data, pair.len) + 2,
			 pair.data + pair.len - 1, out);
}

static void escape_pair(struct buf *out, struct str pair, enum escaping scheme,
			char *raw)
{
	size_t len = label_name_text(pair).len;

	name_escape_label(out, label_name(pair, raw), scheme);
	buf_add(out, pair.data + len, pair.len - len);
}

void labels_escape(struct buf *out, const struct labels *labels,
		   enum escaping scheme)
{
	struct str pair;
	char *raw;

	if (!labels->quoted || scheme == ESCAPING_NONE) {
		buf_add(out, labels->text, labels->len);
		return;
	}
	raw = mem_alloc(labels->len);
	for (size_t at = 0; labels_next(labels, &at, &pair);) {
		if (pair.data != labels->text)
			buf_addch(out, ',');
		if (*pair.data == '"')
			escape_pair(out, pair, scheme, raw);
		else
			buf_add(out, pair.data, pair.len);
	}
	free(raw);
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
