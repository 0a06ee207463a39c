/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which form a page is shown: the format, how names that older readers do
 * not know are written, and what may be left out. Expositions, blocks and
 * answers are made and kept for each form. A value; copied. Any thread.
 */
#ifndef CORE_FORM_H
#define CORE_FORM_H

#include <stdbool.h>

enum format {
	FORMAT_TEXT,	     /* Prometheus text, 0.0.4 and 1.0.0 */
	FORMAT_OPENMETRICS,  /* OpenMetrics text, 0.0.1 and 1.0.0 */
	FORMAT_OPENMETRICS2, /* OpenMetrics text, 2.0.0 */
	FORMAT_PROTOBUF,     /* delimited io.prometheus.client.MetricFamily */
};

/* https://prometheus.io/docs/instrumenting/escaping_schemes/ */
enum escaping {
	ESCAPING_UNDERSCORES, /* what a reader gets that did not ask */
	ESCAPING_DOTS,
	ESCAPING_VALUES,
	ESCAPING_NONE, /* allow-utf-8 */
};

/* "text", "openmetrics", "openmetrics2", "protobuf"; NULL behind the last. */
const char *format_name(unsigned format);
bool format_parse(const char *word, enum format *format);

struct form {
	enum format format;
	enum escaping escaping;
	bool created; /* OpenMetrics 1: with the samples x_created; else false
		       */
};

/* What a reader gets that asks for nothing: text, no name that is not legacy.
 */
static const struct form form_plain = { FORMAT_TEXT, ESCAPING_UNDERSCORES,
					false };

/* How the bytes of a page are sent. */
enum encoding {
	ENCODING_IDENTITY,
	ENCODING_GZIP,
	ENCODING_ZSTD,
};

enum { FORM_TYPE_MAX = 128 };

/* Writes the Content-Type of a page of FORM. VERSION is the one of the format's
 * versions that the reader named ("1.0.0" of the text format), NULL: 0.0.4,
 * OpenMetrics 1.0.0. */
void form_content_type(struct form form, const char *version,
		       char out[FORM_TYPE_MAX]);

static inline bool form_same(struct form a, struct form b)
{
	return a.format == b.format && a.escaping == b.escaping &&
	       a.created == b.created;
}

#endif
