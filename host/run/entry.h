/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted of an exporter: its script and everything that was said about
 * it, in a configuration or on the command line. Made by run/plan.c, immutable
 * from then on, and counted: an exporter that a reload leaves alone lives with
 * the entry that it was made from. Any thread.
 */
#ifndef RUN_ENTRY_H
#define RUN_ENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/label.h"
#include "run/config.h"
#include "run/exporter.h"

/* All of it belongs to the entry. */
struct entry {
	_Atomic unsigned refs; /* private */
	const char *script;    /* path */
	const char *name;
	const char *where; /* it is listed: "lunex.lua:12"; NULL: on the
			      command line, alone */
	const struct config *config;
	struct label_pair *labels;
	unsigned nlabels;
	struct exporter_profile *profiles;
	size_t nprofiles;
	const struct config **push; /* where its pages are sent: see
				       lua/cli/push.lua */
	size_t npush;
	double interval, timeout; /* < 0: the script's */
	struct vm_limits limits;  /* 0 where the script's are meant */
	const char *lua_path, *lua_cpath;
	bool sandbox; /* the script is not trusted: see exporter_options */
	char **allow; /* ends with NULL; NULL: none */
	const char *mistake; /* of the script, known already: it cannot run; or
				NULL */
};

/* An empty one, a reference. */
struct entry *entry_new(void);
struct entry *entry_ref(struct entry *entry);
void entry_unref(struct entry *entry); /* NULL is allowed */

/* Would an exporter made from A be like one made from B? Where they are listed
 * and where their pages are sent does not matter. */
bool entry_equal(const struct entry *a, const struct entry *b);

#endif
