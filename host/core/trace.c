/* SPDX-License-Identifier: Apache-2.0 */
#include "core/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/mem.h"

#define MISSING "the rest is missing: the trace is full\n"

struct trace {
	struct buf text;
	struct timespec started;
	unsigned references;
};

struct trace *trace_new(void)
{
	struct trace *trace = mem_alloc(sizeof *trace);

	buf_init(&trace->text, TRACE_MAX);
	clock_gettime(CLOCK_MONOTONIC, &trace->started);
	trace->references = 1;
	return trace;
}

struct trace *trace_ref(struct trace *trace)
{
	trace->references++;
	return trace;
}

void trace_unref(struct trace *trace)
{
	if (!trace || --trace->references)
		return;
	buf_release(&trace->text);
	free(trace);
}

static double milliseconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

void trace_line(struct trace *trace, const char *format, ...)
{
	char line[TRACE_LINE_MAX];
	va_list args;

	if (!trace || trace->text.full)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	/* Room for the last line is kept. */
	if (trace->text.len + sizeof line + 64 > TRACE_MAX) {
		buf_addstr(&trace->text, MISSING);
		trace->text.full = true;
		return;
	}
	buf_addf(&trace->text, "%9.3f ms  %s\n",
		 milliseconds_since(&trace->started), line);
}

struct str trace_text(const struct trace *trace)
{
	return (struct str){ buf_text(&trace->text), trace->text.len };
}
