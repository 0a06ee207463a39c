/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry set: the families and series of one exporter. It belongs to the
 * exporter's thread; what others see are the pages that it publishes.
 *
 * Two kinds of values:
 * - mirrored: `set` states what a source says now. During a collection it is
 *   staged under the number of the part that sets it. registry_commit() shows
 *   what the part set and removes what it set before and did not set again;
 *   registry_drop() forgets what it staged and removes what it showed before,
 *   except in families with `keep`. A `ttl` keeps a value for so many seconds
 *   after it was shown, whatever happens to its part, and no longer. A value
 *   set as part REGISTRY_LIVE is shown at once and stays.
 * - own: `inc` and `observe` count what happened here. They show at once and
 *   persist. A staged value that is incremented stays staged, and one that was
 *   set and is incremented stays mirrored.
 *
 * family_remove() ends a series of either kind.
 *
 * A series belongs to who set it last. A part that stages a value over a live
 * or own one gets the series when it commits, and gives it back in a drop.
 *
 * Rows of a family are numbered; a number is good until the next commit, drop
 * or publish.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/exemplar.h"
#include "core/label.h"
#include "core/metadata.h"
#include "core/page.h"

struct registry;
struct family;

enum { REGISTRY_PARTS_MAX = 254, REGISTRY_LIVE = 255 };

enum { REGISTRY_SERIES_MAX = 100000 };

/* What the labels of a series may take on average, and those of all at least:
 * the texts of labels are no part of the memory of a script. */
enum { REGISTRY_LABELS_MEAN = 1024, REGISTRY_LABELS_LEAST = 1 << 20 };

/* A ceiling that several registries of a thread share. Each series counts, and
 * once it has native buckets or a window for quantiles, as one more for each
 * KiB that these may come to; each family counts as one more. It outlives them.
 */
struct series_limit {
	size_t used;
	size_t max;
	size_t bytes; /* private: of the texts of labels, and of exemplars */
};

struct registry_options {
	const struct label_pair *labels; /* constant labels of every series */
	unsigned nlabels;
	size_t series_max;	    /* 0: REGISTRY_SERIES_MAX */
	struct series_limit *limit; /* instead of series_max, or NULL */
	double (*clock)(void); /* seconds since the epoch, for when counting
				* begins; NULL: nobody knows the time */
};

struct family_options {
	struct metadata_desc metadata;
	const char *const *labels;
	unsigned nlabels;
	bool keep;   /* a failed part leaves the former values */
	double ttl;  /* seconds; 0: none */
	bool exempt; /* its series do not count against series_max */
};

struct registry *registry_new(const struct registry_options *options);
void registry_free(struct registry *registry);

/* Declares a family. Fails on an invalid or reserved name, on a second
 * declaration of the same name, on names that meet in the exposition (a
 * histogram x beside x_count), and at a shared limit; the sentence begins with
 * the name. The registry owns the result; it lives as long. */
struct family *registry_add(struct registry *registry,
			    const struct family_options *options,
			    struct err *err);
struct family *registry_find(struct registry *registry, const char *name);
size_t registry_series(const struct registry *registry);

/* Is there no room for one more series? */
bool registry_is_full(const struct registry *registry);

/* Removes what no page would show, to make room: series whose time is over, and
 * those that never got a value. */
void registry_tidy(struct registry *registry, double now);

/* The constant labels as a set; NULL: none. Borrowed. */
const struct labels *registry_constant(const struct registry *registry);

/* Names of all families, NULL-terminated; valid until the next add. */
const char *const *registry_names(struct registry *registry);

const struct metadata *family_metadata(const struct family *family);
const struct label_schema *family_schema(const struct family *family);

/* Does it matter what NOW is when its series are set or counted? */
bool family_wants_now(const struct family *family);

/*
 * The row of the series with these label values (as many as the schema wants);
 * made if need be, and then not shown before it has a value. False and ERR at
 * the series limit, when the labels are too long, or all of them together.
 * Values that are not UTF-8 are repaired.
 */
bool family_row(struct family *family, const struct str *values, uint32_t *row,
		struct err *err);

/*
 * A kept series. It may be used as long as the registry lives, also when the
 * series was removed meanwhile: it then comes back.
 */
struct child {
	struct family *family;
	struct labels *labels; /* private; a reference */
	uint32_t row;	       /* private; where it was last */
};

bool child_init(struct child *child, struct family *family,
		const struct str *values, struct err *err);
void child_release(struct child *child);
bool child_row(struct child *child, uint32_t *row, struct err *err);

/* Mirrored values. NOW (seconds, any monotonic clock) matters to a ttl and to
 * windows of quantiles alone. */
void family_set(struct family *family, uint32_t row, unsigned part,
		double value, double now);
/* A stateset: STATE is the number of the one that is 1, -1 for none. */
void family_set_state(struct family *family, uint32_t row, unsigned part,
		      int state, double now);

/* A histogram, gauge histogram or summary that is kept elsewhere: the NUMBERS
 * of its row (metadata.h) without `created` and `time`. */
void family_set_numbers(struct family *family, uint32_t row, unsigned part,
			const double *numbers, double now);

/* Right after a set of the same row: when its counting began and the time of
 * its sample, seconds since the epoch, 0: not known. What the family has no
 * place for is left out. A set alone forgets both. */
void family_set_times(struct family *family, uint32_t row, double created,
		      double time);

/* Own values. `created` of a row is when its first one came. */
void family_inc(struct family *family, uint32_t row, double by);

/*
 * A histogram or summary counts at once, whatever PART is. The distribution of
 * a gauge histogram is what a part found: it is staged, the first observation
 * of a part after its end begins a new one, and what is set or counted before
 * within the part belongs to it. As REGISTRY_LIVE it goes on for ever.
 */
void family_observe(struct family *family, uint32_t row, unsigned part,
		    double value, double now);

/* Is there room for what comes to lie beside the numbers of the row: native
 * buckets or a window when the first value is observed, EXEMPLAR, which may be
 * NULL? False and ERR at the limits. Those who do not ask get no refusal. */
bool family_has_room(struct family *family, uint32_t row,
		     const struct exemplar *exemplar, struct err *err);

/* The series with these label values goes at once, with all that was set or
 * counted; a later set makes it anew. False: there was none. Numbers of other
 * rows stay good. */
bool family_remove(struct family *family, const struct str *values);

/* Right after an inc or an observe of VALUE in the same row: what explains it.
 * Takes EXEMPLAR over. A counter shows the last one, a histogram the last one
 * of each bucket; one with native buckets alone shows the last ten. A set
 * forgets them. */
void family_exemplify(struct family *family, uint32_t row, double value,
		      struct exemplar *exemplar);

void registry_commit(struct registry *registry, unsigned part, double now);
void registry_drop(struct registry *registry, unsigned part, double now);

/* Has anything been shown, changed or removed since the last publish? Looks at
 * expiry and at windows too, so it wants NOW. */
bool registry_changed(struct registry *registry, double now);

/* A snapshot with a reference for the caller; the same page as before when
 * nothing changed. Staged values are not in it. */
struct page *registry_publish(struct registry *registry, double now);

#endif
