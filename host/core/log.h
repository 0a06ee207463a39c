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

#include <stdbool.h>

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

#endif
