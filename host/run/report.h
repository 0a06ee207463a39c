/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reload did, for whoever asked: a line for each exporter that changed,
 * should have changed or is gone, and one for each mistake that stands in no
 * script. Made by the main thread; belongs to who has it.
 */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

enum report_result {
	REPORT_ADDED,	 /* it was not there before, and runs */
	REPORT_RELOADED, /* a new version replaced the old one */
	REPORT_REMOVED,
	REPORT_FAILED, /* the old version, if any, goes on */
	REPORT_NOTE,   /* what needs a restart, for one */
};

struct report_item {
	enum report_result result;
	char *exporter; /* NULL: none in particular */
	char *script;	/* path; NULL: the same */
	char *text;	/* one sentence, "file:line: ..." ; "" */
};

struct report {
	struct report_item *items;
	size_t n;
	size_t unchanged; /* exporters that were left alone */
	bool ok;	  /* nothing failed */
};

struct report *report_new(void);
void report_free(struct report *report); /* NULL is allowed */

/* Copies the texts; NULL stands for none. */
void report_add(struct report *report, enum report_result result,
		const char *exporter, const char *script, const char *text);

/* A line for each item, and one for the rest:
 * "failed thermometer (t.lua): t.lua:7: ...", "reloaded ping (ping.lua)",
 * "3 unchanged". */
void report_text(const struct report *report, struct buf *text);

/* {"ok":false,"unchanged":3,"exporters":[{"exporter":"thermometer",
 * "script":"t.lua","result":"failed","error":"t.lua:7: ..."}]} */
void report_json(const struct report *report, struct buf *text);

#endif
