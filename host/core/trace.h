/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace: what one run did, line by line, for its author to read. Lines begin
 * with the milliseconds since the start. It has a ceiling; what does not fit is
 * said to be missing. Counted, because tasks that write into it may end after
 * whoever asked for it. One thread at a time.
 *
 * Secrets are the writer's concern: nothing is written here that may not be in
 * a log.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "core/buf.h"

struct trace;

enum { TRACE_MAX = 256 << 10, TRACE_LINE_MAX = 2000 };

struct trace *trace_new(void);
struct trace *trace_ref(struct trace *trace);
void trace_unref(struct trace *trace); /* NULL is allowed */

/* One line; control characters in it become spaces. TRACE may be NULL: then
 * nothing happens. */
__attribute__((format(printf, 2, 3))) void trace_line(struct trace *trace,
						      const char *format, ...);

/* All lines, each with its line feed. */
struct str trace_text(const struct trace *trace);

#endif
