/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml_bench channels N: Mirth's statistics of N channels, to standard output.
 * xml_bench FILE: what libxml2 itself takes to parse FILE into its tree, in
 * milliseconds of processor time, best of several rounds.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/xml2.h"

enum { ROUNDS = 15, SIZE_MAX_READ = 64 << 20 };

/* What the parser of lunex has, and as small a tree as libxml2 makes. */
enum { OPTIONS = XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_COMPACT };

static void print_channels(unsigned n)
{
	puts("<list>");
	for (unsigned i = 0; i < n; i++)
		printf("  <channelStatistics>\n"
		       "    <serverId>cf683e8c-326b-4406-a14b-5576da359890"
		       "</serverId>\n"
		       "    <channelId>%08x-aaaa-4bbb-8ccc-%012x</channelId>\n"
		       "    <received>%u</received>\n"
		       "    <sent>%u</sent>\n"
		       "    <error>%u</error>\n"
		       "    <filtered>%u</filtered>\n"
		       "    <queued>%u</queued>\n"
		       "  </channelStatistics>\n",
		       i * 2654435761u, i * 7919, i * 31, i * 29, i % 7, i % 11,
		       i % 3);
	puts("</list>");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool read_file(const char *name, struct buf *text)
{
	FILE *file = fopen(name, "rbe");
	char bytes[1 << 16];
	size_t n;

	if (!file)
		return false;
	while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
		buf_add(text, bytes, n);
	fclose(file);
	return !text->full;
}

static double parse(struct str text)
{
	double best = INFINITY, started;
	xmlDoc *doc;

	for (int i = 0; i < ROUNDS; i++) {
		started = now();
		doc = xmlReadMemory(text.data, (int)text.len, NULL, NULL,
				    OPTIONS);
		best = fmin(best, now() - started);
		if (!doc)
			exit(1);
		xmlFreeDoc(doc);
	}
	return best;
}

int main(int argc, char **argv)
{
	struct buf text;

	if (argc == 3 && strcmp(argv[1], "channels") == 0) {
		print_channels((unsigned)strtoul(argv[2], NULL, 10));
		return 0;
	}
	buf_init(&text, SIZE_MAX_READ);
	if (argc != 2 || !read_file(argv[1], &text)) {
		fprintf(stderr, "usage: xml_bench channels N | FILE\n");
		return 2;
	}
	printf("%.2f\n", parse((struct str){ text.data, text.len }));
	buf_release(&text);
	return 0;
}
