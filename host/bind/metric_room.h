/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do when there is no room for one more series. Part of the module
 * metric.
 */
#ifndef BIND_METRIC_ROOM_H
#define BIND_METRIC_ROOM_H

#include <lua.h>
#include <stdbool.h>

#include "bind/metric_set.h"
#include "core/err.h"

/* Is it worth another try after ERR, an allocation of series in SET that
 * failed? Collects garbage, for registries that nobody has any more count, and
 * tidies the others. The numbers of rows are not good afterwards. */
bool metric_set_has_room(lua_State *L, const struct metric_set *set,
			 const struct err *err);

/* What to say behind ERR where it is about the limit of series, which is
 * counted then; "" otherwise. */
const char *metric_limit_hint(lua_State *L, const struct metric_set *set,
			      const struct err *err);

/* Raises ERR, the same failure, with what there is to say behind it; returns
 * where another try is worth it. */
void check_metric_room(lua_State *L, const struct metric_set *set,
		       const struct err *err);

#endif
