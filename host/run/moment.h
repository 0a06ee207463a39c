/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time, seconds since the epoch, as text. Any thread. */
#ifndef RUN_MOMENT_H
#define RUN_MOMENT_H

enum { MOMENT_MAX = 96 };

/* Now. */
double moment_now(void);

/* RFC 3339, UTC: "2026-11-21T05:22:43.123Z". OUT has MOMENT_MAX bytes. */
void moment_text(char *out, double moment);

/* How long before NOW, in words: "12 s ago", "5 min ago", "3 h ago", "2 d ago";
 * "0 s ago" for what is later. */
void moment_ago(char *out, double moment, double now);

#endif
