/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are refused before anything is sent, and what is never said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "site.h"

#define RUN(test) cmocka_unit_test_setup_teardown(test, site_start, site_stop)

/* ---- misuse ---- */

static void misuse(struct http_request request, const char *text)
{
	if (!request.url)
		request.url = "http://127.0.0.1:1/";
	assert_contains(failure(request, ERR_USAGE), text);
	assert_int_equal(0, http_client_transfers(client));
}

static void refuses_what_cannot_be_a_URL(void **state)
{
	static const char *urls[] = {
		"",
		"/path",
		"localhost:80/",
		"ftp://host/",
		"file:///etc/passwd",
		"http://",
		"http://host:99999/",
		"http://host:x/",
		"http://ho st/",
		"http://host/a b",
		"http://host/\r\nX: y",
		"http://host\t/",
		"http://[::1/",
		"https://user@",
	};

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		misuse((struct http_request){ .url = urls[i] }, "URL");
}

static void refuses_what_would_add_a_header(void **state)
{
	static const struct http_header bad[] = {
		{ "X", "a\r\nEvil: 1" },
		{ "X", "a\nEvil: 1" },
		{ "X", "a\rb" },
		{ "X\r\nEvil", "1" },
		{ "X: y\n", "1" },
		{ "", "1" },
		{ "X Y", "1" },
		{ "X:", "1" },
		{ "X", "\x01" },
		{ "Content-Length", "3" },
		{ "transfer-encoding", "chunked" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		misuse((struct http_request){ .headers = &bad[i],
					      .nheaders = 1 },
		       "header");
	misuse((struct http_request){ .bearer = "a\r\nEvil: 1" }, "bearer");
	misuse((struct http_request){ .user = "a\nb" }, "user");
	misuse((struct http_request){ .user = "a:b" }, "colon");
	misuse((struct http_request){ .method = "GET / HTTP/1.1\r\nX: y" },
	       "method");
	misuse((struct http_request){ .method = "" }, "method");
}

static void refuses_what_is_not_there(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	misuse((struct http_request){ .ca_file = "/no/ca" },
	       "ca_file /no/ca: no such file or directory");
	misuse((struct http_request){ .cert_file = "/no/cert" },
	       "cert_file /no/cert: no such file or directory");
	misuse((struct http_request){ .key_file = "/no/key" }, "cert_file");
	misuse((struct http_request){ .unix_socket = path }, "too long");
	misuse((struct http_request){ .server_name = "a b" }, "server_name");
	misuse((struct http_request){ .server_name = "a:1" }, "server_name");
	misuse((struct http_request){ .timeout = -1 }, "timeout");
	misuse((struct http_request){ .method = "HEAD", .body = STR("x") },
	       "HEAD has no body");
}

/* ---- secrets ---- */

static void no_sentence_contains_a_secret(void **state)
{
	static const char *urls[] = {
		"http://s3cret:s3cret@127.0.0.1:1/?a=s3cret#s3cret",
		"http://s3cret@nobody.invalid/;x=s3cret?s3cret",
		"http://me:s3cret/@127.0.0.1:1/",
		"http://me:s3cret?@127.0.0.1:1/",
		"http://me:s3cret#@127.0.0.1:1/",
		"https://me:s3cret@127.0.0.1:1/?s3cret&s3cret",
		"http://me:s3cret@127.0.0.1:1/s p",
		"ftp://me:s3cret@host/",
		"me:s3cret@host/",
		"http:/me:s3cret@host/",
	};
	struct http_header header = { "X-Key", "s3cret" };

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct http_request request = {
			.url = urls[i],
			.proxy = "",
			.headers = &header,
			.nheaders = 1,
			.user = "s3cret",
			.password = "s3cret",
			.bearer = "s3cret",
			.body = STR("s3cret"),
			.method = "POST",
		};
		struct answer *answer = fetch(request);

		assert_int_not_equal(ERR_NONE, answer->err.code);
		assert_lacks(answer->err.text, "s3cret");
		request.proxy = "http://s3cret:s3cret@127.0.0.1:1";
		assert_lacks(fetch(request)->err.text, "s3cret");
		request.proxy = "bad://s3cret:s3cret@127.0.0.1:1";
		assert_lacks(fetch(request)->err.text, "s3cret");
		header.value = "s3cret\n";
		assert_lacks(fetch(request)->err.text, "s3cret");
		header.value = "s3cret";
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(refuses_what_cannot_be_a_URL),
		RUN(refuses_what_would_add_a_header),
		RUN(refuses_what_is_not_there),
		RUN(no_sentence_contains_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
