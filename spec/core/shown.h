/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the specs of the formats render: a family whose chunk is made row by row
 * out of label texts and numbers, so that a page may hold what no registry
 * would make.
 */
#ifndef SPEC_CORE_SHOWN_H
#define SPEC_CORE_SHOWN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/label_text.h"
#include "core/lines.h"
#include "core/mem.h"
#include "core/page.h"
#include "core/render.h"

enum { SHOWN_ROWS = 64 };

static const double nan_value = (double)NAN;

struct shown {
	struct metadata *metadata;
	uint32_t n;
	struct labels *labels[SHOWN_ROWS];
	double *values;
	struct native *natives[SHOWN_ROWS];
	struct exemplars *exemplars[SHOWN_ROWS];
	bool unknown;
};

static inline struct shown shown_new(struct metadata_desc desc)
{
	struct shown shown = { 0 };
	struct err err = { 0 };

	shown.metadata = metadata_new(&desc, &err);
	if (!shown.metadata)
		fail_msg("%s", err.text);
	shown.values =
		mem_array(SHOWN_ROWS * shown.metadata->width, sizeof(double));
	return shown;
}

static inline struct labels *shown_labels(const char *text)
{
	size_t len = strlen(text);
	struct labels *labels = mem_alloc(sizeof *labels + len);
	size_t raw = 0;

	atomic_init(&labels->refs, 1);
	labels->len = (uint16_t)len;
	for (size_t i = 0; i < len; i++, raw++)
		i += text[i] == '\\';
	labels->escaped = raw != len;
	labels->quoted = label_text_quoted(str_of(text));
	memcpy(labels->text, text, len);
	return labels;
}

/* A row with LABELS, NULL for a hole; its numbers, which are 0. */
static inline double *shown_row(struct shown *shown, const char *labels)
{
	if (labels)
		shown->labels[shown->n] = shown_labels(labels);
	return shown->values + shown->n++ * shown->metadata->width;
}

static inline void shown_set(struct shown *shown, const char *labels,
			     double value)
{
	shown_row(shown, labels)[0] = value;
}

/* Gives the last row an exemplar in slot I of N. */
static inline void shown_exemplar(struct shown *shown, uint32_t n, uint32_t i,
				  const char *name, const char *value,
				  double number, double time)
{
	struct exemplar_label label = { name,
					{ value, value ? strlen(value) : 0 } };
	struct err err = { 0 };
	struct exemplar *exemplar =
		exemplar_new(&label, name != NULL, number, time, &err);

	if (!exemplar)
		fail_msg("%s", err.text);
	exemplars_put(&shown->exemplars[shown->n - 1], n, i, exemplar);
}

/* The chunk; what SHOWN held moves into it. */
static inline struct chunk *shown_chunk(struct shown *shown)
{
	struct rows *rows = rows_new(shown->n);
	struct chunk *chunk;
	bool natives = false, exemplars = false;

	for (uint32_t i = 0; i < shown->n; i++) {
		rows->labels[i] = shown->labels[i];
		natives |= shown->natives[i] != NULL;
		exemplars |= shown->exemplars[i] != NULL;
	}
	chunk = chunk_new(rows, shown->values, NULL);
	if (natives) {
		chunk->natives = mem_array(shown->n, sizeof(struct native *));
		memcpy(chunk->natives, shown->natives,
		       shown->n * sizeof(struct native *));
	}
	if (exemplars) {
		chunk->exemplars =
			mem_array(shown->n, sizeof(struct exemplars *));
		memcpy(chunk->exemplars, shown->exemplars,
		       shown->n * sizeof(struct exemplars *));
	}
	return chunk;
}

static inline void shown_free(struct shown *shown, struct chunk *chunk)
{
	chunk_unref(chunk);
	metadata_unref(shown->metadata);
}

/* All parts of the family, head and chunk; sizes are checked. */
static inline void shown_render(struct buf *out, struct form form,
				struct shown *shown, struct chunk *chunk)
{
	struct shown_family family = { .metadata = shown->metadata,
				       .unknown = shown->unknown };
	unsigned parts = render_parts(form, shown->metadata);
	size_t before;

	family.size = render_size(form, shown->metadata, chunk);
	for (family.part = 0; family.part < parts; family.part++) {
		render_head(out, form, &family);
		before = out->len;
		render_chunk(out, form, &family, chunk);
		if (parts == 1 && !shown->unknown)
			assert_int_equal(out->len - before, family.size);
	}
	assert_false(out->full);
}

/* Renders SHOWN, which is gone then, and compares. */
static inline void assert_renders(struct form form, struct shown shown,
				  const char *expected)
{
	struct chunk *chunk = shown_chunk(&shown);
	struct buf out;

	buf_init(&out, 1 << 24);
	shown_render(&out, form, &shown, chunk);
	assert_string_equal(buf_text(&out), expected);
	assert_int_equal(out.len, strlen(expected));
	buf_release(&out);
	shown_free(&shown, chunk);
}

#endif
