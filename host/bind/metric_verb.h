/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What set, inc and observe do, for families and kept series alike: who may,
 * with which values, and in which row. Sentences begin with the family's name.
 * Part of the module metric.
 */
#ifndef BIND_METRIC_VERB_H
#define BIND_METRIC_VERB_H

#include <lua.h>

#include "bind/metric_set.h"
#include "core/registry.h"

/* The series that is meant. All of it is borrowed. */
struct metric_target {
	const struct metric_set *set;
	struct family *family;
	struct child *child; /* or NULL: the family's series of the labels that
				are arguments FIRST to LAST */
	int first, last;
};

/*
 * The userdata of SIZE at ARG that begins with the pointer TAG; NULL when it is
 * another or none. Methods of families and kept series are the hottest calls of
 * a collection: a word that only ours begin with is compared, instead of the
 * metatable.
 */
static inline void *metric_tagged(lua_State *L, int arg, size_t size,
				  const void *tag)
{
	void *object = NULL;

	if (lua_type(L, arg) == LUA_TUSERDATA && lua_rawlen(L, arg) >= size)
		object = lua_touserdata(L, arg);
	return object && *(const void **)object == tag ? object : NULL;
}

/* Raises when the registry of SET, which may be NULL, is gone: metrics of a
 * probe that is over. */
void check_metric_set(lua_State *L, const struct metric_set *set);

/* On whose account the running task changes FAMILY of SET: the part of a
 * collection, or REGISTRY_LIVE. Raises where nobody may. */
unsigned check_metric_part(lua_State *L, const struct metric_set *set,
			   const struct family *family);

/* Raises when metrics of this type have no `inc`, or no `observe`. */
void check_metric_inc(lua_State *L, const struct family *family);
void check_metric_observe(lua_State *L, const struct family *family);

/* Argument ARG as what inc adds. */
double check_metric_increment(lua_State *L, int arg,
			      const struct family *family);

/*
 * The verbs. Each raises before it changes anything. MORE is the number of the
 * argument, a table, that has times or an exemplar's labels; 0: there is none.
 * What is set, or observed, is argument 2. They return as functions that Lua
 * calls do, with their results on the stack.
 */
int metric_set_value(lua_State *L, const struct metric_target *target,
		     int more);
int metric_inc(lua_State *L, const struct metric_target *target, double by,
	       int more);
int metric_observe(lua_State *L, const struct metric_target *target, int more);

#endif
