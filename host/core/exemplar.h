/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars: for a counter the last increment that had one, for a histogram the
 * last observation of each bucket, which a trace or a log line explains. Few
 * series have any.
 *
 * An exemplar is immutable and counted. A list of them belongs to a series and
 * is shared with the chunks that show it: whoever changes it while somebody
 * else holds it, changes a copy. Counts are atomic: chunks go across threads.
 */
#ifndef CORE_EXEMPLAR_H
#define CORE_EXEMPLAR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/label.h"

/* Code points of names and values together; OpenMetrics 1.0. */
enum { EXEMPLAR_LABELS_MAX = 128, EXEMPLAR_PAIRS_MAX = 16 };

struct exemplar {
	_Atomic uint32_t refs;
	uint32_t len;
	double value;
	double time; /* seconds since the epoch; NaN: unknown */
	char text[]; /* labels as the exposition shows them, names quoted where
		      * they are not legacy: trace_id="4bf9",x="1" */
};

struct exemplar_label {
	const char *name;
	struct str value; /* any bytes */
};

/* NULL and ERR (ERR_USAGE), one sentence, when a name is not valid or twice, or
 * the labels are too long. Values that are not UTF-8 are repaired. N may be 0.
 * One reference. */
struct exemplar *exemplar_new(const struct exemplar_label *labels, unsigned n,
			      double value, double time, struct err *err);
struct exemplar *exemplar_ref(struct exemplar *exemplar);
void exemplar_unref(struct exemplar *exemplar);

/* The slots of a series; NULL where there is none. */
struct exemplars {
	_Atomic uint32_t refs;
	uint32_t n;
	size_t bytes; /* of the list and what is in it */
	struct exemplar *slots[];
};

/* The bytes that it takes. */
size_t exemplar_size(const struct exemplar *exemplar);

struct exemplars *exemplars_ref(struct exemplars *exemplars);
void exemplars_unref(struct exemplars *exemplars);

/* Puts EXEMPLAR, whose reference moves, into slot I of *LIST, which has N; a
 * NULL list is made, a shared one copied before. */
void exemplars_put(struct exemplars **list, uint32_t n, uint32_t i,
		   struct exemplar *exemplar);

#endif
