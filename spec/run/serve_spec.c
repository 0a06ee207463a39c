/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server whose only exporter is this file: it publishes pages as it likes.
 * The thread of the server can be held between two rounds of its loop, so that
 * requests arrive, and pages change, at a known moment of a making.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "core/log.h"
#include "core/registry.h"
#include "core/text.h"
#include "run/serve.h"
#include "web/server.h"

enum { FAMILIES = 200, SERIES = 480, PATIENCE = 60 };

struct fixture {
	struct registry *registry;
	struct page_slot slot;
	struct loop *loop;
	struct serve *serve;
	struct server *server;
	pthread_t thread;
	unsigned merged, not_merged; /* orders that were told so */
};

static struct fixture fixture;

/* ---- pages ---- */

static struct family *family_of(int f)
{
	struct family_options options = {
		.metadata = { .type = METRIC_GAUGE, .help = "A family." },
		.labels = (const char *const[]){ "device" },
		.nlabels = 1,
	};
	struct family *family;
	struct err err = { 0 };
	char name[32];

	snprintf(name, sizeof name, "family_%03d", f);
	family = registry_find(fixture.registry, name);
	if (family)
		return family;
	options.metadata.name = name;
	family = registry_add(fixture.registry, &options, &err);
	if (!family)
		fail_msg("%s", err.text);
	return family;
}

static void set(int f, int series, double value)
{
	char text[40];
	struct str label = { text, 0 };
	struct err err = { 0 };
	uint32_t row;

	label.len = (size_t)snprintf(text, sizeof text,
				     "a device with number %06d", series);
	if (!family_row(family_of(f), &label, &row, &err))
		fail_msg("%s", err.text);
	family_set(family_of(f), row, REGISTRY_LIVE, value, 0);
}

static void publish(void)
{
	page_slot_set(&fixture.slot, registry_publish(fixture.registry, 0));
}

/* The present page as text. */
static char *expected(void)
{
	struct page *page = page_slot_get(&fixture.slot);
	struct buf text;

	buf_init(&text, (size_t)1 << 30);
	for (uint32_t f = 0; f < page->nfamilies; f++) {
		const struct page_family *family = &page->families[f];

		text_head(&text, family->metadata);
		for (uint32_t i = 0; i < family->nchunks; i++)
			text_chunk(&text, family->metadata, family->chunks[i]);
	}
	page_unref(page);
	return buf_take(&text, NULL);
}

/* ---- the server ---- */

static void merged(void *arg, const struct exposition *exposition)
{
	struct fixture *f = arg;

	if (exposition)
		f->merged++;
	else
		f->not_merged++;
}

static void show(struct request *request, void *arg)
{
	struct page *page = page_slot_get(&fixture.slot);
	const struct serve_order order = {
		.request = request,
		.pages = &page,
		.n = 1,
		.of = arg,
		.seconds = serve_seconds(request, loop_now(fixture.loop)),
		.merged = merged,
		.arg = &fixture,
	};

	serve_pages(fixture.serve, &order);
	page_unref(page);
}

/* How much work was done so far. */
static void tell_work(struct request *request, void *arg)
{
	const struct coders *coders = serve_coders(fixture.serve);
	char text[64];

	(void)arg;
	snprintf(text, sizeof text, "%u %u", (unsigned)coders->rendered,
		 (unsigned)coders->compressed);
	request_answer_text(request, 200, "text/plain", text);
}

static void *run(void *loop)
{
	loop_run(loop);
	return NULL;
}

static void start(double keep_seconds)
{
	static const char *const addresses[] = { "127.0.0.1:0", NULL };
	static const struct route routes[] = {
		{ "/metrics", SERVER_GET, "metrics", show, &fixture },
		{ "/alone", SERVER_GET, "alone", show, NULL },
		{ "/work", SERVER_GET, "work", tell_work, NULL },
		{ NULL, 0, NULL, NULL, NULL },
	};
	struct server_options options = { .addresses = addresses,
					  .routes = routes };
	struct serve_options serve = { .keep_seconds = keep_seconds };
	struct err err = { 0 };

	fixture.loop = serve.loop = options.loop = loop_new();
	fixture.serve = serve_new(&serve);
	fixture.server = server_new(&options, &err);
	if (!fixture.server)
		fail_msg("%s", err.text);
	assert_int_equal(
		pthread_create(&fixture.thread, NULL, run, fixture.loop), 0);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	fixture.merged = fixture.not_merged = 0;
	fixture.registry = registry_new(&(struct registry_options){ 0 });
	for (int f = 0; f < FAMILIES; f++)
		for (int i = 0; i < SERIES; i++)
			set(f, i, f + i);
	publish();
	start(0);
	return 0;
}

static void on_stopped(void *arg)
{
	loop_stop(arg);
}

static void deliver_stop(struct message *message)
{
	free(message);
	server_stop(fixture.server, 1, on_stopped, fixture.loop);
}

static void post(void (*deliver)(struct message *message))
{
	struct message *message = calloc(1, sizeof *message);

	message->deliver = deliver;
	loop_post(fixture.loop, message);
}

static void end(void)
{
	pthread_join(fixture.thread, NULL);
	server_free(fixture.server);
	assert_true(loop_free(fixture.loop));
	serve_free(fixture.serve);
}

static int tear_down(void **state)
{
	(void)state;
	post(deliver_stop);
	end();
	page_slot_set(&fixture.slot, NULL);
	registry_free(fixture.registry);
	return 0;
}

/* ---- holding its loop ---- */

static uv_sem_t held, released;
static bool stops; /* before anything else, once it is released */

static void deliver_hold(struct message *message)
{
	free(message);
	uv_sem_post(&held);
	uv_sem_wait(&released);
	if (stops)
		server_stop(fixture.server, 1, on_stopped, fixture.loop);
	stops = false;
}

/* Returns when the loop stands still. */
static void hold(void)
{
	uv_sem_init(&held, 0);
	uv_sem_init(&released, 0);
	post(deliver_hold);
	uv_sem_wait(&held);
}

/* Goes on until after the next round or so, and stands still again. */
static void go_on(void)
{
	post(deliver_hold);
	uv_sem_post(&released);
	uv_sem_wait(&held);
}

static void let_go(void)
{
	uv_sem_post(&released);
}

/* ---- clients ---- */

struct answer {
	int status;
	char *text; /* all of it */
	size_t len;
	char *body;
	size_t body_len;
};

static int request(const char *path, const char *headers)
{
	const char *port = strrchr(server_address(fixture.server, 0), ':');
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { PATIENCE, 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char text[512];
	int len;

	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_return_code(
		connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	len = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n%s\r\n", path,
		       headers);
	assert_int_equal(write(fd, text, (size_t)len), len);
	return fd;
}

static struct answer receive(int fd)
{
	struct answer answer = { 0 };
	size_t cap = 1 << 16;
	ssize_t n = 1;

	answer.text = malloc(cap + 1);
	while (n > 0) {
		n = read(fd, answer.text + answer.len, cap - answer.len);
		assert_return_code(n, 0);
		answer.len += (size_t)n;
		if (answer.len == cap)
			answer.text = realloc(answer.text, (cap *= 2) + 1);
	}
	close(fd);
	answer.text[answer.len] = '\0';
	assert_int_equal(sscanf(answer.text, "HTTP/1.%*d %d", &answer.status),
			 1);
	answer.body = strstr(answer.text, "\r\n\r\n");
	assert_non_null(answer.body);
	answer.body += 4;
	answer.body_len = answer.len - (size_t)(answer.body - answer.text);
	return answer;
}

static struct answer get(const char *path, const char *headers)
{
	return receive(request(path, headers));
}

static void work(unsigned *rendered, unsigned *compressed)
{
	struct answer answer = get("/work", "");

	assert_int_equal(answer.status, 200);
	assert_int_equal(sscanf(answer.body, "%u %u", rendered, compressed), 2);
	free(answer.text);
}

static unsigned rendered(void)
{
	unsigned rendered, compressed;

	work(&rendered, &compressed);
	return rendered;
}

static const char gzip[] = "Accept-Encoding: gzip\r\n";

static char *inflated(const struct answer *answer, size_t most)
{
	z_stream z = { .next_in = (unsigned char *)answer->body,
		       .avail_in = (uInt)answer->body_len };
	char *out = calloc(1, most + 1);

	assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
	z.next_out = (unsigned char *)out;
	z.avail_out = (uInt)most;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
	return out;
}

/* It is TEXT, gzipped or not; and is freed. */
static void assert_page(struct answer answer, const char *text)
{
	assert_int_equal(answer.status, 200);
	if (strstr(answer.text, "Content-Encoding: gzip\r\n")) {
		char *body = inflated(&answer, strlen(text) + 1);

		assert_string_equal(body, text);
		free(body);
	} else {
		assert_string_equal(answer.body, text);
	}
	free(answer.text);
}

static void assert_refused(struct answer answer, const char *sentence)
{
	assert_int_equal(answer.status, 503);
	assert_string_equal(answer.body, sentence);
	free(answer.text);
}

/* ---- what is kept ---- */

static void an_unchanged_page_costs_nothing(void **state)
{
	char *text = expected();
	unsigned before[2], after[2];

	(void)state;
	assert_page(get("/metrics", gzip), text);
	assert_page(get("/metrics", ""), text);
	work(&before[0], &before[1]);
	for (int i = 0; i < 5; i++) {
		assert_page(get("/metrics", gzip), text);
		assert_page(get("/metrics", ""), text);
	}
	work(&after[0], &after[1]);
	assert_int_equal(after[0], before[0]);
	assert_int_equal(after[1], before[1]);
	free(text);
}

static struct answer get_escaped(const char *scheme)
{
	struct answer answer;
	char header[100], type[100];

	snprintf(header, sizeof header, "Accept: text/plain;escaping=%s\r\n",
		 scheme);
	answer = get("/metrics", header);
	snprintf(type, sizeof type, "; escaping=%s\r\n", scheme);
	assert_non_null(strstr(answer.text, type));
	return answer;
}

static void escapings_are_one_form_where_they_show_the_same(void **state)
{
	static const char *const schemes[] = { "underscores", "dots", "values",
					       "allow-utf-8" };
	char *text = expected();
	unsigned before;

	(void)state;
	assert_page(get_escaped("underscores"), text);
	before = rendered();
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		assert_page(get_escaped(schemes[i]), text);
	assert_int_equal(rendered(), before);
	free(text);
}

static void escapings_differ_where_a_name_does(void **state)
{
	struct family_options options = {
		.metadata = { .type = METRIC_COUNTER, .name = "a.b" },
	};
	struct family *family;
	struct answer answer;
	struct err err;
	uint32_t row;

	(void)state;
	free(get_escaped("underscores").text);
	family = registry_add(fixture.registry, &options, &err);
	assert_non_null(family);
	assert_true(family_row(family, NULL, &row, &err));
	family_inc(family, row, 1);
	publish();
	answer = get_escaped("allow-utf-8");
	assert_non_null(strstr(answer.body, "{\"a.b\"} 1\n"));
	free(answer.text);
	answer = get_escaped("underscores");
	assert_non_null(strstr(answer.body, "\na_b 1\n"));
	free(answer.text);
	answer = get_escaped("values");
	assert_non_null(strstr(answer.body, "\nU__a_2e_b 1\n"));
	free(answer.text);
}

static void a_changed_value_costs_a_block(void **state)
{
	unsigned before[2], after[2];
	char *text;

	(void)state;
	free(get("/metrics", gzip).text);
	work(&before[0], &before[1]);
	assert_true(before[1] > 10);
	set(FAMILIES / 2, 7, 12345);
	publish();
	text = expected();
	assert_page(get("/metrics", gzip), text);
	work(&after[0], &after[1]);
	/* The block, the one behind it, and the text in front of both. */
	assert_in_range(after[0] - before[0], 2, 3);
	assert_in_range(after[1] - before[1], 1, 2);
	free(text);
}

static void what_is_shown_for_once_is_not_kept(void **state)
{
	char *text = expected();
	unsigned before;

	(void)state;
	assert_page(get("/alone", ""), text);
	before = rendered();
	assert_page(get("/alone", ""), text);
	assert_int_equal(rendered(), 2 * before);
	free(text);
}

static void memory_is_given_back(void **state)
{
	struct page *page = page_slot_get(&fixture.slot);
	uint32_t refs = atomic_load(&page->refs);

	(void)state;
	post(deliver_stop);
	end();
	start(0.05);
	free(get("/metrics", gzip).text);
	free(get("/metrics", "").text);
	while (atomic_load(&page->refs) != refs)
		usleep(1000);
	page_unref(page);
}

/* ---- in slices ---- */

static void others_are_answered_while_a_page_is_made(void **state)
{
	char *text = expected();
	unsigned before, during;
	struct answer answer;
	int page, other;

	(void)state;
	assert_page(get("/metrics", gzip), text);
	before = rendered();
	hold();
	page = request("/alone", gzip);
	other = request("/work", "");
	let_go();
	answer = receive(other);
	assert_int_equal(sscanf(answer.body, "%u", &during), 1);
	assert_page(receive(page), text);
	assert_true(during < before + before / 2);
	assert_int_equal(rendered(), 2 * before);
	free(answer.text);
	free(text);
}

static void simultaneous_scrapes_share_one_making(void **state)
{
	enum { CLIENTS = 8 };
	char *text = expected();
	int clients[CLIENTS];
	unsigned blocks;

	(void)state;
	assert_page(get("/alone", gzip), text);
	blocks = rendered();
	hold();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = request("/metrics", gzip);
	let_go();
	for (int i = 0; i < CLIENTS; i++)
		assert_page(receive(clients[i]), text);
	assert_int_equal(rendered(), 2 * blocks);
	assert_int_equal(fixture.merged, 2);
	assert_int_equal(fixture.not_merged, CLIENTS - 1);
	free(text);
}

/* A client whose page is being made; the loop is held. */
static int begin_making(const char *headers)
{
	unsigned before = fixture.merged;
	int client;

	hold();
	client = request("/metrics", headers);
	while (fixture.merged == before)
		go_on();
	return client;
}

static void a_scrape_shows_what_it_began_with(void **state)
{
	char *first = expected(), *second;
	unsigned blocks;
	int clients[2];

	(void)state;
	assert_page(get("/alone", gzip), first);
	blocks = rendered();
	clients[0] = begin_making(gzip);
	set(FAMILIES - 1, 3, -1);
	publish();
	second = expected();
	clients[1] = request("/metrics", gzip);
	let_go();
	assert_page(receive(clients[0]), first);
	assert_page(receive(clients[1]), second);
	/* What did not change was made for both. */
	assert_true(rendered() < 2 * blocks + 6);
	free(first);
	free(second);
}

static void a_client_has_a_deadline(void **state)
{
	char *text = expected();
	int client;

	(void)state;
	client = begin_making("X-Prometheus-Scrape-Timeout-Seconds: 0.001\r\n"
			      "Accept-Encoding: gzip\r\n");
	usleep(60 * 1000); /* it is over, by the clock of the server */
	let_go();
	assert_refused(receive(client), "the page is not ready in time\n");
	assert_page(get("/metrics", ""), text);
	free(text);
}

static void a_client_may_go_away(void **state)
{
	char *text = expected();

	(void)state;
	close(begin_making(gzip));
	let_go();
	assert_page(get("/metrics", gzip), text);
	free(text);
}

static void the_end_of_the_server_comes_first(void **state)
{
	int client;

	(void)state;
	client = begin_making(gzip);
	stops = true;
	let_go();
	assert_refused(receive(client), "lunex is stopping\n");
	end();
	assert_int_equal(fixture.merged + fixture.not_merged, 1);
	start(0);
}

static void pages_are_published_meanwhile(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		int clients[2] = { request("/metrics", gzip),
				   request("/metrics", "") };

		for (int i = 0; i < 3; i++) {
			for (int f = 0; f < FAMILIES; f += 10)
				set(f, round, -round - i);
			publish();
		}
		for (int i = 0; i < 2; i++) {
			struct answer answer = receive(clients[i]);

			assert_int_equal(answer.status, 200);
			free(answer.text);
		}
	}
}

int main(void)
{
#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		SPEC(an_unchanged_page_costs_nothing),
		SPEC(escapings_are_one_form_where_they_show_the_same),
		SPEC(escapings_differ_where_a_name_does),
		SPEC(a_changed_value_costs_a_block),
		SPEC(what_is_shown_for_once_is_not_kept),
		SPEC(memory_is_given_back),
		SPEC(others_are_answered_while_a_page_is_made),
		SPEC(simultaneous_scrapes_share_one_making),
		SPEC(a_scrape_shows_what_it_began_with),
		SPEC(a_client_has_a_deadline),
		SPEC(a_client_may_go_away),
		SPEC(the_end_of_the_server_comes_first),
		SPEC(pages_are_published_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
