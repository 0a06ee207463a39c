/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which form a page is shown: the format, how names that older readers do
 * not know are written, and what may be left out. Expositions, blocks and
 * answers are made and kept for each form. A value; copied.
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

struct form {
	enum format format;
	enum escaping escaping;
	bool created; /* OpenMetrics 1: with the samples x_created */
};

/* What a reader gets that asks for nothing: text, no name that is not legacy.
 */
static const struct form form_plain = { FORMAT_TEXT, ESCAPING_UNDERSCORES,
					false };

static inline bool form_same(struct form a, struct form b)
{
	return a.format == b.format && a.escaping == b.escaping &&
	       a.created == b.created;
}

#endif
