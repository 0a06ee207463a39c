/* SPDX-License-Identifier: Apache-2.0 */
#include "run/push_lines.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "run/moment.h"

/* After push_lines_add() the web thread's alone, but for `lines`. */
struct push_line {
	struct push_lines *lines;
	char *exporter, *target;
	char *text;
	double success;
};

struct push_lines {
	struct loop *web;
	struct push_line **items; /* by exporter, then as they came */
	size_t n;
};

/* What happened to a line, on its way to the web thread. */
struct news {
	struct message message;
	struct push_line *line;
	char *text;	/* the latest push: NULL: nothing about it */
	double success; /* 0: as before */
};

static void line_free(struct push_line *line)
{
	free(line->exporter);
	free(line->target);
	free(line->text);
	free(line);
}

/* ---- in the web thread ---- */

/* How many lines are of exporters before that of this name, or with it. */
static size_t lines_before(const struct push_lines *lines, const char *exporter,
			   bool with)
{
	size_t low = 0, high = lines->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(lines->items[middle]->exporter, exporter);

		if (order < 0 || (with && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void deliver_new(struct message *message)
{
	struct push_line *line = ((struct news *)(void *)message)->line;
	struct push_lines *lines = line->lines;
	size_t at = lines_before(lines, line->exporter, true);

	lines->items = mem_realloc(lines->items,
				   (lines->n + 1) * sizeof(*lines->items));
	memmove(lines->items + at + 1, lines->items + at,
		(lines->n - at) * sizeof(*lines->items));
	lines->items[at] = line;
	lines->n++;
	free(message);
}

static void deliver_gone(struct message *message)
{
	struct push_line *line = ((struct news *)(void *)message)->line;
	struct push_lines *lines = line->lines;
	size_t at = lines_before(lines, line->exporter, false);

	while (lines->items[at] != line)
		at++;
	lines->n--;
	memmove(lines->items + at, lines->items + at + 1,
		(lines->n - at) * sizeof(*lines->items));
	line_free(line);
	free(message);
}

static void deliver_text(struct message *message)
{
	struct news *news = (void *)message;
	struct push_line *line = news->line;

	free(line->text);
	line->text = news->text;
	if (news->success > 0)
		line->success = news->success;
	free(news);
}

bool push_lines_get(const struct push_lines *lines, const char *exporter,
		    size_t i, struct push_shown *shown)
{
	size_t at = lines_before(lines, exporter, false) + i;
	const struct push_line *line;

	if (at >= lines->n || strcmp(lines->items[at]->exporter, exporter) != 0)
		return false;
	line = lines->items[at];
	*shown = (struct push_shown){ line->target, line->text, line->success };
	return true;
}

/* ---- in the push thread ---- */

static void post(struct push_line *line, char *text, double success,
		 void (*deliver)(struct message *message))
{
	struct news *news = mem_alloc(sizeof *news);

	news->message.deliver = deliver;
	news->line = line;
	news->text = text;
	news->success = success;
	loop_post(line->lines->web, &news->message);
}

struct push_line *push_lines_add(struct push_lines *lines, const char *exporter,
				 const char *target)
{
	struct push_line *line = mem_alloc(sizeof *line);

	line->lines = lines;
	line->exporter = mem_string(exporter);
	line->target = mem_string(target);
	line->text = mem_string("");
	post(line, NULL, 0, deliver_new);
	return line;
}

void push_lines_remove(struct push_line *line)
{
	post(line, NULL, 0, deliver_gone);
}

void push_lines_tell(struct push_line *line, const char *text)
{
	post(line, mem_string(text), *text ? 0 : moment_now(), deliver_text);
}

/* ---- life ---- */

struct push_lines *push_lines_new(struct loop *web)
{
	struct push_lines *lines = mem_alloc(sizeof *lines);

	lines->web = web;
	return lines;
}

void push_lines_free(struct push_lines *lines)
{
	if (!lines)
		return;
	for (size_t i = 0; i < lines->n; i++)
		line_free(lines->items[i]);
	free(lines->items);
	free(lines);
}
