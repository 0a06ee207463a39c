/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "web/negotiate.h"

struct example {
	const char *header;
	bool wanted;
};

static void check(const struct example *examples, size_t n,
		  bool (*function)(const char *header))
{
	for (size_t i = 0; i < n; i++) {
		const char *header = examples[i].header;

		if (function(header) != examples[i].wanted)
			fail_msg("%s: expected %d", header ? header : "(none)",
				 examples[i].wanted);
	}
}

#define CHECK(examples, function)                                              \
	check(examples, sizeof(examples) / sizeof *(examples), function)

static void compresses_when_gzip_is_named_and_not_excluded(void **state)
{
	static const struct example examples[] = {
		{ NULL, false },
		{ "", false },
		{ "gzip", true },
		{ "GZIP", true },
		{ "gzip, deflate, br, zstd", true },
		{ "deflate,gzip;q=0.001", true },
		{ "deflate", false },
		{ "gzipped", false },
		{ "gzip;q=0", false },
		{ "gzip; q=0.0", false },
		{ "gzip;q=0, deflate", false },
		{ "gzip ; Q=0.5", true },
	};

	(void)state;
	CHECK(examples, negotiate_gzip);
}

static void the_higher_quality_of_identity_and_gzip_wins(void **state)
{
	static const struct example examples[] = {
		{ "identity", false },
		{ "*", false },
		{ "gzip, identity", true },
		{ "identity, gzip", true },
		{ "identity;q=1, gzip;q=0.5", false },
		{ "identity;q=0.5, gzip;q=1.0", true },
		{ "identity;q=0.3, gzip;q=0.300", true },
		{ "gzip;q=0.5, *;q=0.8", false },
		{ "gzip;q=0.8, *;q=0.5", true },
		{ "gzip;q=0.2, gzip;q=0.9, identity;q=0.5", true },
	};

	(void)state;
	CHECK(examples, negotiate_gzip);
}

static void a_malformed_quality_is_not_an_offer(void **state)
{
	static const struct example examples[] = {
		{ "gzip;q=", false },	  { "gzip;q=x", false },
		{ "gzip;q=2", false },	  { "gzip;q=-1", false },
		{ "gzip;q=0.x", false },  { ";;,,;q", false },
		{ "gzip;q=1.5", false },  { ",gzip,", true },
		{ "gzip;level=9", true }, { "gzip;level=9;q=0", false },
	};

	(void)state;
	CHECK(examples, negotiate_gzip);
}

static void a_browser_is_who_names_html(void **state)
{
	static const struct example examples[] = {
		{ NULL, false },
		{ "*/*", false },
		{ "text/*", false },
		{ "text/plain", false },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,"
		  "image/avif,image/webp,*/*;q=0.8",
		  true },
		{ "text/html", true },
		{ "text/html;q=0", false },
		{ "text/plain, text/html;q=0.9", false },
		{ "text/plain;q=0.4, text/html;q=0.9", true },
		{ "application/openmetrics-text;version=1.0.0;"
		  "escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,"
		  "*/*;q=0.1",
		  false },
	};

	(void)state;
	CHECK(examples, negotiate_html);
}

static void json_is_for_who_names_it(void **state)
{
	static const struct example examples[] = {
		{ NULL, false },
		{ "*/*", false },
		{ "application/*", false },
		{ "application/json", true },
		{ "Application/JSON; charset=utf-8", true },
		{ "application/json;q=0", false },
		{ "text/plain, application/json;q=0.9", false },
		{ "text/plain;q=0.5, application/json", true },
		{ "text/html, application/json;q=0.1", true },
		{ "application/json-seq", false },
	};

	(void)state;
	CHECK(examples, negotiate_json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			compresses_when_gzip_is_named_and_not_excluded),
		cmocka_unit_test(the_higher_quality_of_identity_and_gzip_wins),
		cmocka_unit_test(a_malformed_quality_is_not_an_offer),
		cmocka_unit_test(a_browser_is_who_names_html),
		cmocka_unit_test(json_is_for_who_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
