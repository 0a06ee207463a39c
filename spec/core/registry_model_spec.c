/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry beside a model that is obviously right: a plain array with the
 * state of each series. Both get the same random operations; what the registry
 * publishes must be, line for line in any order, what the model says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/carry.h"
#include "core/family.h"
#include "core/number.h"
#include "core/registry.h"

enum { FAMILIES = 12, NUMBERS = 5, CHILDREN = 40, OPERATIONS = 200000 };
enum { SLOTS = 10 }; /* of exemplars */
enum { LIVE = REGISTRY_LIVE };

static const unsigned parts[] = { 0, 1, 253, REGISTRY_PARTS_MAX };

/* What a value has beside its numbers. */
struct beside {
	double created, time;
	struct native *native;
	struct window *window;
	double explained[SLOTS]; /* values of exemplars ... */
	double times[SLOTS];	 /* ... and their times; 0: there is none */
};

struct state {
	bool exists, shown, staged, lasting;
	bool own; /* what is shown was counted */
	unsigned owner;
	double now[NUMBERS];  /* what is shown */
	double next[NUMBERS]; /* what is staged */
	struct beside shown_beside, next_beside;
	double expires;
};

struct model_family {
	struct family *family;
	enum metric_type type;
	bool keep;
	double ttl;
	int keys; /* series are numbered from 0 */
	struct state *series;
};

struct model_child {
	struct child child;
	struct model_family *family;
	int key;
};

struct world {
	uint64_t random;
	struct registry *registry;
	struct model_family families[FAMILIES];
	struct model_child children[CHILDREN];
	struct series_limit limit; /* as the registry counts */
	size_t series;
	double now;
	int operations;
	double exemplars; /* so many were made; the time of the last */
	size_t most;	  /* series of a page */
	size_t refused;	  /* observations */
	struct page *old; /* a page of some time ago ... */
	char *old_text;	  /* ... and what it showed then */
};

/* ---- chance ---- */

static uint32_t any(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)((w->random >> 32) * below >> 32);
}

static double any_value(struct world *w)
{
	static const double special[] = { NAN, INFINITY, -INFINITY, -0.0,
					  0,   1,	 1e300,	    0.1 };

	switch (any(w, 4)) {
	case 0: return special[any(w, sizeof special / sizeof *special)];
	case 1: return any(w, 1000) / 8.0;
	default: return any(w, 5);
	}
}

static unsigned any_part(struct world *w)
{
	return parts[any(w, sizeof parts / sizeof *parts)];
}

/* The wall clock, in step with `now`. */
static double wall;

static double wall_clock(void)
{
	return wall;
}

static void set_now(struct world *w, double now)
{
	w->now = now;
	wall = 1e9 + now;
}

/* ---- labels ---- */

static const char *const hostile[] = {
	"",    "\"",	   "\\",    "\n",	    "x\",m=\"",
	"\\n", "\xC3\xA9", "\",m=", "\xEF\xBF\xBD", "plain",
};

enum { HOSTILE = sizeof hostile / sizeof *hostile };

/* The values of series KEY. The replacement character may come as any byte that
 * is not UTF-8; it is the same series. */
static void values_of(struct world *w, int key, struct str values[2],
		      char texts[2][64])
{
	const char *first = hostile[key % HOSTILE];

	if (key % HOSTILE == 8 && any(w, 2))
		first = any(w, 2) ? "\xFF" : "\xC0";
	snprintf(texts[0], 64, "%s", first);
	snprintf(texts[1], 64, "%d%s", key / 10, hostile[key / 7 % HOSTILE]);
	for (int i = 0; i < 2; i++)
		values[i] = (struct str){ texts[i], strlen(texts[i]) };
}

static char *add_escaped(char *p, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '\n')
			*p++ = '\\';
		*p++ = *s;
		if (*s == '\n')
			p[-1] = 'n';
	}
	*p = '\0';
	return p;
}

static void labels_of(int key, char *out)
{
	char number[64];

	out = add_escaped(out + sprintf(out, "n=\""), hostile[key % HOSTILE]);
	snprintf(number, sizeof number, "%d%s", key / 10,
		 hostile[key / 7 % HOSTILE]);
	out = add_escaped(out + sprintf(out, "\",m=\""), number);
	sprintf(out, "\",c=\"k\"");
}

/* ---- what the model says ---- */

static const double bounds[] = { 1, 2.5, 100 };
static const char *const states[] = { "on", "off", "\"" };

static const double quantiles[] = { 0.5, 1 };
static const struct native_options native = { 4, 80, 0.25 };

static void forget(struct beside *beside)
{
	native_unref(beside->native);
	window_unref(beside->window);
	*beside = (struct beside){ 0 };
}

/* The quantiles that are shown are those of the window, as it was last read. */
static void read_window(struct state *s)
{
	if (!s->shown_beside.window)
		return;
	for (int i = 0; i < 2; i++)
		s->now[2 + i] =
			window_quantile(s->shown_beside.window, quantiles[i]);
}

static bool has_observations(const struct model_family *f)
{
	return f->type == METRIC_HISTOGRAM || f->type == METRIC_SUMMARY ||
	       f->type == METRIC_GAUGEHISTOGRAM;
}

/* A window may take 192 KiB, buckets 1.25 here; each whole one counts. */
static size_t count_beside(const struct beside *b)
{
	return b->window ? 192 : b->native ? 1 : 0;
}

/* The families count, too. */
static size_t count_used(const struct world *w)
{
	size_t used = FAMILIES + w->series;

	for (int i = 0; i < FAMILIES; i++) {
		const struct model_family *f = &w->families[i];

		for (int key = 0; has_observations(f) && key < f->keys; key++)
			used += count_beside(&f->series[key].shown_beside);
	}
	return used;
}

/* As large as those that are made here. */
static size_t count_exemplars(const struct model_family *f,
			      const struct beside *b)
{
	const struct metadata *m = family_metadata(f->family);
	size_t n = m->type == METRIC_COUNTER ? 1
		   : m->classic		     ? m->nbounds + 1
					     : SLOTS;
	size_t bytes = 0;

	for (int i = 0; i < SLOTS; i++)
		bytes += b->times[i] > 0 ? sizeof(struct exemplar) + 1 : 0;
	return bytes ? bytes + sizeof(struct exemplars) + n * sizeof(void *)
		     : 0;
}

/* What the registry counts is what is there. */
static void check_account(const struct world *w)
{
	const struct series_pool *pool = w->families[0].family->pool;
	size_t bytes = pool->sets.bytes;

	for (int i = 0; i < FAMILIES; i++) {
		const struct model_family *f = &w->families[i];

		for (int key = 0; key < f->keys; key++) {
			bytes += count_exemplars(f,
						 &f->series[key].shown_beside);
			bytes +=
				count_exemplars(f, &f->series[key].next_beside);
		}
	}
	assert_int_equal(w->limit.bytes, bytes);
	assert_int_equal(w->limit.used, count_used(w));
}

/* No fewer than are used, in less time. */
static size_t count_most(const struct world *w)
{
	size_t most = FAMILIES + w->series;

	for (int i = 0; i < FAMILIES; i++)
		most += (size_t)w->families[i].keys *
			(w->families[i].type == METRIC_SUMMARY ? 192 : 1);
	return most;
}

static bool has_room(const struct world *w)
{
	return count_most(w) < w->limit.max || count_used(w) < w->limit.max;
}

static void count_series(struct world *w, struct state *s)
{
	if (s->exists)
		return;
	s->exists = true;
	w->series++;
}

static void remove_series(struct world *w, struct state *s)
{
	forget(&s->shown_beside);
	forget(&s->next_beside);
	w->series--;
	*s = (struct state){ 0 };
}

static void model_set(struct world *w, struct model_family *f, int key,
		      unsigned part, const double *numbers)
{
	struct state *s = &f->series[key];
	bool live = part == LIVE;

	if (!live && !s->staged)
		read_window(s);
	forget(&s->next_beside);
	if (live)
		forget(&s->shown_beside);
	memcpy(live ? s->now : s->next, numbers, sizeof s->now);
	s->owner = part;
	s->staged = !live;
	if (live) {
		s->shown = s->lasting = true;
		s->own = false;
		s->expires = f->ttl > 0 ? w->now + f->ttl : INFINITY;
	}
}

/* The numbers that inc and observe change. */
static double *model_own(struct model_family *f, int key)
{
	struct state *s = &f->series[key];

	if (s->staged)
		return s->next;
	if (!s->shown)
		s->shown_beside.created = wall;
	s->own |= !s->shown;
	s->shown = s->lasting = true;
	s->owner = LIVE;
	s->expires = INFINITY;
	return s->now;
}

static void model_commit(struct world *w, struct model_family *f,
			 struct state *s)
{
	if (s->staged) {
		memcpy(s->now, s->next, sizeof s->now);
		forget(&s->shown_beside);
		s->shown_beside = s->next_beside;
		s->next_beside = (struct beside){ 0 };
		s->shown = true;
		s->staged = s->lasting = s->own = false;
		s->expires = f->ttl > 0 ? w->now + f->ttl : INFINITY;
	} else if (f->ttl <= 0 || s->expires <= w->now) {
		remove_series(w, s);
	}
}

static void model_drop(struct world *w, struct model_family *f, struct state *s)
{
	bool alive = f->ttl > 0 && s->expires > w->now;

	if (!s->shown || !(s->lasting || f->keep || alive)) {
		remove_series(w, s);
		return;
	}
	forget(&s->next_beside);
	s->staged = false;
	if (s->lasting)
		s->owner = LIVE;
}

static void model_end(struct world *w, unsigned part, bool commit)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct model_family *f = &w->families[i];

		for (int key = 0; key < f->keys; key++) {
			struct state *s = &f->series[key];

			if (!s->exists)
				continue;
			if (!s->shown && !s->staged)
				remove_series(w, s);
			else if (s->owner != part)
				continue;
			else if (commit)
				model_commit(w, f, s);
			else
				model_drop(w, f, s);
		}
	}
}

static void model_expire(struct world *w)
{
	for (int i = 0; i < FAMILIES; i++) {
		struct model_family *f = &w->families[i];

		for (int key = 0; key < f->keys; key++) {
			struct state *s = &f->series[key];

			if (!s->shown || s->expires > w->now)
				continue;
			if (s->staged) {
				forget(&s->shown_beside);
				s->shown = s->lasting = s->own = false;
			} else
				remove_series(w, s);
		}
	}
}

static void model_turn(struct world *w, struct state *s)
{
	struct window *window = s->shown_beside.window;

	if (!window || s->staged)
		return;
	if (window_expires(window) <= w->now)
		window_turn(window, w->now);
	read_window(s);
}

/* ---- lines ---- */

struct lines {
	struct buf text;
	size_t shown; /* series */
};

static void add_number(struct buf *out, const char *name, double value)
{
	char number[NUMBER_MAX];
	size_t len = number_format(number, value);

	buf_addf(out, " %s%.*s", name, (int)len, number);
}

static void add_side(struct buf *out, const struct native_side *side)
{
	for (uint32_t i = 0; i < side->n; i++)
		if (side->buckets[i].count)
			buf_addf(out, " %d:%llu", side->buckets[i].index,
				 (unsigned long long)side->buckets[i].count);
}

static void add_native(struct buf *out, const struct native *n)
{
	buf_addf(out, " schema %d count %llu zero %llu", n->schema,
		 (unsigned long long)n->count,
		 (unsigned long long)n->zero_count);
	add_number(out, "sum ", n->sum);
	buf_addstr(out, " positive");
	add_side(out, &n->positive);
	buf_addstr(out, " negative");
	add_side(out, &n->negative);
}

static void add_exemplar(struct buf *out, unsigned slot, double value,
			 double time)
{
	if (time <= 0)
		return;
	buf_addf(out, " slot %u", slot);
	add_number(out, "", value);
	add_number(out, "at ", time);
}

static void add_series(struct lines *lines, const struct model_family *f,
		       int key)
{
	const struct metadata *m = family_metadata(f->family);
	const struct state *s = &f->series[key];
	const struct beside *b = &s->shown_beside;
	struct buf *out = &lines->text;
	char labels[256];

	labels_of(key, labels);
	lines->shown++;
	buf_addf(out, "%s{%s} %s", m->name, labels, s->own ? "own" : "set");
	for (unsigned i = 0; i < metadata_added(m) + m->nquantiles; i++)
		add_number(out, "", s->now[i]);
	add_number(out, "created ", m->created ? b->created : 0);
	add_number(out, "time ", m->time ? b->time : 0);
	if (b->native)
		add_native(out, b->native);
	for (unsigned i = 0; i < SLOTS; i++)
		add_exemplar(out, i, b->explained[i], b->times[i]);
	buf_addch(out, '\n');
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Cuts TEXT into lines and sorts them. */
static char **sorted(char *text, size_t *count)
{
	size_t n = 0, cap = 16;
	char **list = malloc(cap * sizeof *list);

	for (char *p = text, *end; (end = strchr(p, '\n')) != NULL;
	     p = end + 1) {
		*end = '\0';
		if (n == cap)
			list = realloc(list, (cap *= 2) * sizeof *list);
		list[n++] = p;
	}
	qsort(list, n, sizeof *list, by_line);
	*count = n;
	return list;
}

static void render_row(struct buf *out, const struct metadata *m,
		       const struct chunk *chunk, uint32_t row)
{
	const struct labels *labels = chunk->rows->labels[row];
	const double *values = chunk->values + row * m->width;
	struct extras extras = chunk_extras(chunk);
	struct native *buckets = extras_native_at(&extras, row);
	struct exemplars *list = extras_exemplars_at(&extras, row);

	buf_addf(out, "%s{%.*s} %s", m->name, (int)labels->len, labels->text,
		 chunk_is_own(chunk, row) ? "own" : "set");
	for (unsigned i = 0; i < metadata_added(m) + m->nquantiles; i++)
		add_number(out, "", values[i]);
	add_number(out, "created ", m->created ? values[m->created] : 0);
	add_number(out, "time ", m->time ? values[m->time] : 0);
	if (buckets)
		add_native(out, buckets);
	for (uint32_t i = 0; list && i < list->n; i++)
		if (list->slots[i])
			add_exemplar(out, i, list->slots[i]->value,
				     list->slots[i]->time);
	buf_addch(out, '\n');
}

static void render_chunk(struct buf *out, const struct metadata *m,
			 const struct chunk *chunk)
{
	for (uint32_t i = 0; i < chunk->rows->count; i++)
		if (chunk->rows->labels[i])
			render_row(out, m, chunk, i);
}

static char *render(const struct page *page)
{
	struct buf out;

	buf_init(&out, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++)
		for (uint32_t i = 0; i < page->families[f].nchunks; i++)
			render_chunk(&out, page->families[f].metadata,
				     page->families[f].chunks[i]);
	return buf_take(&out, NULL);
}

static void compare(struct world *w, char *got_text, struct lines *want_lines)
{
	size_t got_count, want_count;
	char *want_text = buf_take(&want_lines->text, NULL);
	char **got = sorted(got_text, &got_count);
	char **want = sorted(want_text, &want_count);

	for (size_t i = 0; i < got_count && i < want_count; i++)
		if (strcmp(got[i], want[i]) != 0)
			fail_msg("after %d operations: got %s, want %s",
				 w->operations, got[i], want[i]);
	if (got_count != want_count)
		fail_msg("after %d operations: got %zu lines, want %zu",
			 w->operations, got_count, want_count);
	free(got);
	free(want);
	free(want_text);
}

/* ---- operations ---- */

/* Finds the series in both; false at the limit, which both must meet. */
static bool find(struct world *w, struct model_family *f, int key,
		 uint32_t *row)
{
	struct state *s = &f->series[key];
	struct str values[2];
	char texts[2][64];
	struct err err;
	bool found;

	values_of(w, key, values, texts);
	found = family_row(f->family, values, row, &err);
	assert_int_equal(found, s->exists || has_room(w));
	if (found)
		count_series(w, s);
	return found;
}

static void set_numbers(struct world *w, struct model_family *f, uint32_t row,
			unsigned part, double *numbers)
{
	const struct metadata *m = family_metadata(f->family);

	for (unsigned i = 0; i < metadata_added(m) + m->nquantiles; i++)
		numbers[i] = any_value(w);
	family_set_numbers(f->family, row, part, numbers, w->now);
}

static void set_times(struct world *w, struct model_family *f, int key,
		      uint32_t row)
{
	struct state *s = &f->series[key];
	struct beside *b = s->staged ? &s->next_beside : &s->shown_beside;

	b->created = any(w, 5);
	b->time = any(w, 5);
	family_set_times(f->family, row, b->created, b->time);
}

static void set_row(struct world *w, struct model_family *f, int key,
		    uint32_t row, unsigned part)
{
	double numbers[NUMBERS] = { 0 };

	if (f->type == METRIC_STATESET) {
		int state = (int)any(w, 4) - 1;

		family_set_state(f->family, row, part, state, w->now);
		if (state >= 0)
			numbers[state] = 1;
	} else if (has_observations(f)) {
		set_numbers(w, f, row, part, numbers);
	} else {
		numbers[0] = any_value(w);
		family_set(f->family, row, part, numbers[0], w->now);
	}
	model_set(w, f, key, part, numbers);
	if (any(w, 3) == 0)
		set_times(w, f, key, row);
}

/* The numbers of what PART finds. */
static double *model_found(struct world *w, struct model_family *f, int key,
			   unsigned part)
{
	static const double none[NUMBERS];
	struct state *s = &f->series[key];

	if (!s->staged || s->owner != part)
		model_set(w, f, key, part, none);
	return s->next;
}

static unsigned bucket_of(const struct metadata *m, double value)
{
	unsigned i = 0;

	while (i < m->nbounds && !(value <= m->bounds[i]))
		i++;
	return i;
}

static void model_observe(struct world *w, struct model_family *f, int key,
			  unsigned part, double value)
{
	const struct metadata *m = family_metadata(f->family);
	struct state *s = &f->series[key];
	struct beside *b = &s->shown_beside;
	bool found = f->type == METRIC_GAUGEHISTOGRAM && part != LIVE;
	double *numbers =
		found ? model_found(w, f, key, part) : model_own(f, key);

	numbers[0] += value;
	numbers[1 + bucket_of(m, value)] += 1;
	if (s->staged || !s->own)
		return;
	if (m->native) {
		if (!b->native)
			b->native = native_new(&native);
		native_observe(b->native, value);
	}
	if (m->nquantiles) {
		if (!b->window)
			b->window = window_new(m->window, w->now);
		window_observe(b->window, value, w->now);
	}
}

static void put_exemplar(struct beside *b, unsigned slot, double value,
			 double time)
{
	if (time < b->times[slot])
		return;
	b->explained[slot] = value;
	b->times[slot] = time;
}

/* The slot for an exemplar of VALUE; where there are no buckets, any that is
 * free, or that of the oldest. */
static unsigned slot_of(const struct metadata *m, const struct beside *b,
			double value)
{
	unsigned slot = 0;

	if (m->type == METRIC_COUNTER)
		return 0;
	if (m->classic)
		return bucket_of(m, value);
	for (unsigned i = 0; i < SLOTS; i++)
		if (b->times[i] < b->times[slot])
			slot = i;
	return slot;
}

static void explain(struct world *w, struct model_family *f, int key,
		    uint32_t row, double value)
{
	const struct metadata *m = family_metadata(f->family);
	struct state *s = &f->series[key];
	struct beside *b = s->staged ? &s->next_beside : &s->shown_beside;
	struct exemplar *exemplar;

	if (m->type == METRIC_SUMMARY || any(w, 4))
		return;
	exemplar = exemplar_new(NULL, 0, value, ++w->exemplars, NULL);
	family_exemplify(f->family, row, value, exemplar);
	put_exemplar(b, slot_of(m, b, value), value, w->exemplars);
	if (s->own && !s->staged && b->created > w->exemplars)
		b->created = w->exemplars;
}

/* May the series be observed? The window that it would get then may be the one
 * too many, for which there is room while the limit is not passed. */
static bool may_observe(struct world *w, struct model_family *f, int key,
			uint32_t row)
{
	const struct state *s = &f->series[key];
	const struct metadata *m = family_metadata(f->family);
	bool wants = (m->nquantiles || m->native) && !s->staged &&
		     (!s->shown || s->own) && !count_beside(&s->shown_beside);
	bool room = family_has_room(f->family, row, NULL, NULL);

	if (f->family->pool->limit != &w->limit)
		return room; /* of another registry, with its own limit */
	assert_int_equal(room, !wants || count_used(w) <= w->limit.max);
	w->refused += !room;
	return room;
}

static void observe_row(struct world *w, struct model_family *f, int key,
			uint32_t row)
{
	double value = any_value(w);
	unsigned part = any(w, 6) ? any_part(w) : LIVE;

	if (!may_observe(w, f, key, row))
		return;
	family_observe(f->family, row, part, value, w->now);
	model_observe(w, f, key, part, value);
	explain(w, f, key, row, value);
}

static void inc_row(struct world *w, struct model_family *f, int key,
		    uint32_t row)
{
	double by = any_value(w);

	family_inc(f->family, row, by);
	*model_own(f, key) += by;
	if (f->type == METRIC_COUNTER)
		explain(w, f, key, row, by);
}

static void change(struct world *w, struct model_family *f, int key,
		   uint32_t row)
{
	bool sets = f->type == METRIC_STATESET || any(w, 4);

	if (has_observations(f) ? any(w, 5) == 0 : sets)
		set_row(w, f, key, row, any(w, 6) ? any_part(w) : LIVE);
	else if (has_observations(f))
		observe_row(w, f, key, row);
	else
		inc_row(w, f, key, row);
}

static struct model_family *any_family(struct world *w)
{
	return &w->families[any(w, FAMILIES)];
}

static void op_change(struct world *w)
{
	struct model_family *f = any_family(w);
	int key = (int)any(w, (uint32_t)f->keys);
	uint32_t row;

	if (find(w, f, key, &row) && any(w, 50))
		change(w, f, key, row);
}

static void op_remove(struct world *w)
{
	struct model_family *f = any_family(w);
	int key = (int)any(w, (uint32_t)f->keys);
	struct state *s = &f->series[key];
	struct str values[2];
	char texts[2][64];

	values_of(w, key, values, texts);
	assert_int_equal(family_remove(f->family, values),
			 s->shown || s->staged);
	if (s->exists)
		remove_series(w, s);
}

static void op_child(struct world *w)
{
	struct model_child *c = &w->children[any(w, CHILDREN)];
	struct str values[2];
	char texts[2][64];
	struct state *s;
	uint32_t row;
	bool found;

	if (!c->family || any(w, 20) == 0) {
		child_release(&c->child);
		c->family = any_family(w);
		c->key = (int)any(w, (uint32_t)c->family->keys);
		s = &c->family->series[c->key];
		values_of(w, c->key, values, texts);
		found = child_init(&c->child, c->family->family, values, NULL);
		assert_int_equal(found, s->exists || has_room(w));
		if (found)
			count_series(w, s);
		else
			c->family = NULL;
		return;
	}
	s = &c->family->series[c->key];
	found = child_row(&c->child, &row, NULL);
	assert_int_equal(found, s->exists || has_room(w));
	if (!found)
		return;
	count_series(w, s);
	change(w, c->family, c->key, row);
}

/* A collection: most series of a family, in order, as one part. */
static void op_collect(struct world *w)
{
	struct model_family *f = any_family(w);
	uint32_t leave_out = 1 + any(w, 20), row;
	unsigned part = any_part(w);

	for (int key = 0; key < f->keys; key++) {
		if (any(w, leave_out) == 1 || !find(w, f, key, &row))
			continue;
		set_row(w, f, key, row, part);
		w->operations++;
	}
}

static bool carries(const struct model_family *f)
{
	return f->type == METRIC_HISTOGRAM || f->type == METRIC_SUMMARY ||
	       f->type == METRIC_COUNTER;
}

/* Counts series KEY once in OTHER, which has nothing of it: STATE. */
static void count_other(struct world *w, struct family *other, int key,
			struct state *state)
{
	const struct metadata *m = family_metadata(other);
	struct model_family f = { .family = other,
				  .type = m->type,
				  .series = state };
	struct str values[2];
	char texts[2][64];
	uint32_t row;

	values_of(w, key, values, texts);
	assert_true(family_row(other, values, &row, NULL));
	if (m->type == METRIC_COUNTER)
		inc_row(w, &f, 0, row);
	else
		observe_row(w, &f, 0, row);
}

static void model_carry_beside(struct world *w, const struct metadata *m,
			       struct beside *to, const struct beside *from)
{
	if (from->native && !to->native)
		to->native = native_new(&native);
	if (from->native)
		native_add(to->native, from->native);
	if (from->window && !to->window)
		to->window = window_new(m->window, w->now);
	if (from->window)
		window_add(to->window, from->window, w->now);
	for (unsigned i = 0; i < SLOTS; i++)
		if (from->times[i] > 0)
			put_exemplar(to,
				     m->classic || !m->native
					     ? i
					     : slot_of(m, to, 0),
				     from->explained[i], from->times[i]);
}

static void model_carry(struct world *w, struct model_family *f, int key,
			const struct state *counted)
{
	const struct metadata *m = family_metadata(f->family);
	struct state *s = &f->series[key];
	struct beside *b = &s->shown_beside;

	if (s->shown && !s->own)
		return;
	if (!s->shown || counted->shown_beside.created < b->created)
		b->created = counted->shown_beside.created;
	count_series(w, s);
	s->shown = s->lasting = s->own = true;
	s->expires = INFINITY;
	if (!s->staged)
		s->owner = LIVE;
	for (unsigned i = 0; i < metadata_added(m); i++)
		s->now[i] += counted->now[i];
	model_carry_beside(w, m, b, &counted->shown_beside);
	read_window(s);
}

/* Another registry counted, too, and that goes on here. */
static void op_carry(struct world *w)
{
	static const struct label_pair constant = { "c", "k" };
	static const char *const labels[] = { "n", "m" };
	struct registry_options options = { .labels = &constant,
					    .nlabels = 1,
					    .clock = wall_clock };
	struct registry *other = registry_new(&options);
	struct model_family *f = any_family(w);
	const struct metadata *m = family_metadata(f->family);
	struct family_options same = {
		.metadata = { .type = m->type,
			      .name = m->name,
			      .bounds = m->bounds,
			      .nbounds = m->nbounds,
			      .native = m->native ? &native : NULL,
			      .quantiles = m->quantiles,
			      .nquantiles = m->nquantiles,
			      .window = m->window,
			      .timestamps = m->time },
		.labels = labels,
		.nlabels = 2,
	};
	struct carry_left left = { 0 };
	struct state counted;
	struct family *family;
	struct page *page;

	family = carries(f) ? registry_add(other, &same, NULL) : NULL;
	for (int key = 0; family && key < f->keys; key++) {
		if (any(w, 3) || !has_room(w))
			continue;
		counted = (struct state){ 0 };
		count_other(w, family, key, &counted);
		model_carry(w, f, key, &counted);
		forget(&counted.shown_beside);
	}
	page = registry_publish(other, 0);
	registry_carry(w->registry, NULL, page, w->now, &left);
	assert_int_equal(left.full, 0);
	page_unref(page);
	registry_free(other);
}

static void op_end(struct world *w)
{
	unsigned part = any_part(w);
	bool commit = any(w, 3);

	if (commit)
		registry_commit(w->registry, part, w->now);
	else
		registry_drop(w->registry, part, w->now);
	model_end(w, part, commit);
}

static void check_old_page(struct world *w, struct page *page, const char *text)
{
	char *again;

	if (w->old) {
		again = render(w->old);
		assert_string_equal(again, w->old_text);
		free(again);
		page_unref(w->old);
		free(w->old_text);
	}
	w->old = page_ref(page);
	w->old_text = strdup(text);
}

static void op_publish(struct world *w)
{
	struct page *page = registry_publish(w->registry, w->now);
	struct lines want = { .shown = 0 };
	char *text = render(page);

	model_expire(w);
	buf_init(&want.text, (size_t)1 << 30);
	for (int i = 0; i < FAMILIES; i++)
		for (int key = 0; key < w->families[i].keys; key++) {
			if (!w->families[i].series[key].shown)
				continue;
			model_turn(w, &w->families[i].series[key]);
			add_series(&want, &w->families[i], key);
		}
	assert_int_equal(page->series, want.shown);
	w->most = page->series > w->most ? page->series : w->most;
	assert_int_equal(registry_series(w->registry), w->series);
	check_account(w);
	assert_false(registry_changed(w->registry, w->now));
	if (any(w, 8) == 0)
		check_old_page(w, page, text);
	compare(w, text, &want);
	free(text);
	page_unref(page);
}

/* ---- the run ---- */

static void declare(struct world *w, int i, struct family_options options,
		    int keys)
{
	static const char *const labels[] = { "n", "m" };
	struct model_family *f = &w->families[i];
	struct err err = { 0 };

	options.labels = labels;
	options.nlabels = 2;
	f->family = registry_add(w->registry, &options, &err);
	if (!f->family)
		fail_msg("%s", err.text);
	f->type = options.metadata.type;
	f->keep = options.keep;
	f->ttl = options.ttl;
	f->keys = keys;
	f->series = calloc((size_t)keys, sizeof *f->series);
}

static void declare_new(struct world *w, int few)
{
	struct metadata_desc m = { .type = METRIC_HISTOGRAM,
				   .name = "b",
				   .bounds = bounds,
				   .nbounds = 3,
				   .native = &native };
	struct family_options o = { .metadata = m };

	declare(w, 8, o, few);
	o.metadata.name = "n";
	o.metadata.nbounds = 0;
	declare(w, 9, o, few);
	o.metadata = (struct metadata_desc){ .type = METRIC_SUMMARY,
					     .name = "q",
					     .quantiles = quantiles,
					     .nquantiles = 2,
					     .window = 4 };
	declare(w, 10, o, few);
	m.type = METRIC_GAUGEHISTOGRAM;
	m.name = "d";
	m.native = NULL;
	m.timestamps = true;
	o.metadata = m;
	o.ttl = 5;
	declare(w, 11, o, few);
}

static void declare_all(struct world *w, int keys, int few)
{
	struct metadata_desc gauge = { .type = METRIC_GAUGE, .name = "g" };
	struct family_options o = { .metadata = gauge };

	declare(w, 0, o, keys);
	o.metadata.name = "keep";
	o.keep = true;
	declare(w, 1, o, few);
	o.metadata.name = "keep_ttl";
	o.ttl = 5;
	declare(w, 2, o, few);
	o.metadata.name = "ttl";
	o.keep = false;
	declare(w, 3, o, keys / 2 + 1);
	o.ttl = 0;
	o.metadata = (struct metadata_desc){ .type = METRIC_HISTOGRAM,
					     .name = "h",
					     .bounds = bounds,
					     .nbounds = 3 };
	declare(w, 4, o, few);
	o.metadata =
		(struct metadata_desc){ .type = METRIC_SUMMARY, .name = "s" };
	declare(w, 5, o, few);
	o.metadata = (struct metadata_desc){ .type = METRIC_STATESET,
					     .name = "z",
					     .states = states,
					     .nstates = 3 };
	o.keep = true;
	declare(w, 6, o, few);
	o.metadata = (struct metadata_desc){ .type = METRIC_COUNTER,
					     .name = "a_total" };
	o.keep = false;
	o.metadata.timestamps = true;
	declare(w, 7, o, few);
	declare_new(w, few);
}

/* RARE: how seldom everything is compared, and a family collected. */
static void run(struct world *w, uint32_t rare)
{
	while (w->operations < OPERATIONS) {
		uint32_t dice = any(w, 100);

		w->operations++;
		if (dice < 74)
			op_change(w);
		else if (dice < 75)
			op_remove(w);
		else if (dice < 90)
			op_child(w);
		else if (dice < 93)
			set_now(w, w->now + any(w, 30) / 10.0);
		else if (any(w, rare) == 0)
			op_collect(w);
		else if (any(w, rare) == 0)
			op_end(w);
		else if (any(w, rare) == 0)
			op_carry(w);
		else if (any(w, rare) == 0)
			op_publish(w);
	}
	op_publish(w);
}

/* Returns the number of series of the largest page. REFUSED, which may be NULL,
 * grows by the observations that the limit left no room for. */
static size_t play(uint64_t seed, int keys, int few, size_t series_max,
		   uint32_t rare, size_t *refused)
{
	static const struct label_pair constant = { "c", "k" };
	struct world w = { .random = seed * UINT64_C(0x9E3779B97F4A7C15),
			   .limit = { .max = series_max } };
	struct registry_options options = { .labels = &constant,
					    .nlabels = 1,
					    .limit = &w.limit,
					    .clock = wall_clock };

	set_now(&w, 0);
	w.registry = registry_new(&options);
	declare_all(&w, keys, few);
	run(&w, rare);
	for (int i = 0; i < CHILDREN; i++)
		child_release(&w.children[i].child);
	for (int i = 0; i < FAMILIES; i++) {
		for (int key = 0; key < w.families[i].keys; key++) {
			forget(&w.families[i].series[key].shown_beside);
			forget(&w.families[i].series[key].next_beside);
		}
		free(w.families[i].series);
	}
	registry_free(w.registry);
	assert_int_equal(w.limit.used + w.limit.bytes, 0);
	if (refused)
		*refused += w.refused;
	page_unref(w.old);
	free(w.old_text);
	return w.most;
}

static void a_handful_of_series_that_meet_all_the_time(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		assert_true(play(seed, 4, 3, 1000, 2, NULL) > 15);
}

static void some_hundred_series(void **state)
{
	(void)state;
	for (uint64_t seed = 11; seed <= 13; seed++)
		assert_true(play(seed, 700, 90, 100000, 6, NULL) > 1000);
}

static void more_series_than_are_allowed(void **state)
{
	size_t refused = 0;

	(void)state;
	for (uint64_t seed = 21; seed <= 23; seed++)
		assert_true(play(seed, 60, 30, 1500, 4, &refused) > 80);
	assert_true(refused > 0);
}

static void families_too_large_to_be_sorted_each_time(void **state)
{
	size_t most = 0, shown;

	(void)state;
	/* Not every seed publishes right behind a large collection. */
	for (uint64_t seed = 30; seed <= 31; seed++) {
		shown = play(seed, 13000, 50, 100000, 15, NULL);
		most = shown > most ? shown : most;
	}
	assert_true(most > 15000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handful_of_series_that_meet_all_the_time),
		cmocka_unit_test(some_hundred_series),
		cmocka_unit_test(more_series_than_are_allowed),
		cmocka_unit_test(families_too_large_to_be_sorted_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
