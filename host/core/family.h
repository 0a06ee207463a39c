/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One family of a registry: its series and their values. See registry.h for
 * what set, commit, drop, own and mirrored mean; this header adds what
 * registry.c and snapshot.c need to know. One thread.
 *
 * Rows lie in segments of a fixed power of two. A segment owns what is known
 * about each row (whose value, shown, staged); the label sets, the numbers and
 * what lies beside them (extras.h) are shared with the chunk it published last,
 * and copied before they change.
 * Removing leaves a hole, which the next sort closes; where there are more
 * holes than rows in use, a new row takes one.
 */
#ifndef CORE_FAMILY_H
#define CORE_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/extras.h"
#include "core/intern.h"
#include "core/label.h"
#include "core/metadata.h"
#include "core/page.h"
#include "core/registry.h"
#include "core/row_index.h"

enum {
	ROW_SHOWN = 1,	 /* in the next page */
	ROW_STAGED = 2,	 /* the value belongs to a part that has not returned */
	ROW_LASTING = 4, /* what is shown is no part's: set live, or counted */
	ROW_OWN = 8,	 /* all of what is shown was counted, nothing set */
};

/* What the families of a registry share. */
struct series_pool {
	struct intern sets;
	size_t series;
	size_t used;		 /* what they count together */
	size_t explained;	 /* bytes of exemplars */
	struct series_limit own; /* where none is shared */
	struct series_limit *limit;
	size_t removed; /* since the sets were swept */
	bool quoted;	/* as of a page; stays true */
	double (*clock)(void);
	uint64_t seed;
};

struct segment {
	struct rows *rows; /* holes are NULL */
	double *values;	   /* width each; NULL: those of the chunk */
	double *expires;   /* with a ttl: when, of what is shown; else NULL */
	struct extras extras;
	struct chunk *chunk; /* as last published */
	bool changed;
	uint8_t *owners;
	uint8_t *states;
	uint32_t *after; /* see family_row; NULL: the next one each */
};

struct family {
	struct series_pool *pool;
	struct metadata *metadata;
	struct label_schema *schema;
	bool keep;
	bool exempt;
	unsigned burden; /* what one with sparse buckets counts beside itself */
	bool counted;	 /* a row has been own */
	bool beside;	 /* rows may have extras */
	bool more;	 /* rows may have extras or times */
	double ttl;
	unsigned width;
	unsigned added;	  /* metadata_added() */
	unsigned created; /* places, as in the metadata */
	unsigned time;
	unsigned shift; /* rows of a segment: 1 << shift */
	uint32_t rows;	/* numbered so far, holes included */
	uint32_t holes;
	uint32_t *vacant; /* the numbers of these */
	uint32_t vacant_cap;
	uint32_t staged;
	uint32_t moved; /* rows added or removed since the last sort */
	uint32_t last;	/* found last by family_row */
	uint32_t nsegments;
	struct segment *segments;
	struct row_index index;
	bool changed;
	double expires; /* the earliest; INFINITY: none */
	double turns;	/* when a window does, at the earliest; the same */
};

/* What the labels of all series may take. */
size_t series_limit_bytes(const struct series_limit *limit);

/* Lets go of label sets that nobody holds. */
void series_pool_sweep(struct series_pool *pool);

/* Is there room for more of them? Sweeps before it says no. */
bool series_pool_has_bytes(struct series_pool *pool);

/* Both are false: ERR says which limit is reached. */
bool family_refuse_series(const struct family *family, struct err *err);
bool family_refuse_bytes(const struct family *family, struct err *err);

/* Takes over METADATA and SCHEMA. */
struct family *family_new(struct series_pool *pool, struct metadata *metadata,
			  struct label_schema *schema,
			  const struct family_options *options);
void family_free(struct family *family);

static inline struct segment *family_segment(const struct family *family,
					     uint32_t row)
{
	return &family->segments[row >> family->shift];
}

static inline uint32_t family_place(const struct family *family, uint32_t row)
{
	return row & ((1u << family->shift) - 1);
}

/* The first bucket whose bound is not below VALUE; +Inf, the last, takes the
 * rest, NaN among it. */
static inline unsigned family_bucket(const struct metadata *metadata,
				     double value)
{
	unsigned low = 0, high = metadata->nbounds;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (value <= metadata->bounds[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return value != value ? metadata->nbounds : low;
}

static inline struct labels *family_labels(const struct family *family,
					   uint32_t row)
{
	return family_segment(family, row)
		->rows->labels[family_place(family, row)];
}

/* Does a row in STATE show what lies beneath a staged value? */
static inline bool family_hides(uint8_t state)
{
	return (state & (ROW_SHOWN | ROW_STAGED)) == (ROW_SHOWN | ROW_STAGED);
}

/* Number of rows in use of segment number S. */
uint32_t family_segment_rows(const struct family *family, uint32_t s);

/* Gives a segment room for CAP rows. */
void family_segment_grow(const struct family *family, struct segment *segment,
			 uint32_t cap);

/* Readies the numbers of a segment for a change. */
void family_segment_own(const struct family *family, struct segment *segment);

void family_segments_free(struct segment *segments, uint32_t n);

/* Puts every row into the index anew, with ROOM for more. */
void family_reindex(struct family *family, uint32_t room);

/* Makes room for ROWS rows altogether. */
void family_reserve(struct family *family, uint32_t rows);

/* The row of the series with the text of LABELS, a set of another registry that
 * has the same constant labels, for a family with the same label names. Made if
 * need be; false at the series limit. */
bool family_row_like(struct family *family, const struct labels *labels,
		     uint32_t *row);

/* Makes a hole of a row that has a set. */
void family_remove_row(struct family *family, uint32_t row);

/* Adds what another registry counted, a number for each of the row's; of the
 * two times when that began the earlier one stays. False, and nothing added,
 * when something of what the row shows was set. */
bool family_count(struct family *family, uint32_t row, const double *numbers);

/* What a row of another registry has beside its numbers; NULL: nothing. */
struct counted {
	const struct native *native;
	const struct window *window;
	const struct exemplars *exemplars;
};

/* After family_count() the rest of it: what AFTER has beyond BEFORE. */
void family_count_extras(struct family *family, uint32_t row,
			 const struct counted *before,
			 const struct counted *after, double now);

/*
 * What lies beside the numbers of a row counts against the limits from when it
 * is made until nothing can bring it back. While something is staged over what
 * a row shows, there are two of it: what is staged, in the segment, and what is
 * shown, in its chunk.
 *
 * The first empties a place of the segment, the second lets go of what its
 * chunk shows there beneath a staged value, the third does what a row wants
 * that goes. The fourth fills a place, which is empty, with place FROM_I of
 * FROM.
 */
void family_drop_extras(struct family *family, struct segment *segment,
			uint32_t place);
void family_drop_hidden(struct family *family, const struct segment *segment,
			uint32_t place);
void family_drop_row_extras(struct family *family, struct segment *segment,
			    uint32_t place);
void family_put_extras(struct family *family, struct segment *segment,
		       uint32_t place, const struct extras *from,
		       uint32_t from_i);

/* The part of family_observe() that few families have: what is BESIDE. */
void family_observe_extras(struct family *family, uint32_t row, double value,
			   double now);

/* Lets go of observations that are too old for their windows. */
void family_turn(struct family *family, double now);

/* Computes the quantiles of windows that changed since they were shown. The
 * segment owns its numbers. */
void family_read_windows(struct family *family, struct segment *segment);

/* The staged values of a family, put aside to reach what lies beneath them. */
struct family_staged {
	struct extras extras;
	struct staged_row *rows;
	double *values;
	uint32_t count;
};

/* Between the two, rows may be made and counted, and nothing else. */
void family_unstage(struct family *family, struct family_staged *staged);
void family_restage(struct family *family, struct family_staged *staged);

/* The end of a part, and of the time of values with a ttl. */
void family_commit(struct family *family, unsigned part, double now);
void family_drop(struct family *family, unsigned part, double now);
void family_expire(struct family *family, double now);

/* Removes what no page would show: values whose time is over, and rows that
 * never got one. */
void family_tidy(struct family *family, double now);

#endif
