/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/utf8.h"

/* Nothing is begun in the last part of a line: a key and a quote fit there. */
enum { LINE_MAX_BYTES = 8192, LINE_CUT = LINE_MAX_BYTES - 256 };

static const char *const level_names[] = { "debug", "info", "warn", "error" };
static _Atomic int lowest = LOG_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load_explicit(&lowest,
						    memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *level)
{
	for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static bool is_plain(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' ||
		    c == 0x7F || utf8_is_control(s))
			return false;
	}
	return true;
}

static void add_escaped(struct buf *line, unsigned char c)
{
	if (c == '"' || c == '\\')
		buf_addf(line, "\\%c", c);
	else if (c == '\n')
		buf_addstr(line, "\\n");
	else if (c == '\t')
		buf_addstr(line, "\\t");
	else if (c < ' ' || c == 0x7F)
		buf_addf(line, "\\x%02x", c);
	else
		buf_addch(line, (char)c);
}

/* A cut value is the last one, and its quotes are closed all the same. */
static void add_pair(struct buf *line, const char *key, const char *value)
{
	bool quote = !is_plain(value);

	if (line->full || line->len >= LINE_CUT) {
		line->full = true;
		return;
	}
	buf_addf(line, " %s=%s", key, quote ? "\"" : "");
	for (; *value && line->len < LINE_CUT; value++)
		if (utf8_is_control(value))
			buf_addf(line, "\\u%04x", (unsigned char)*++value);
		else
			add_escaped(line, (unsigned char)*value);
	if (quote)
		buf_addch(line, '"');
	if (*value)
		line->full = true;
}

static void add_time(struct buf *line)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	buf_addf(line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

/* The newline takes the place of the NUL behind the line. */
static void write_line(struct buf *line)
{
	int saved = errno;
	ssize_t n;

	line->data[line->len] = '\n';
	n = write(STDERR_FILENO, line->data, line->len + 1);
	(void)n;
	errno = saved;
}

static void begin(struct buf *line, enum log_level level, const char *msg)
{
	buf_init(line, LINE_MAX_BYTES - 1);
	add_time(line);
	add_pair(line, "level", level_names[level]);
	add_pair(line, "msg", msg);
}

static void add_pairs(struct buf *line, va_list args)
{
	const char *key, *value;

	while ((key = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		if (value)
			add_pair(line, key, value);
	}
}

void log_event(enum log_level level, const char *msg, ...)
{
	struct buf line;
	va_list args;

	if (level < log_level_get())
		return;
	begin(&line, level, msg);
	va_start(args, msg);
	add_pairs(&line, args);
	va_end(args);
	write_line(&line);
	buf_release(&line);
}

/* ---- sources ---- */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void recover(struct log_source *source)
{
	double time = now();

	if (time < source->since)
		return;
	source->used -= (time - source->since) * LOG_RATE;
	if (source->used < 0)
		source->used = 0;
	source->since = time;
}

static void leave_out(struct log_source *source)
{
	source->silenced++;
	atomic_fetch_add_explicit(&source->dropped, 1, memory_order_relaxed);
}

/* May a silenced source speak again? */
static bool may_speak(struct log_source *source, const char *exporter)
{
	char count[24];

	if (source->used > LOG_BURST - LOG_AGAIN)
		return false;
	snprintf(count, sizeof count, "%llu",
		 (unsigned long long)source->silenced);
	source->silenced = 0;
	log_warn("lines were left out", "exporter", exporter, "lines", count);
	return true;
}

/* Books LINE; false, and one about that in its place, when it is too much. */
static bool has_room(struct log_source *source, const struct buf *line,
		     const char *exporter)
{
	unsigned cost = 1 + (unsigned)(line->len / 1024);

	if (source->used + cost <= LOG_BURST) {
		source->used += cost;
		return true;
	}
	leave_out(source);
	log_warn("too many lines: what follows is left out for a while",
		 "exporter", exporter);
	return false;
}

bool log_from(struct log_source *source, enum log_level level,
	      const char *exporter, const char *msg, ...)
{
	struct buf line;
	va_list args;
	bool room;

	if (level < log_level_get())
		return true;
	recover(source);
	if (source->silenced && !may_speak(source, exporter)) {
		leave_out(source);
		return false;
	}
	begin(&line, level, msg);
	if (exporter)
		add_pair(&line, "exporter", exporter);
	va_start(args, msg);
	add_pairs(&line, args);
	va_end(args);
	room = has_room(source, &line, exporter);
	if (room)
		write_line(&line);
	buf_release(&line);
	return room;
}
