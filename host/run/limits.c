/* SPDX-License-Identifier: Apache-2.0 */
#include "run/limits.h"

#include <string.h>

const char *const limits_keys[] = { "memory", "cpu",	    "series",
				    "body",   "operations", NULL };

/* Limits of limits: seconds become nanoseconds, the others a size_t. A body is
 * one string of C. */
static const double CPU_MAX = 1e9, COUNT_MAX = 1e15, BODY_MAX = 1 << 30;

static bool is(const char *key, const char *name)
{
	return strcmp(key, name) == 0;
}

static double most(const char *key)
{
	if (is(key, "cpu"))
		return CPU_MAX;
	return is(key, "body") ? BODY_MAX : COUNT_MAX;
}

bool limits_read(lua_State *L, int index, const char *key,
		 struct vm_limits *limits)
{
	double value = lua_tonumber(L, index);

	if (lua_type(L, index) != LUA_TNUMBER || !(value > 0) ||
	    value > most(key) || (!is(key, "cpu") && value < 1))
		return false;
	if (is(key, "memory"))
		limits->memory = (size_t)value;
	else if (is(key, "cpu"))
		limits->cpu = value;
	else if (is(key, "series"))
		limits->series = (size_t)value;
	else if (is(key, "body"))
		limits->body = (size_t)value;
	else
		limits->operations = (size_t)value;
	return true;
}

const char *limits_expected(const char *key)
{
	if (is(key, "cpu"))
		return "seconds above 0, below 1e9";
	return is(key, "body") ? "bytes above 0, at most 1 GiB"
			       : "a number above 0";
}
