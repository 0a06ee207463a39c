/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/page.h"
#include "core/registry.h"

enum { SERIES = 2000, GETTERS = 3, PAGES = 100000 };

/* ---- what pages share ---- */

static struct registry *new_registry(void)
{
	return registry_new(&(struct registry_options){ 0 });
}

static struct family *add_family(struct registry *registry, const char *name)
{
	static const char *const labels[] = { "n" };
	struct family_options options = {
		.metadata = { .name = name, .type = METRIC_GAUGE },
		.labels = labels,
		.nlabels = 1,
	};
	struct err err = { 0 };
	struct family *family = registry_add(registry, &options, &err);

	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static void set(struct family *family, int n, unsigned part, double value)
{
	struct str text;
	char name[16];
	uint32_t row;
	struct err err;

	text.data = name;
	text.len = (size_t)snprintf(name, sizeof name, "%06d", n);
	assert_true(family_row(family, &text, &row, &err));
	family_set(family, row, part, value, 0);
}

static void set_all(struct family *family, unsigned part, double value)
{
	for (int i = 0; i < SERIES; i++)
		set(family, i, part, value);
}

/* Number of chunks of family F of B that are not those of A. */
static uint32_t new_chunks(const struct page *a, const struct page *b,
			   uint32_t f)
{
	uint32_t n = 0;

	assert_int_equal(a->families[f].nchunks, b->families[f].nchunks);
	for (uint32_t i = 0; i < a->families[f].nchunks; i++)
		n += a->families[f].chunks[i] != b->families[f].chunks[i];
	return n;
}

static void an_unchanged_registry_publishes_the_same_page(void **state)
{
	struct registry *registry = new_registry();
	struct family *family = add_family(registry, "a");
	struct page *one, *two;

	(void)state;
	set_all(family, REGISTRY_LIVE, 1);
	one = registry_publish(registry, 0);
	two = registry_publish(registry, 0);
	assert_ptr_equal(one, two);
	assert_int_equal(one->series, SERIES);
	page_unref(one);
	page_unref(two);
	registry_free(registry);
}

static void a_new_page_shares_what_did_not_change(void **state)
{
	struct registry *registry = new_registry();
	struct family *a = add_family(registry, "a");
	struct family *b = add_family(registry, "b");
	struct page *one, *two;

	(void)state;
	set_all(a, REGISTRY_LIVE, 1);
	set_all(b, REGISTRY_LIVE, 1);
	one = registry_publish(registry, 0);
	assert_true(one->families[0].nchunks > 2);
	set(a, 700, REGISTRY_LIVE, 2);
	two = registry_publish(registry, 0);
	assert_ptr_not_equal(one, two);
	assert_int_equal(new_chunks(one, two, 0), 1);
	assert_int_equal(new_chunks(one, two, 1), 0);
	assert_ptr_equal(one->families[0].metadata, two->families[0].metadata);
	page_unref(one);
	page_unref(two);
	registry_free(registry);
}

static void a_collection_with_equal_values_shares_all_chunks(void **state)
{
	struct registry *registry = new_registry();
	struct family *family = add_family(registry, "a");
	struct page *one, *two;

	(void)state;
	set_all(family, 1, 5);
	registry_commit(registry, 1, 0);
	one = registry_publish(registry, 0);
	set_all(family, 1, 5);
	registry_commit(registry, 1, 0);
	two = registry_publish(registry, 0);
	assert_int_equal(new_chunks(one, two, 0), 0);
	page_unref(one);
	page_unref(two);
	registry_free(registry);
}

static void changed_values_share_the_label_sets(void **state)
{
	struct registry *registry = new_registry();
	struct family *family = add_family(registry, "a");
	struct page *one, *two;

	(void)state;
	set_all(family, 1, 5);
	registry_commit(registry, 1, 0);
	one = registry_publish(registry, 0);
	set_all(family, 1, 6);
	registry_commit(registry, 1, 0);
	two = registry_publish(registry, 0);
	for (uint32_t i = 0; i < one->families[0].nchunks; i++) {
		const struct chunk *old = one->families[0].chunks[i];
		const struct chunk *new = two->families[0].chunks[i];

		assert_ptr_not_equal(old, new);
		assert_ptr_equal(old->rows, new->rows);
		assert_true(old->values[0] < new->values[0]);
	}
	page_unref(one);
	page_unref(two);
	registry_free(registry);
}

static void families_with_equal_labels_share_the_sets(void **state)
{
	struct registry *registry = new_registry();
	struct family *a = add_family(registry, "a");
	struct family *b = add_family(registry, "b");
	struct page *page;

	(void)state;
	set(a, 1, REGISTRY_LIVE, 1);
	set(b, 1, REGISTRY_LIVE, 2);
	page = registry_publish(registry, 0);
	assert_ptr_equal(page->families[0].chunks[0]->rows->labels[0],
			 page->families[1].chunks[0]->rows->labels[0]);
	page_unref(page);
	registry_free(registry);
}

static void a_family_may_be_picked_from_a_page(void **state)
{
	static const struct label_pair site = { "site", "a" };
	struct registry_options options = { .labels = &site, .nlabels = 1 };
	struct registry *registry = registry_new(&options);
	struct family *a = add_family(registry, "a");
	struct family *b = add_family(registry, "b");
	struct page *page, *picked, *none;

	(void)state;
	add_family(registry, "c"); /* without a series: not on the page */
	set_all(a, REGISTRY_LIVE, 1);
	set(b, 1, REGISTRY_LIVE, 2);
	page = registry_publish(registry, 0);
	picked = page_pick(page, "a");
	none = page_pick(page, "c");
	assert_int_equal(picked->nfamilies, 1);
	assert_int_equal(picked->series, SERIES);
	assert_ptr_equal(picked->constant, page->constant);
	assert_ptr_equal(picked->families[0].metadata,
			 page->families[0].metadata);
	assert_int_equal(picked->families[0].nchunks,
			 page->families[0].nchunks);
	assert_ptr_equal(picked->families[0].chunks[1],
			 page->families[0].chunks[1]);
	assert_int_equal(none->nfamilies, 0);
	assert_int_equal(none->series, 0);
	page_unref(page);
	registry_free(registry);
	assert_string_equal(picked->families[0].metadata->name, "a");
	page_unref(picked);
	page_unref(none);
}

/* Of a registry with one series, whose exemplar has the label EXPLAINED. */
static bool is_quoted(enum metric_type type, const char *name,
		      const char *label, const char *constant,
		      const char *explained)
{
	const struct label_pair site = { constant, "a" };
	struct registry *registry = registry_new(
		&(struct registry_options){ .labels = &site, .nlabels = 1 });
	struct family_options options = {
		.metadata = { .name = name, .type = type },
		.labels = &label,
		.nlabels = 1,
	};
	const struct exemplar_label pair = { explained, { "1", 1 } };
	struct err err = { 0 };
	struct family *family = registry_add(registry, &options, &err);
	struct page *page, *picked;
	bool quoted;

	assert_string_equal(err.text, "");
	set(family, 1, REGISTRY_LIVE, 1);
	if (explained)
		family_exemplify(family, 0, 1,
				 exemplar_new(&pair, 1, 1, 1, NULL));
	page = registry_publish(registry, 0);
	picked = page_pick(page, name);
	quoted = page->quoted;
	assert_true(picked->quoted == quoted);
	page_unref(picked);
	page_unref(page);
	registry_free(registry);
	return quoted;
}

static void a_page_says_whether_names_may_be_escaped(void **state)
{
	(void)state;
	assert_false(is_quoted(METRIC_GAUGE, "a", "b", "c", NULL));
	assert_false(is_quoted(METRIC_GAUGE, "a:b", "b", "c", NULL));
	assert_false(is_quoted(METRIC_COUNTER, "a", "b", "c", "d"));
	assert_true(is_quoted(METRIC_GAUGE, "a.b", "b", "c", NULL));
	assert_true(is_quoted(METRIC_GAUGE, "a", "b.b", "c", NULL));
	assert_true(is_quoted(METRIC_GAUGE, "a", "b", "c.c", NULL));
	assert_true(is_quoted(METRIC_COUNTER, "a", "b", "c", "d.d"));
}

static void a_page_outlives_its_registry(void **state)
{
	struct registry *registry = new_registry();
	struct page *page;

	(void)state;
	set_all(add_family(registry, "a"), REGISTRY_LIVE, 7);
	page = registry_publish(registry, 0);
	registry_free(registry);
	assert_string_equal(page->families[0].metadata->name, "a");
	assert_true(page->families[0].chunks[0]->values[0] == 7);
	assert_int_equal(page->families[0].chunks[0]->rows->labels[1]->len,
			 sizeof "n=\"000001\"" - 1);
	page_unref(page);
}

static void a_page_does_not_change_any_more(void **state)
{
	struct registry *registry = new_registry();
	struct family *family = add_family(registry, "a");
	struct page *page;

	(void)state;
	set_all(family, 1, 5);
	registry_commit(registry, 1, 0);
	page = registry_publish(registry, 0);
	for (int i = 0; i < 10; i++)
		set(family, i, 1, 6);
	registry_commit(registry, 1, 0);
	set(family, SERIES, REGISTRY_LIVE, 8);
	page_unref(registry_publish(registry, 0));
	assert_int_equal(page->series, SERIES);
	for (uint32_t i = 0; i < page->families[0].nchunks; i++) {
		const struct chunk *chunk = page->families[0].chunks[i];

		assert_int_equal(chunk->shown, chunk->rows->count);
		for (uint32_t k = 0; k < chunk->rows->count; k++) {
			assert_true(chunk->values[k] == 5);
			assert_non_null(chunk->rows->labels[k]);
		}
	}
	page_unref(page);
	registry_free(registry);
}

/* ---- the slot ---- */

static void an_empty_slot_gives_nothing(void **state)
{
	struct page_slot slot = { 0 };

	(void)state;
	assert_null(page_slot_get(&slot));
	page_slot_set(&slot, NULL);
	assert_null(page_slot_get(&slot));
}

static void a_slot_gives_references_to_its_page(void **state)
{
	struct page_slot slot = { 0 };
	struct page *page = page_new(0), *got;

	(void)state;
	page_slot_set(&slot, page_ref(page));
	got = page_slot_get(&slot);
	assert_ptr_equal(got, page);
	page_unref(got);
	page_slot_set(&slot, NULL);
	assert_null(page_slot_get(&slot));
	assert_int_equal(atomic_load(&page->refs), 1);
	page_unref(page);
}

static void a_replaced_page_lives_as_long_as_somebody_has_it(void **state)
{
	struct page_slot slot = { 0 };
	struct page *one, *two;

	(void)state;
	page_slot_set(&slot, page_new(0));
	one = page_slot_get(&slot);
	page_slot_set(&slot, page_new(0));
	two = page_slot_get(&slot);
	assert_ptr_not_equal(one, two);
	assert_int_equal(atomic_load(&one->refs), 1);
	page_unref(one);
	page_slot_set(&slot, NULL);
	assert_int_equal(atomic_load(&two->refs), 1);
	page_unref(two);
}

static void the_page_that_is_there_may_be_published_again(void **state)
{
	struct page_slot slot = { 0 };
	struct page *page = page_new(0);

	(void)state;
	page_slot_set(&slot, page_ref(page));
	page_slot_set(&slot, page_ref(page));
	page_slot_set(&slot, page_ref(page));
	page_slot_set(&slot, NULL);
	assert_int_equal(atomic_load(&page->refs), 1);
	page_unref(page);
}

static void a_page_may_be_in_several_slots(void **state)
{
	struct page_slot slots[50] = { 0 };
	struct page *page = page_new(0);

	(void)state;
	for (int i = 0; i < 50; i++)
		page_slot_set(&slots[i], page_ref(page));
	for (int i = 0; i < 50; i++)
		page_slot_set(&slots[i], NULL);
	assert_int_equal(atomic_load(&page->refs), 1);
	page_unref(page);
}

struct readers {
	struct page_slot slot;
	_Atomic bool done;
	_Atomic uint32_t ready;
};

/* Takes pages as fast as it can; their numbers must never fall. The pages are
 * told apart by `series`; one family makes use after free visible. */
static void *get_pages(void *arg)
{
	struct readers *readers = arg;
	uintptr_t last = 0, wrong = 0;

	atomic_fetch_add(&readers->ready, 1);
	while (!atomic_load(&readers->done)) {
		struct page *page = page_slot_get(&readers->slot), *again;

		if (!page)
			continue;
		again = page_slot_get(&readers->slot);
		wrong += page->series < last;
		wrong += page->families[0].metadata->name[0] != 'a';
		last = page->series;
		page_unref(page);
		if (again) {
			wrong += again->series < last;
			last = again->series;
		}
		page_unref(again);
	}
	return (void *)wrong;
}

static struct page *numbered_page(struct metadata *metadata, size_t number)
{
	struct page *page = page_new(1);

	page->series = number;
	page->families[0].metadata = metadata_ref(metadata);
	return page;
}

static void readers_never_see_a_page_that_is_gone(void **state)
{
	struct readers readers = { 0 };
	struct metadata_desc desc = { .name = "a", .type = METRIC_GAUGE };
	struct metadata *metadata = metadata_new(&desc, NULL);
	pthread_t threads[GETTERS];

	(void)state;
	for (int i = 0; i < GETTERS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, get_pages, &readers),
			0);
	while (atomic_load(&readers.ready) < GETTERS)
		sched_yield();
	for (size_t i = 1; i <= PAGES; i++) {
		page_slot_set(&readers.slot, numbered_page(metadata, i));
		if (i % 64 == 0)
			page_slot_set(&readers.slot, NULL);
	}
	atomic_store(&readers.done, true);
	for (int i = 0; i < GETTERS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	page_slot_set(&readers.slot, NULL);
	assert_int_equal(atomic_load(&metadata->refs), 1);
	metadata_unref(metadata);
}

/* The registry changes label sets in place where nobody else has them; a
 * reader that renders the page at the same time must not notice. */
static void *read_chunks(void *arg)
{
	struct readers *readers = arg;
	uintptr_t wrong = 0;

	atomic_fetch_add(&readers->ready, 1);
	while (!atomic_load(&readers->done)) {
		struct page *page = page_slot_get(&readers->slot);
		size_t seen = 0;

		for (uint32_t f = 0; page && f < page->nfamilies; f++) {
			struct page_family *family = &page->families[f];

			for (uint32_t i = 0; i < family->nchunks; i++) {
				struct chunk *chunk = family->chunks[i];

				for (uint32_t k = 0; k < chunk->rows->count;
				     k++)
					if (chunk->rows->labels[k])
						seen += chunk->rows->labels[k]
								->text[0] ==
							'n';
			}
		}
		wrong += page && seen != page->series;
		page_unref(page);
	}
	return (void *)wrong;
}

static void pages_are_read_while_the_registry_goes_on(void **state)
{
	struct readers readers = { 0 };
	struct registry *registry = new_registry();
	struct family *family = add_family(registry, "a");
	pthread_t threads[GETTERS];

	(void)state;
	for (int i = 0; i < GETTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_chunks,
						&readers),
				 0);
	while (atomic_load(&readers.ready) < GETTERS)
		sched_yield();
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 1000; i++)
			if ((i * 7 + round) % 13)
				set(family, i + round, 1, i + round);
		registry_commit(registry, 1, 0);
		page_slot_set(&readers.slot, registry_publish(registry, 0));
	}
	registry_free(registry);
	atomic_store(&readers.done, true);
	for (int i = 0; i < GETTERS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	page_slot_set(&readers.slot, NULL);
}

/* What one observation changed in the chunk of a page must be all of it: the
 * count of the row, of its native buckets and the value of its exemplar. */
static uintptr_t look_beside(const struct chunk *chunk, unsigned width)
{
	uintptr_t wrong = 0;

	for (uint32_t i = 0; i < chunk->rows->count; i++) {
		double count = chunk->values[i * width + 1];
		const struct native *native;

		if (!chunk->rows->labels[i])
			continue;
		native = chunk->natives[i];
		wrong += native->positive.buckets[0].count != (uint64_t)count;
		wrong += chunk->exemplars[i]->slots[0]->len != 9;
	}
	return wrong;
}

static void *read_beside(void *arg)
{
	struct readers *readers = arg;
	uintptr_t wrong = 0;

	atomic_fetch_add(&readers->ready, 1);
	while (!atomic_load(&readers->done)) {
		struct page *page = page_slot_get(&readers->slot);

		for (uint32_t c = 0; page && c < page->families[0].nchunks; c++)
			wrong += look_beside(page->families[0].chunks[c],
					     page->families[0].metadata->width);
		page_unref(page);
	}
	return (void *)wrong;
}

static void observe(struct family *family, int n)
{
	static const struct exemplar_label label = { "n", { "12345", 5 } };
	struct exemplar *exemplar = exemplar_new(&label, 1, 3, 0, NULL);
	char text[16];
	struct str value = { text,
			     (size_t)snprintf(text, sizeof text, "%d", n) };
	uint32_t row;

	assert_true(family_row(family, &value, &row, NULL));
	family_observe(family, row, REGISTRY_LIVE, 3, n);
	family_exemplify(family, row, 3, exemplar);
}

static void what_lies_beside_is_read_while_the_registry_goes_on(void **state)
{
	static const char *const label[] = { "n" };
	static const struct native_options options = { 3, 0, 0 };
	struct readers readers = { 0 };
	struct registry *registry = new_registry();
	struct family *family =
		registry_add(registry,
			     &(struct family_options){
				     .metadata = { .name = "h",
						   .type = METRIC_HISTOGRAM,
						   .native = &options },
				     .labels = label,
				     .nlabels = 1 },
			     NULL);
	pthread_t threads[GETTERS];

	(void)state;
	for (int i = 0; i < GETTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_beside,
						&readers),
				 0);
	while (atomic_load(&readers.ready) < GETTERS)
		sched_yield();
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 200; i++)
			if ((i * 7 + round) % 13 == 0)
				observe(family, i + round % 5);
		page_slot_set(&readers.slot, registry_publish(registry, 0));
	}
	registry_free(registry);
	atomic_store(&readers.done, true);
	for (int i = 0; i < GETTERS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	page_slot_set(&readers.slot, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unchanged_registry_publishes_the_same_page),
		cmocka_unit_test(a_new_page_shares_what_did_not_change),
		cmocka_unit_test(
			a_collection_with_equal_values_shares_all_chunks),
		cmocka_unit_test(changed_values_share_the_label_sets),
		cmocka_unit_test(families_with_equal_labels_share_the_sets),
		cmocka_unit_test(a_family_may_be_picked_from_a_page),
		cmocka_unit_test(a_page_says_whether_names_may_be_escaped),
		cmocka_unit_test(a_page_outlives_its_registry),
		cmocka_unit_test(a_page_does_not_change_any_more),
		cmocka_unit_test(an_empty_slot_gives_nothing),
		cmocka_unit_test(a_slot_gives_references_to_its_page),
		cmocka_unit_test(
			a_replaced_page_lives_as_long_as_somebody_has_it),
		cmocka_unit_test(the_page_that_is_there_may_be_published_again),
		cmocka_unit_test(a_page_may_be_in_several_slots),
		cmocka_unit_test(readers_never_see_a_page_that_is_gone),
		cmocka_unit_test(pages_are_read_while_the_registry_goes_on),
		cmocka_unit_test(
			what_lies_beside_is_read_while_the_registry_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
