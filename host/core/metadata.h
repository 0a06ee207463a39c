/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same for all series of a family: its name, HELP, TYPE, unit, and
 * how many numbers a series has and what they mean. Immutable and counted:
 * shared by a registry and by every page that shows the family.
 *
 * A series is a row of `width` doubles, whatever its type:
 *   counter, gauge, unknown   the value
 *   info                      1
 *   stateset                  one 0 or 1 for each state
 *   summary                   sum, count, one value for each quantile
 *   histogram, gaugehistogram sum, then one count for each bucket, not
 *                             cumulative, +Inf last
 * and behind them, where the family has them:
 *   created                   when counting began; seconds since the epoch, 0:
 *                             not known. Counters, histograms and summaries
 *   time                      of the sample; the same. Families that are
 *                             declared with timestamps
 *
 * A native histogram without classic buckets has the bucket +Inf alone: what it
 * shows to readers of text. Its native buckets lie beside the row (page.h).
 */
#ifndef CORE_METADATA_H
#define CORE_METADATA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/native.h"

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_GAUGEHISTOGRAM,
	METRIC_SUMMARY,
	METRIC_INFO,
	METRIC_STATESET,
	METRIC_UNKNOWN,
};

enum {
	METADATA_BUCKETS_MAX = 256,
	METADATA_STATES_MAX = 256,
	METADATA_QUANTILES_MAX = 32,
};

struct metadata {
	_Atomic uint32_t refs;
	enum metric_type type;
	char *name;
	size_t name_len;
	char *help;  /* "" when there is none */
	char *unit;  /* "" when there is none */
	bool quoted; /* the name is not legacy (escape.h) */
	unsigned width;
	unsigned created; /* place in the row; 0: there is none */
	unsigned time;	  /* the same */
	unsigned nstates;
	char **states;
	unsigned nbounds; /* of a histogram, without +Inf */
	double *bounds;	  /* rising */
	char **le;	  /* nbounds + 1 texts: "0.1", "1", ..., "+Inf" */
	char **canonical; /* the same as OpenMetrics has it: "0.1", "1.0", ...
			   */
	bool native;	  /* a histogram with native buckets */
	bool classic;	  /* a histogram with classic buckets */
	struct native_options native_options;
	unsigned nquantiles;	/* of a summary */
	double *quantiles;	/* rising */
	char **ranks;		/* nquantiles texts: "0.5", "1" */
	char **canonical_ranks; /* "0.5", "1.0" */
	double window;		/* seconds that its quantiles look back */
};

enum { METADATA_WINDOW = 600 };

/* The last second of the year 9999, beyond which a time is not one: what a
 * protobuf Timestamp can say. Milliseconds as seconds are beyond it. */
#define METADATA_TIME_MAX 253402300799.0

/* A declaration; everything is copied. NULL for absent texts. */
struct metadata_desc {
	enum metric_type type;
	const char *name;
	const char *help;
	const char *unit;
	const char *const *states; /* stateset: nstates names */
	unsigned nstates;
	const double *bounds; /* histogram: upper bounds, rising, finite */
	unsigned nbounds;
	const struct native_options *native; /* histogram: native, too */
	const double *quantiles;	     /* summary: 0 to 1, rising */
	unsigned nquantiles;
	double window;	 /* seconds; 0: METADATA_WINDOW */
	bool timestamps; /* samples may have times of their own */
};

/* NULL and ERR, a sentence that begins with the metric's name, when something
 * in it is not valid. One reference. */
struct metadata *metadata_new(const struct metadata_desc *desc,
			      struct err *err);
struct metadata *metadata_ref(struct metadata *metadata);
void metadata_unref(struct metadata *metadata);

/* How many numbers at the head of a row add up when two rows are joined. The
 * quantiles of a summary do not. */
unsigned metadata_added(const struct metadata *metadata);

/* "counter", ...; false, and *TYPE untouched, for an unknown word. */
const char *metric_type_name(enum metric_type type);
bool metric_type_parse(const char *name, enum metric_type *type);

/* May pages of both show the family together: same type, help and unit, and
 * alike? Otherwise ERR names what differs. */
bool metadata_agree(const struct metadata *a, const struct metadata *b,
		    struct err *err);

/* Do their numbers mean the same: same type, states, bounds, quantiles, both
 * native and both with timestamps or neither? Then rows of both are laid out
 * alike. */
bool metadata_alike(const struct metadata *a, const struct metadata *b);

/* Have their samples different names in the old text format, for readers that
 * know no UTF-8 names too, so that one page may show both? Otherwise ERR says
 * which of them meet. What meets in OpenMetrics alone is solved there
 * (render_is_unknown). */
bool metadata_apart(const struct metadata *a, const struct metadata *b,
		    struct err *err);

/* What a family of TYPE has behind its name in the names of its samples, ends
 * with NULL: "_bucket", "_sum", "_count". */
const char *const *metric_type_suffixes(enum metric_type type);

/* The number of the state NAME, or -1. */
int metadata_state(const struct metadata *metadata, const char *name,
		   size_t len);

#endif
