/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that fail: ceilings, deadlines, redirects, broken peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "site.h"

#define RUN(test) cmocka_unit_test_setup_teardown(test, site_start, site_stop)

static char sentence[700];

/* "GET URL: TEXT" */
static const char *says(const char *url, const char *text)
{
	snprintf(sentence, sizeof sentence, "GET %s: %s", url, text);
	return sentence;
}

static void fails_with(const char *url, enum err_code code, const char *text)
{
	assert_string_equal(says(url, text), get_failure(url, code));
}

/* Begins with the URL, ends with TEXT. */
static void fails_like(const char *url, enum err_code code, const char *text)
{
	const char *got = get_failure(url, code);

	assert_ptr_equal(got, strstr(got, says(url, "")));
	assert_contains(got, text);
}

/* ---- ceilings ---- */

static void twenty_megabytes(struct peer *peer)
{
	static const char block[1 << 16];

	peer_read(peer);
	peer_say(peer,
		 strstr(peer->path, "length")
			 ? "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"
			 : "HTTP/1.1 200 OK\r\n\r\n");
	for (size_t n = 0; n < 20000000; n += sizeof block)
		if (!peer_send(peer, block, sizeof block))
			break;
}

static void stops_at_the_ceiling_of_the_body(void **state)
{
	struct site *site = site_open(twenty_megabytes, NULL);

	(void)state;
	fails_with(site_url(site, "/length"), ERR_LIMIT,
		   "the body is larger than 16 MiB");
	/* It was told before the body came. */
	assert_true(site_sent(site) < 16000000);
	fails_with(site_url(site, "/endless"), ERR_LIMIT,
		   "the body is larger than 16 MiB");
	site_close(site);
}

static void exactly(struct peer *peer)
{
	while (peer_read(peer) && peer_answer(peer, "", "0123456789"))
		;
}

static void takes_a_body_of_exactly_the_ceiling(void **state)
{
	struct site *site = site_open(exactly, NULL);
	struct http_request request = { .url = site_url(site, "/"),
					.body_max = 10 };

	(void)state;
	assert_string_equal("0123456789", fetch(request)->body);
	request.body_max = 9;
	assert_string_equal(says(request.url, "the body is larger than 9 "
					      "bytes"),
			    failure(request, ERR_LIMIT));
	site_close(site);
}

/* 32 MB of zeroes, which gzip makes a thousand times smaller. */
static void bomb(struct peer *peer)
{
	static unsigned char packed[1 << 18];
	static unsigned char zeroes[1 << 20];
	z_stream z = { .next_out = packed, .avail_out = sizeof packed };

	deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
	for (int i = 0; i < 32; i++) {
		z.next_in = zeroes;
		z.avail_in = sizeof zeroes;
		deflate(&z, i == 31 ? Z_FINISH : Z_NO_FLUSH);
	}
	deflateEnd(&z);
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
	peer_send(peer, packed, sizeof packed - z.avail_out);
}

static void counts_the_bytes_that_were_decompressed(void **state)
{
	struct site *site = site_open(bomb, NULL);

	(void)state;
	fails_with(site_url(site, "/"), ERR_LIMIT,
		   "the body is larger than 16 MiB");
	assert_true(site_sent(site) < 100000);
	site_close(site);
}

static void nested(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, "
		       "gzip, gzip, gzip, gzip, gzip, gzip\r\n\r\nx");
	peer_hold(peer);
}

static void garbled(struct peer *peer)
{
	peer_read(peer);
	peer_answer(peer, "Content-Encoding: gzip\r\n", "not gzip at all");
}

static void says_when_a_body_cannot_be_decompressed(void **state)
{
	struct site *site = site_open(garbled, NULL);

	(void)state;
	fails_with(site_url(site, "/"), ERR_IO,
		   "the body cannot be decompressed");
	site_close(site);
	site = site_open(nested, NULL);
	fails_with(site_url(site, "/"), ERR_IO,
		   "the body cannot be decompressed");
	site_close(site);
}

static void many_headers(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\n");
	while (peer_say(peer, "X-Another: 0123456789012345678901234567\r\n"))
		;
}

static void long_header(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nX-Long: ");
	while (peer_say(peer, "0123456789012345678901234567890123456789"))
		;
}

static void stops_at_the_ceiling_of_the_headers(void **state)
{
	struct site *site = site_open(many_headers, NULL);

	(void)state;
	fails_with(site_url(site, "/"), ERR_LIMIT,
		   "the headers are larger than 256 KiB");
	site_close(site);
	site = site_open(long_header, NULL);
	fails_with(site_url(site, "/"), ERR_LIMIT,
		   "a header is larger than 100 KiB");
	site_close(site);
}

/* ---- deadlines ---- */

static void stalls(struct peer *peer)
{
	peer_read(peer);
	if (strstr(peer->path, "headers"))
		peer_say(peer, "HTTP/1.1 200 OK\r\nX-");
	else if (strstr(peer->path, "body"))
		peer_say(peer, "HTTP/1.1 200 OK\r\n\r\nhalf");
	else if (strstr(peer->path, "redirect"))
		peer_say(peer, "HTTP/1.1 302 Found\r\nLocation: /silent\r\n"
			       "Content-Length: 0\r\n\r\n");
	peer_hold(peer);
}

static const char *after_a_while(const char *url)
{
	struct http_request request = { .url = url, .timeout = 0.2 };
	double start = loop_now(loop);
	const char *got = failure(request, ERR_TIMEOUT);

	assert_true(loop_now(loop) - start >= 0.2);
	assert_true(loop_now(loop) - start < 5);
	return got;
}

/* On a busy machine the server may not have come so far: one of five. */
static void times_out(const char *url, const char *text)
{
	const char *got = after_a_while(url);

	for (int i = 1; i < 5 && strcmp(says(url, text), got) != 0; i++)
		got = after_a_while(url);
	assert_string_equal(says(url, text), got);
}

static void says_what_it_did_when_the_time_was_over(void **state)
{
	struct site *site = site_open(stalls, NULL);
	char tls[64];

	(void)state;
	times_out(site_url(site, "/silent"),
		  "timed out after 0.2 s while waiting for the answer");
	times_out(site_url(site, "/headers"),
		  "timed out after 0.2 s while receiving the headers");
	times_out(site_url(site, "/body"),
		  "timed out after 0.2 s while receiving the body");
	times_out("http://" SLOW_NAME "/",
		  "timed out after 0.2 s while resolving");
	snprintf(tls, sizeof tls, "https://127.0.0.1:%u/", site_port(site));
	times_out(tls, "timed out after 0.2 s while negotiating TLS");
	site_close(site);
}

static void slowly(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\n");
	while (peer_say(peer, "X: y\r\n"))
		usleep(5000);
}

static void ends_slow_headers_at_the_deadline(void **state)
{
	struct site *site = site_open(slowly, NULL);

	(void)state;
	times_out(site_url(site, "/"),
		  "timed out after 0.2 s while receiving the headers");
	site_close(site);
}

static void prompt(struct peer *peer)
{
	peer_read(peer);
	peer_answer(peer, "", "in time");
	peer_hold(peer);
}

/* The answer is there when the loop finds time for it, after the deadline. */
static void takes_an_answer_that_came_while_the_thread_was_busy(void **state)
{
	struct site *site = site_open(prompt, NULL);
	struct answer answer = { 0 };

	(void)state;
	begin((struct http_request){ .url = site_url(site, "/"),
				     .timeout = 0.5 },
	      &answer);
	while (!site_requests(site))
		turn();
	for (double end = loop_now(loop) + 0.6; loop_now(loop) < end;)
		;
	finish(&answer);
	assert_string_equal("", answer.err.text);
	assert_string_equal("in time", answer.body);
	answer_release(&answer);
	site_close(site);
}

/* ---- redirects ---- */

static struct site *elsewhere;

static void found(struct peer *peer, const char *status, const char *location)
{
	char text[512];

	snprintf(text, sizeof text,
		 "HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove",
		 status, location);
	peer_say(peer, text);
}

static void mover(struct peer *peer)
{
	while (peer_read(peer)) {
		unsigned n = (unsigned)strtoul(peer->path + 1, NULL, 10);
		char next[32];

		snprintf(next, sizeof next, "/%u", n - 1);
		if (!strcmp(peer->path, "/loop"))
			found(peer, "302 Found", "/loop");
		else if (!strcmp(peer->path, "/file"))
			found(peer, "302 Found", "file:///etc/passwd");
		else if (!strcmp(peer->path, "/gopher"))
			found(peer, "302 Found", "gopher://127.0.0.1/");
		else if (!strcmp(peer->path, "/broken"))
			found(peer, "302 Found", "http://[/");
		else if (!strcmp(peer->path, "/see"))
			found(peer, "303 See Other", "/0");
		else if (!strcmp(peer->path, "/away"))
			found(peer, "302 Found", site_url(elsewhere, "/0"));
		else if (!strcmp(peer->path, "/refused"))
			found(peer, "302 Found", "http://127.0.0.1:1/?k=v");
		else if (n)
			found(peer, "302 Found", next);
		else
			peer_answer(peer, "", "there");
	}
}

static void follows_redirects_up_to_their_limit(void **state)
{
	struct site *site = site_open(mover, NULL);
	struct http_request request = { .redirects = 3 };
	struct answer *answer = get(site_url(site, "/10"));

	(void)state;
	assert_string_equal("there", answer->body);
	assert_string_equal(site_url(site, "/0"), answer->url);
	assert_contains(answer->headers, "content-length: 5\n");
	assert_lacks(answer->headers, "location");
	fails_with(site_url(site, "/11"), ERR_IO, "more than 10 redirects");
	fails_with(site_url(site, "/loop"), ERR_IO, "more than 10 redirects");
	request.url = site_url(site, "/3");
	assert_string_equal("there", fetch(request)->body);
	request.url = site_url(site, "/4");
	assert_string_equal(says(request.url, "more than 3 redirects"),
			    failure(request, ERR_IO));
	site_close(site);
}

static void a_redirect_is_the_answer_when_none_is_followed(void **state)
{
	struct site *site = site_open(mover, NULL);
	struct answer *answer = fetch((struct http_request){
		.url = site_url(site, "/1"), .redirects = NO_REDIRECTS });

	(void)state;
	assert_int_equal(302, answer->status);
	assert_string_equal("move", answer->body);
	assert_contains(answer->headers, "location: /0\n");
	site_close(site);
}

static void redirects_POST_to_GET_and_nothing_else(void **state)
{
	struct site *site = site_open(mover, NULL);
	struct http_request request = { .url = site_url(site, "/see"),
					.method = "POST",
					.body = STR("data") };

	(void)state;
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "GET /0 HTTP/1.1\r\n");
	assert_lacks(site_last(site), "data");
	request.method = "PUT";
	assert_int_equal(303, fetch(request)->status);
	request.method = "DELETE";
	assert_int_equal(303, fetch(request)->status);
	site_close(site);
}

static void refuses_redirects_to_other_protocols(void **state)
{
	static const char text[] =
		"a redirect to something else than http or https was refused";
	struct site *site = site_open(mover, NULL);

	(void)state;
	fails_with(site_url(site, "/file"), ERR_IO, text);
	fails_with(site_url(site, "/gopher"), ERR_IO, text);
	fails_like(site_url(site, "/broken"), ERR_IO, "redirect");
	site_close(site);
}

static void names_where_a_redirect_led_to(void **state)
{
	struct site *site = site_open(mover, NULL);

	(void)state;
	fails_with(site_url(site, "/refused"), ERR_IO,
		   "connection refused (after a redirect to "
		   "http://127.0.0.1:1/?k=...)");
	site_close(site);
}

static void lacks_credentials(const char *request)
{
	assert_lacks(request, "Authorization");
	assert_lacks(request, "Cookie");
	assert_lacks(request, "s3cret");
}

static void keeps_credentials_from_other_hosts(void **state)
{
	struct http_header headers[] = { { "Authorization", "s3cret" },
					 { "Cookie", "s3cret" } };
	struct site *site = site_open(mover, NULL);
	struct http_request request = { .url = site_url(site, "/away") };

	(void)state;
	elsewhere = site_open(mover, NULL);
	request.user = request.password = "s3cret";
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "Authorization: Basic");
	lacks_credentials(site_last(elsewhere));
	request =
		(struct http_request){ .url = request.url, .bearer = "s3cret" };
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "Authorization: Bearer s3cret");
	lacks_credentials(site_last(elsewhere));
	request = (struct http_request){ .url = request.url,
					 .headers = headers,
					 .nheaders = 2 };
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "Cookie: s3cret");
	lacks_credentials(site_last(elsewhere));
	request.url = site_url_as(site, "http://me:s3cret@127.0.0.1", "/away");
	request.nheaders = 0;
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "Authorization: Basic");
	lacks_credentials(site_last(elsewhere));
	/* The same host hears them again. */
	request.url = site_url_as(site, "http://me:s3cret@127.0.0.1", "/1");
	assert_string_equal("there", fetch(request)->body);
	assert_contains(site_last(site), "Authorization: Basic");
	site_close(site);
	site_close(elsewhere);
}

/* ---- broken peers ---- */

static void breaks(struct peer *peer)
{
	peer_read(peer);
	if (strstr(peer->path, "length"))
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
			       "0123456789");
	else if (strstr(peer->path, "chunk"))
		peer_say(peer, "HTTP/1.1 200 OK\r\n"
			       "Transfer-Encoding: chunked\r\n\r\n"
			       "a\r\n0123456789\r\n5\r\n012");
	else if (strstr(peer->path, "headers"))
		peer_say(peer, "HTTP/1.1 200 OK\r\nX-Half");
	else if (strstr(peer->path, "ssh"))
		peer_say(peer, "SSH-2.0-OpenSSH_9.2\r\n");
	else if (strstr(peer->path, "status"))
		peer_say(peer, "HTTP/1.1 abc\r\n\r\n");
	if (strstr(peer->path, "reset"))
		peer_reset(peer);
}

static void says_where_a_connection_ended(void **state)
{
	struct site *site = site_open(breaks, NULL);

	(void)state;
	fails_with(site_url(site, "/length"), ERR_IO,
		   "the connection was closed after 10 of 5000 bytes");
	fails_like(site_url(site, "/chunk"), ERR_IO,
		   "the connection was closed within the body, after 13 bytes");
	fails_with(site_url(site, "/headers"), ERR_IO,
		   "the connection was closed within the headers");
	fails_with(site_url(site, "/nothing"), ERR_IO,
		   "the connection was closed without an answer");
	site_close(site);
}

static void says_when_a_connection_was_reset(void **state)
{
	struct site *site = site_open(breaks, NULL);

	(void)state;
	fails_like(site_url(site, "/reset/nothing"), ERR_IO,
		   "the connection was reset before there was an answer");
	site_close(site);
}

/* The reset comes when the first bytes have been seen. */
static void resets_later(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
		       "0123456789");
	peer_wait(peer);
	peer_reset(peer);
}

static void says_how_much_there_was_before_a_reset(void **state)
{
	struct site *site = site_open(resets_later, NULL);
	struct answer answer = { 0 };

	(void)state;
	begin((struct http_request){ .url = site_url(site, "/") }, &answer);
	while (site_sent(site) < 49)
		turn();
	/* What was sent is in our socket, so one more turn reads it. */
	turn();
	turn();
	site_go(site);
	finish(&answer);
	assert_string_equal(
		says(site_url(site, "/"),
		     "the connection was reset after 10 of 5000 bytes"),
		answer.err.text);
	site_close(site);
}

static void says_when_the_answer_is_not_HTTP(void **state)
{
	struct site *site = site_open(breaks, NULL);

	(void)state;
	fails_with(site_url(site, "/ssh"), ERR_IO, "the answer is not HTTP");
	fails_like(site_url(site, "/status"), ERR_IO, "the answer is not HTTP");
	site_close(site);
}

static void says_that_nobody_listens(void **state)
{
	(void)state;
	fails_with("http://127.0.0.1:1/", ERR_IO, "connection refused");
	fails_with("http://nobody.invalid/", ERR_IO,
		   "the host nobody.invalid is not known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(stops_at_the_ceiling_of_the_body),
		RUN(takes_a_body_of_exactly_the_ceiling),
		RUN(counts_the_bytes_that_were_decompressed),
		RUN(says_when_a_body_cannot_be_decompressed),
		RUN(stops_at_the_ceiling_of_the_headers),
		RUN(says_what_it_did_when_the_time_was_over),
		RUN(ends_slow_headers_at_the_deadline),
		RUN(takes_an_answer_that_came_while_the_thread_was_busy),
		RUN(follows_redirects_up_to_their_limit),
		RUN(a_redirect_is_the_answer_when_none_is_followed),
		RUN(redirects_POST_to_GET_and_nothing_else),
		RUN(refuses_redirects_to_other_protocols),
		RUN(names_where_a_redirect_led_to),
		RUN(keeps_credentials_from_other_hosts),
		RUN(says_where_a_connection_ended),
		RUN(says_when_a_connection_was_reset),
		RUN(says_how_much_there_was_before_a_reset),
		RUN(says_when_the_answer_is_not_HTTP),
		RUN(says_that_nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
