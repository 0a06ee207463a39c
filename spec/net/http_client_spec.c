/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered, connections and cookies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "site.h"

#define RUN(test) cmocka_unit_test_setup_teardown(test, site_start, site_stop)

/* Answers everything, as long as the client wants to. */
static void hello(struct peer *peer)
{
	while (peer_read(peer) && peer_answer(peer, "", "hello"))
		;
}

/* Reads requests and never answers. */
static void silent(struct peer *peer)
{
	while (peer_read(peer))
		;
}

/* ---- answers ---- */

static void rich(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
		       "HTTP/1.1 207 Multi-Status\r\n"
		       "Content-TYPE:text/plain;  charset=utf-8  \r\n"
		       "X-Empty:\r\n"
		       "X-Two: a\r\nX-Two: b: c\r\n"
		       "X-Folded: one\r\n  two\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n"
		       "3\r\none\r\n4\r\n,two\r\n0\r\nX-Trailer: 1\r\n\r\n");
	peer_hold(peer);
}

static void tells_status_headers_and_body(void **state)
{
	struct site *site = site_open(rich, NULL);
	struct answer *answer = get(site_url(site, "/path?a=b"));

	(void)state;
	assert_int_equal(207, answer->status);
	assert_string_equal("one,two", answer->body);
	assert_string_equal("content-type: text/plain;  charset=utf-8\n"
			    "x-empty: \n"
			    "x-two: a\n"
			    "x-two: b: c\n"
			    "x-folded: one two\n"
			    "transfer-encoding: chunked\n",
			    answer->headers);
	assert_string_equal(site_url(site, "/path?a=b"), answer->url);
	assert_true(answer->expiry == 0);
	site_close(site);
}

static void failing(struct peer *peer)
{
	while (peer_read(peer) &&
	       peer_say(peer, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n"
			      "Content-Length: 4\r\n\r\nbusy"))
		;
}

static void takes_any_status_for_an_answer(void **state)
{
	struct site *site = site_open(failing, NULL);
	struct answer *answer = get(site_url(site, "/"));

	(void)state;
	assert_int_equal(503, answer->status);
	assert_string_equal("busy", answer->body);
	assert_contains(answer->headers, "retry-after: 7\n");
	site_close(site);
}

/* "hello" in each encoding */
static const unsigned char GZIP[] = { 0x1f, 0x8b, 8, 0,	   0,	 0,    0,
				      0,    2,	  3, 0xcb, 0x48, 0xcd, 0xc9,
				      0xc9, 7,	  0, 0x86, 0xa6, 0x10, 0x36,
				      5,    0,	  0, 0 };
static const unsigned char ZLIB[] = { 0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9,
				      7,    0,	  6,	0x2c, 2,    0x15 };
static const unsigned char BROTLI[] = { 0x0b, 2,   0x80, 'h', 'e',
					'l',  'l', 'o',	 3 };
static const unsigned char ZSTD[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 5,	 0x29,
				      0,    0,	  'h',	'e',  'l',  'l', 'o' };

static void packed(struct peer *peer)
{
	static const struct {
		const char *name;
		const void *data;
		size_t len;
	} all[] = {
		{ "gzip", GZIP, sizeof GZIP },
		{ "deflate", ZLIB, sizeof ZLIB },
		{ "br", BROTLI, sizeof BROTLI },
		{ "zstd", ZSTD, sizeof ZSTD },
	};
	char head[200];

	for (size_t i = 0; peer_read(peer) && i < 4; i++) {
		snprintf(head, sizeof head,
			 "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 all[i].name, all[i].len);
		peer_say(peer, head);
		peer_send(peer, all[i].data, all[i].len);
	}
}

static void decodes_gzip_deflate_brotli_and_zstd(void **state)
{
	struct site *site = site_open(packed, NULL);

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_string_equal("hello", get(site_url(site, "/"))->body);
	assert_contains(site_last(site),
			"Accept-Encoding: deflate, gzip, br, zstd\r\n");
	site_close(site);
}

/* ---- what is sent ---- */

static void sends_method_headers_and_body(void **state)
{
	struct http_header headers[] = { { "Content-Type", "application/json" },
					 { "X-Empty", "" },
					 { "X-Long", "a b" } };
	struct site *site = site_open(hello, NULL);

	(void)state;
	fetch((struct http_request){ .url = site_url(site, "/a%20b?c=d#e"),
				     .method = "POST",
				     .headers = headers,
				     .nheaders = 3,
				     .body = STR("{\"a\":1}"),
				     .user = "me",
				     .password = "se:cret" });
	assert_contains(site_last(site), "POST /a%20b?c=d HTTP/1.1\r\nHost: ");
	assert_contains(site_last(site), "\r\nContent-Type: application/json");
	assert_contains(site_last(site), "\r\nX-Empty:\r\n");
	assert_contains(site_last(site), "\r\nX-Long: a b\r\n");
	assert_contains(site_last(site), "\r\nContent-Length: 7\r\n");
	assert_contains(site_last(site),
			"\r\nUser-Agent: lunex/" LUNEX_VERSION "\r\n");
	assert_contains(site_last(site),
			"\r\nAuthorization: Basic bWU6c2U6Y3JldA==\r\n");
	assert_contains(site_last(site), "\r\n\r\n{\"a\":1}");
	site_close(site);
}

static void sends_nothing_that_was_not_asked_for(void **state)
{
	struct site *site = site_open(hello, NULL);
	char *large = test_malloc(3 << 14);

	(void)state;
	memset(large, 'x', 3 << 14);
	fetch((struct http_request){ .url = site_url(site, "/"),
				     .method = "PUT",
				     .body = { large, 3 << 14 } });
	assert_contains(site_last(site), "PUT / HTTP/1.1\r\n");
	assert_contains(site_last(site), "Content-Length: 49152\r\n");
	assert_lacks(site_last(site), "Expect");
	assert_lacks(site_last(site), "Content-Type");
	assert_lacks(site_last(site), "Cookie");
	assert_lacks(site_last(site), "Authorization");
	test_free(large);
	site_close(site);
}

static void sends_each_method_with_and_without_a_body(void **state)
{
	static const char *methods[] = { "GET",	   "POST",    "PUT",
					 "PATCH",  "DELETE",  "OPTIONS",
					 "REPORT", "PROPFIND" };
	struct site *site = site_open(hello, NULL);
	char line[64];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct http_request request = { .url = site_url(site, "/"),
						.method = methods[i] };

		snprintf(line, sizeof line, "%s / HTTP/1.1\r\n", methods[i]);
		assert_string_equal("hello", fetch(request)->body);
		assert_contains(site_last(site), line);
		if (i >= 1 && i <= 3)
			assert_contains(site_last(site), "Content-Length: 0");
		else
			assert_lacks(site_last(site), "Content-Length");
		request.body = STR("0123456789");
		assert_string_equal("hello", fetch(request)->body);
		assert_contains(site_last(site), line);
		assert_contains(site_last(site), "\r\n\r\n0123456789");
	}
	site_close(site);
}

static void headers_only(struct peer *peer)
{
	while (peer_read(peer) &&
	       peer_say(peer, "HTTP/1.1 200 OK\r\n"
			      "Content-Length: 20000000\r\n\r\n"))
		;
}

static void expects_no_body_from_HEAD(void **state)
{
	struct site *site = site_open(headers_only, NULL);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct answer *answer = fetch((struct http_request){
			.url = site_url(site, "/"), .method = "HEAD" });

		assert_int_equal(200, answer->status);
		assert_contains(answer->headers, "content-length: 20000000");
		assert_int_equal(0, answer->len);
	}
	assert_int_equal(1, site_accepts(site));
	site_close(site);
}

static void sends_a_bearer_token(void **state)
{
	struct site *site = site_open(hello, NULL);

	(void)state;
	fetch((struct http_request){ .url = site_url(site, "/"),
				     .bearer = "abc.def" });
	assert_contains(site_last(site),
			"\r\nAuthorization: Bearer abc.def\r\n");
	site_close(site);
}

/* ---- connections ---- */

static void keeps_a_connection(void **state)
{
	struct site *site = site_open(hello, NULL);
	struct answer *answer = get(site_url(site, "/"));

	(void)state;
	assert_true(answer->timings.connect > 0);
	assert_true(answer->timings.resolve <= answer->timings.connect);
	assert_true(answer->timings.connect <= answer->timings.first_byte);
	assert_true(answer->timings.first_byte <= answer->timings.total);
	for (int i = 0; i < 20; i++)
		answer = get(site_url(site, "/"));
	assert_int_equal(1, site_accepts(site));
	assert_int_equal(21, site_requests(site));
	assert_true(answer->timings.resolve == 0);
	assert_true(answer->timings.connect == 0);
	assert_true(answer->timings.tls == 0);
	assert_true(answer->timings.first_byte > 0);
	assert_true(answer->timings.first_byte <= answer->timings.total);
	site_close(site);
}

static void once(struct peer *peer)
{
	if (peer_read(peer))
		peer_answer(peer, "", "hello");
}

/* The server says nothing about it: the request meets a closed connection. */
static void makes_another_connection_when_a_kept_one_was_closed(void **state)
{
	struct site *site = site_open(once, NULL);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_string_equal("hello", get(site_url(site, "/"))->body);
	assert_int_equal(5, site_accepts(site));
	site_close(site);
}

enum { MANY = 500, AT_ONCE = 64 };

static struct answer many[MANY];
static unsigned started;
static const char *many_url;

static void on_one_of_many(void *arg, const struct http_response *response,
			   const struct err *err)
{
	answer_take(arg, response, err);
	if (started < MANY) {
		struct http_request request = { .url = many_url,
						.timeout = 20 };

		assert_non_null(http_start(client, &request, on_one_of_many,
					   &many[started], NULL));
		started++;
	}
}

static void run_many(const char *url)
{
	many_url = url;
	memset(many, 0, sizeof many);
	for (started = 0; started < AT_ONCE; started++) {
		struct http_request request = { .url = url, .timeout = 20 };

		assert_non_null(http_start(client, &request, on_one_of_many,
					   &many[started], NULL));
	}
	while (http_client_transfers(client))
		turn();
	for (unsigned i = 0; i < MANY; i++) {
		assert_string_equal("", many[i].err.text);
		assert_int_equal(1, many[i].calls);
		assert_int_equal(200, many[i].status);
		answer_release(&many[i]);
	}
}

static void answers_each_of_many_once(void **state)
{
	struct site *site = site_open(hello, NULL);

	(void)state;
	use(wide(AT_ONCE));
	run_many(site_url(site, "/"));
	run_many(site_url(site, "/"));
	assert_int_equal(2 * MANY, site_requests(site));
	/* One for each, and kept between the two. */
	assert_true(site_accepts(site) <= AT_ONCE);
	site_close(site);
}

static void makes_no_more_connections_to_a_host_than_allowed(void **state)
{
	struct site *site = site_open(hello, NULL);

	(void)state;
	use(wide(3));
	run_many(site_url(site, "/"));
	assert_int_equal(3, site_most(site));
	assert_int_equal(3, site_accepts(site));
	site_close(site);
}

static void goes_on_when_each_connection_is_closed(void **state)
{
	struct site *site = site_open(once, NULL);

	(void)state;
	use(wide(3));
	run_many(site_url(site, "/"));
	assert_int_equal(MANY, site_accepts(site));
	site_close(site);
}

static void counts_the_wait_for_a_connection_as_time(void **state)
{
	struct site *site = site_open(silent, NULL);
	struct answer first = { 0 }, second = { 0 };

	(void)state;
	use(wide(1));
	begin((struct http_request){ .url = site_url(site, "/") }, &first);
	while (!site_requests(site))
		turn();
	begin((struct http_request){ .url = site_url(site, "/"),
				     .timeout = 0.1 },
	      &second);
	finish(&second);
	assert_int_equal(ERR_TIMEOUT, second.err.code);
	assert_contains(second.err.text, "timed out after 0.1 s while waiting "
					 "for one of the host's connections");
	assert_int_equal(0, first.calls);
	assert_int_equal(1, site_accepts(site));
	site_close(site);
	finish(&first);
}

static void gives_the_place_of_a_cancelled_one_to_the_next(void **state)
{
	struct site *site = site_open(silent, NULL);
	struct answer answers[8] = { 0 };
	struct http_transfer *transfers[8];

	(void)state;
	use(wide(1));
	for (int i = 0; i < 8; i++)
		transfers[i] = begin(
			(struct http_request){ .url = site_url(site, "/") },
			&answers[i]);
	/* The second and the third never have a turn. */
	http_cancel(transfers[1]);
	while (!site_requests(site))
		turn();
	http_cancel(transfers[2]);
	for (unsigned i = 0; i < 7; i++) {
		if (i == 1 || i == 2)
			continue;
		http_cancel(transfers[i]);
		while (site_requests(site) < site_accepts(site) ||
		       site_accepts(site) < (i < 3 ? 2 : i))
			turn();
	}
	assert_int_equal(1, http_client_transfers(client));
	assert_int_equal(6, site_accepts(site));
	http_cancel(transfers[7]);
	for (int i = 0; i < 8; i++)
		assert_int_equal(0, answers[i].calls);
	site_close(site);
}

static void speaks_through_a_unix_socket(void **state)
{
	char path[] = "/tmp/lunex-spec-XXXXXX/socket";
	char *end = strrchr(path, '/');
	struct site *site;
	struct answer *answer;

	(void)state;
	*end = '\0';
	assert_non_null(mkdtemp(path));
	*end = '/';
	site = site_open_unix(hello, path);
	answer = fetch((struct http_request){ .url = "http://docker/v1/info",
					      .unix_socket = path });
	assert_string_equal("", answer->err.text);
	assert_string_equal("hello", answer->body);
	assert_contains(site_last(site),
			"GET /v1/info HTTP/1.1\r\nHost: docker\r\n");
	site_close(site);
	unlink(path);
	assert_string_equal(
		"GET http://docker/: the unix socket: no such file or "
		"directory",
		failure((struct http_request){ .url = "http://docker/",
					       .unix_socket = path },
			ERR_IO));
	*end = '\0';
	rmdir(path);
}

/* ---- cookies ---- */

static void baker(struct peer *peer)
{
	while (peer_read(peer))
		if (!peer_answer(peer,
				 strstr(peer->path, "login")
					 ? "Set-Cookie: SID=abc; Path=/\r\n"
					 : "",
				 ""))
			break;
}

static void keeps_cookies_until_they_are_cleared(void **state)
{
	struct site *site = site_open(baker, NULL);

	(void)state;
	get(site_url(site, "/login"));
	assert_lacks(site_last(site), "Cookie:");
	get(site_url(site, "/a"));
	assert_contains(site_last(site), "\r\nCookie: SID=abc\r\n");
	http_client_clear_cookies(client);
	get(site_url(site, "/b"));
	assert_lacks(site_last(site), "Cookie:");
	site_close(site);
}

static void keeps_the_cookies_of_each_client_apart(void **state)
{
	struct site *site = site_open(baker, NULL);
	struct http_client *first = client;
	struct http_client_options options = { .loop = loop, .cookies = true };

	(void)state;
	get(site_url(site, "/login"));
	client = http_client_new(&options, NULL);
	get(site_url(site, "/a"));
	assert_lacks(site_last(site), "Cookie:");
	http_client_clear_cookies(client);
	use(first);
	get(site_url(site, "/b"));
	assert_contains(site_last(site), "Cookie: SID=abc");
	site_close(site);
}

static void keeps_no_cookies_without_being_told_to(void **state)
{
	struct site *site = site_open(baker, NULL);

	(void)state;
	use(wide(0));
	get(site_url(site, "/login"));
	get(site_url(site, "/a"));
	assert_lacks(site_last(site), "Cookie:");
	http_client_clear_cookies(client);
	site_close(site);
}

static void flood(struct peer *peer)
{
	char head[4096];
	size_t len;

	for (unsigned n = 0; peer_read(peer);) {
		len = 0;
		for (int i = 0; i < 40; i++, n++)
			len += (size_t)snprintf(head + len, sizeof head - len,
						"Set-Cookie: c%u=%u\r\n", n, n);
		if (!peer_answer(peer, head, ""))
			break;
	}
}

static unsigned cookies_sent(const struct site *site)
{
	const char *at = strstr(site_last(site), "Cookie:");
	unsigned n = 0;

	for (; at && *at != '\r'; at++)
		n += *at == '=';
	return n;
}

static void forgets_all_cookies_when_there_are_too_many(void **state)
{
	struct site *site = site_open(flood, NULL);
	unsigned most = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		get(site_url(site, "/"));
		if (cookies_sent(site) > most)
			most = cookies_sent(site);
	}
	/* libcurl sends 150 of them. */
	assert_true(most > 40);
	while (get(site_url(site, "/")), cookies_sent(site) > 40)
		;
	site_close(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(tells_status_headers_and_body),
		RUN(takes_any_status_for_an_answer),
		RUN(decodes_gzip_deflate_brotli_and_zstd),
		RUN(sends_method_headers_and_body),
		RUN(sends_nothing_that_was_not_asked_for),
		RUN(sends_each_method_with_and_without_a_body),
		RUN(expects_no_body_from_HEAD),
		RUN(sends_a_bearer_token),
		RUN(keeps_a_connection),
		RUN(makes_another_connection_when_a_kept_one_was_closed),
		RUN(answers_each_of_many_once),
		RUN(makes_no_more_connections_to_a_host_than_allowed),
		RUN(goes_on_when_each_connection_is_closed),
		RUN(counts_the_wait_for_a_connection_as_time),
		RUN(gives_the_place_of_a_cancelled_one_to_the_next),
		RUN(speaks_through_a_unix_socket),
		RUN(keeps_cookies_until_they_are_cleared),
		RUN(keeps_the_cookies_of_each_client_apart),
		RUN(keeps_no_cookies_without_being_told_to),
		RUN(forgets_all_cookies_when_there_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
