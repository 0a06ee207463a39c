/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between the parentheses of set, inc and observe: the value, the
 * labels, and a table behind them. Sentences begin with the family's name. Part
 * of the module metric.
 */
#ifndef BIND_METRIC_ARGUMENTS_H
#define BIND_METRIC_ARGUMENTS_H

#include <lua.h>

#include "core/exemplar.h"
#include "core/registry.h"

/* A number, also as a string. */
double check_metric_value(lua_State *L, int arg, const struct family *family);

/* The values of the labels, arguments FIRST to LAST, of which there must be as
 * many as the family has labels; borrowed from the stack. Those that are no
 * strings become some, so the collector may run. */
void check_metric_labels(lua_State *L, int first, int last,
			 const struct family *family, struct str *values);

/* { timestamp =, created = }, seconds since the epoch; 0 where one is absent.
 * The family must have a place for them. */
struct metric_times {
	double created, time;
};

struct metric_times check_metric_times(lua_State *L, int arg,
				       const struct family *family);

/*
 * The labels of an exemplar of VALUE, which is explained now. One reference,
 * for family_exemplify(): nothing that may raise stands between the two. Raises
 * before there is one; neither the collector nor the script runs, so the row at
 * hand stays good.
 */
struct exemplar *check_metric_exemplar(lua_State *L, int arg,
				       const struct family *family,
				       double value);

#endif
