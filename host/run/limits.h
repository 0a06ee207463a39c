/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table `limits`, of a script or of a configuration, which lua/cli checks
 * with the same names and bounds. Any thread.
 */
#ifndef RUN_LIMITS_H
#define RUN_LIMITS_H

#include <lua.h>
#include <stdbool.h>

#include "vm/limits.h"

/* Its keys, NULL-terminated. */
extern const char *const limits_keys[];

/* Takes the value of KEY, which is one of them, at INDEX. False: it is none. */
bool limits_read(lua_State *L, int index, const char *key,
		 struct vm_limits *limits) __attribute__((warn_unused_result));

/* What KEY would be: "a number above 0". */
const char *limits_expected(const char *key);

#endif
