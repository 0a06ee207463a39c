/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two exporters side by side have in common for readers that know no UTF-8
 * names alone, to whom a.b and a_b are one: such readers do not get all of it.
 * No error, since others do: the log says it when it happens, lunex check
 * before.
 */
#ifndef RUN_MEETING_H
#define RUN_MEETING_H

#include "core/buf.h"
#include "run/outline.h"

/* Adds a line to OUT for each family, and one for all series, of SECOND that
 * meets what FIRST has. Both may run side by side (outline_agree). */
void meeting_tell(struct buf *out, const struct outline_owner *first,
		  const struct outline_owner *second);

#endif
