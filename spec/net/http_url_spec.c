/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_url.h"

static void shows(const char *url, const char *expected)
{
	struct buf out;

	buf_init(&out, 4096);
	http_url_redact(&out, url);
	assert_string_equal(expected, buf_text(&out));
	buf_release(&out);
}

static void keeps_what_tells_the_place(void **state)
{
	(void)state;
	shows("https://host", "https://host");
	shows("https://host:8443/", "https://host:8443/");
	shows("HTTP://Host.Example/a/b%20c", "HTTP://Host.Example/a/b%20c");
	shows("http://[::1]:80/x", "http://[::1]:80/x");
	shows("http://[fe80::1%25eth0]/x", "http://[fe80::1%25eth0]/x");
	shows("http://registry:4873/@scope/name",
	      "http://registry:4873/@scope/name");
	shows("/path", "/path");
	shows("localhost:80/", "localhost:80/");
	shows("", "");
}

static void drops_user_password_and_fragment(void **state)
{
	(void)state;
	shows("https://me:s3cret@host/p", "https://host/p");
	shows("https://s3cret@host/p", "https://host/p");
	shows("https://me:s3@cret@host/p", "https://host/p");
	shows("https://host/p#s3cret", "https://host/p");
	shows("https://me:s3cret@host?x=y#z", "https://host?x=...");
	shows("https://@host/", "https://host/");
}

static void drops_the_values_of_a_query(void **state)
{
	(void)state;
	shows("http://h/?key=s3cret", "http://h/?key=...");
	shows("http://h/?a=1&b=2&c", "http://h/?a=...&b=...&...");
	shows("http://h/?s3cret", "http://h/?...");
	shows("http://h/?a=s3cret?b=s3cret", "http://h/?a=...");
	shows("http://h/?a=s3;cret=1&b=", "http://h/?a=...&b=...");
	shows("http://h/?", "http://h/?");
	shows("http://h/?&&", "http://h/?&&");
	shows("http://h/?=s3cret", "http://h/?=...");
	shows("/p?a=s3cret", "/p?a=...");
}

static void drops_the_values_of_path_parameters(void **state)
{
	(void)state;
	shows("http://h/a;jsessionid=s3cret/b;v=1;x",
	      "http://h/a;jsessionid=.../b;v=...;x");
	shows("http://h/;=s3cret", "http://h/;=...");
}

static void shows_nothing_where_a_password_may_be(void **state)
{
	(void)state;
	shows("http://me:s3/cret@host/", "http://...");
	shows("http://me:s3?cret@host/", "http://...");
	shows("http://me:s3#cret@host/", "http://...");
	shows("http://me:12/34@host/", "http://me:12/...@host/");
	shows("me:s3cret@host/", "...");
	shows("http:/me:s3cret@host/", "...");
	shows("s3cret@x://host/", "...");
	shows("http://", "http://...");
	shows("http://[::1/", "http://...");
	shows("http://h:80:s3cret/", "http://...");
}

static void is_printable_and_short(void **state)
{
	char longest[2000] = "http://h/", *end = longest + strlen(longest);
	struct buf out;

	(void)state;
	shows("http://h/\r\n\x01\x7f\xc3\xa4 x",
	      "http://h/%0D%0A%01%7F%C3%A4%20x");
	shows("http://h\r\n/", "http://h%0D%0A/");
	memset(end, '\xff', 1500);
	buf_init(&out, 4096);
	http_url_redact(&out, longest);
	assert_true(out.len <= HTTP_URL_SHOWN + 3);
	assert_int_equal(0, strncmp(out.data, "http://h/%FF%FF", 15));
	assert_string_equal("...", out.data + out.len - 3);
	buf_release(&out);
}

static void survives_any_text(void **state)
{
	static const char bytes[] = "ah:/@?#&=;[]%.\xff\n0";
	unsigned seed = 1;
	char url[24];

	(void)state;
	for (int i = 0; i < 300000; i++) {
		size_t len = (size_t)rand_r(&seed) % sizeof url;
		struct buf out;

		for (size_t j = 0; j < len; j++)
			url[j] = bytes[(size_t)rand_r(&seed) %
				       (sizeof bytes - 1)];
		url[len] = '\0';
		buf_init(&out, 4096);
		http_url_redact(&out, url);
		http_url_authority(url);
		for (size_t j = 0; j < out.len; j++)
			assert_in_range(out.data[j], '!', '~');
		buf_release(&out);
	}
}

static void finds_the_authority(void **state)
{
	static const char *urls[] = { "http://h:80", "http://h:80/p",
				      "http://u:p@h:80?x@y", "http://@h:80#@" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct str got = http_url_authority(urls[i]);

		assert_int_equal(4, got.len);
		assert_memory_equal("h:80", got.data, 4);
	}
	assert_int_equal(0, http_url_authority("nothing").len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_tells_the_place),
		cmocka_unit_test(drops_user_password_and_fragment),
		cmocka_unit_test(drops_the_values_of_a_query),
		cmocka_unit_test(drops_the_values_of_path_parameters),
		cmocka_unit_test(shows_nothing_where_a_password_may_be),
		cmocka_unit_test(is_printable_and_short),
		cmocka_unit_test(survives_any_text),
		cmocka_unit_test(finds_the_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
