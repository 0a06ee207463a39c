/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot loop of a scrape: for each series the name, the label text and a
 * number are copied behind each other. Room is asked for once a line.
 */
#include "core/lines.h"

#include <math.h>
#include <string.h>

#include "core/escape.h"
#include "core/label_text.h"
#include "core/number.h"
#include "core/put.h"

/* A line is being written: `p` moves, `out` learns at the end. */
static inline char *room(struct buf *out, size_t most)
{
	return !out->full && buf_reserve(out, most) ? out->data + out->len
						    : NULL;
}

static inline void written(struct buf *out, char *p)
{
	*p = '\0';
	out->len = (size_t)(p - out->data);
}

static inline char *put_number(char *p, double value, bool openmetrics)
{
	p += number_format(p, value);
	if (openmetrics && value == 0 && signbit(value)) {
		*p++ = '.';
		*p++ = '0';
	}
	return p;
}

void lines_number(struct buf *out, double value)
{
	char *p = room(out, NUMBER_MAX);

	if (p)
		written(out, put_number(p, value, true));
}

/* ---- names ---- */

void lines_escape(struct buf *out, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\\')
			buf_addstr(out, "\\\\");
		else if (*s == '\n')
			buf_addstr(out, "\\n");
		else if (*s == '"' && quotes)
			buf_addstr(out, "\\\"");
		else
			buf_addch(out, *s);
	}
}

const struct labels *chunk_labels(const struct chunk *chunk)
{
	for (uint32_t i = 0; i < chunk->rows->count; i++)
		if (chunk->rows->labels[i])
			return chunk->rows->labels[i];
	return NULL;
}

/* A name that is not legacy. */
static void set_name(struct lines *lines)
{
	struct str name = { lines->metadata->name, lines->metadata->name_len };

	lines->inside = lines->escaping == ESCAPING_NONE;
	if (lines->inside) {
		buf_addch(&lines->text, '"');
		lines_escape(&lines->text, name.data, true);
	} else {
		name_escape(&lines->text, name, lines->escaping);
	}
	lines->name = (struct str){ buf_text(&lines->text), lines->text.len };
}

void lines_begin(struct lines *lines, struct buf *out, struct form form,
		 const struct metadata *metadata, const struct chunk *chunk)
{
	const struct labels *labels = chunk ? chunk_labels(chunk) : NULL;

	*lines = (struct lines){
		.out = out,
		.metadata = metadata,
		.escaping = form.escaping,
		.name = { metadata->name, metadata->name_len },
		.openmetrics = form.format != FORMAT_TEXT,
	};
	buf_init(&lines->scratch, SIZE_MAX / 2);
	buf_init(&lines->text, SIZE_MAX / 2);
	buf_init(&lines->labels, SIZE_MAX / 2);
	buf_init(&lines->state_label, SIZE_MAX / 2);
	buf_init(&lines->state, SIZE_MAX / 2);
	if (metadata->quoted)
		set_name(lines);
	lines->rewrite =
		labels && form.escaping != ESCAPING_NONE && labels->quoted;
}

void lines_end(struct lines *lines)
{
	buf_release(&lines->scratch);
	buf_release(&lines->text);
	buf_release(&lines->labels);
	buf_release(&lines->state_label);
	buf_release(&lines->state);
}

void lines_comment(struct lines *lines, const char *word, size_t cut,
		   const char *suffix)
{
	struct buf *out = lines->out;

	buf_addstr(out, "# ");
	buf_addstr(out, word);
	buf_addch(out, ' ');
	buf_add(out, lines->name.data, lines->name.len - cut);
	buf_addstr(out, suffix);
	buf_addstr(out, lines->inside ? "\" " : " ");
}

struct str lines_labels(struct lines *lines, const struct labels *labels)
{
	if (!lines->rewrite)
		return labels_str(labels);
	buf_clear(&lines->labels);
	label_text_escape(&lines->labels, labels_str(labels), lines->escaping);
	return (struct str){ buf_text(&lines->labels), lines->labels.len };
}

void lines_add_labels(const struct lines *lines, struct buf *out,
		      struct str text)
{
	if (lines->escaping != ESCAPING_NONE && label_text_quoted(text))
		label_text_escape(out, text, lines->escaping);
	else
		buf_add(out, text.data, text.len);
}

void lines_state_label(const struct lines *lines, struct buf *out)
{
	struct str name = { lines->metadata->name, lines->metadata->name_len };

	if (lines->escaping == ESCAPING_NONE && !name_is_legacy_label(name))
		name_quote(out, name);
	else
		name_escape_label(out, name, lines->escaping);
}

/* ---- lines ---- */

static size_t most_of(const struct lines *lines, const struct line *line)
{
	return lines->name.len + line->suffix.len + line->labels.len +
	       line->extra.len + line->extra_value.len + line->tail.len +
	       NUMBER_MAX + 16;
}

/* Name and labels and a blank. The text that is written could be LINES or LINE
 * as far as the compiler knows: so it has copies, which need not be read again
 * after each byte. */
static inline char *put_start(char *p, struct str name, bool inside,
			      struct line line)
{
	char before = inside ? ',' : '{';

	if (inside)
		*p++ = '{';
	p = put_str(p, name);
	p = put_str(p, line.suffix);
	if (inside)
		*p++ = '"';
	if (line.labels.len) {
		*p++ = before;
		p = put_str(p, line.labels);
		before = ',';
	}
	if (line.extra.len) {
		*p++ = before;
		p = put_str(p, line.extra);
		*p++ = '=';
		*p++ = '"';
		p = put_str(p, line.extra_value);
		*p++ = '"';
		before = ',';
	}
	if (before == ',')
		*p++ = '}';
	*p++ = ' ';
	return p;
}

void lines_start(struct lines *lines, const struct line *line)
{
	char *p = room(lines->out, most_of(lines, line));

	if (p)
		written(lines->out,
			put_start(p, lines->name, lines->inside, *line));
}

void lines_add(struct lines *lines, const struct line *line)
{
	const struct str tail = line->tail;
	const double value = line->value;
	char *p = room(lines->out, most_of(lines, line));

	if (!p)
		return;
	p = put_start(p, lines->name, lines->inside, *line);
	p = put_number(p, value, lines->openmetrics);
	p = put_str(p, tail);
	*p++ = '\n';
	written(lines->out, p);
}

/* As the value of a label. */
static struct str state_text(struct lines *lines, const char *state)
{
	if (!strpbrk(state, "\\\"\n"))
		return str_of(state);
	buf_clear(&lines->state);
	lines_escape(&lines->state, state, true);
	return (struct str){ buf_text(&lines->state), lines->state.len };
}

void lines_states(struct lines *lines, struct line line, const double *row)
{
	const struct metadata *m = lines->metadata;

	if (!lines->state_label.len)
		lines_state_label(lines, &lines->state_label);
	line.extra =
		(struct str){ lines->state_label.data, lines->state_label.len };
	for (unsigned i = 0; i < m->nstates; i++) {
		line.extra_value = state_text(lines, m->states[i]);
		line.value = row[i];
		lines_add(lines, &line);
	}
}

/* The name outside of the braces, labels as they are, nothing behind. */
static inline void add_plain(struct buf *out, struct str name,
			     const struct labels *labels, double value,
			     bool openmetrics)
{
	char *p = room(out, name.len + labels->len + NUMBER_MAX + 8);

	if (!p)
		return;
	p = put_str(p, name);
	if (labels->len) {
		*p++ = '{';
		p = put(p, labels->text, labels->len);
		*p++ = '}';
	}
	*p++ = ' ';
	p = put_number(p, value, openmetrics);
	*p++ = '\n';
	written(out, p);
}

/* In line, so that the test for OPENMETRICS is not one of each line. */
static inline void add_all_plain(struct lines *lines, const struct chunk *chunk,
				 bool openmetrics)
{
	const struct rows *rows = chunk->rows;
	const size_t width = lines->metadata->width;
	const double *value = chunk->values;
	const struct str name = lines->name;

	for (uint32_t i = 0; i < rows->count; i++, value += width) {
		rows_prefetch(rows, i + 8);
		if (rows->labels[i])
			add_plain(lines->out, name, rows->labels[i], *value,
				  openmetrics);
	}
}

const double *lines_next(struct lines *lines, const struct chunk *chunk,
			 uint32_t *i, struct line *line)
{
	const struct rows *rows = chunk->rows;

	while (*i < rows->count && !rows->labels[*i])
		++*i;
	if (*i >= rows->count)
		return NULL;
	rows_prefetch(rows, *i + 8);
	*line = (struct line){ .labels =
				       lines_labels(lines, rows->labels[*i]) };
	return chunk->values + *i * lines->metadata->width;
}

void lines_simple(struct lines *lines, const struct chunk *chunk,
		  struct str (*tail)(struct lines *lines, const double *row))
{
	const double *row;
	struct line line;

	if (!lines->inside && !lines->rewrite && !tail) {
		if (lines->openmetrics)
			add_all_plain(lines, chunk, true);
		else
			add_all_plain(lines, chunk, false);
		return;
	}
	for (uint32_t i = 0; (row = lines_next(lines, chunk, &i, &line)); i++) {
		line.value = row[0];
		if (tail)
			line.tail = tail(lines, row);
		lines_add(lines, &line);
	}
}

/* ---- rows ---- */

static bool row_at(const double *row, unsigned place, double *out)
{
	if (!place || row[place] == 0 ||
	    !(fabs(row[place]) <= METADATA_TIME_MAX))
		return false;
	*out = row[place];
	return true;
}

bool row_time(const struct metadata *metadata, const double *row, double *time)
{
	return row_at(row, metadata->time, time);
}

bool row_created(const struct metadata *metadata, const double *row,
		 double *created)
{
	return row_at(row, metadata->created, created);
}
