/* SPDX-License-Identifier: Apache-2.0 */
#include "core/label.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* ---- names ---- */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool label_name_valid(const char *name)
{
	if (!is_alpha(name[0]) || (name[0] == '_' && name[1] == '_'))
		return false;
	for (const char *s = name + 1; *s; s++)
		if (!is_alpha(*s) && !is_digit(*s))
			return false;
	return true;
}

bool metric_name_valid(const char *name)
{
	if (!is_alpha(name[0]) && name[0] != ':')
		return false;
	for (const char *s = name + 1; *s; s++)
		if (!is_alpha(*s) && !is_digit(*s) && *s != ':')
			return false;
	return true;
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

/* CONSTANT: it has its value for all series, beside the COUNT names BEFORE. */
static bool check_name(const char *name, bool constant,
		       const char *const *before, unsigned count,
		       struct err *err)
{
	if (strncmp(name, "__", 2) == 0)
		return err_set(err, ERR_USAGE,
			       "label name '%s' is reserved (it begins with "
			       "'__')",
			       name);
	if (!label_name_valid(name))
		return err_set(err, ERR_USAGE,
			       "label name '%s' is not valid "
			       "([a-zA-Z_][a-zA-Z0-9_]*)",
			       name);
	for (unsigned i = 0; i < count; i++)
		if (strcmp(before[i], name) == 0)
			return err_set(err, ERR_USAGE,
				       "label name '%s' is given twice%s", name,
				       constant ? ", once as constant label"
						: "");
	return true;
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

static void build_pieces(struct label_schema *schema,
			 const struct label_pair *constant, unsigned nconst)
{
	struct buf text;
	unsigned i;

	buf_init(&text, SIZE_MAX / 2);
	for (i = 0; i < schema->count; i++) {
		buf_addf(&text, "%s%s=\"", i ? "\"," : "", schema->names[i]);
		schema->pieces[i] = take_piece(&text);
	}
	if (schema->count)
		buf_addch(&text, '"');
	for (unsigned c = 0; c < nconst; c++) {
		buf_addf(&text, "%s%s=\"", text.len || c ? "," : "",
			 constant[c].name);
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
 * contains a quote, so `",name="` stands in it at one place only. VALUES may
 * contain anything: one that reaches over a border would have to be followed by
 * the same piece again, which is not there. The last value need only be as long
 * as what is left, and it is when the lengths add up.
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
	const char *text = labels->text + *at,
		   *end = labels->text + labels->len;
	const char *p;

	if (text >= end)
		return false;
	p = (const char *)memchr(text, '"', (size_t)(end - text)) + 1;
	while (*p != '"')
		p += *p == '\\' ? 2 : 1;
	pair->data = text;
	pair->len = (size_t)(p + 1 - text);
	*at += pair->len + 1; /* and the comma */
	return true;
}

struct str label_value(struct str pair, char *out)
{
	const char *p = (const char *)memchr(pair.data, '"', pair.len) + 1;
	const char *end = pair.data + pair.len - 1;
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
