/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/escape.h"
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
		{ "gzip, identity", false },
		{ "identity, gzip", false },
		{ "zstd, gzip;q=0.5, identity;q=0.1", true },
		{ "zstd, gzip;q=0.1, identity;q=0.5", false },
		{ "identity;q=1, gzip;q=0.5", false },
		{ "identity;q=0.5, gzip;q=1.0", true },
		{ "identity;q=0.3, gzip;q=0.301", true },
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

/* ---- the form of a page ---- */

#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
#define TEXT1 "text/plain; version=1.0.0; charset=utf-8; escaping="
#define OM                                                                     \
	"application/openmetrics-text; version=1.0.0; charset=utf-8; "         \
	"escaping="
#define OM0                                                                    \
	"application/openmetrics-text; version=0.0.1; charset=utf-8; "         \
	"escaping="
#define OM2                                                                    \
	"application/openmetrics-text; version=2.0.0; charset=utf-8; "         \
	"escaping="
#define PROTO                                                                  \
	"application/vnd.google.protobuf; "                                    \
	"proto=io.prometheus.client.MetricFamily; encoding=delimited; "        \
	"escaping="

/* What a reader asks for it with. */
#define ASK_PROTO                                                              \
	"application/vnd.google.protobuf;"                                     \
	"proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define ASK_OM "application/openmetrics-text;version=1.0.0"
#define ASK_OM0 "application/openmetrics-text;version=0.0.1"

struct choice {
	const char *accept, *content_type;
};

static enum format format_of(const char *content_type)
{
	if (strstr(content_type, "protobuf"))
		return FORMAT_PROTOBUF;
	if (strstr(content_type, "version=2.0.0"))
		return FORMAT_OPENMETRICS2;
	return strstr(content_type, "openmetrics") ? FORMAT_OPENMETRICS
						   : FORMAT_TEXT;
}

static void check_choices(const struct choice *choices, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *expected = choices[i].content_type;
		struct negotiated is;
		struct str escaping;

		memset(&is, 0xFF, sizeof is);
		negotiate_form(choices[i].accept, &is);
		if (strcmp(is.content_type, expected) != 0)
			fail_msg("%s:\nexpected %s\ngot      %s",
				 choices[i].accept, expected, is.content_type);
		assert_int_equal(is.form.format, format_of(expected));
		assert_int_equal(is.form.created,
				 is.form.format == FORMAT_OPENMETRICS);
		escaping.data = strstr(expected, "escaping=") + 9;
		escaping.len = strlen(escaping.data);
		assert_string_equal(escaping_name(is.form.escaping),
				    escaping.data);
	}
}

#define CHECK_CHOICES(choices)                                                 \
	check_choices(choices, sizeof(choices) / sizeof *(choices))

/* What each version of Prometheus sends, in the order of the versions. */
static void prometheus_gets_what_it_prefers(void **state)
{
	static const struct choice choices[] = {
		/* 2.5 */
		{ "application/openmetrics-text; version=0.0.1,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  OM0 "underscores" },
		/* 2.34 to 2.48 */
		{ ASK_OM "," ASK_OM0 ";q=0.75,text/plain;version=0.0.4;q=0.5,"
			 "*/*;q=0.1",
		  OM "underscores" },
		/* 2.42 with native histograms */
		{ ASK_PROTO "," ASK_OM ";q=0.8," ASK_OM0 ";q=0.75,"
			    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  PROTO "underscores" },
		/* 2.40.0 */
		{ ASK_OM ";q=0.75,application/openmetrics-text;q=0.6,"
			 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  OM "underscores" },
		{ "application/vnd.google.protobuf; "
		  "proto=io.prometheus.client.MetricFamily; "
		  "encoding=delimited," ASK_OM
		  ";q=0.75,application/openmetrics-text;q=0.6,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  PROTO "underscores" },
		/* 2.49 */
		{ ASK_OM ";q=0.5," ASK_OM0 ";q=0.4,"
			 "text/plain;version=0.0.4;q=0.3,*/*;q=2",
		  OM "underscores" },
		/* 2.53 */
		{ ASK_OM ";q=0.5," ASK_OM0 ";q=0.4,"
			 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		  OM "underscores" },
		{ ASK_PROTO ";q=0.5," ASK_OM ";q=0.4," ASK_OM0 ";q=0.3,"
			    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		  PROTO "underscores" },
		/* 3.0, in which one parameter stands twice */
		{ ASK_OM ";escaping=allow-utf-8;q=0.6," ASK_OM0
			 ";escaping=allow-utf-8;q=0.5,"
			 "text/plain;version=1.0.0;escaping=allow-utf-8;"
			 "escaping=allow-utf-8;q=0.4,"
			 "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,"
			 "*/*;q=0.2",
		  OM "allow-utf-8" },
		/* 3.5 to 3.14 */
		{ ASK_OM ";escaping=allow-utf-8;q=0.6," ASK_OM0 ";q=0.5,"
			 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
			 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		  OM "allow-utf-8" },
		{ ASK_PROTO ";q=0.6," ASK_OM
			    ";escaping=allow-utf-8;q=0.5," ASK_OM0 ";q=0.4,"
			    "text/plain;version=1.0.0;escaping=allow-utf-8;"
			    "q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		  PROTO "underscores" },
		/* scrape_protocols */
		{ "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		  "*/*;q=0.5",
		  TEXT1 "allow-utf-8" },
		{ "text/plain;version=0.0.4;q=0.6," ASK_OM
		  ";escaping=allow-utf-8;q=0.5,*/*;q=0.4",
		  TEXT "underscores" },
		{ ASK_OM0 ";q=0.6,*/*;q=0.5", OM0 "underscores" },
	};

	(void)state;
	CHECK_CHOICES(choices);
}

static void others_get_text(void **state)
{
	static const struct choice choices[] = {
		{ NULL, TEXT "underscores" },
		{ "", TEXT "underscores" },
		{ "*/*", TEXT "underscores" },
		{ "*", TEXT "underscores" },
		{ "*/*;q=2", TEXT "underscores" },
		{ "text/*", TEXT "underscores" },
		{ "text/plain", TEXT "underscores" },
		{ "application/*", TEXT "underscores" },
		{ "application/json", TEXT "underscores" },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,"
		  "image/avif,image/webp,*/*;q=0.8",
		  TEXT "underscores" },
		{ "text/plain;q=0", TEXT "underscores" },
		{ "text/plain;version=0.0.3", TEXT "underscores" },
		{ "Application/OpenMetrics-Text", TEXT "underscores" },
		{ "application/openmetrics-text/x", TEXT "underscores" },
		{ "application/openmetrics-text;version=3.0.0",
		  TEXT "underscores" },
		{ "application/openmetrics-text;version=\"1.0.0\"",
		  TEXT "underscores" },
		{ "application/vnd.google.protobuf", TEXT "underscores" },
		{ "application/vnd.google.protobuf;"
		  "proto=io.prometheus.client.MetricFamily",
		  TEXT "underscores" },
		{ "application/vnd.google.protobuf;"
		  "proto=io.prometheus.client.MetricFamily;"
		  "encoding=compact-text",
		  TEXT "underscores" },
		{ "application/vnd.google.protobuf;"
		  "proto=io.prometheus.write.v2.Request;encoding=delimited",
		  TEXT "underscores" },
		{ ";;,,;q,/,=,;=;q==,\x01\xFF", TEXT "underscores" },
		{ "application/openmetrics-text\t", TEXT "underscores" },
	};

	(void)state;
	CHECK_CHOICES(choices);
}

static void the_highest_quality_wins_then_the_first(void **state)
{
	static const struct choice choices[] = {
		{ "text/plain;q=0.5," ASK_OM ";q=0.6", OM "underscores" },
		{ ASK_OM ";q=0.5,text/plain;q=0.6", TEXT "underscores" },
		{ ASK_OM ",text/plain", OM "underscores" },
		{ "text/plain," ASK_OM, TEXT "underscores" },
		{ "*/*," ASK_OM, OM "underscores" },
		{ ASK_OM ";q=0", OM "underscores" },
		{ ASK_OM ";q=0,text/plain;q=0", OM "underscores" },
		{ ASK_OM ";q=0,text/plain;q=0.001", TEXT "underscores" },
		{ ASK_OM ";q=x,text/plain;q=0.1", TEXT "underscores" },
		{ ASK_OM ";q= 0.9,text/plain;q=0.1", TEXT "underscores" },
		{ ASK_OM ";q=nan,text/plain;q=0.1", TEXT "underscores" },
		{ ASK_OM ";q,text/plain;q=0.9", OM "underscores" },
		{ ASK_OM ";q=,text/plain;q=0.9", OM "underscores" },
		{ ASK_OM ";q=-1,text/plain;q=0", TEXT "underscores" },
		{ ASK_OM ";q=1,text/plain;q=1.5", TEXT "underscores" },
		{ ASK_OM ";q=.5,text/plain;q=4e-1", OM "underscores" },
		{ ASK_OM ";q=0.1;q=0.9,text/plain;q=0.5", OM "underscores" },
		{ ASK_OM ";Q=0.1,text/plain;q=0.5", OM "underscores" },
		{ "  application / openmetrics-text ; version = 1.0.0 ;x=y",
		  OM "underscores" },
		{ "application/openmetrics-text", OM0 "underscores" },
		{ "application/openmetrics-text;version=", OM0 "underscores" },
	};

	(void)state;
	CHECK_CHOICES(choices);
}

static void openmetrics_2_is_for_who_names_it(void **state)
{
	static const struct choice choices[] = {
		{ "application/openmetrics-text;version=2.0.0",
		  OM2 "underscores" },
		{ "application/openmetrics-text;version=2.0.0;"
		  "escaping=allow-utf-8," ASK_OM ";q=0.5",
		  OM2 "allow-utf-8" },
		{ ASK_OM ",application/openmetrics-text;version=2.0.0;q=0.9",
		  OM "underscores" },
		{ "application/openmetrics-text;version=2.0.0-rc0",
		  TEXT "underscores" },
		{ "application/openmetrics-text;version=2",
		  TEXT "underscores" },
	};

	(void)state;
	CHECK_CHOICES(choices);
}

static void the_escaping_is_the_last_up_to_the_clause_that_wins(void **state)
{
	static const struct choice choices[] = {
		{ "text/plain;escaping=allow-utf-8", TEXT "allow-utf-8" },
		{ "text/plain;escaping=dots", TEXT "dots" },
		{ "text/plain;escaping=values", TEXT "values" },
		{ "text/plain;escaping=underscores", TEXT "underscores" },
		{ "text/plain;escaping=Dots", TEXT "underscores" },
		{ "text/plain;escaping=none", TEXT "underscores" },
		{ "text/plain;escaping=dots;escaping=values", TEXT "values" },
		{ "text/plain; escaping = values", TEXT "values" },
		{ "*/*;escaping=allow-utf-8", TEXT "allow-utf-8" },
		{ ASK_OM ";escaping=dots,text/plain;escaping=values;q=0.5",
		  OM "dots" },
		{ "text/html;escaping=dots," ASK_OM ";q=0.5", OM "dots" },
		{ "text/html;escaping=dots;q=0.1," ASK_OM ";q=0.5",
		  OM "underscores" },
		{ "text/html;escaping=dots," ASK_OM ";escaping=values;q=0.5",
		  OM "values" },
		{ "text/html;escaping=dots," ASK_OM ";escaping=x;q=0.5",
		  OM "dots" },
		{ "text/html;escaping=dots,image/png;escaping=values;q=0.9",
		  TEXT "values" },
		{ "image/png;escaping=values;q=0.9,text/html;escaping=dots",
		  TEXT "values" },
		{ "*/*;escaping=dots," ASK_OM, OM "underscores" },
		{ ASK_PROTO ";escaping=values", PROTO "values" },
	};

	(void)state;
	CHECK_CHOICES(choices);
}

/* ---- any header ---- */

static char *repeat(const char *text, size_t size)
{
	char *all = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		all[i] = text[i % strlen(text)];
	all[size] = '\0';
	return all;
}

static double seconds_of(const char *header)
{
	struct negotiated negotiated;
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	negotiate_form(header, &negotiated);
	negotiate_encoding(header);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	assert_int_equal(negotiated.form.format, FORMAT_TEXT);
	return (double)(b.tv_sec - a.tv_sec) +
	       (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
}

/* A quadratic reader would need hours. */
static void a_long_header_is_read_in_linear_time(void **state)
{
	static const char *const texts[] = {
		",",	";",  "/", "=",	   "a/b,",
		";q=1", "*,", " ", "a;;,", "a/b;q=0.5;escaping=dots,"
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *header = repeat(texts[i], 1 << 20);
		double seconds = seconds_of(header);

		if (seconds > 20)
			fail_msg("'%s': %.1f s", texts[i], seconds);
		free(header);
	}
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static size_t random_below(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state >> 11) % n;
}

/* In heap memory of its own length, for sanitizers. */
static void any_header_has_an_answer(void **state)
{
	static const char *const parts[] = {
		",",
		";",
		"=",
		"/",
		" ",
		"\t",
		"*",
		"q",
		"0.5",
		"1e999",
		"nan",
		"text/plain",
		"application/openmetrics-text",
		"version=1.0.0",
		"escaping=values",
		"q=",
		";q=0.7",
		"gzip",
		"zstd",
		"identity",
		"\xFF",
		"\x01",
		"\"",
		ASK_PROTO,
	};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct negotiated negotiated;
		struct buf header;
		char *exact;

		buf_init(&header, 10000);
		for (size_t n = random_below(20); n > 0; n--)
			buf_addstr(&header, parts[random_below(sizeof parts /
							       sizeof *parts)]);
		exact = strdup(buf_text(&header));
		negotiate_form(exact, &negotiated);
		assert_int_equal(negotiated.form.format,
				 format_of(negotiated.content_type));
		assert_in_range(negotiate_encoding(exact), ENCODING_IDENTITY,
				ENCODING_ZSTD);
		negotiate_html(exact);
		negotiate_json(exact);
		free(exact);
		buf_release(&header);
	}
}

/* ---- the encoding ---- */

static void the_highest_quality_of_encodings_wins(void **state)
{
	static const struct {
		const char *header;
		enum encoding expected;
	} cases[] = {
		{ NULL, ENCODING_IDENTITY },
		{ "", ENCODING_IDENTITY },
		/* Prometheus, curl, browsers */
		{ "gzip", ENCODING_GZIP },
		{ "identity", ENCODING_IDENTITY },
		{ "deflate, gzip, br, zstd", ENCODING_GZIP },
		{ "gzip, deflate, br, zstd", ENCODING_GZIP },
		{ "GZip", ENCODING_GZIP },
		{ "zstd", ENCODING_ZSTD },
		{ "zstd, gzip", ENCODING_GZIP },
		{ "zstd;q=1, gzip;q=0.9", ENCODING_ZSTD },
		{ "gzip;q=0.9, zstd", ENCODING_ZSTD },
		{ "gzip, identity", ENCODING_IDENTITY },
		{ "zstd, identity", ENCODING_IDENTITY },
		{ "gzip;q=0.5, identity;q=0.4", ENCODING_GZIP },
		{ "gzip;q=0.4, identity;q=0.5, zstd;q=0.6", ENCODING_ZSTD },
		{ "gzip;q=0.2, gzip;q=0.9, identity;q=0.5", ENCODING_GZIP },
		/* nothing that was not named */
		{ "*", ENCODING_IDENTITY },
		{ "*;q=0", ENCODING_IDENTITY },
		{ "gzip, *", ENCODING_IDENTITY },
		{ "gzip, *;q=0", ENCODING_GZIP },
		{ "gzip;q=0.5, *;q=0.8", ENCODING_IDENTITY },
		{ "gzip;q=0, *", ENCODING_IDENTITY },
		{ "deflate", ENCODING_IDENTITY },
		{ "br, deflate, compress", ENCODING_IDENTITY },
		{ "x-gzip", ENCODING_IDENTITY },
		{ "gzipped, zstdx", ENCODING_IDENTITY },
		/* identity excluded */
		{ "identity;q=0", ENCODING_IDENTITY },
		{ "identity;q=0, *", ENCODING_GZIP },
		{ "*;q=0.1, identity;q=0", ENCODING_GZIP },
		{ "identity;q=0, *;q=0", ENCODING_IDENTITY },
		{ "identity;q=0, gzip;q=0, *", ENCODING_IDENTITY },
		{ "identity;q=0, zstd;q=0.5, *;q=0.4", ENCODING_ZSTD },
		{ "identity;q=0.1, *;q=0.5", ENCODING_IDENTITY },
		{ "identity;q=0, br", ENCODING_IDENTITY },
		{ "identity;q=0, gzip;q=0.1", ENCODING_GZIP },
		{ "identity;q=0, gzip;q=0.1, *;q=1", ENCODING_GZIP },
		{ "identity;q=0, gzip;q=0, zstd", ENCODING_ZSTD },
		{ "*;q=0, zstd;q=0.001", ENCODING_ZSTD },
		/* refused */
		{ "gzip;q=0", ENCODING_IDENTITY },
		{ "gzip; q=0.0, zstd;q=0", ENCODING_IDENTITY },
		/* malformed */
		{ "gzip;q=", ENCODING_IDENTITY },
		{ "gzip;q=2", ENCODING_IDENTITY },
		{ "gzip;q=-1", ENCODING_IDENTITY },
		{ "gzip;level=9", ENCODING_GZIP },
		{ ",,gzip,,", ENCODING_GZIP },
		{ ";q=1,gzip", ENCODING_GZIP },
		{ "gzip ; Q=0.5", ENCODING_GZIP },
		{ "\tgzip\t", ENCODING_GZIP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (negotiate_encoding(cases[i].header) != cases[i].expected)
			fail_msg("%s: expected %d, got %d", cases[i].header,
				 cases[i].expected,
				 negotiate_encoding(cases[i].header));
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
		cmocka_unit_test(prometheus_gets_what_it_prefers),
		cmocka_unit_test(others_get_text),
		cmocka_unit_test(the_highest_quality_wins_then_the_first),
		cmocka_unit_test(openmetrics_2_is_for_who_names_it),
		cmocka_unit_test(
			the_escaping_is_the_last_up_to_the_clause_that_wins),
		cmocka_unit_test(a_long_header_is_read_in_linear_time),
		cmocka_unit_test(any_header_has_an_answer),
		cmocka_unit_test(the_highest_quality_of_encodings_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
