/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/registry.h"
#include "run/shelf.h"

enum { KEEP = 300 };

static const char type[] = "text/plain";

struct fixture {
	struct registry *registry;
	struct page *page;
	struct coders *coders;
	struct shelf *shelf;
};

static struct page *publish(struct registry *registry, double value)
{
	struct family *family = registry_find(registry, "a");
	struct err err = { 0 };
	uint32_t row;

	if (!family_row(family, NULL, &row, &err))
		fail_msg("%s", err.text);
	family_set(family, row, REGISTRY_LIVE, value, 0);
	return registry_publish(registry, 0);
}

static int set_up(void **state)
{
	static const struct family_options options = {
		.metadata = { .name = "a", .type = METRIC_GAUGE, .help = "A." },
	};
	static struct fixture fixture;
	struct err err = { 0 };

	fixture.registry = registry_new(&(struct registry_options){ 0 });
	if (!registry_add(fixture.registry, &options, &err))
		fail_msg("%s", err.text);
	fixture.page = publish(fixture.registry, 1);
	fixture.coders = coders_new();
	for (int i = 0; i <= ENCODING_ZSTD; i++)
		if (!coders_open(fixture.coders, (enum encoding)i, &err))
			fail_msg("%s", err.text);
	fixture.shelf = shelf_new(KEEP);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shelf_free(f->shelf);
	coders_free(f->coders);
	/* Nothing else holds it: the registry has another one by now. */
	page_unref(publish(f->registry, 2));
	assert_int_equal(f->page->refs, 1);
	page_unref(f->page);
	registry_free(f->registry);
	return 0;
}

/* What a request in FORM and ENCODING does. */
static struct kept *ask(struct fixture *f, const void *of, struct form form,
			enum encoding encoding, double now)
{
	struct kept *kept =
		shelf_ask(f->shelf, of, form, encoding, &f->page, 1, now);

	exposition_make(kept_exposition(kept), encoding, f->coders);
	response_unref(
		shelf_respond(f->shelf, kept_exposition(kept), encoding, type));
	return kept;
}

static void the_same_pages_have_the_same_response(void **state)
{
	struct fixture *f = *state;
	struct exposition *exposition;
	struct response *response;
	struct kept *kept;

	kept = ask(f, f, form_plain, ENCODING_GZIP, 1);
	exposition = kept_exposition(kept);
	response = kept_response(kept, ENCODING_GZIP, type);
	assert_non_null(response);
	assert_null(kept_response(kept, ENCODING_IDENTITY, type));
	assert_null(kept_response(kept, ENCODING_GZIP, "text/html"));
	kept = ask(f, f, form_plain, ENCODING_GZIP, 2);
	assert_ptr_equal(kept_exposition(kept), exposition);
	assert_ptr_equal(kept_response(kept, ENCODING_GZIP, type), response);
}

static void other_pages_have_another_one(void **state)
{
	struct fixture *f = *state;
	struct page *former = f->page;
	struct kept *kept = ask(f, f, form_plain, ENCODING_GZIP, 1);

	f->page = publish(f->registry, 3);
	kept = shelf_ask(f->shelf, f, form_plain, ENCODING_GZIP, &f->page, 1,
			 2);
	assert_null(kept_response(kept, ENCODING_GZIP, type));
	assert_true(exposition_shows(kept_exposition(kept), &f->page, 1));
	exposition_make(kept_exposition(kept), ENCODING_GZIP, f->coders);
	assert_int_equal(former->refs, 1);
	page_unref(former);
}

static void what_is_not_asked_for_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct exposition *exposition;
	struct kept *kept;
	bool freed;

	ask(f, f, form_plain, ENCODING_IDENTITY, 1000);
	kept = ask(f, f, form_plain, ENCODING_ZSTD, 1100);
	exposition = exposition_ref(kept_exposition(kept));
	assert_true(shelf_sweep(f->shelf, 1200, &freed) == KEEP - 200);
	assert_false(freed);
	assert_true(exposition_is_made(exposition, ENCODING_IDENTITY));
	assert_true(shelf_sweep(f->shelf, 1300, &freed) == 100);
	assert_true(freed);
	assert_false(exposition_is_made(exposition, ENCODING_IDENTITY));
	assert_true(exposition_is_made(exposition, ENCODING_ZSTD));
	assert_true(shelf_sweep(f->shelf, 1400, &freed) == 0);
	assert_true(freed);
	assert_false(exposition_is_made(exposition, ENCODING_ZSTD));
	exposition_unref(exposition);
	assert_true(shelf_sweep(f->shelf, 1500, &freed) == 0);
	assert_false(freed);
}

static void only_some_forms_of_a_set_are_kept(void **state)
{
	static const enum format formats[] = { FORMAT_TEXT, FORMAT_OPENMETRICS,
					       FORMAT_OPENMETRICS2,
					       FORMAT_PROTOBUF };
	struct fixture *f = *state;
	struct form form = form_plain;
	struct exposition *first;
	double now = 1;

	ask(f, &now, form_plain, ENCODING_GZIP, now);
	first = kept_exposition(ask(f, f, form_plain, ENCODING_GZIP, now++));
	form.escaping = ESCAPING_NONE;
	ask(f, f, form, ENCODING_GZIP, now++);
	ask(f, f, form_plain, ENCODING_IDENTITY, now++);
	for (size_t i = 1; i < SHELF_FORMS_MAX; i++) {
		form.format = formats[i];
		ask(f, f, form, ENCODING_GZIP, now++);
	}
	exposition_ref(first);
	assert_ptr_equal(
		kept_exposition(ask(f, f, form_plain, ENCODING_GZIP, now++)),
		first);
	exposition_unref(first);
	/* The second was asked for longest ago; another set is not counted. */
	form = form_plain;
	form.escaping = ESCAPING_NONE;
	assert_null(kept_response(
		shelf_ask(f->shelf, f, form, ENCODING_GZIP, &f->page, 1, now),
		ENCODING_GZIP, type));
	assert_non_null(
		kept_response(shelf_ask(f->shelf, &now, form_plain,
					ENCODING_GZIP, &f->page, 1, now),
			      ENCODING_GZIP, type));
}

/* As many names of types as clients may ask for do not fill the memory. */
static void only_some_types_of_a_form_are_kept(void **state)
{
	static const char *const types[] = { "a", "b", "c", "d", "e" };
	struct fixture *f = *state;
	struct kept *kept = ask(f, f, form_plain, ENCODING_IDENTITY, 1);
	size_t n = 0;

	for (size_t i = 0; i < 5; i++)
		response_unref(shelf_respond(f->shelf, kept_exposition(kept),
					     ENCODING_IDENTITY, types[i]));
	for (size_t i = 0; i < 5; i++)
		n += kept_response(kept, ENCODING_IDENTITY, types[i]) != NULL;
	assert_in_range(n, 1, SHELF_TYPES_MAX);
	assert_non_null(kept_response(kept, ENCODING_IDENTITY, "e"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_same_pages_have_the_same_response, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(other_pages_have_another_one,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_not_asked_for_is_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			only_some_forms_of_a_set_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			only_some_types_of_a_form_are_kept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
