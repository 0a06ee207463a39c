/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stages. The first finds the families, because whether a counter may be
 * called one depends on all of them; the second goes through their chunks. The
 * chunks of a family are collected before its head is written, which says in
 * one format how long they are together.
 */
#include "core/merge.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/merge_names.h"
#include "core/merge_samples.h"
#include "core/merge_sizes.h"
#include "core/render.h"

/* How much a step does: a chunk that is only listed costs 1, one whose series
 * are looked at as many as there are, by SERIES_PER_COST. */
enum { STEP_COST = 512, SERIES_PER_COST = 8 };

/* The end has no family, no chunk, and few bytes. */
enum { END_ESTIMATE = 8, HEAD_ESTIMATE = 64 };

/* A page that shows a family. */
struct showing {
	const struct page_family *family;
	size_t page; /* its number */
};

/* A chunk of the family that is being gone through. */
struct gathered {
	struct chunk *chunk;
	size_t size;
};

struct merge {
	struct merge_source source;
	struct left_out conflicts, homonyms;
	struct duplicates duplicates;

	/* the first stage */
	uint32_t *at; /* the next family of each page; NULL: it is over */
	struct merged_family *families; /* then in the order shown */
	size_t nfamilies, families_cap;
	struct showing *showings;
	size_t nshowings, showings_cap;
	const struct metadata **all; /* by the names that are shown */

	/* the second stage: where it is */
	struct merge_sizes *sizes; /* NULL: this format needs none */
	size_t measured;
	size_t family, showing;
	uint32_t chunk;
	bool doubtful; /* another page could show the same series */
	struct duplicate_finder *finder;
	size_t duplicates_before; /* of the family */
	struct checked *checked;
	struct gathered *gathered;
	size_t ngathered, gathered_cap;
	struct chunk **made; /* those that are no page's: references */
	size_t nmade, made_cap;

	struct item *items;
	size_t nitems, items_cap;
};

/* Room for one more element of LIST, of SIZE bytes each. */
static void *grown(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap ? *cap * 2 : 64;
	return mem_realloc(list, *cap * size);
}

/* ---- families ---- */

/* The family that comes next in name order, of the first page that has it. */
static const struct page_family *lowest(const struct merge *merge)
{
	const struct page_family *low = NULL;

	for (size_t i = 0; i < merge->source.n; i++) {
		const struct page *page = merge->source.pages[i];
		const struct page_family *family =
			&page->families[merge->at[i]];

		if (merge->at[i] < page->nfamilies &&
		    (!low ||
		     strcmp(family->metadata->name, low->metadata->name) < 0))
			low = family;
	}
	return low;
}

static void add_showing(struct merge *merge, const struct page_family *family,
			size_t page)
{
	merge->showings = grown(merge->showings, merge->nshowings,
				&merge->showings_cap, sizeof *merge->showings);
	merge->showings[merge->nshowings++] = (struct showing){ family, page };
}

/* Page number PAGE disagrees about FAMILY, which page FIRST has. */
static void add_conflict(struct merge *merge, const struct metadata *family,
			 const struct metadata *theirs, size_t first,
			 size_t page)
{
	struct left_out *conflicts = &merge->conflicts;

	if (conflicts->count++)
		return;
	metadata_agree(family, theirs, &conflicts->why);
	conflicts->first = first;
	conflicts->again = page;
}

/* Moves on past the family like LOW on every page that has it. The first page
 * has it; those that disagree are left out. */
static void gather_pages(struct merge *merge, const struct metadata *low)
{
	size_t first = merge->nshowings;

	for (size_t i = 0; i < merge->source.n; i++) {
		const struct page *page = merge->source.pages[i];
		const struct page_family *family =
			&page->families[merge->at[i]];

		if (merge->at[i] == page->nfamilies ||
		    strcmp(family->metadata->name, low->name) != 0)
			continue;
		merge->at[i]++;
		if (metadata_agree(low, family->metadata, NULL))
			add_showing(merge, family, i);
		else
			add_conflict(merge, low, family->metadata,
				     merge->showings[first].page, i);
	}
}

/* LEFT families have names of their own. */
static void take_homonyms(struct merge *merge, size_t left,
			  const struct homonyms *homonyms)
{
	merge->homonyms = (struct left_out){
		(unsigned)(merge->nfamilies - left),
		homonyms->why,
		merge->showings[homonyms->kept.first].page,
		merge->showings[homonyms->dropped.first].page,
	};
}

static void end_families(struct merge *merge)
{
	const struct merge_source *source = &merge->source;
	struct homonyms homonyms;
	size_t left;

	free(merge->at);
	merge->at = NULL;
	merge->nfamilies = merge_samples(merge->families, merge->nfamilies,
					 &merge->conflicts);
	left = merge_order(merge->families, merge->nfamilies,
			   source->form.escaping, &homonyms);
	if (left < merge->nfamilies)
		take_homonyms(merge, left, &homonyms);
	merge->nfamilies = left;
	merge->all = merge_names(merge->families, left, source->form.escaping);
	if (source->form.format == FORMAT_PROTOBUF)
		merge->sizes = merge_sizes_new(source->former, source->nformer);
}

static void find_families(struct merge *merge)
{
	const struct page_family *low;

	for (size_t cost = 0; cost < STEP_COST; cost += merge->source.n) {
		struct merged_family *family;

		low = lowest(merge);
		if (!low) {
			end_families(merge);
			return;
		}
		merge->families =
			grown(merge->families, merge->nfamilies,
			      &merge->families_cap, sizeof *merge->families);
		family = &merge->families[merge->nfamilies++];
		family->metadata = low->metadata;
		family->first = merge->nshowings;
		gather_pages(merge, low->metadata);
		family->n = merge->nshowings - family->first;
		family->page = merge->showings[family->first].page;
	}
}

/* ---- chunks ---- */

static void push(struct merge *merge, const struct item *item)
{
	merge->items = grown(merge->items, merge->nitems, &merge->items_cap,
			     sizeof *merge->items);
	merge->items[merge->nitems++] = *item;
}

static size_t count_series(const struct page_family *family)
{
	size_t n = 0;

	for (uint32_t i = 0; i < family->nchunks; i++)
		n += family->chunks[i]->shown;
	return n;
}

/* Could another page that shows FAMILY show a series of number PAGE, too? */
static bool is_doubtful(const struct merge *merge,
			const struct merged_family *family, size_t page)
{
	const struct showing *showings = merge->showings + family->first;

	for (size_t i = 0; i < family->n; i++)
		if (overlap_any(merge->source.overlap, page, &showings[i].page,
				1))
			return true;
	return false;
}

/* Readies FAMILY, which several pages have, for being looked at; unless all of
 * it was, and nothing was found. */
static void begin_doubtful(struct merge *merge,
			   const struct merged_family *family)
{
	const struct showing *showings = merge->showings + family->first;
	size_t series = 0;

	merge->duplicates_before = merge->duplicates.count;
	checked_begin(merge->checked, family->metadata);
	for (size_t i = 0; i < family->n; i++) {
		if (!is_doubtful(merge, family, showings[i].page))
			continue;
		checked_add(merge->checked, showings[i].family);
		series += count_series(showings[i].family);
	}
	if (series && !checked_before(merge->checked, merge->source.checked))
		merge->finder = duplicate_finder_new(
			family->metadata, merge->source.form.escaping, series,
			&merge->duplicates);
}

static void end_doubtful(struct merge *merge)
{
	if (merge->duplicates.count != merge->duplicates_before)
		checked_drop(merge->checked);
	if (merge->finder)
		duplicate_finder_free(merge->finder);
	merge->finder = NULL;
}

/* CHUNK without the series that other pages have shown. */
static struct chunk *filtered(struct merge *merge, struct chunk *chunk,
			      size_t page, size_t *cost)
{
	struct chunk *left;

	if (!merge->finder || !merge->doubtful)
		return chunk;
	*cost += chunk->shown / SERIES_PER_COST;
	left = duplicate_filter(merge->finder, chunk, page);
	if (left == chunk) {
		chunk_unref(left);
		return chunk;
	}
	merge->made = grown(merge->made, merge->nmade, &merge->made_cap,
			    sizeof *merge->made);
	return merge->made[merge->nmade++] = left;
}

static size_t size_of(struct merge *merge, const struct metadata *metadata,
		      const struct chunk *chunk, size_t *cost)
{
	size_t size;

	if (!merge->sizes)
		return 0;
	size = merge_sizes_find(merge->sizes, chunk);
	if (size)
		return size;
	merge->measured++;
	*cost += (size_t)chunk->shown * metadata->width / SERIES_PER_COST;
	return render_size(merge->source.form, metadata, chunk);
}

static void gather_chunk(struct merge *merge,
			 const struct merged_family *family,
			 struct chunk *chunk, size_t page, size_t *cost)
{
	struct chunk *left = filtered(merge, chunk, page, cost);

	if (!left->shown)
		return;
	merge->gathered = grown(merge->gathered, merge->ngathered,
				&merge->gathered_cap, sizeof *merge->gathered);
	merge->gathered[merge->ngathered++] =
		(struct gathered){ left, size_of(merge, family->metadata, left,
						 cost) };
}

static void push_part(struct merge *merge, const struct item *head)
{
	struct item item = *head;

	item.size = 0;
	for (size_t i = 0; i < merge->ngathered; i++)
		item.size += merge->gathered[i].size;
	item.estimate = strlen(head->metadata->help) +
			2 * head->metadata->name_len + HEAD_ESTIMATE;
	push(merge, &item);
	for (size_t i = 0; i < merge->ngathered; i++) {
		item.chunk = merge->gathered[i].chunk;
		item.size = merge->gathered[i].size;
		item.estimate = item.size;
		if (!item.estimate)
			item.estimate = render_estimate(
				merge->source.form, item.metadata, item.chunk);
		push(merge, &item);
	}
}

/* All chunks of the family are there. */
static void end_family(struct merge *merge, const struct merged_family *family)
{
	const struct merge_source *source = &merge->source;
	struct item head = { .metadata = family->metadata };
	unsigned parts = render_parts(source->form, family->metadata);

	head.unknown =
		render_is_unknown(source->form, merge->all[merge->family],
				  merge->all, merge->nfamilies);
	for (; head.part < parts; head.part++)
		push_part(merge, &head);
	merge->ngathered = 0;
	if (family->n > 1)
		end_doubtful(merge);
}

/* One chunk, or what comes when there is no other: the next page, the next
 * family. What it cost. */
static size_t go_on(struct merge *merge)
{
	const struct merged_family *family = &merge->families[merge->family];
	const struct showing *showing;
	size_t cost = 1;

	if (merge->showing == family->n) {
		end_family(merge, family);
		merge->family++;
		merge->showing = 0;
		return cost;
	}
	if (family->n > 1 && merge->showing == 0 && merge->chunk == 0)
		begin_doubtful(merge, family);
	showing = &merge->showings[family->first + merge->showing];
	if (merge->chunk == 0)
		merge->doubtful = is_doubtful(merge, family, showing->page);
	if (merge->chunk < showing->family->nchunks) {
		gather_chunk(merge, family,
			     showing->family->chunks[merge->chunk++],
			     showing->page, &cost);
	} else {
		merge->showing++;
		merge->chunk = 0;
	}
	return cost;
}

static void end_items(struct merge *merge)
{
	const struct item end = { .estimate = END_ESTIMATE };
	struct buf text;

	buf_init(&text, HEAD_ESTIMATE);
	render_end(&text, merge->source.form);
	if (text.len)
		push(merge, &end);
	buf_release(&text);
}

bool merge_step(struct merge *merge)
{
	if (merge->at) {
		find_families(merge);
		return true;
	}
	for (size_t cost = 0; cost < STEP_COST;) {
		if (merge->family == merge->nfamilies) {
			end_items(merge);
			return false;
		}
		cost += go_on(merge);
	}
	return true;
}

/* ---- results ---- */

const struct item *merge_items(const struct merge *merge, size_t *n)
{
	*n = merge->nitems;
	return merge->items;
}

const struct left_out *merge_conflicts(const struct merge *merge)
{
	return &merge->conflicts;
}

const struct left_out *merge_homonyms(const struct merge *merge)
{
	return &merge->homonyms;
}

size_t merge_measured(const struct merge *merge)
{
	return merge->measured;
}

struct checked *merge_take_checked(struct merge *merge)
{
	struct checked *checked = merge->checked;

	merge->checked = NULL;
	return checked;
}

struct duplicates merge_take_duplicates(struct merge *merge)
{
	struct duplicates duplicates = merge->duplicates;

	merge->duplicates = (struct duplicates){ 0 };
	return duplicates;
}

/* ---- life ---- */

struct merge *merge_new(const struct merge_source *source)
{
	struct merge *merge = mem_alloc(sizeof *merge);

	merge->source = *source;
	merge->checked = checked_new();
	merge->at = mem_array(source->n + 1, sizeof *merge->at);
	return merge;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	while (merge->nmade)
		chunk_unref(merge->made[--merge->nmade]);
	if (merge->finder)
		duplicate_finder_free(merge->finder);
	merge_sizes_free(merge->sizes);
	checked_free(merge->checked);
	free(merge->duplicates.series);
	free(merge->at);
	merge_names_free(merge->all, merge->families, merge->nfamilies);
	free(merge->families);
	free(merge->showings);
	free(merge->gathered);
	free(merge->made);
	free(merge->items);
	free(merge);
}
