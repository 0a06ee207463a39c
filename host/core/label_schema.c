/* SPDX-License-Identifier: Apache-2.0 */
#include "core/label_schema.h"

#include <stdlib.h>
#include <string.h>

#include "core/escape.h"
#include "core/mem.h"
#include "core/utf8.h"

/* ---- names ---- */

bool label_name_valid(const char *name)
{
	return metric_name_valid(name) && strncmp(name, "__", 2) != 0;
}

bool metric_name_valid(const char *name)
{
	return *name && utf8_valid(name, strlen(name));
}

/* ---- checks ---- */

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

/* ---- the schema ---- */

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
		text_escape(&text, (struct str){ constant[c].value,
						 strlen(constant[c].value) });
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
