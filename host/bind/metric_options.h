/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a declaration: metric.histogram { "Help.", buckets = ... }.
 * Part of the module metric.
 */
#ifndef BIND_METRIC_OPTIONS_H
#define BIND_METRIC_OPTIONS_H

#include <lua.h>

#include "core/err.h"
#include "core/registry.h"

/* Are the options in the table at TABLE, a positive index, known, of the right
 * kind, and such as a metric of TYPE has? Raises a sentence that names the
 * first that is not. */
void check_metric_options(lua_State *L, int table, enum metric_type type);

/* What they say, for registry_add(): FAMILY points into the arrays, and to
 * strings that the table keeps. */
struct metric_options {
	struct family_options family;
	struct native_options native;
	const char *labels[LABELS_MAX];
	const char *states[METADATA_STATES_MAX];
	double bounds[METADATA_BUCKETS_MAX];
	double quantiles[METADATA_QUANTILES_MAX];
};

/* Reads the options of the metric NAME. They are checked again, since a script
 * may have changed them: raises as above. False and ERR when a list is too
 * long. */
bool check_metric_family_options(lua_State *L, int table, const char *name,
				 enum metric_type type,
				 struct metric_options *o, struct err *err);

#endif
