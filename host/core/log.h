/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on standard error, logfmt:
 *   ts=2026-11-21T05:22:43.123Z level=warn msg="part failed" exporter=mirth
 * A line is one write(2), so lines of several threads do not mix. Values are
 * quoted where they need it; control characters are escaped, so that nothing
 * from outside can forge a line. Secrets are the caller's business: they never
 * come here. Any thread.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Events below LEVEL are dropped. The default is LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_level_get(void);

/* "debug", "info", "warn" or "error"; false for anything else. */
bool log_level_parse(const char *name, enum log_level *level);

/*
 * Writes MSG and key, value pairs of strings, ended by NULL; a pair whose value
 * is NULL is left out. A line is cut at 8 KiB.
 */
void log_event(enum log_level level, const char *msg, ...)
	__attribute__((sentinel));

#define log_debug(...) log_event(LOG_DEBUG, __VA_ARGS__, (char *)0)
#define log_info(...) log_event(LOG_INFO, __VA_ARGS__, (char *)0)
#define log_warn(...) log_event(LOG_WARN, __VA_ARGS__, (char *)0)
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__, (char *)0)

/* What a source may write: so many lines at once, and so many a second behind
 * them. A line counts as one for each KiB that it begins. A source that was
 * silenced speaks again when there is room for LOG_AGAIN lines. */
enum { LOG_BURST = 1000, LOG_RATE = 10, LOG_AGAIN = 100 };

/*
 * Whoever can write as many lines as it likes: a script, and with it those who
 * send it requests, datagrams and answers. Zeroed at first. One thread at a
 * time, but for `dropped`.
 */
struct log_source {
	double used;		  /* private: of LOG_BURST */
	double since;		  /* private: monotonic seconds, of USED */
	uint64_t silenced;	  /* private: lines; 0: it may speak */
	_Atomic uint64_t dropped; /* lines that were left out, ever */
};

/*
 * log_event() of what SOURCE says for EXPORTER, which is the line's first pair.
 * What is too much is left out: a line tells of it when that begins, and
 * another one how many they were when it is over and something is said again.
 * False when this was left out; what the level leaves out was not.
 */
bool log_from(struct log_source *source, enum log_level level,
	      const char *exporter, const char *msg, ...)
	__attribute__((sentinel));

#endif
