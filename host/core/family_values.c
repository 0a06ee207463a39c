/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of a family's rows: set, counted, and what becomes of them at the
 * end of a part. A row that a part has staged over keeps what it showed in the
 * chunk of its segment, which is brought up to date before; families are not
 * sorted while anything is staged, so it stays at the same place.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/family.h"
#include "core/mem.h"
#include "core/snapshot.h"

/* ---- values ---- */

static inline void mark_changed(struct family *family, struct segment *segment)
{
	segment->changed = true;
	family->changed = true;
}

/* The value of the row is shown from NOW on. */
static inline void touch(struct family *family, struct segment *segment,
			 uint32_t place, double now)
{
	mark_changed(family, segment);
	if (!segment->expires)
		return;
	segment->expires[place] = now + family->ttl;
	if (segment->expires[place] < family->expires)
		family->expires = segment->expires[place];
}

/* Books a set of the row; the caller writes the value. */
static inline void stage(struct family *family, uint32_t row, unsigned part,
			 double now)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	uint8_t *state = &segment->states[place];

	segment->owners[place] = (uint8_t)part;
	if (part == REGISTRY_LIVE) {
		family->staged -= (*state & ROW_STAGED) != 0;
		*state = ROW_SHOWN | ROW_LASTING;
		touch(family, segment, place, now);
	} else if (!(*state & ROW_STAGED)) {
		if (segment->changed && *state & ROW_SHOWN)
			snapshot_segment(family, row >> family->shift);
		*state |= ROW_STAGED;
		family->staged++;
	}
}

/* Where there is no place for a time, it is the first number that becomes 0. */
static void forget(struct family *family, struct segment *segment,
		   uint32_t place, uint8_t was, double *numbers)
{
	bool staged = segment->states[place] & ROW_STAGED;

	numbers[family->created] = 0;
	numbers[family->time] = 0;
	if (!family->beside)
		return;
	if (staged && !(was & ROW_STAGED))
		extras_clear(&segment->extras, place); /* it is shown still */
	else
		family_drop_extras(family, segment, place);
	if (!staged && family_hides(was))
		family_drop_hidden(family, segment, place);
}

/* Books a set of the row and returns its numbers, which the caller writes. */
static inline double *stage_numbers(struct family *family, uint32_t row,
				    unsigned part, double now)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	uint8_t was = segment->states[place];
	double *numbers;

	stage(family, row, part, now);
	if (!segment->values)
		family_segment_own(family, segment);
	numbers = segment->values + place * family->width;
	if (family->more)
		forget(family, segment, place, was, numbers);
	return numbers;
}

void family_set(struct family *family, uint32_t row, unsigned part,
		double value, double now)
{
	stage_numbers(family, row, part, now)[0] = value;
}

void family_set_state(struct family *family, uint32_t row, unsigned part,
		      int state, double now)
{
	double *numbers = stage_numbers(family, row, part, now);

	for (unsigned i = 0; i < family->added; i++)
		numbers[i] = (int)i == state;
}

void family_set_numbers(struct family *family, uint32_t row, unsigned part,
			const double *numbers, double now)
{
	unsigned n = family->added + family->metadata->nquantiles;

	memcpy(stage_numbers(family, row, part, now), numbers,
	       n * sizeof *numbers);
}

void family_set_times(struct family *family, uint32_t row, double created,
		      double time)
{
	struct segment *segment = family_segment(family, row);
	double *numbers;

	family_segment_own(family, segment);
	numbers = segment->values + family_place(family, row) * family->width;
	if (family->created)
		numbers[family->created] = created;
	if (family->time)
		numbers[family->time] = time;
}

/* The state of a row that is counted. What was set before stays mirrored: its
 * number is the source's, however much is added. */
static inline uint8_t counted(uint8_t state)
{
	uint8_t own = state & ROW_SHOWN ? state & ROW_OWN : ROW_OWN;

	return ROW_SHOWN | ROW_LASTING | own;
}

/* The first own count of a row, whose NUMBERS are 0. */
static void begin(const struct family *family, double *numbers)
{
	if (family->created && family->pool->clock)
		numbers[family->created] = family->pool->clock();
}

/* Readies the row for counting and returns its numbers. */
static double *own(struct family *family, uint32_t row)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	uint8_t was = segment->states[place];
	double *numbers;

	if (!(was & ROW_STAGED)) {
		segment->states[place] = counted(was);
		segment->owners[place] = REGISTRY_LIVE;
		family->counted = true;
		if (segment->expires)
			segment->expires[place] = INFINITY;
		mark_changed(family, segment);
	}
	if (!segment->values)
		family_segment_own(family, segment);
	numbers = segment->values + place * family->width;
	if (!was)
		begin(family, numbers);
	return numbers;
}

void family_inc(struct family *family, uint32_t row, double by)
{
	*own(family, row) += by;
}

bool family_count(struct family *family, uint32_t row, const double *numbers)
{
	uint8_t state =
		family_segment(family, row)->states[family_place(family, row)];
	unsigned created = family->created;
	double *to;

	if ((state & (ROW_SHOWN | ROW_OWN)) == ROW_SHOWN)
		return false;
	to = own(family, row);
	for (unsigned i = 0; i < family->added; i++)
		to[i] += numbers[i];
	if (created && (!state || numbers[created] < to[created]))
		to[created] = numbers[created];
	return true;
}

/* Readies the row for what PART finds and returns its numbers. */
static double *find(struct family *family, uint32_t row, unsigned part,
		    double now)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row);
	double *numbers;

	if (segment->states[place] & ROW_STAGED &&
	    segment->owners[place] == part)
		return segment->values + place * family->width;
	numbers = stage_numbers(family, row, part, now);
	return memset(numbers, 0, family->width * sizeof *numbers);
}

void family_observe(struct family *family, uint32_t row, unsigned part,
		    double value, double now)
{
	bool gauge = family->metadata->type == METRIC_GAUGEHISTOGRAM;
	double *numbers = gauge && part != REGISTRY_LIVE
				  ? find(family, row, part, now)
				  : own(family, row);

	numbers[0] += value;
	if (family->metadata->le)
		numbers[1 + family_bucket(family->metadata, value)] += 1;
	else
		numbers[1] += 1;
	if (family->beside)
		family_observe_extras(family, row, value, now);
}

/* ---- the end of a part ---- */

static bool alive(const struct segment *segment, uint32_t place, double now)
{
	return segment->expires && segment->expires[place] > now;
}

static void commit_row(struct family *family, struct segment *segment,
		       uint32_t row, uint32_t place, double now)
{
	if (segment->states[place] & ROW_STAGED) {
		if (family->beside && family_hides(segment->states[place]))
			family_drop_hidden(family, segment, place);
		segment->states[place] = ROW_SHOWN;
		family->staged--;
		touch(family, segment, place, now);
	} else if (!alive(segment, place, now)) {
		family_remove_row(family, row);
	}
}

static void restore_extras(struct family *family, struct segment *segment,
			   uint32_t place)
{
	struct extras shown = chunk_extras(segment->chunk);

	family_drop_extras(family, segment, place);
	extras_copy(&segment->extras, place, &shown, place);
	if (extras_window_at(&shown, place))
		family->turns = -INFINITY; /* nobody looked meanwhile */
}

/* Forgets the staged value; what the row showed is in the chunk. */
static void restore_row(struct family *family, struct segment *segment,
			uint32_t place)
{
	size_t at = place * family->width;

	memcpy(segment->values + at, segment->chunk->values + at,
	       family->width * sizeof(double));
	if (family->beside)
		restore_extras(family, segment, place);
	segment->states[place] &= (uint8_t)~ROW_STAGED;
	if (segment->states[place] & ROW_LASTING)
		segment->owners[place] = REGISTRY_LIVE;
	family->staged--;
}

static void drop_row(struct family *family, struct segment *segment,
		     uint32_t row, uint32_t place, double now)
{
	uint8_t state = segment->states[place];
	bool stays = state & ROW_LASTING || family->keep ||
		     alive(segment, place, now);

	if (!(state & ROW_SHOWN) || !stays)
		family_remove_row(family, row);
	else if (state & ROW_STAGED)
		restore_row(family, segment, place);
}

typedef void (*end_row)(struct family *family, struct segment *segment,
			uint32_t row, uint32_t place, double now);

/* Rows that are looked at together: one byte each of a word. */
enum { AT_ONCE = sizeof(uint64_t) };

static inline bool has_zero_byte(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return (word - ones) & ~word & ones << 7;
}

/* Do AT_ONCE rows from I on all have values, and none belongs to PART? So it is
 * where values stay, and what ends a part should not cost as much as they are.
 */
static inline bool all_stay(const struct segment *segment, uint32_t i,
			    unsigned part)
{
	const uint64_t all_part = part * UINT64_C(0x0101010101010101);
	uint64_t owners, states;

	memcpy(&owners, segment->owners + i, sizeof owners);
	memcpy(&states, segment->states + i, sizeof states);
	return !has_zero_byte(owners ^ all_part) && !has_zero_byte(states);
}

/* The rows of segment S from I up to END. */
static inline void end_rows(struct family *family, uint32_t s, uint32_t i,
			    uint32_t end, unsigned part, double now,
			    end_row end_one)
{
	struct segment *segment = &family->segments[s];
	uint32_t row = s << family->shift;

	for (; i < end; i++) {
		if (segment->owners[i] == part && segment->states[i])
			end_one(family, segment, row + i, i, now);
		else if (!segment->states[i] && segment->rows->labels[i])
			family_remove_row(family, row + i);
	}
}

/* Calls END for each row that belongs to PART; rows that never got a value go
 * on this occasion. */
static inline void end_part(struct family *family, unsigned part, double now,
			    end_row end)
{
	for (uint32_t s = 0; s < family->nsegments; s++) {
		uint32_t n = family_segment_rows(family, s), i = 0;

		for (; i + AT_ONCE <= n; i += AT_ONCE)
			if (!all_stay(&family->segments[s], i, part))
				end_rows(family, s, i, i + AT_ONCE, part, now,
					 end);
		end_rows(family, s, i, n, part, now, end);
	}
}

void family_commit(struct family *family, unsigned part, double now)
{
	end_part(family, part, now, commit_row);
}

void family_drop(struct family *family, unsigned part, double now)
{
	end_part(family, part, now, drop_row);
}

void family_expire(struct family *family, double now)
{
	double earliest = INFINITY;

	if (now < family->expires)
		return;
	for (uint32_t row = 0; row < family->rows; row++) {
		struct segment *segment = family_segment(family, row);
		uint32_t place = family_place(family, row);
		uint8_t state = segment->states[place];

		if (!(state & ROW_SHOWN))
			continue;
		if (segment->expires[place] > now) {
			if (segment->expires[place] < earliest)
				earliest = segment->expires[place];
		} else if (state & ROW_STAGED) {
			if (family->beside)
				family_drop_hidden(family, segment, place);
			segment->states[place] = ROW_STAGED;
			mark_changed(family, segment);
		} else {
			family_remove_row(family, row);
		}
	}
	family->expires = earliest;
}

static void stay(struct family *family, struct segment *segment, uint32_t row,
		 uint32_t place, double now)
{
	(void)family;
	(void)segment;
	(void)row;
	(void)place;
	(void)now;
}

void family_tidy(struct family *family, double now)
{
	family_expire(family, now);
	end_part(family, REGISTRY_LIVE, now, stay);
}

/* ---- putting aside what is staged ---- */

struct staged_row {
	uint32_t row;
	uint8_t part;
};

static void forget_row(struct family *family, struct segment *segment,
		       uint32_t place)
{
	memset(segment->values + place * family->width, 0,
	       family->width * sizeof(double));
	family_drop_extras(family, segment, place);
	segment->states[place] = 0;
	segment->owners[place] = REGISTRY_LIVE;
	family->staged--;
}

static void put_aside(struct family *family, uint32_t row,
		      struct family_staged *staged)
{
	struct segment *segment = family_segment(family, row);
	uint32_t place = family_place(family, row), i = staged->count++;
	size_t bytes = family->width * sizeof(double);

	staged->rows[i] = (struct staged_row){ row, segment->owners[place] };
	memcpy(staged->values + i * family->width,
	       segment->values + place * family->width, bytes);
	extras_copy(&staged->extras, i, &segment->extras, place);
	if (segment->states[place] & ROW_SHOWN)
		restore_row(family, segment, place);
	else
		forget_row(family, segment, place);
}

void family_unstage(struct family *family, struct family_staged *staged)
{
	*staged = (struct family_staged){ 0 };
	if (!family->staged)
		return;
	staged->rows = mem_array(family->staged, sizeof *staged->rows);
	staged->values = mem_array((size_t)family->staged * family->width,
				   sizeof *staged->values);
	extras_grow(&staged->extras, family->staged);
	for (uint32_t row = 0; row < family->rows; row++)
		if (family_segment(family, row)
			    ->states[family_place(family, row)] &
		    ROW_STAGED)
			put_aside(family, row, staged);
}

void family_restage(struct family *family, struct family_staged *staged)
{
	for (uint32_t i = 0; i < staged->count; i++) {
		uint32_t row = staged->rows[i].row;
		struct segment *segment = family_segment(family, row);

		stage(family, row, staged->rows[i].part, 0);
		family_segment_own(family, segment);
		memcpy(segment->values +
			       family_place(family, row) * family->width,
		       staged->values + i * family->width,
		       family->width * sizeof(double));
		extras_clear(&segment->extras, family_place(family, row));
		family_put_extras(family, segment, family_place(family, row),
				  &staged->extras, i);
	}
	extras_release(&staged->extras);
	free(staged->rows);
	free(staged->values);
}
