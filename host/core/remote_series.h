/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series of a family as messages prometheus.TimeSeries of one sample,
 * native histogram or exemplar each, with the names and labels that the text
 * format shows (core/text.h), those that are not legacy with underscores, as
 * receivers may not know them: a histogram is a series for each bucket and two
 * more. What is the same for all series of the family is encoded once. One
 * thread.
 */
#ifndef CORE_REMOTE_SERIES_H
#define CORE_REMOTE_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/label.h"
#include "core/metadata.h"

enum {
	/* Series that a row becomes, at most: buckets, _sum and _count, and the
	 * native histogram. */
	REMOTE_KINDS_MAX = METADATA_BUCKETS_MAX + 4,
	REMOTE_SLOTS_MAX = 2 * LABELS_MAX + 2,
};

struct remote_span {
	uint32_t at, len; /* in `text` */
};

/* A label that each series has, in the order of their names. */
struct remote_slot {
	struct str name;
	int own;		  /* which of the row's labels; -1: none */
	struct remote_span head;  /* own: what stands before the value */
	struct remote_span fixed; /* else, or where its value is "" */
};

/* Private, but for `natives`, which the owner sets behind init. */
struct remote_series {
	bool natives; /* native histograms are written, too */
	const struct metadata *metadata;
	const struct label_pair *added;
	unsigned nadded;

	/* of the family */
	struct buf text;
	struct buf names;      /* those that had to be escaped; does not move */
	struct str kind_label; /* {}: none tells the kinds apart */
	unsigned nslots, nown, nkinds;
	int name_slot, kind_slot; /* -1: no label tells the kinds apart */
	bool escaped; /* of the first row; labels do not know of constants */
	struct remote_slot slots[REMOTE_SLOTS_MAX];
	struct str own_names[LABELS_MAX];
	struct remote_span kind_names[REMOTE_KINDS_MAX];
	struct remote_span kind_labels[REMOTE_KINDS_MAX];

	/* of the row */
	struct str values[LABELS_MAX];
	struct buf raw; /* values that were escaped */
	size_t row_len; /* of its labels but for those of the kind */

	/* of the sample: what stands around the value */
	unsigned char tail[16];
	unsigned tail_len;
};

/* The pairs ADDED go to every series that has no label of that name; they are
 * valid, and stay the caller's. TIME is that of the samples. */
void remote_series_init(struct remote_series *series,
			const struct label_pair *added, unsigned nadded,
			int64_t time);
void remote_series_release(struct remote_series *series);

/* From here on the samples have another TIME. */
void remote_series_time(struct remote_series *series, int64_t time);

/* From here on it is about the series of METADATA's family, each of which
 * becomes as many as the result says. */
unsigned remote_series_family(struct remote_series *series,
			      const struct metadata *metadata);

/* Is this kind the native histogram? It has the plain name of the family. */
bool remote_series_is_native(const struct remote_series *series,
			     const struct metadata *metadata, unsigned kind);

/* What the kinds show of a row, cumulative buckets for one, but for the native
 * histogram. */
void remote_series_values(const struct remote_series *series,
			  const double *numbers,
			  double values[REMOTE_KINDS_MAX]);

/* Do both families have a series of the same name and label for KIND of A? */
bool remote_series_has_kind(const struct remote_series *series,
			    const struct metadata *a, unsigned kind,
			    const struct metadata *b);

/* From here on it is about the row with LABELS, which live meanwhile. */
void remote_series_row(struct remote_series *series,
		       const struct labels *labels);

/* Adds one series, with the sample VALUE as it is, to a WriteRequest. */
void remote_series_put(struct remote_series *series, struct buf *out,
		       unsigned kind, double value);

/* Adds one series with POINT, a field of a TimeSeries (remote_point.h). */
void remote_series_put_point(struct remote_series *series, struct buf *out,
			     unsigned kind, struct str point);

#endif
