/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rows of a family have beside their numbers. Natives and windows are
 * of own rows alone: a source that says what its count and sum are says nothing
 * of these, and what is staged has none.
 */
#include <math.h>

#include "core/family.h"
#include "core/label_text.h"

/* Does the row show what was counted here, with nothing staged over it? */
static bool is_own(const struct segment *segment, uint32_t place)
{
	return (segment->states[place] & (ROW_OWN | ROW_STAGED)) == ROW_OWN;
}

/* ---- what counts against the limits ---- */

/* What place I of EXTRAS counts, as series and as bytes. */
struct burden {
	size_t series, bytes;
};

static struct burden burden_at(const struct family *family,
			       const struct extras *extras, uint32_t i)
{
	const struct exemplars *list = extras_exemplars_at(extras, i);
	bool sparse =
		extras_native_at(extras, i) || extras_window_at(extras, i);

	return (struct burden){ sparse ? family->burden : 0,
				list ? list->bytes : 0 };
}

static void take(struct family *family, struct burden burden)
{
	struct series_pool *pool = family->pool;

	pool->used += burden.series;
	pool->limit->used += burden.series;
	pool->explained += burden.bytes;
	pool->limit->bytes += burden.bytes;
}

static void give_back(struct family *family, struct burden burden)
{
	struct series_pool *pool = family->pool;

	pool->used -= burden.series;
	pool->limit->used -= burden.series;
	pool->explained -= burden.bytes;
	pool->limit->bytes -= burden.bytes;
}

void family_drop_extras(struct family *family, struct segment *segment,
			uint32_t place)
{
	give_back(family, burden_at(family, &segment->extras, place));
	extras_clear(&segment->extras, place);
}

void family_drop_hidden(struct family *family, const struct segment *segment,
			uint32_t place)
{
	struct extras shown = chunk_extras(segment->chunk);

	give_back(family, burden_at(family, &shown, place));
}

void family_drop_row_extras(struct family *family, struct segment *segment,
			    uint32_t place)
{
	if (family_hides(segment->states[place]))
		family_drop_hidden(family, segment, place);
	family_drop_extras(family, segment, place);
}

void family_put_extras(struct family *family, struct segment *segment,
		       uint32_t place, const struct extras *from,
		       uint32_t from_i)
{
	extras_copy(&segment->extras, place, from, from_i);
	take(family, burden_at(family, &segment->extras, place));
}

/* ---- observations ---- */

static struct native *native_of(struct family *family, struct segment *segment,
				uint32_t place)
{
	struct native **native = extras_native(&segment->extras, place);

	if (!*native) {
		*native = native_new(&family->metadata->native_options);
		take(family, (struct burden){ family->burden, 0 });
	}
	return native_own(native);
}

static struct window *window_of(struct family *family, struct segment *segment,
				uint32_t place, double now)
{
	struct window **window = extras_window(&segment->extras, place);

	if (!*window) {
		*window = window_new(family->metadata->window, now);
		take(family, (struct burden){ family->burden, 0 });
	}
	return window_own(window);
}

/* The window of a row has another content. */
static void expect_turn(struct family *family, const struct window *window)
{
	double turns = window_expires(window);

	if (turns < family->turns)
		family->turns = turns;
}

void family_observe_extras(struct family *family, uint32_t row, double value,
			   double now)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	struct window *window;

	if (!is_own(segment, place))
		return;
	if (family->metadata->native)
		native_observe(native_of(family, segment, place), value);
	if (family->metadata->nquantiles) {
		window = window_of(family, segment, place, now);
		window_observe(window, value, now);
		expect_turn(family, window);
	}
}

/* ---- windows ---- */

static bool turn_row(struct family *family, struct window **window, double now)
{
	bool turned = false;

	if (window_expires(*window) <= now)
		turned = window_turn(window_own(window), now);
	expect_turn(family, *window);
	return turned;
}

void family_turn(struct family *family, double now)
{
	if (now < family->turns)
		return;
	family->turns = INFINITY;
	for (uint32_t s = 0; s < family->nsegments; s++) {
		struct segment *segment = &family->segments[s];
		struct window **windows = segment->extras.windows;

		for (uint32_t i = 0; windows && i < segment->extras.n; i++)
			if (windows[i] && turn_row(family, &windows[i], now))
				segment->changed = family->changed = true;
	}
}

void family_read_windows(struct family *family, struct segment *segment)
{
	const struct metadata *m = family->metadata;
	struct window **windows = segment->extras.windows;

	for (uint32_t i = 0; windows && i < segment->extras.n; i++) {
		double *values =
			segment->values + i * family->width + family->added;

		/* A shared one was read before it was shown. */
		if (!windows[i] ||
		    atomic_load_explicit(&windows[i]->refs,
					 memory_order_acquire) > 1)
			continue;
		for (unsigned k = 0; k < m->nquantiles; k++)
			values[k] =
				window_quantile(windows[i], m->quantiles[k]);
	}
}

/* ---- exemplars ---- */

enum { NATIVE_EXEMPLARS = 10 };

static uint32_t slots_of(const struct metadata *m)
{
	if (!m->le)
		return 1;
	return m->classic ? m->nbounds + 1 : NATIVE_EXEMPLARS;
}

/* The slot that is free or older than the others. */
static uint32_t oldest(const struct exemplars *list)
{
	uint32_t found = 0;

	for (uint32_t i = 0; list && i < list->n; i++) {
		if (!list->slots[i])
			return i;
		if (list->slots[i]->time < list->slots[found]->time)
			found = i;
	}
	return found;
}

static uint32_t slot_for(const struct metadata *m, const struct exemplars *list,
			 double value)
{
	if (!m->le)
		return 0;
	return m->classic ? family_bucket(m, value) : oldest(list);
}

/* The family has EXEMPLAR, or will have it. */
static void expect_exemplar(struct family *family,
			    const struct exemplar *exemplar)
{
	struct str text = { exemplar->text, exemplar->len };

	family->beside = family->more = true;
	family->pool->quoted |= label_text_quoted(text);
}

/* EXEMPLAR, whose reference moves, into slot I of the row. */
static void put(struct family *family, struct segment *segment, uint32_t place,
		uint32_t i, struct exemplar *exemplar)
{
	struct exemplars **list = extras_exemplars(&segment->extras, place);

	give_back(family, (struct burden){ 0, *list ? (*list)->bytes : 0 });
	exemplars_put(list, slots_of(family->metadata), i, exemplar);
	take(family, (struct burden){ 0, (*list)->bytes });
}

/* What is explained at TIME was counted a moment later: that is no reason to
 * begin after it. */
static void begin_by(struct family *family, struct segment *segment,
		     uint32_t place, double time)
{
	unsigned own = ROW_OWN | ROW_STAGED;
	double *created;

	if (!family->metadata->created ||
	    (segment->states[place] & own) != ROW_OWN)
		return;
	family_segment_own(family, segment);
	created = segment->values + place * family->width +
		  family->metadata->created;
	if (*created > time)
		*created = time;
}

void family_exemplify(struct family *family, uint32_t row, double value,
		      struct exemplar *exemplar)
{
	const struct metadata *m = family->metadata;
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	const struct exemplars *list =
		extras_exemplars_at(&segment->extras, place);

	expect_exemplar(family, exemplar);
	begin_by(family, segment, place, exemplar->time);
	put(family, segment, place, slot_for(m, list, value), exemplar);
	if (!(segment->states[place] & ROW_STAGED))
		segment->changed = family->changed = true;
}

/* ---- room ---- */

/* Does the next observation make sparse buckets for the row? */
static bool wants_buckets(const struct family *family,
			  const struct segment *segment, uint32_t place)
{
	uint8_t state = segment->states[place];
	bool counts = !(state & ROW_STAGED) &&
		      (!(state & ROW_SHOWN) || state & ROW_OWN);

	return counts && family->burden &&
	       !burden_at(family, &segment->extras, place).series;
}

/* Does EXEMPLAR take more than the one that it replaces? */
static bool wants_bytes(const struct family *family,
			const struct segment *segment, uint32_t place,
			const struct exemplar *exemplar)
{
	const struct exemplars *list =
		extras_exemplars_at(&segment->extras, place);
	const struct exemplar *old;

	if (!exemplar || family->exempt)
		return false;
	old = list ? list->slots[slot_for(family->metadata, list,
					  exemplar->value)]
		   : NULL;
	return !old || exemplar_size(exemplar) > exemplar_size(old);
}

bool family_has_room(struct family *family, uint32_t row,
		     const struct exemplar *exemplar, struct err *err)
{
	const struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	const struct series_limit *limit = family->pool->limit;

	/* The series itself is among those in use already. */
	if (wants_buckets(family, segment, place) && limit->used > limit->max)
		return family_refuse_series(family, err);
	if (wants_bytes(family, segment, place, exemplar) &&
	    !series_pool_has_bytes(family->pool))
		return family_refuse_bytes(family, err);
	return true;
}

/* ---- what another registry counted ---- */

static bool is_later(const struct exemplar *a, const struct exemplar *b)
{
	return !b || isnan(b->time) || a->time >= b->time;
}

static void add_exemplars(struct family *family, struct segment *segment,
			  uint32_t place, const struct exemplars *before,
			  const struct exemplars *after)
{
	const struct metadata *m = family->metadata;
	uint32_t n = slots_of(m);

	for (uint32_t i = 0; i < n && i < after->n; i++) {
		struct exemplar *slot = after->slots[i];
		const struct exemplars *list;
		uint32_t to;

		if (!slot || (before && before->slots[i] == slot))
			continue;
		list = extras_exemplars_at(&segment->extras, place);
		to = m->le && !m->classic ? oldest(list) : i;
		if ((list && !is_later(slot, list->slots[to])) ||
		    (wants_bytes(family, segment, place, slot) &&
		     !series_pool_has_bytes(family->pool)))
			continue;
		put(family, segment, place, to, exemplar_ref(slot));
		expect_exemplar(family, slot);
	}
}

void family_count_extras(struct family *family, uint32_t row,
			 const struct counted *before,
			 const struct counted *after, double now)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);

	if (after->native && before->native)
		native_add_difference(native_of(family, segment, place),
				      before->native, after->native);
	else if (after->native)
		native_add(native_of(family, segment, place), after->native);
	if (after->window) {
		struct window *to = window_of(family, segment, place, now);

		if (before->window)
			window_add_difference(to, before->window, after->window,
					      now);
		else
			window_add(to, after->window, now);
		expect_turn(family, to);
	}
	if (after->exemplars)
		add_exemplars(family, segment, place, before->exemplars,
			      after->exemplars);
}
